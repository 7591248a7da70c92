import { copyFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reportKvm } from '../../lib/kvm_probe.ts';
import { compileGuest } from '../guest_program.ts';
import { missing, RunscWorld } from '../runsc_bundle.ts';

/** With KVM where it is: there the Sentry, not the host, keeps the limit. */
const EVERYWHERE = reportKvm().entry === 0 ? 'systrap,ptrace' : 'systrap,ptrace,kvm';
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? EVERYWHERE).split(',');
/** Whose applications are processes of the host. */
const WITH_PROCESSES = PLATFORMS.filter((platform) => platform !== 'kvm');
const MIB = 1 << 20;
const suite = missing().length === 0 ? describe : describe.skip;

/**
 * Takes memory without end. tail has it filled by read(2): on ptrace that is the Sentry's doing, and the host may end a second process while the Sentry
 * still holds the memory of the first (platforms/README.md).
 */
const hogOn = (platform: string): string[] =>
  platform === 'ptrace' ? ['/bin/busybox', 'awk', 'BEGIN { s = "x"; for (;;) s = s s }'] : ['/bin/busybox', 'tail', '/dev/zero'];

suite.each(PLATFORMS)('limits on %s', (platform) => {
  const world = new RunscWorld();
  const hog = hogOn(platform);
  afterAll(() => world.close());

  /** Runs a shell script in a container with these resources. */
  function sh(script: string, resources: object, tmpfs: readonly string[] = []) {
    const id = world.newId();
    const bundle = world.bundle({
      args: ['sh', '-c', script],
      spec: {
        mounts: tmpfs.map((destination) => ({ destination, type: 'tmpfs', source: 'tmpfs' })),
        linux: { cgroupsPath: `/${id}`, namespaces: ['pid', 'mount', 'ipc', 'uts'].map((type) => ({ type })), resources },
      },
    });
    return world.runsc(['run', '--bundle', bundle, id], { global: ['--platform', platform] });
  }

  test('who takes more memory than there is dies by SIGKILL; its parent and the sandbox go on', () => {
    const command = hog.map((word) => `'${word}'`).join(' ');
    const r = sh(`${command}; echo "ended $?"; ${command}; echo "again $?"`, {
      memory: { limit: 192 * MIB, swap: 192 * MIB },
    });
    expect(r.stdout).toBe('ended 137\nagain 137\n');
    expect(r.status).toBe(0);
  }, 60_000);

  test('files in memory count; applications end, not the sandbox', () => {
    // Each filesystem may be half of the memory: together they are more than there is. They stay, so that the host may end all.
    const fill = 'for i in a b; do /bin/busybox dd if=/dev/zero of=/$i/x bs=1M count=150 2>/dev/null; echo $?; done';
    const r = sh(fill, { memory: { limit: 320 * MIB, swap: 320 * MIB } }, ['/a', '/b']);
    expect(r.stdout).toMatch(/^0\n(137\n)?$/);
    expect(r.stderr).not.toContain('the sandbox process');
  }, 60_000);

  test('a kill is told', () => {
    const id = world.newId();
    const resources = { memory: { limit: 160 * MIB, swap: 160 * MIB } };
    const bundle = world.bundle({ args: ['sleep', '1000'], spec: { linux: { cgroupsPath: `/${id}`, resources } } });
    const run = ['run', '--detach', '--bundle', bundle, id];
    expect(world.runsc(run, { global: ['--platform', platform], stdout: `${world.folder}/out` }).status).toBe(0);
    expect(world.runsc(['exec', id, ...hog]).status).toBe(137);
    const stats = JSON.parse(world.runsc(['events', '--stats', id]).stdout);
    expect(stats.data.memory.raw.oom_kill).toBe(1);
    world.runsc(['delete', '--force', id]);
  }, 60_000);

  test('processes are counted as the container’s own, and no others', () => {
    // The shell, the one in parentheses and wc are three.
    const r = sh('(while :; do sleep 100 >/dev/null & echo one; done) 2>/dev/null | head -n 100 | wc -l; kill -9 -1', {
      pids: { limit: 12 },
    });
    expect(r.stdout).toBe('8\n');
  }, 60_000);

  test('a fork bomb ends at the limit of processes', () => {
    // Each of them makes more until it cannot, and stays.
    const bomb = 'bomb() { bomb 2>/dev/null & sleep 100 & wait; }; (bomb) 2>/dev/null & sleep 2; kill -9 -1; echo gone';
    const r = sh(`trap "" TERM; ${bomb}`, { pids: { limit: 60 } });
    expect(r.stdout).toBe('gone\n');
    expect(r.status).toBe(0);
  }, 60_000);

  test('a bomb of threads ends there, too', () => {
    compileGuest(join(__dirname, 'thread_bomb.c'), `${world.folder}/bomb`, ['-static']);
    const id = world.newId();
    const bundle = world.bundle({
      args: ['sh', '-c', '/bomb; /bomb; echo alive'],
      spec: { linux: { cgroupsPath: `/${id}`, resources: { pids: { limit: 60 } } } },
    });
    copyFileSync(`${world.folder}/bomb`, `${bundle}/rootfs/bomb`);
    const r = world.runsc(['run', '--bundle', bundle, id], { global: ['--platform', platform] });
    expect(r).toMatchObject({ stdout: 'no more\nno more\nalive\n', status: 0 });
  }, 60_000);
});

(WITH_PROCESSES.length === 0 ? describe.skip : suite)('the order in which processes are ended', () => {
  const world = new RunscWorld();
  afterAll(() => world.close());
  test.each(WITH_PROCESSES)(
    'applications come before the Sentry and the gofer on %s',
    (platform) => {
      const id = world.newId();
      const bundle = world.bundle({ args: ['sleep', '1000'] });
      expect(
        world.runsc(['run', '--detach', '--bundle', bundle, id], { global: ['--platform', platform], stdout: `${world.folder}/out` })
          .status,
      ).toBe(0);
      const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
      const sentry = processes.find((pid) => read(pid, 'cmdline').startsWith('runsc-sandbox') && read(pid, 'cmdline').includes(id));
      expect(sentry).toBeDefined();
      const own = Number(read(sentry as string, 'oom_score_adj'));
      const stubs = processes.filter((pid) => read(pid, 'status').includes(`\nPPid:\t${sentry}\n`));
      expect(stubs.length).toBeGreaterThan(0);
      for (const pid of stubs) expect(Number(read(pid, 'oom_score_adj'))).toBeGreaterThanOrEqual(Math.min(1000, own + 500));
      world.runsc(['delete', '--force', id]);
    },
    60_000,
  );
});

function read(pid: string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'latin1');
  } catch {
    return '';
  }
}
