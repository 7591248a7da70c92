/**
 * ID-mapped mounts and containers in user namespaces: mount_setattr(2) as on the host's own tmpfs and disk, and what Kubernetes asks for
 * (hostUsers: false): container ids mapped to 65536.., volumes mapped back.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { SpecLinux, SpecMount } from '../../proto/oci_spec.ts';
import { missing, RunscWorld } from '../runsc_bundle.ts';

const OUT = join(resolve(__dirname, '../..'), '.cache/idmap');
const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
const NAMES = 'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP MKNOD SETFCAP SYS_ADMIN NET_RAW'.split(' ');
const CAPABILITIES = NAMES.map((name) => `CAP_${name}`);
const PRIVILEGED = { capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES } };

(missing().length === 0 ? describe : describe.skip)('id mappings', () => {
  const world = new RunscWorld();
  const program = join(OUT, 'mapped');
  const scratch = mkdtempSync(join(tmpdir(), 'idmap-'));
  let serial = 0;
  const folder = (): string => {
    const path = join(scratch, String(serial++));
    mkdirSync(path);
    chmodSync(path, 0o755);
    return path;
  };
  beforeAll(() => {
    chmodSync(scratch, 0o755);
    mkdirSync(OUT, { recursive: true });
    execFileSync('gcc', ['-O1', '-Wall', '-static', '-o', program, join(__dirname, 'mapped.c')], { stdio: 'inherit' });
  }, 60_000);
  afterAll(() => {
    world.close();
    rmSync(scratch, { recursive: true, force: true });
  });

  function inContainer(args: readonly string[], mounts: readonly SpecMount[], linux: SpecLinux, global: readonly string[]) {
    const bundle = world.bundle({ args, process: PRIVILEGED, spec: { root: { path: 'rootfs', readonly: false }, mounts, linux } });
    copyFileSync(program, join(bundle, 'rootfs/mapped'));
    mkdirSync(join(bundle, 'rootfs/tmp'));
    return world.runsc(['run', '--bundle', bundle, world.newId()], { global });
  }
  const NAMESPACES = ['pid', 'network', 'mount', 'ipc', 'uts'].map((type) => ({ type }));

  function onHost(args: readonly string[]): string {
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'latin1', timeout: 60_000 });
    expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
    return stdout;
  }
  /** Names, owners and modes of what the program left. */
  function tree(path: string): string[] {
    return (readdirSync(path, { recursive: true }) as string[]).sort().map((name) => {
      const { uid, gid, mode } = lstatSync(join(path, name));
      return `${name} ${uid}:${gid} ${mode.toString(8)}`;
    });
  }

  test.each(PLATFORMS)(
    'mount_setattr on a tmpfs, on %s',
    (platform) => {
      const outcome = inContainer(['/mapped'], [], { namespaces: NAMESPACES }, ['--platform', platform]);
      expect(outcome).toEqual({ stdout: onHost([]), stderr: '', status: 0 });
    },
    70_000,
  );

  test.each([[[]], [['--directfs']]])('on a volume: %j', (flags) => {
    const [plain, served] = [folder(), folder()];
    const expected = onHost([plain]);
    const mounts = [{ destination: '/mnt', type: 'bind', source: served, options: ['rbind', 'rw'] }];
    expect(inContainer(['/mapped', '/mnt'], mounts, { namespaces: NAMESPACES }, flags)).toEqual({
      stdout: expected,
      stderr: '',
      status: 0,
    });
    expect(tree(served)).toEqual(tree(plain));
  });

  const MAPPING = [{ containerID: 0, hostID: 65_536, size: 65_536 }];
  const USERS: SpecLinux = { namespaces: [...NAMESPACES, { type: 'user' }], uidMappings: MAPPING, gidMappings: MAPPING };
  const SCRIPT = `id -u; cat /proc/self/uid_map
ls -ln /volume | while read mode links uid gid rest; do test -n "$uid" && echo $mode $uid:$gid $(echo $rest | sed 's/.* //'); done
cat /volume/secret; echo new > /volume/made; chown 5:6 /volume/made; echo $?; chown 70000 /volume/made 2>/dev/null || echo refused; touch /volume/by-root; grep -c idmapped /proc/mounts`;

  function volume(): string {
    const path = folder();
    writeFileSync(join(path, 'secret'), 'secret\n', { mode: 0o600 });
    writeFileSync(join(path, 'shifted'), '', { mode: 0o644 });
    chownSync(join(path, 'shifted'), 65_536, 65_536);
    chmodSync(path, 0o777);
    return path;
  }
  const owners = (path: string): string[] =>
    readdirSync(path).map((name) => {
      const { uid, gid } = lstatSync(join(path, name));
      return `${name} ${uid}:${gid}`;
    });

  test.each([
    ['with its own mappings', { options: ['rbind'], uidMappings: MAPPING, gidMappings: MAPPING }],
    ['with the container’s', { options: ['rbind', 'ridmap'] }],
  ])('a user namespace and a volume mapped back, %s: root is root on the volume', (_name, map) => {
    const source = volume();
    const outcome = inContainer(['/bin/sh', '-c', SCRIPT], [{ destination: '/volume', type: 'bind', source, ...map }], USERS, []);
    expect(outcome).toMatchObject({ stderr: '', status: 0 });
    expect(outcome.stdout.replace(/ +/g, ' ')).toBe(
      ['0', ' 0 65536 65536', '-rw------- 0:0 secret', '-rw-r--r-- 65534:65534 shifted', 'secret', '0', 'refused', '1', ''].join('\n'),
    );
    expect(owners(source)).toEqual(['by-root 0:0', 'made 5:6', 'secret 0:0', 'shifted 65536:65536']);
  });

  test('a user namespace and a volume as it is: its root is user 65536 there', () => {
    const source = volume();
    const outcome = inContainer(
      ['/bin/sh', '-c', SCRIPT],
      [{ destination: '/volume', type: 'bind', source, options: ['rbind'] }],
      USERS,
      [],
    );
    expect(outcome.stdout.replace(/ +/g, ' ')).toBe(
      ['0', ' 0 65536 65536', '-rw------- 65534:65534 secret', '-rw-r--r-- 0:0 shifted', '0', 'refused', '0', ''].join('\n'),
    );
    expect(outcome.stderr).toContain('Permission denied');
    expect(owners(source)).toEqual(['by-root 65536:65536', 'made 65541:65542', 'secret 0:0', 'shifted 65536:65536']);
  });

  test('containers of a pod share its user namespace', () => {
    const pod = world.newId();
    const kind = 'io.kubernetes.cri.container-type';
    const first = world.bundle({ args: ['sleep', '60'], spec: { linux: USERS, annotations: { [kind]: 'sandbox' } } });
    const started = world.runsc(['run', '--detach', '--bundle', first, pod], { stdout: join(scratch, 'pod') });
    expect(started).toMatchObject({ status: 0, stderr: '' });
    const { pid } = JSON.parse(world.runsc(['state', pod]).stdout) as { pid: number };
    const shared = (type: string, name = type) => ({ type, path: `/proc/${pid}/ns/${name}` });
    const linux = {
      ...USERS,
      namespaces: [{ type: 'pid' }, { type: 'mount' }, shared('network', 'net'), shared('ipc'), shared('uts'), shared('user')],
    };
    const show = ['/bin/sh', '-c', 'ls -l /proc/self/ns/user /proc/self/ns/uts | sed "s/.*> //"; hostname of-the-pod && hostname; id -u'];
    const annotations = { [kind]: 'container', 'io.kubernetes.cri.sandbox-id': pod };
    const second = world.bundle({ args: show, process: PRIVILEGED, spec: { hostname: '', linux, annotations } });
    const { stdout } = world.runsc(['run', '--bundle', second, world.newId()]);
    expect(stdout).toMatch(/^user:\[\d+\]\nuts:\[\d+\]\nof-the-pod\n0\n$/);
    expect(
      world
        .runsc(['exec', pod, ...show])
        .stdout.split('\n')
        .slice(0, 2),
    ).toEqual(stdout.split('\n').slice(0, 2));
  });

  test('a process that the user namespace does not know is refused', () => {
    const bundle = world.bundle({ args: ['true'], process: { user: { uid: 70_000, gid: 0 } }, spec: { linux: USERS } });
    const { status, stderr } = world.runsc(['run', '--bundle', bundle, world.newId()]);
    expect([status === 0, stderr]).toEqual([false, expect.stringContaining('process.user.uid: 70000 is not mapped')]);
  });
});
