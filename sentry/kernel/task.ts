/**
 * A task: one thread of the application as the kernel sees it.
 *
 * Run states. A task is always in exactly one:
 *   app      its thread runs in the application; the platform will report its next stop
 *   kernel   a handler runs for it now, or it is about to be resumed
 *   blocked  a system call waits: `blocking` holds the generator
 *   parked   something outside a system call holds it: group stop, ptrace stop, vfork, a paused container
 *   dead     it has exited
 */
import { EFAULT, EINVAL, ENAMETOOLONG, type Errno } from '../../abi/errno.ts';
import { PATH_MAX } from '../../abi/fcntl.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { type ByteString, byteString } from '../../lib/byte_string.ts';
import type { RseqArea, ThreadContext, ThreadMemory } from '../../platforms/platform.ts';
import type { MemoryMap } from '../mm/memory_map.ts';
import type { FdTable } from '../vfs/fd_table.ts';
import type { FsContext } from '../vfs/fs_context.ts';
import { UserBuffer } from '../vfs/io.ts';
import type { AltStack } from './alt_stack.ts';
import type { CallLog } from './call_log.ts';
import type { Credentials } from './credentials.ts';
import type { DebugRegisters } from './debug_registers.ts';
import type { Kernel } from './kernel.ts';
import type { Namespaces } from './namespaces.ts';
import type { PidNamespace } from './pid_namespace.ts';
import type { Trace } from './ptrace.ts';
import { RLIMIT_NOFILE } from './rlimits.ts';
import { isRealTime } from './scheduling.ts';
import type { SeccompState } from './seccomp.ts';
import { PendingSignals, type SignalSet, UNBLOCKABLE } from './signal_state.ts';
import type { BlockedCall } from './task_block.ts';
import type { ThreadGroup } from './thread_group.ts';
import type { UserDispatch } from './user_dispatch.ts';
import type { Blocking } from './wait.ts';

/** A pointer that the application gave: only the copy functions here look behind it. */
export type UserAddr = number & { readonly __user: unique symbol };

/** Why a task does not run although no system call blocks it. */
export type Parked = 'group-stop' | 'ptrace-stop' | 'vfork' | 'paused' | 'core';

export type RunState = 'app' | 'kernel' | 'blocked' | 'parked' | 'dead';

/** Largest iovec count of one call (UIO_MAXIOV) and largest transfer (MAX_RW_COUNT). */
export const UIO_MAXIOV = 1024;
export const MAX_RW_COUNT = 0x7fff_f000;

export class Task {
  readonly kernel: Kernel;
  group: ThreadGroup;
  thread: ThreadContext;
  mm: MemoryMap;
  fds: FdTable;
  fs: FsContext;
  creds: Credentials;
  namespaces: Namespaces;
  /** Task number in each pid namespace, root first. */
  ids: readonly number[];
  /** comm: at most 15 bytes. */
  name: ByteString;

  state: RunState = 'kernel';
  parked: Parked | null = null;
  /** The system call that waits; null unless state is 'blocked'. */
  blocked: BlockedCall | null = null;
  /** Something must be looked at before it returns to the application: signal, stop, exit, trace. One flag for the hot path. */
  attention = false;

  /** Result of the system call that the task is about to return from; null: none (a fault, an interrupt, a new program). */
  syscallResult: number | null = null;
  /** Called as the task ends, while its memory and files are still there. */
  readonly exitHooks: ((task: Task) => void)[] = [];

  // Signals
  private mask: SignalSet = 0n;
  /** Its thread may change the mask without a stop: whoever asks for the mask ends that. */
  private maskLent = false;
  /** Mask to restore when a handler has been set up or the call returns (sigsuspend, ppoll …); null = none. */
  savedMask: SignalSet | null = null;
  readonly pending = new PendingSignals();
  /** ERESTART* result of the system call that was interrupted and has not been decided on; 0 = none. */
  interrupted = 0;
  /** sigaltstack(2): address, size, SS_* flags. */
  altStack: AltStack = { address: 0, size: 0, flags: 2 /* SS_DISABLE */ };
  /** The signal frame that its thread builds or takes down (signal 0) on its way to the application: what to go back to if it cannot. */
  frame: { signal: number; mask: SignalSet; savedMask: SignalSet | null; altStack: AltStack } | null = null;
  /** What restart_syscall(2) continues (ERESTART_RESTARTBLOCK). */
  restart: (() => number | Blocking) | null = null;

  // Threads
  /** Where the thread does not keep them itself. */
  private readonly kept = { clearChildTid: 0, robustList: 0 };
  /** The parent that waits for this child of vfork(2) to exec or exit. */
  vforkParent: Task | null = null;
  exitCode = 0;
  /** prctl(2). */
  parentDeathSignal = 0;
  timerSlack = 50_000;
  /** ptrace(2): by whom and how it is traced; null = not at all. */
  trace: Trace | null = null;
  /** Hardware breakpoints that its tracer has set; null = none ever. */
  debug: DebugRegisters | null = null;
  /** Tasks that it traces; null = none. */
  tracees: Set<Task> | null = null;
  /** Its tracer has stopped it before a system call, which is still to be made. */
  stoppedAtEntry = false;
  /** orig_rax as a tracer sees and sets it: the system call that the tracee is in or returns from, else -1. */
  tracedCall = -1;
  /** prctl(2) PR_SET_SYSCALL_USER_DISPATCH; null = off. */
  dispatch: UserDispatch | null = null;
  /** seccomp(2); null = none. */
  seccomp: SeccompState | null = null;
  /** Kernel monotonic ns. */
  readonly startTime: number;
  /** Number of the system call that is being handled, for strace and /proc/PID/syscall. */
  syscallNumber = -1;
  /** What the system call has been answered, while it is one that is made again. */
  callLog: CallLog | null = null;
  /** CPU time in the kernel for this task, ns. */
  systemTime = 0;
  niceValue = 0;
  /** sched_setscheduler(2): policy (SCHED_*) and static priority; what they do is in scheduling.ts. */
  schedPolicy = 0;
  schedPriority = 0;
  /** SCHED_FLAG_RESET_ON_FORK. */
  schedResetOnFork = false;
  /** sched_setaffinity(2): bit n is CPU n; null: all. */
  affinity: bigint | null = null;
  /** ioprio_set(2): class << 13 | level. */
  ioPriority = 0;
  /** It has become a user who has too many processes (RLIMIT_NPROC): execve(2) fails if that still holds. */
  processLimitExceeded = false;
  personality = 0;

  constructor(init: {
    kernel: Kernel;
    group: ThreadGroup;
    thread: ThreadContext;
    mm: MemoryMap;
    fds: FdTable;
    fs: FsContext;
    creds: Credentials;
    namespaces: Namespaces;
    ids: readonly number[];
    name: ByteString;
  }) {
    this.kernel = init.kernel;
    this.group = init.group;
    this.thread = init.thread;
    this.mm = init.mm;
    this.fds = init.fds;
    this.fs = init.fs;
    this.creds = init.creds;
    this.namespaces = init.namespaces;
    this.ids = init.ids;
    this.name = init.name;
    this.startTime = init.kernel.now();
    init.thread.data = this;
  }

  get signalMask(): SignalSet {
    if (this.maskLent) {
      this.maskLent = false;
      this.mask = (this.thread.own?.recallMask() ?? this.mask) & ~UNBLOCKABLE;
    }
    return this.mask;
  }
  set signalMask(mask: SignalSet) {
    if (this.maskLent) this.thread.own?.recallMask();
    this.maskLent = false;
    this.mask = mask;
  }
  /** As signalMask, to look at: while the thread runs it may be another at once. */
  get maskNow(): SignalSet {
    return this.maskLent ? (this.thread.own?.mask ?? this.mask) & ~UNBLOCKABLE : this.mask;
  }
  /** Nothing is pending that a change of the mask would have to look at; what a handler returns with is altStack. */
  lendMask(): void {
    const { own } = this.thread;
    if (own === undefined) return;
    own.lendMask(this.signalMask, this.altStack);
    this.maskLent = true;
  }

  /** set_tid_address(2), CLONE_CHILD_CLEARTID: zeroed and woken at exit. 0 = none. */
  get clearChildTid(): number {
    return (this.thread.own ?? this.kept).clearChildTid;
  }
  set clearChildTid(address: number) {
    (this.thread.own ?? this.kept).clearChildTid = address;
  }
  /** set_robust_list(2). */
  get robustList(): number {
    return (this.thread.own ?? this.kept).robustList;
  }
  set robustList(address: number) {
    (this.thread.own ?? this.kept).robustList = address;
  }
  /** rseq(2); null = none. */
  get rseq(): RseqArea | null {
    return this.thread.rseqArea ?? null;
  }

  /** What a new task takes over from the one that cloned it, beyond what clone(2)'s flags say. */
  inheritFrom(parent: Task): void {
    this.mask = parent.maskNow; // it is stopped at its call
    this.timerSlack = parent.timerSlack;
    this.ioPriority = parent.ioPriority;
    this.personality = parent.personality;
    this.seccomp = parent.seccomp;
    this.affinity = parent.affinity;
    const reset = parent.schedResetOnFork && (isRealTime(parent.schedPolicy) || parent.niceValue < 0);
    this.niceValue = reset ? 0 : parent.niceValue;
    if (reset && isRealTime(parent.schedPolicy)) return;
    this.schedPolicy = parent.schedPolicy;
    this.schedPriority = parent.schedPriority;
  }

  /** It sleeps in a futex call that the platform answers. */
  get asleep(): boolean {
    return this.state === 'app' && this.thread.asleep === true;
  }
  /** gettid(2) in the task's own namespace. */
  get tid(): number {
    return this.ids[this.ids.length - 1] as number;
  }
  /** getpid(2). */
  get pid(): number {
    return this.group.leader.tid;
  }
  /** Number in `ns`, 0 where it is not visible. */
  idIn(ns: PidNamespace): number {
    return this.ids[ns.level] ?? 0;
  }
  get pidNamespace(): PidNamespace {
    return this.group.pidNamespace;
  }
  get openFileLimit(): number {
    return this.group.limits.soft(RLIMIT_NOFILE);
  }

  // User memory

  /** For the arguments and results of its system call. Not for words that other threads signal through. */
  get userMemory(): ThreadMemory {
    return this.thread.callMemory ?? this.thread.space;
  }
  /** Fills `into`; 0, or EFAULT if any byte is missing. */
  copyIn(address: number, into: Uint8Array): 0 | Errno {
    return this.userMemory.read(address, into, 0, into.length) === into.length ? 0 : EFAULT;
  }
  copyOut(address: number, bytes: Uint8Array): 0 | Errno {
    return this.userMemory.write(address, bytes, 0, bytes.length) === bytes.length ? 0 : EFAULT;
  }
  /** The first `count` bytes of a buffer. */
  copyOutFirst(address: number, bytes: Uint8Array, count: number): 0 | Errno {
    return this.userMemory.write(address, bytes, 0, count) === count ? 0 : EFAULT;
  }
  /** `length` bytes, or EFAULT. The caller has capped the length. */
  readBytes(address: number, length: number): Uint8Array | Errno {
    const bytes = new Uint8Array(length);
    return this.copyIn(address, bytes) || bytes;
  }
  readU32(address: number): number {
    const bytes = this.kernel.scratch8;
    return this.userMemory.read(address, bytes, 0, 4) === 4 ? this.kernel.scratch8View.getUint32(0, true) : EFAULT;
  }
  writeU32(address: number, value: number): 0 | Errno {
    this.kernel.scratch8View.setUint32(0, value >>> 0, true);
    return this.userMemory.write(address, this.kernel.scratch8, 0, 4) === 4 ? 0 : EFAULT;
  }
  /** A NUL-terminated string of at most `max` bytes without the NUL; EFAULT, or ENAMETOOLONG if no NUL came. */
  readString(address: number, max: number): ByteString | Errno {
    const chunk = this.kernel.stringScratch;
    let text = '';
    let at = address;
    while (text.length <= max) {
      // Up to the end of the page: the next page may not exist and the string may end before it.
      const want = Math.min(4096 - (at % 4096), max + 1 - text.length, text === '' ? 256 : 4096);
      const n = this.userMemory.read(at, chunk, 0, want);
      if (n <= 0) return EFAULT;
      const end = chunk.indexOf(0);
      if (end >= 0 && end < n) return text === '' ? this.kernel.recentStrings.of(chunk, 0, end) : text + byteString(chunk, 0, end);
      text += byteString(chunk, 0, n);
      at += n;
    }
    return ENAMETOOLONG;
  }
  /** A path argument: ENAMETOOLONG from PATH_MAX on. May be empty. */
  readPath(address: number): ByteString | Errno {
    return this.readString(address, PATH_MAX - 1);
  }
  /** One range of user memory for a transfer; the length is capped as Linux does. */
  userBuffer(address: number, length: number): UserBuffer | Errno {
    const count = Math.min(length, MAX_RW_COUNT);
    if (address + count > TASK_SIZE) return EFAULT;
    return new UserBuffer(this.userMemory, [{ address, length: count }]);
  }
  /** A list of one range, as most are. */
  private oneRange(address: number): UserBuffer | Errno {
    const { scratch16, scratch16View: view } = this.kernel;
    if (this.userMemory.read(address, scratch16, 0, 16) !== 16) return EFAULT;
    const length = view.getInt32(12, true) * 0x1_0000_0000 + view.getUint32(8, true);
    if (length < 0) return EINVAL;
    return this.userBuffer(view.getUint32(4, true) * 0x1_0000_0000 + view.getUint32(0, true), length);
  }
  /** readv(2)'s list: EINVAL for too many or a total that overflows, EFAULT. */
  userVector(address: number, count: number): UserBuffer | Errno {
    if (count < 0 || count > UIO_MAXIOV) return EINVAL;
    if (count === 1) return this.oneRange(address);
    const raw = this.readBytes(address, count * 16);
    if (typeof raw === 'number') return raw;
    const view = new DataView(raw.buffer);
    const ranges: { address: number; length: number }[] = [];
    let total = 0;
    for (let i = 0; i < count; i++) {
      const at = view.getUint32(i * 16 + 4, true) * 0x1_0000_0000 + view.getUint32(i * 16, true);
      const length = view.getInt32(i * 16 + 12, true) * 0x1_0000_0000 + view.getUint32(i * 16 + 8, true);
      if (length < 0) return EINVAL;
      const take = Math.min(length, MAX_RW_COUNT - total);
      if (take > 0 && at + take > TASK_SIZE) return EFAULT;
      if (take > 0) ranges.push({ address: at, length: take });
      total += take;
    }
    return new UserBuffer(this.userMemory, ranges);
  }
}
