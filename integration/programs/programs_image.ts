/** Bundles over the programs image, each with a writable layer of its own, run by runc and by runsc for comparison. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const ROOT = resolve(__dirname, '../..');
const RUNSC = join(ROOT, 'bin/runsc');
const IMAGE = join(process.env.TSVISOR_CACHE ?? join(ROOT, '.cache'), 'images/programs-rootfs');
export const PLATFORMS = (process.env.TSVISOR_TEST_PLATFORMS ?? 'systrap,ptrace').split(',');
/** Everything, not only what CI has the time for. */
export const ALL = process.env.TSVISOR_PROGRAMS === 'all';

const CAPABILITIES =
  'CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE SYS_PTRACE'
    .split(' ')
    .map((name) => `CAP_${name}`);

function spec(script: string) {
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
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
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
    ],
    linux: { namespaces: ['pid', 'network', 'mount', 'ipc', 'uts'].map((type) => ({ type })) },
  };
}

export interface Outcome {
  readonly status: number | null;
  /** Standard output and error, in the order of writing. */
  readonly output: string;
}

/** Runs a bash script in a fresh container. `runtime`: 'runc', or a platform of runsc. `seconds`: then it is ended. */
export async function runScript(runtime: string, script: string, seconds: number): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), 'programs-'));
  const rootfs = join(folder, 'rootfs');
  for (const name of ['upper', 'work', 'rootfs']) mkdirSync(join(folder, name));
  const layers = `lowerdir=${IMAGE},upperdir=${folder}/upper,workdir=${folder}/work`;
  const mounted = spawnSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, rootfs], { encoding: 'utf8' });
  if (mounted.status !== 0) throw new Error(`mount: ${mounted.stderr}`);
  writeFileSync(join(folder, 'config.json'), JSON.stringify(spec(script)));
  const id = `programs-${process.pid}-${Math.random().toString(36).slice(2, 8)}`;
  const state = ['--root', join(folder, 'state')];
  const [command, global] = runtime === 'runc' ? ['runc', state] : [RUNSC, [...state, `--platform=${runtime}`]];
  try {
    return await collect(command, [...global, 'run', '--bundle', folder, id], seconds);
  } finally {
    spawnSync(command, [...global, 'delete', '--force', id]);
    spawnSync('umount', [rootfs]);
    rmSync(folder, { recursive: true, force: true });
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
    }, seconds * 1000);
    child.on('error', failed);
    child.on('close', (status) => {
      clearTimeout(timer);
      done({ status, output });
    });
  });
}

/** The programs image and runc are there; else the reason why not. */
export function lacking(): string | null {
  if (!existsSync(IMAGE)) return 'the programs image (scripts/images/build.sh)';
  return spawnSync('runc', ['--version']).status === 0 ? null : 'runc';
}
