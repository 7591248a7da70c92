/** What people do on volumes: databases that are killed, two containers at once, a full disk, git, whole trees copied. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { eventually, missing, RUNSC, sentryOf } from '../runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;

/** Memory of a process that is nobody else's. */
function privateMiB(pid: number): number {
  return Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024;
}

suite('volumes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'volumes-'));
  let serial = 0;
  const volume = (): string => {
    const path = join(folder, String(serial++));
    mkdirSync(path);
    return path;
  };
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const doArgs = (path: string, script: string, flags: readonly string[] = []): string[] => [
    ...flags,
    'do',
    '-v',
    `${path}:/v`,
    '--',
    '/bin/sh',
    '-c',
    `cd /v && ${script}`,
  ];
  const inside = (path: string, script: string, flags: readonly string[] = []) => {
    const { status, stdout, stderr } = spawnSync(RUNSC, doArgs(path, script, flags), { encoding: 'utf8', timeout: 100_000 });
    return { status, stdout, stderr };
  };

  test.each(['', '--directfs'])(
    'sqlite: nothing that was committed is lost when the Sentry is killed %s',
    async (flag) => {
      const path = volume();
      const script =
        "printf 'PRAGMA synchronous=FULL; CREATE TABLE t(n INTEGER PRIMARY KEY, pad TEXT);' | sqlite3 db; " +
        'i=0; while :; do echo "INSERT INTO t(pad) VALUES (hex(randomblob(700))); SELECT max(n) FROM t;"; done | sqlite3 db';
      let before = 0;
      for (const rows of [3, 40, 17]) {
        const child = spawn(RUNSC, doArgs(path, before === 0 ? script : script.slice(script.indexOf('i=0')), flag === '' ? [] : [flag]), {
          stdio: ['ignore', 'pipe', 'ignore'],
        });
        let out = '';
        child.stdout.on('data', (data) => (out += data));
        const lines = (): string[] => out.split('\n').slice(0, -1);
        expect(await eventually(() => lines().length >= rows, 60_000)).toBe(true);
        const ended = new Promise((done) => child.on('close', done));
        process.kill(sentryOf(child.pid as number), 'SIGKILL');
        await ended;
        const committed = Number(lines().at(-1));
        const found = execFileSync('sqlite3', [join(path, 'db'), 'PRAGMA integrity_check; SELECT max(n) FROM t;'], { encoding: 'utf8' });
        const [integrity, last] = found.split('\n');
        expect(integrity).toBe('ok');
        expect(Number(last)).toBeGreaterThanOrEqual(committed);
        expect(Number(last)).toBeGreaterThan(before);
        before = Number(last);
      }
    },
    240_000,
  );

  test.each(['', '--directfs'])(
    'every way to sync reaches the host %s',
    (flag) => {
      const path = volume();
      compileGuest(join(__dirname, 'syncs.c'), join(path, 'syncs'));
      const trace = join(folder, `trace-${serial++}`);
      const calls = 'fsync,fdatasync,sync_file_range,syncfs,pwritev2,msync';
      // The stub is traced by nobody else on systrap. --seccomp-bpf: nothing else stops.
      const sandbox = [RUNSC, '--platform=systrap', ...doArgs(path, './syncs .', flag === '' ? [] : [flag])];
      const r = spawnSync('strace', ['-f', '--seccomp-bpf', '-e', 'signal=none', '-e', `trace=${calls}`, '-o', trace, ...sandbox], {
        encoding: 'utf8',
      });
      expect(r).toMatchObject({ status: 0, stderr: '' });
      // What the application itself calls does not get through: its number comes back.
      const made = readFileSync(trace, 'utf8')
        .split('\n')
        .flatMap((line) => {
          const [, call, how] = /^\d+ +(\w+)\(.*?(RWF_\w+)?\) += [04]$/.exec(line) ?? [];
          return call === undefined || (call === 'pwritev2' && how === undefined) ? [] : [how ?? call];
        });
      expect(made).toEqual(['fsync', 'fdatasync', 'fdatasync', 'RWF_DSYNC', 'RWF_SYNC', 'fsync', 'fsync', 'syncfs']);
    },
    60_000,
  );

  test('two containers append to one file: every line is whole', async () => {
    const path = volume();
    const write = (who: string): string => `i=0; while [ $i -lt 400 ]; do echo "${who} $i ${who.repeat(200)}" >> log; i=$((i + 1)); done`;
    const runs = ['a', 'b'].map(
      (who) => new Promise<number | null>((done) => spawn(RUNSC, doArgs(path, write(who)), { stdio: 'inherit' }).on('close', done)),
    );
    expect(await Promise.all(runs)).toEqual([0, 0]);
    const lines = readFileSync(join(path, 'log'), 'utf8').split('\n').slice(0, -1);
    expect(lines.length).toBe(800);
    for (const who of ['a', 'b']) {
      const own = lines.filter((line) => line.startsWith(who));
      expect(own).toEqual(Array.from({ length: 400 }, (_, i) => `${who} ${i} ${who.repeat(200)}`));
    }
  }, 120_000);

  test.each(['', '--directfs'])(
    'a full disk is ENOSPC, and there is room again afterwards %s',
    (flag) => {
      const path = volume();
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'small', path]);
      try {
        const script = 'dd if=/dev/zero of=big bs=64k count=40; wc -c < big; echo x > more; rm big; echo again > small; cat small';
        const r = inside(path, script, flag === '' ? [] : [flag]);
        expect(r.stderr).toMatch(/No space left on device/);
        expect(r.stdout).toMatch(/^1048576\nagain\n$/);
      } finally {
        execFileSync('umount', [path]);
      }
    },
    60_000,
  );

  test('git: clone, commit, gc and fsck of a repository', () => {
    const path = volume();
    const git = (...args: string[]): string =>
      execFileSync('git', ['-C', path, '-c', 'user.name=t', '-c', 'user.email=t@t', '-c', 'safe.directory=*', ...args], {
        encoding: 'utf8',
      });
    git('init', '-q', 'origin');
    for (let i = 0; i < 200; i++) writeFileSync(join(path, 'origin', `file-${i}`), `${i}\n`.repeat(i));
    git('-C', 'origin', 'add', '.');
    git('-C', 'origin', 'commit', '-qm', 'first');
    const g = 'git -c user.name=t -c user.email=t@t -c safe.directory="*"';
    const script = `${g} clone -q --no-local origin copy && cd copy && echo changed > file-3 && ${g} commit -qam second && ${g} gc -q && ${g} fsck && ${g} status --short && ${g} log --oneline | wc -l`;
    expect(inside(path, script)).toMatchObject({ status: 0, stdout: '2\n' });
    expect(git('-C', 'copy', 'fsck')).toBe('');
    expect(git('-C', 'copy', 'status', '--short')).toBe('');
  }, 120_000);

  test('tens of thousands of files: memory stays bounded', async () => {
    const path = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'volume-many-'));
    const files = 60_000; // caches are swept at 50,000 names
    for (let i = 0; i < files; i++) {
      if (i % 1000 === 0) mkdirSync(join(path, `d${i / 1000}`));
      closeSync(openSync(join(path, `d${Math.floor(i / 1000)}/f${i}`), 'w'));
    }
    try {
      const script = 'find . -type f -size 0 -newermt 2000-01-01 | wc -l; read go; rm -r d*; find . | wc -l; read go';
      const child = spawn(RUNSC, doArgs(path, script), { stdio: ['pipe', 'pipe', 'inherit'] });
      let out = '';
      child.stdout.on('data', (data) => (out += data));
      for (const expected of [`${files}\n`, `${files}\n1\n`]) {
        expect(await eventually(() => out === expected, 200_000)).toBe(true);
        const sentry = sentryOf(child.pid as number);
        const gofer = Number(execFileSync('pgrep', ['-P', String(child.pid), '-f', 'runsc-gofer'], { encoding: 'utf8' }));
        expect(privateMiB(sentry)).toBeLessThan(160);
        expect(privateMiB(gofer)).toBeLessThan(40);
        expect(readdirSync(`/proc/${gofer}/fd`).length).toBeLessThan(6000); // one for each fid, of which there are 4,096 at most
        child.stdin.write('\n');
      }
      expect(await new Promise((done) => child.on('close', done))).toBe(0);
    } finally {
      rmSync(path, { recursive: true, force: true });
    }
  }, 300_000);

  test('cp -a of a tree keeps everything', () => {
    const path = volume();
    const source = process.env.ALL === '1' ? '/usr' : '/etc';
    expect(inside(path, `cp -a ${source} copy`)).toMatchObject({ status: 0, stderr: '' });
    const list = (where: string): string[] =>
      execFileSync(
        'find',
        ['.', '-printf', '%p %y %m %U:%G %l %T@ ', '(', '-type', 'f', '-printf', '%s %n', '-o', '-true', ')', '-printf', '\n'],
        {
          cwd: where,
          encoding: 'latin1',
          maxBuffer: 64 << 20,
        },
      )
        .split('\n')
        .sort();
    // The engine of the sandbox mounts nothing over /etc here: it is the machine's.
    expect(list(join(path, 'copy'))).toEqual(list(source));
  }, 120_000);
});
