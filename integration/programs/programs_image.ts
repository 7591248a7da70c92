/** Bundles over the programs image, each with a writable layer of its own, run by runc and by runsc for comparison. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const RUNSC = join(ROOT, 'bin/runsc');
const IMAGES = join(process.env.TSVISOR_CACHE ?? join(ROOT, '.cache'), 'images');
const IMAGE = join(IMAGES, 'programs-rootfs');
export const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
/** Everything, not only what CI has the time for. */
export const ALL = process.env.TSVISOR_PROGRAMS === 'all';

const CAPABILITIES =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE SYS_PTRACE'
    .split(' ')
    .map((name) => `CAP_${name}`);

/** A folder of the host in the container. */
export interface Volume {
  readonly source: string;
  readonly destination: string;
}

/** What a script needs besides the programs image. */
export interface Needs {
  /** A layer over the image: NAME-rootfs. */
  readonly layer?: string;
  readonly capabilities?: readonly string[];
  /** It mounts FUSE filesystems. */
  readonly fuse?: boolean;
}

const FUSE_DEVICE = { path: '/dev/fuse', type: 'c', major: 10, minor: 229, fileMode: 0o666, uid: 0, gid: 0 };

function spec(script: string, volumes: readonly Volume[], { capabilities = [], fuse = false }: Needs) {
  const all = [...CAPABILITIES, ...capabilities];
  const mount = (destination: string, type: string, ...options: string[]) => ({ destination, type, source: type, options });
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs' },
    hostname: 'box',
    process: {
      args: ['/bin/bash', '-c', script],
      cwd: '/',
      user: { uid: 0, gid: 0 },
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8'],
      capabilities: { bounding: all, effective: all, permitted: all },
      rlimits: [{ type: 'RLIMIT_NOFILE', hard: 4096, soft: 1024 }],
    },
    mounts: [
      mount('/proc', 'proc'),
      mount('/dev', 'tmpfs', 'nosuid', 'strictatime', 'mode=755', 'size=65536k'),
      mount('/dev/pts', 'devpts', 'nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'),
      mount('/dev/shm', 'tmpfs', 'nosuid', 'noexec', 'nodev', 'mode=1777', 'size=524288k'),
      mount('/dev/mqueue', 'mqueue', 'nosuid', 'noexec', 'nodev'),
      mount('/sys', 'sysfs', 'nosuid', 'noexec', 'nodev', 'ro'),
      mount('/tmp', 'tmpfs', 'mode=1777'),
      ...volumes.map(({ source, destination }) => ({ destination, source, type: 'bind', options: ['rbind', 'rw'] })),
    ],
    linux: {
      namespaces: ['pid', 'network', 'mount', 'ipc', 'uts'].map((type) => ({ type })),
      ...(fuse ? { devices: [FUSE_DEVICE], resources: { devices: [{ allow: true, access: 'rwm' }] } } : {}),
    },
  };
}

export interface Outcome {
  readonly status: number | null;
  /** Standard output and error, in the order of writing. */
  readonly output: string;
}

/** A bundle over the image that runs a bash script, with a writable layer and a state folder of its own. */
export class ProgramBundle {
  readonly folder = mkdtempSync(join(tmpdir(), 'programs-'));
  readonly id = `programs-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  /** The runtime's command and its arguments, without the verb. */
  readonly command: readonly [string, ...string[]];

  constructor(runtime: string, script: string, flags: readonly string[] = [], volumes: readonly Volume[] = [], needs: Needs = {}) {
    const { folder } = this;
    for (const name of ['upper', 'work', 'rootfs']) mkdirSync(join(folder, name));
    const lower = needs.layer === undefined ? IMAGE : `${join(IMAGES, `${needs.layer}-rootfs`)}:${IMAGE}`;
    const layers = `lowerdir=${lower},upperdir=${folder}/upper,workdir=${folder}/work`;
    const mounted = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, join(folder, 'rootfs')], { encoding: 'utf8' });
    if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`);
    writeFileSync(join(folder, 'config.json'), JSON.stringify(spec(script, volumes, needs)));
    const state = join(folder, 'state');
    this.command = runtime === 'runc' ? ['runc', '--root', state] : [RUNSC, '--root', state, `--platform=${runtime}`, ...flags];
  }
  get run(): readonly [string, ...string[]] {
    return [...this.command, 'run', '--bundle', this.folder, this.id];
  }
  /** Whatever is left of the container, and the files. */
  remove(): void {
    const [command, ...global] = this.command;
    spawnSync(command, [...global, 'delete', '--force', this.id]);
    spawnSync('umount', [join(this.folder, 'rootfs')]);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Runs a bash script in a fresh container. `runtime`: 'runc', or a platform of runsc, with further flags. `seconds`: then it is ended. */
export async function runScript(
  runtime: string,
  script: string,
  seconds: number,
  flags: readonly string[] = [],
  needs: Needs = {},
): Promise<Outcome> {
  const bundle = new ProgramBundle(runtime, script, flags, [], needs);
  try {
    const [command, ...args] = bundle.run;
    return await collect(command, args, seconds);
  } finally {
    bundle.remove();
  }
}

function collect(command: string, args: readonly string[], seconds: number): Promise<Outcome> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const take = (chunk: string): void => void (output += chunk);
    child.stdout.setEncoding('latin1').on('data', take);
    child.stderr.setEncoding('latin1').on('data', take);
    const timer = setTimeout(() => {
      output += `\n[not done after ${seconds} s]\n`;
      child.kill('SIGKILL');
      // Who was started and stays may hold them: they end here.
      child.stdout.destroy();
      child.stderr.destroy();
    }, seconds * 1000);
    child.on('error', failed);
    child.on('close', (status) => {
      clearTimeout(timer);
      done({ status, output });
    });
  });
}

/** Calls at the first use, answers the same afterwards. */
export function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

/** The programs image (and a layer over it) and runc are there; else the reason why not. */
export function lacking(layer?: string): string | null {
  if (!existsSync(IMAGE)) return 'the programs image (scripts/images/build.sh)';
  if (layer !== undefined && !existsSync(join(IMAGES, `${layer}-rootfs`))) return `the ${layer} image (scripts/images/build.sh)`;
  return spawnSync('runc', ['--version']).status === 0 ? null : 'runc';
}
