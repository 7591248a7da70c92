/** Where a workload runs: the host itself, or an OCI runtime over one bundle. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Target {
  readonly name: string;
  /** Why it takes no part; null if it does. */
  readonly absent: string | null;
  /** Runs argv to its end and gives what it printed. Throws with stderr if it fails. */
  run(argv: readonly string[]): string;
}

/** No run takes longer than this: a hung target is an error and not a wait. ms. */
const TIMEOUT = 300_000;

function execute(command: string, args: readonly string[], cwd?: string): string {
  const { stdout, stderr, status, error } = spawnSync(command, args, { encoding: 'utf8', timeout: TIMEOUT, maxBuffer: 64 << 20, cwd });
  if (error !== undefined) throw error;
  if (status !== 0)
    throw new Error(`${command} ${args.slice(-4).join(' ')}: status ${status}: ${stderr.trim().split('\n').slice(-3).join(' | ')}`);
  return stdout;
}

/** In a mount namespace of its own: the volume at its place, then the root file system as the root. */
const ENTER = 'mount --bind "$1" "$2/volume"; root=$2; shift 2; exec chroot "$root" "$@"';

/** On the host, in a chroot of the same root file system, so that every target runs the same programs. */
export function hostTarget(rootfs: string, volume: string): Target {
  const enter = ['-m', 'sh', '-c', ENTER, 'sh', volume, rootfs];
  return {
    name: 'host',
    absent: null,
    run: (argv) => execute('unshare', [...enter, '/usr/bin/env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', ...argv]),
  };
}

export interface RuntimeOptions {
  readonly name: string;
  readonly binary: string;
  readonly flags: readonly string[];
  readonly rootfs: string;
  /** Folder of the host that is at /volume. */
  readonly volume: string;
  /** Folder of bundles and state. */
  readonly work: string;
}

export function runtimeTarget({ name, binary, flags, rootfs, volume, work }: RuntimeOptions): Target {
  const state = join(work, `state-${name}`);
  let serial = 0;
  return {
    name,
    absent: existsSync(binary) ? null : `${binary} is not installed`,
    run: (argv) => {
      const bundle = join(work, `bundle-${name}`);
      mkdirSync(bundle, { recursive: true });
      writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec(rootfs, argv, volume)));
      try {
        return execute(binary, ['--root', state, ...flags, 'run', '--bundle', bundle, `bench-${process.pid}-${serial++}`], bundle);
      } finally {
        rmSync(join(bundle, 'config.json'), { force: true });
      }
    },
  };
}

const CAPABILITIES = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
  'CAP_MKNOD',
];

/** The smallest ordinary container: one root, proc, dev, tmp in memory. */
export function spec(rootfs: string, args: readonly string[], volume?: string): object {
  const volumes = volume === undefined ? [] : [{ destination: '/volume', type: 'bind', source: volume, options: ['rbind', 'rw'] }];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root'],
      cwd: '/',
      capabilities: { bounding: CAPABILITIES, effective: CAPABILITIES, permitted: CAPABILITIES },
      rlimits: [{ type: 'RLIMIT_NOFILE', soft: 4096, hard: 4096 }],
    },
    root: { path: rootfs, readonly: false },
    hostname: 'bench',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
      { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666'] },
      { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: ['nosuid', 'noexec', 'nodev', 'mode=1777'] },
      ...volumes,
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount', 'network'].map((type) => ({ type })) },
  };
}
