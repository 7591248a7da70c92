/** Starts a program in namespaces of its own (native-addon/src/spawn.c). For runsc and the shim. */
import { native } from '../native-addon/native.ts';

// clone(2)
export const CLONE_NEWNS = 0x0002_0000;
export const CLONE_NEWCGROUP = 0x0200_0000;
export const CLONE_NEWUTS = 0x0400_0000;
export const CLONE_NEWIPC = 0x0800_0000;
export const CLONE_NEWUSER = 0x1000_0000;
export const CLONE_NEWPID = 0x2000_0000;
export const CLONE_NEWNET = 0x4000_0000;

export interface SpawnOptions {
  /** Absolute path of the program. */
  readonly file: string;
  /** argv[0] included. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** fds[i] becomes descriptor i of the child; no other descriptor survives. */
  readonly fds: readonly number[];
  /** CLONE_NEW*. */
  readonly namespaces: number;
  /** Descriptor of the network namespace to start in; the child's user namespace gets no power over it. */
  readonly networkNamespace?: number;
  /** Content of uid_map and gid_map, with CLONE_NEWUSER. */
  readonly maps?: { readonly uid: string; readonly gid: string };
  /** Open cgroup.procs files that the child joins before it runs. */
  readonly cgroupFds?: readonly number[];
  /** It joins them while it runs already, before `spawn` returns: a program that waits for something of the caller's loads meanwhile. */
  readonly joinLate?: boolean;
  readonly cwd?: string;
  /** Signals (1..64) that the child starts with blocked. */
  readonly blockSignals?: readonly number[];
  readonly newSession?: boolean;
  /** The controlling terminal, with newSession. */
  readonly terminalFd?: number;
  readonly parentDeathSignal?: number;
  readonly noNewPrivileges?: boolean;
  /** Capabilities (bit numbers) that the bounding set keeps; absent: all. */
  readonly boundingSet?: readonly number[];
}

/** What the child did when it failed, in the order of `enum step`. */
const STEPS = [
  'start',
  'join the network namespace',
  'clone',
  'write the id maps',
  'join the cgroup',
  'wait for the parent',
  'set the parent-death signal',
  'make a session',
  'take the terminal',
  'change to the working directory',
  'place descriptors',
  'limit capabilities',
  'set no_new_privs',
  'execute the program',
] as const;

export class SpawnError extends Error {
  readonly errno: number;
  constructor(file: string, step: string, errno: number) {
    super(`cannot start ${file}: ${step}: errno ${errno}`);
    this.name = 'SpawnError';
    this.errno = errno;
  }
}

/**
 * Returns when the child has executed its program: its pid. The caller reaps it.
 * @throws SpawnError naming the step; no child is left then.
 */
export function spawn(options: SpawnOptions): number {
  const result = new Int32Array(3);
  const caps = options.boundingSet === undefined ? -1n : bits(options.boundingSet, 0);
  const blocked = bits(options.blockSignals ?? [], -1);
  const numbers = new Int32Array([
    options.namespaces,
    options.networkNamespace ?? -1,
    options.newSession ? 1 : 0,
    options.terminalFd ?? -1,
    options.parentDeathSignal ?? 0,
    options.noNewPrivileges ? 1 : 0,
    Number(BigInt.asIntN(32, caps)),
    Number(BigInt.asIntN(32, caps >> 32n)),
    Number(BigInt.asIntN(32, blocked)),
    Number(BigInt.asIntN(32, blocked >> 32n)),
    options.joinLate ? 1 : 0,
  ]);
  const { maps, cwd } = options;
  native.spawn(
    result,
    strings([options.file]),
    strings(options.args),
    strings(options.env),
    new Int32Array(options.fds),
    numbers,
    maps === undefined ? null : strings([maps.uid, maps.gid]),
    new Int32Array(options.cgroupFds ?? []),
    cwd === undefined ? null : strings([cwd]),
  );
  const [pid, step, errno] = result as unknown as [number, number, number];
  if (pid < 0) throw new SpawnError(options.file, STEPS[step] ?? 'start', errno);
  return pid;
}

function bits(numbers: readonly number[], shift: number): bigint {
  return numbers.reduce((set, n) => set | (1n << BigInt(n + shift)), 0n);
}

function strings(list: readonly string[]): Buffer {
  return Buffer.from(list.map((s) => `${s}\0`).join(''));
}
