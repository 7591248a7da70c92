/**
 * How one row of the system-call table is declared: `syscall({ x64, man, args, run })`. Arguments are decoded once, from the
 * register halves, by the kinds below; dispatch, strace and the compatibility page derive from the rows.
 */
import type { Errno } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallResult } from '../kernel/wait.ts';

/** An argument: its decoding, and how strace prints it. */
export interface ArgumentKind {
  readonly name: string;
  decode(low: number, high: number): number;
  /** For --strace; may read user memory. Defaults to the number. */
  format?(task: Task, value: number): string;
}

const HIGH = 0x1_0000_0000;

/** int: sign-extended low half. */
export const int: ArgumentKind = { name: 'int', decode: (low) => low | 0 };
/** File descriptor or AT_FDCWD. */
export const fd: ArgumentKind = { name: 'fd', decode: (low) => low | 0, format: (_t, v) => (v === -100 ? 'AT_FDCWD' : String(v)) };
export const uint: ArgumentKind = { name: 'uint', decode: (low) => low >>> 0 };
/** Flags and modes, printed in hexadecimal or octal. */
export const flags: ArgumentKind = { name: 'flags', decode: (low) => low | 0, format: (_t, v) => `0x${(v >>> 0).toString(16)}` };
export const mode: ArgumentKind = { name: 'mode', decode: (low) => low & 0xffff, format: (_t, v) => `0${v.toString(8)}` };
/** A pointer. */
export const addr: ArgumentKind = {
  name: 'addr',
  decode: (low, high) => high * HIGH + low,
  format: (_t, v) => (v === 0 ? 'NULL' : `0x${v.toString(16)}`),
};
/** size_t, unsigned long: exact below 2^53. */
export const size: ArgumentKind = { name: 'size', decode: (low, high) => high * HIGH + low };
/** long, off_t: exact within ±2^53. */
export const long: ArgumentKind = { name: 'long', decode: (low, high) => (high | 0) * HIGH + low };
/** A path in user memory; the handler gets its address. */
export const path: ArgumentKind = {
  name: 'path',
  decode: addr.decode,
  format: (task, v) => {
    if (v === 0) return 'NULL';
    const text = task.readPath(v);
    return typeof text === 'string' ? JSON.stringify(text) : `0x${v.toString(16)}`;
  },
};

type Numbers<A extends readonly ArgumentKind[]> = { [K in keyof A]: number };

export interface SyscallDefinition<A extends readonly ArgumentKind[] = readonly ArgumentKind[]> {
  readonly x64: number;
  readonly man: string;
  readonly args: A;
  readonly run: (task: Task, ...args: Numbers<A>) => SyscallResult;
  /** What is missing, if something is. */
  readonly partial?: string;
  /** Known and always answered with this errno. */
  readonly refused?: Errno;
}

/** A row as dispatch uses it. */
export interface Syscall {
  readonly number: number;
  readonly man: string;
  readonly args: readonly ArgumentKind[];
  readonly partial: string | null;
  readonly refused: Errno | null;
  /** args: register halves, low and high in turn. */
  invoke(task: Task, args: Uint32Array): SyscallResult;
}

/** Returned by a handler that has arranged itself how the task goes on (execve, exit, rt_sigreturn). */
export const NO_RESULT = -100_000;
/** What a seccomp(2) supervisor lets go on: the kernel makes the call now. */
export const RUN_CALL = -100_001;
/** What a call had to wait for is there: it is made again, from its start (kernel/call_log.ts). */
export const CALL_AGAIN = -100_002;

export function syscall<const A extends readonly ArgumentKind[]>(definition: SyscallDefinition<A>): Syscall {
  const run = definition.run as unknown as (task: Task, ...args: number[]) => SyscallResult;
  return {
    number: definition.x64,
    man: definition.man,
    args: definition.args,
    partial: definition.partial ?? null,
    refused: definition.refused ?? null,
    invoke: invoker(run, definition.args),
  };
}

/** One closure an arity: no array is made per call. */
function invoker(run: (task: Task, ...args: number[]) => SyscallResult, kinds: readonly ArgumentKind[]): Syscall['invoke'] {
  const [a, b, c, d, e, f] = kinds.map((kind) => kind.decode);
  type Decode = ArgumentKind['decode'];
  const at = (decode: Decode, args: Uint32Array, i: number): number => decode(args[2 * i] as number, args[2 * i + 1] as number);
  if (a === undefined) return (task) => run(task);
  if (b === undefined) return (task, r) => run(task, at(a, r, 0));
  if (c === undefined) return (task, r) => run(task, at(a, r, 0), at(b, r, 1));
  if (d === undefined) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c, r, 2));
  if (e === undefined) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c, r, 2), at(d, r, 3));
  if (f === undefined) return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c, r, 2), at(d, r, 3), at(e, r, 4));
  return (task, r) => run(task, at(a, r, 0), at(b, r, 1), at(c, r, 2), at(d, r, 3), at(e, r, 4), at(f, r, 5));
}
