/** Parts that die, input that is wrong: the container ends with a message, others go on, nothing is left behind. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { BUSYBOX, Containerd, eventually, IMAGES, missing, processesWith, RUNSC } from './containerd.ts';

const suite = missing().length === 0 ? describe : describe.skip;
const SHIM = resolve(__dirname, '../../bin/containerd-shim-runsc-v1');

suite('what goes wrong', () => {
  let containerd: Containerd;
  let bystander: string;
  beforeAll(async () => {
    containerd = await Containerd.start(['busybox.tar']);
    bystander = detached(['sleep', '100000']);
  }, 300_000);
  afterAll(async () => {
    await containerd?.stop();
  }, 60_000);

  function detached(command: readonly string[]): string {
    const id = containerd.newId();
    const r = containerd.ctr(['run', '-d', '--null-io', '--runtime', RUNSC, BUSYBOX, id, ...command]);
    expect(r).toMatchObject({ status: 0 });
    return id;
  }
  const task = (id: string): string[] =>
    containerd
      .ctr(['tasks', 'ls'])
      .stdout.split('\n')
      .find((l) => l.startsWith(`${id} `))
      ?.split(/ +/) ?? [];
  const status = (id: string): string => task(id)[2] ?? 'none';
  const folder = (id: string): string => join(containerd.folder, 'state/runsc/default', id);
  const recorded = (id: string) =>
    JSON.parse(readFileSync(join(folder(id), 'state.json'), 'utf8')) as { sandbox: { pid: number }; gofer: { pid: number } };
  const nothingLeft = async (id: string): Promise<void> => {
    const left = (): string[] => [
      ...processesWith(id).map(String),
      ...(existsSync(folder(id)) ? [folder(id)] : []),
      ...readFileSync('/proc/mounts', 'utf8')
        .split('\n')
        .filter((l) => l.includes(`/${id}/`)),
      ...cgroups(id),
    ];
    await eventually(() => left().length === 0, 10_000);
    expect(left()).toEqual([]);
  };

  afterEach(() => {
    expect(status(bystander)).toBe('RUNNING');
  });

  test('the sentry is killed', async () => {
    const id = detached(['sleep', '1000']);
    const { sandbox, gofer } = recorded(id);
    process.kill(sandbox.pid, 'SIGKILL');
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    expect(containerd.ctr(['tasks', 'rm', id]).stderr).toContain('non-zero exit code 137');
    containerd.remove(id);
    expect(existsSync(`/proc/${gofer.pid}`)).toBe(false);
    await nothingLeft(id);
  }, 60_000);

  test('the gofer is killed', async () => {
    const id = detached(['sh', '-c', 'while :; do cat /etc/passwd >/dev/null; ls /bin >/dev/null; sleep 0.1; done']);
    process.kill(recorded(id).gofer.pid, 'SIGKILL');
    // Whether the program can go on without its files is the program's affair: what matters is that it can be ended.
    containerd.ctr(['tasks', 'kill', '-s', 'SIGKILL', id]);
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    containerd.remove(id);
    await nothingLeft(id);
  }, 60_000);

  test('the shim is killed: containerd cleans up through delete', async () => {
    const id = detached(['sleep', '1000']);
    const { sandbox } = recorded(id);
    const shims = processesWith('serve').filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`\0${id}\0`));
    expect(shims).toHaveLength(1);
    process.kill(shims[0] as number, 'SIGKILL');
    expect(await eventually(() => !existsSync(`/proc/${sandbox.pid}`))).toBe(true);
    containerd.remove(id);
    await nothingLeft(id);
  }, 60_000);

  test('a process of the application is killed from the host', async () => {
    const id = detached(['sleep', '1000']);
    const { sandbox } = recorded(id);
    const children = readFileSync(`/proc/${sandbox.pid}/task/${sandbox.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
    for (const pid of children) spawnSync('kill', ['-9', pid]);
    if (children.length > 0) expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    containerd.remove(id);
    await nothingLeft(id);
  }, 60_000);

  test('delete of a container works twice, and of one that never was', async () => {
    const id = detached(['true']);
    expect(await eventually(() => status(id) === 'STOPPED')).toBe(true);
    containerd.remove(id);
    const bundle = mkdtempSync(join(tmpdir(), 'tsvisor-bundle-'));
    for (const name of [id, id, 'never-was']) {
      const r = spawnSync(SHIM, ['-namespace', 'default', '-address', containerd.address, '-id', name, '-bundle', bundle, 'delete'], {
        cwd: bundle,
      });
      expect([r.status, r.stderr.toString()]).toEqual([0, '']);
      expect(r.stdout[0]).toBe(0x10); // exit_status
    }
    rmSync(bundle, { recursive: true });
    await nothingLeft(id);
  }, 60_000);

  test('a config.json that is missing or wrong is an error that names the field', () => {
    const configs: [string, RegExp][] = [
      ['', /config\.json/],
      ['{', /config\.json/],
      ['{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":[],"cwd":"/","user":{"uid":0,"gid":0}}}', /args/],
      ['{"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["sh"],"cwd":"x","user":{"uid":0,"gid":0}}}', /cwd/],
      ['{"ociVersion":"1.0.2","root":{"path":"missing"},"process":{"args":["sh"],"cwd":"/","user":{"uid":0,"gid":0}}}', /missing|root/],
    ];
    for (const [config, message] of configs) {
      const file = join(containerd.folder, 'spec.json');
      writeFileSync(file, config);
      const id = containerd.newId();
      const runsc = resolve(__dirname, '../../bin/runsc');
      const bundle = mkdtempSync(join(tmpdir(), 'tsvisor-bundle-'));
      mkdirSync(join(bundle, 'rootfs'));
      if (config !== '') writeFileSync(join(bundle, 'config.json'), config);
      const r = spawnSync(runsc, ['--root', join(bundle, 'state'), 'run', '--bundle', bundle, id], { encoding: 'utf8', timeout: 30_000 });
      expect(r.status).not.toBe(0);
      expect(r.stderr).toMatch(message);
      expect(processesWith(id)).toEqual([]);
      rmSync(bundle, { recursive: true, force: true });
    }
  }, 90_000);

  test('links that loop or point outside stay inside', () => {
    const rootfs = mkdtempSync(join(tmpdir(), 'tsvisor-rootfs-'));
    execFileSync('cp', ['-a', `${IMAGES}/busybox-rootfs/.`, rootfs]);
    writeFileSync(`${rootfs}-secret`, 'host secret');
    symlinkSync('b', join(rootfs, 'a'));
    symlinkSync('a', join(rootfs, 'b'));
    symlinkSync(`../../../../../..${rootfs}-secret`, join(rootfs, 'up'));
    symlinkSync(`${rootfs}-secret`, join(rootfs, 'absolute'));
    const id = containerd.newId();
    const script = 'for f in a up absolute; do cat /$f 2>&1; done; cat /etc/hosts >/dev/null 2>&1; echo ended';
    const r = containerd.ctr(['run', '--rm', '--rootfs', '--runtime', RUNSC, rootfs, id, 'sh', '-c', script]);
    expect(r.stdout).not.toContain('host secret');
    expect(r.stdout).toMatch(/a.*[Ss]ymbolic|[Ll]oop|Too many/);
    expect(r.stdout).toContain('ended');
    rmSync(rootfs, { recursive: true });
    rmSync(`${rootfs}-secret`);
  }, 60_000);

  test('ids that would leave their folder are refused', () => {
    for (const id of ['../x', 'a/b', '..']) {
      const r = spawnSync(SHIM, ['-namespace', 'default', '-address', containerd.address, '-id', id, 'start'], {
        cwd: containerd.folder,
        encoding: 'utf8',
      });
      expect(r.status).toBe(1);
      expect(r.stderr).toContain('is invalid');
    }
  }, 30_000);

  test('wrong options are an error that names the key', () => {
    const file = join(containerd.folder, 'runsc.toml');
    writeFileSync(file, '[runsc_config]\nplatfrom = "ptrace"\n');
    const id = containerd.newId();
    const r = containerd.ctr(['run', '--rm', '--runtime', RUNSC, '--runtime-config-path', file, BUSYBOX, id, 'true']);
    expect(r.status).not.toBe(0);
    expect(r.stderr).toContain('unknown key runsc_config.platfrom');
    containerd.remove(id);
  }, 30_000);
});

function cgroups(id: string): string[] {
  const out: string[] = [];
  for (const hierarchy of readdirSync('/sys/fs/cgroup')) {
    const path = join('/sys/fs/cgroup', hierarchy, 'default', id);
    if (existsSync(path)) out.push(path);
  }
  return out;
}
