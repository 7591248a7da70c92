/** System calls that a stopped thread makes on the Sentry's order, through the stub's `syscall; int3`. */
import { FUTEX_OP_ARG_SHIFT, FUTEX_OP_OR } from '../../abi/futex.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED } from '../../abi/mman.ts';
import { native } from '../../native-addon/native.ts';
import { STUB_BASE } from '../stub_layout.ts';

/** What native.ptraceInject and ptraceClone give if the thread is gone: no errno. */
export const THREAD_LOST = -100000;

export function inject(pid: number, nr: number, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0): number {
  return native.ptraceInject(pid, STUB_BASE, nr, a0, a1, a2, a3, a4, a5);
}
export function injectClone(pid: number, flags: number): number {
  return native.ptraceClone(pid, STUB_BASE, flags);
}

/** Overcommit is the Sentry's business (limits, cgroup), so the host does not account for it. */
export const ANONYMOUS_FLAGS = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
export function fileFlags(shared: boolean): number {
  return MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE);
}

/** futex(2) FUTEX_WAKE_OP's last argument: or the bit into the word. The one host call that changes a word of its caller atomically. */
export function setBitOperation(bit: number): number {
  return (((FUTEX_OP_ARG_SHIFT | FUTEX_OP_OR) << 28) | (bit << 12)) >>> 0;
}

// clone(2)
const CLONE_VM = 0x100;
const CLONE_FS = 0x200;
const CLONE_FILES = 0x400;
const CLONE_SIGHAND = 0x800;
const CLONE_PARENT = 0x8000;
const CLONE_THREAD = 0x1_0000;
const CLONE_SYSVSEM = 0x4_0000;
export const THREAD_FLAGS = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
/** A child of the Sentry, not of the caller: the Sentry alone reaps. */
export const FORK_FLAGS = CLONE_PARENT;
