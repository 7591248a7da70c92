/** runsc run: what the program gets from its spec, and what comes out. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missing, RUNSC, RunscWorld } from './runsc_bundle.ts';

const suite = missing().length === 0 ? describe : describe.skip;

suite('runsc run', () => {
  let world: RunscWorld;
  beforeAll(() => {
    world = new RunscWorld();
  });
  afterEach(() => {
    expect(world.leftovers()).toEqual([]);
  });
  afterAll(() => world.close());

  const sh = (script: string, more: Omit<Parameters<RunscWorld['run']>[0], 'args'> = {}, input = '') =>
    world.run({ args: ['sh', '-c', script], ...more }, input);

  test('output, error output and exit code', () => {
    expect(sh('echo out; echo err >&2; exit 7')).toEqual({ status: 7, stdout: 'out\n', stderr: 'err\n' });
  });

  test('a program that a signal ends gives 128 + n', () => {
    expect(sh('sh -c "kill -9 \\$\\$"; exit $?').status).toBe(137);
    // A namespace's first process cannot be killed from inside; it can end itself.
    expect(world.run({ args: ['sh', '-c', 'kill -9 $$; echo alive'] }).stdout).toBe('alive\n');
  });

  test('stdin is passed on to its end', () => {
    expect(sh('wc -c', {}, 'x'.repeat(200_000)).stdout.trim()).toBe('200000');
  });

  test('user, groups, umask, environment, working directory, hostname', () => {
    const process = { user: { uid: 7, gid: 8, additionalGids: [9], umask: 0o77 }, cwd: '/made/for/it', env: ['PATH=/bin', 'A=1'] };
    const { stdout } = sh('id -u; id -g; id -G; umask; pwd; echo $A $HOME; hostname', { process });
    expect(stdout).toBe('7\n8\n8 9\n0077\n/made/for/it\n1 /\nbox\n');
  });

  test('capabilities, no_new_privs and limits', () => {
    const caps = ['CAP_CHOWN', 'CAP_KILL'];
    const process = {
      capabilities: { bounding: caps, effective: caps, permitted: caps },
      noNewPrivileges: true,
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 77, hard: 88 }],
    };
    const { stdout } = sh('grep -E "Cap(Eff|Bnd)|NoNewPrivs" /proc/self/status || cat /proc/self/status; ulimit -n; ulimit -Hn', {
      process,
    });
    expect(stdout).toMatch(/CapEff:\t0000000000000021\n/);
    expect(stdout).toMatch(/CapBnd:\t0000000000000021\n/);
    expect(stdout).toMatch(/NoNewPrivs:\t1\n/);
    expect(stdout).toMatch(/77\n88\n$/);
  });

  test('what is written stays in memory', () => {
    const bundle = world.bundle({ args: ['sh', '-c', 'echo new > /etc/file; rm /bin/wc; cat /etc/file; ls /bin/wc'] });
    const r = world.runsc(['run', '--bundle', bundle, world.newId()]);
    expect(r.stdout).toBe('new\n');
    expect(() => readFileSync(join(bundle, 'rootfs/etc/file'))).toThrow('ENOENT');
    readFileSync(join(bundle, 'rootfs/bin/wc'));
  });

  test('with --overlay2=none it reaches the bundle', () => {
    const bundle = world.bundle({ args: ['sh', '-c', 'echo new > /etc/file'] });
    expect(world.runsc(['run', '--bundle', bundle, world.newId()], { global: ['--overlay2=none'] })).toMatchObject({
      status: 0,
      stderr: '',
    });
    expect(readFileSync(join(bundle, 'rootfs/etc/file'), 'utf8')).toBe('new\n');
  });

  test('a read-only root, and read-only and masked paths', () => {
    const spec = {
      root: { path: 'rootfs', readonly: true },
      linux: { maskedPaths: ['/etc', '/proc/meminfo'], readonlyPaths: ['/proc/sys'] },
    };
    const { stdout } = sh('touch /x && echo bad; ls /etc | wc -l; wc -c < /proc/meminfo; echo x > /proc/sys/kernel/hostname && echo bad', {
      spec,
    });
    expect(stdout.replaceAll(' ', '')).toBe('0\n0\n');
  });

  test('mounts: tmpfs, folders, single files, read-only ones', () => {
    const shared = join(world.folder, 'shared');
    mkdirSync(shared, { recursive: true });
    writeFileSync(join(shared, 'from-host'), 'host\n');
    writeFileSync(join(world.folder, 'resolv.conf'), 'nameserver 192.0.2.1\n');
    const spec = {
      mounts: [
        { destination: '/scratch', type: 'tmpfs', source: 'tmpfs', options: ['size=64k', 'mode=700'] },
        { destination: '/shared', type: 'bind', source: shared, options: ['rbind', 'rw'] },
        { destination: '/ro', type: 'bind', source: shared, options: ['bind', 'ro'] },
        { destination: '/etc/resolv.conf', type: 'bind', source: join(world.folder, 'resolv.conf'), options: ['bind', 'ro'] },
      ],
    };
    const script =
      'cat /shared/from-host /etc/resolv.conf; echo guest > /shared/from-guest; cat /ro/from-guest; touch /ro/x || echo ro; ls -ld /scratch | head -c 10';
    const { stdout } = sh(script, { spec });
    expect(stdout).toBe('host\nnameserver 192.0.2.1\nguest\nro\ndrwx------');
    expect(readFileSync(join(shared, 'from-guest'), 'utf8')).toBe('guest\n');
  });

  test('the devices that programs expect', () => {
    const { stdout, stderr } = sh(
      'echo x > /dev/null; head -c 4 /dev/zero | wc -c; head -c 8 /dev/urandom | wc -c; echo t | cat /dev/stdin; ls -d /dev/pts /dev/shm',
    );
    expect(stderr).toBe('');
    expect(stdout.replaceAll(' ', '')).toBe('4\n8\nt\n/dev/pts\n/dev/shm\n');
  });

  test('extra descriptors are passed on', () => {
    const bundle = world.bundle({ args: ['sh', '-c', 'cat <&3'] });
    const r = world.runsc(['run', '--preserve-fds', '1', '--bundle', bundle, world.newId()]);
    expect(r.status).toBe(1);
    expect(r.stderr).toContain('descriptor 3 is not open');
    const words = world.commandLine(['run', '--preserve-fds', '1', '--bundle', bundle, world.newId()]);
    expect(execFileSync('bash', ['-c', 'exec 3<<<"from 3"; "$0" "$@"', ...words], { encoding: 'utf8' })).toBe('from 3\n');
  });

  test('do: users by name or number, statuses of a shell', () => {
    expect(world.runsc(['do', '-u', 'nobody', '--', '/bin/sh', '-c', 'id -u; exit 3'])).toMatchObject({ status: 3, stdout: '65534\n' });
    expect(world.runsc(['do', '-u', '7:8', '--', '/bin/sh', '-c', 'id -u; id -g']).stdout).toBe('7\n8\n');
    expect(world.runsc(['do', '-u', 'no-such-user', '--', 'true']).stderr).toContain('has no user "no-such-user"');
    expect(world.runsc(['do', '--', 'no-such-program']).status).toBe(127);
    expect(world.runsc(['do', '--', '/etc/passwd']).status).toBe(126);
  });

  test('programs that write to one file in turn share its position', () => {
    const out = join(world.folder, 'position');
    const command = `"${RUNSC}" do -- cat /etc/hostname; "${RUNSC}" do -- echo two; "${RUNSC}" do -- cat /etc/hostname`;
    execFileSync('sh', ['-c', `{ echo one; ${command}; } > "${out}"`]);
    const name = readFileSync('/etc/hostname', 'utf8');
    expect(readFileSync(out, 'utf8')).toBe(`one\n${name}two\n${name}`);
  });
});
