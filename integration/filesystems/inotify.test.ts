/** inotify(7) on volumes: the host's changes are told as the host tells them, the sandbox's own once. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { compileGuest } from '../guest_program.ts';
import { eventually, missing, RUNSC, sentryOf } from '../runsc_bundle.ts';

const OUT = resolve(__dirname, '../../.cache/filesystems');
const PLATFORM = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap').split(',')[0];
const suite = missing().length === 0 ? describe : describe.skip;

/** An event that says the same as the last one is left out as long as that one has not been read: it depends on how quick the reader is. */
function distinct(lines: readonly string[]): string[] {
  return lines.filter((line, i) => line !== lines[i - 1]);
}

suite('inotify on volumes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'inotify-'));
  let serial = 0;
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const volume = (): string => {
    const path = join(folder, String(serial++));
    mkdirSync(path);
    return path;
  };
  const compile = (source: string): string => compileGuest(join(__dirname, `${source}.c`), join(OUT, basename(source)));
  const inside = (path: string, flags: readonly string[], command: readonly string[], at = '/mnt'): string[] => [
    `--platform=${PLATFORM}`,
    ...flags,
    'do',
    '-v',
    `${path}:${at}`,
    '--',
    ...command,
  ];

  interface Watcher {
    readonly child: ChildProcess;
    lines(): string[];
    readonly ended: Promise<number | null>;
  }
  function watch(command: string, args: readonly string[], cwd?: string): Watcher {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...(cwd === undefined ? {} : { cwd }) });
    let out = '';
    child.stdout?.on('data', (data) => (out += data));
    return { child, lines: () => out.split('\n').slice(0, -1), ended: new Promise((done) => child.on('close', done)) };
  }

  /** What the watchers in the sandbox and beside it print of the changes that `script` makes on the host. */
  async function compare(flags: readonly string[], prepare: string, watched: readonly string[], script: string): Promise<string[]> {
    const path = volume();
    const program = compile('watcher');
    execFileSync('sh', ['-c', prepare], { cwd: path });
    const shell = `cd /mnt && exec ${program} ${watched.join(' ')}`;
    const watchers = [watch(program, watched, path), watch(RUNSC, inside(path, flags, ['/bin/sh', '-c', shell]))];
    for (const { lines } of watchers) expect(await eventually(() => lines().includes('ready'), 60_000)).toBe(true);
    execFileSync('sh', ['-ec', `${script}\n: > end`], { cwd: path });
    for (const { ended } of watchers) expect(await ended).toBe(0);
    const [onHost, inSandbox] = watchers.map(({ lines }) => distinct(lines()));
    expect(inSandbox).toEqual(onHost);
    return inSandbox as string[];
  }

  const everything = `
    echo one > d/file; echo two >> d/file; chmod 600 d/file; touch -d @1 d/file; chown 5:5 d/file
    mv d/file d/other; mv d/other outside; mv outside d/back; ln d/back d/second; ln -s nowhere d/link
    mkdir d/sub; echo x > d/sub/unseen; rm -r d/sub; truncate -s 9 d/back; rm d/second d/link
    echo new > fresh; mv fresh d/back; echo more >> single; chmod 640 single; rm single; rm -r d/*; rmdir d
  `;
  test.each(['', '--directfs'])(
    'a process of the host creates, writes, renames, removes %s',
    async (flag) => {
      const flags = flag === '' ? [] : [flag];
      const lines = await compare(flags, 'mkdir d; echo > single', ['.', 'd', 'single'], everything);
      expect(lines).toEqual(
        expect.arrayContaining(['2 create file', '2 to other same cookie', '3 delete_self', '3 ignored', '2 delete_self']),
      );
    },
    120_000,
  );

  test('another sandbox changes the volume', async () => {
    const path = volume();
    const program = compile('watcher');
    const watchers = [watch(program, ['.'], path), watch(RUNSC, inside(path, [], ['/bin/sh', '-c', `cd /mnt && exec ${program} .`]))];
    for (const { lines } of watchers) expect(await eventually(() => lines().includes('ready'), 60_000)).toBe(true);
    execFileSync(RUNSC, inside(path, [], ['/bin/sh', '-c', 'cd /mnt && echo a > a && mv a b && mkdir c && rm b && rmdir c && echo > end']));
    for (const { ended } of watchers) expect(await ended).toBe(0);
    const [onHost, inSandbox] = watchers.map(({ lines }) => distinct(lines()));
    expect(inSandbox).toEqual(onHost);
    expect(inSandbox).toEqual(
      expect.arrayContaining(['1 create a', '1 from a', '1 to b same cookie', '1 create/ c', '1 delete b', '1 delete/ c']),
    );
  }, 120_000);

  test.each(['', '--directfs'])(
    'what the sandbox does itself is told once, as on the host %s',
    (flag) => {
      const program = compile('../conformance/inotify');
      const run = (command: string, args: readonly string[]): string =>
        execFileSync(command, args, { encoding: 'latin1', timeout: 60_000 });
      const path = volume();
      copyFileSync(program, join(path, 'program')); // it makes its files in /tmp
      expect(run(RUNSC, inside(path, flag === '' ? [] : [flag], ['/tmp/program'], '/tmp'))).toBe(run(program, []));
    },
    120_000,
  );

  test('more changes than the host keeps: the application hears that some are lost', async () => {
    const path = volume();
    const program = compile('watcher');
    const watcher = watch(RUNSC, inside(path, [], ['/bin/sh', '-c', `cd /mnt && exec ${program} .`]));
    expect(await eventually(() => watcher.lines().includes('ready'), 60_000)).toBe(true);
    process.kill(sentryOf(watcher.child.pid as number), 'SIGSTOP');
    for (let i = 0; i < 7000; i++) {
      writeFileSync(join(path, 'f'), ''); // three events each; fs.inotify.max_queued_events is 16,384
      rmSync(join(path, 'f'));
    }
    process.kill(sentryOf(watcher.child.pid as number), 'SIGCONT');
    expect(await eventually(() => watcher.lines().includes('-1 overflow'), 60_000)).toBe(true);
    execFileSync('sh', ['-c', ': > end'], { cwd: path });
    expect(await watcher.ended).toBe(0);
  }, 120_000);
});
