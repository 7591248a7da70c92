/**
 * What a platform gives the Sentry: address spaces in which applications' own instructions run, threads that stop at every
 * system call, and one place to wait. The Sentry sees platforms through this file alone.
 *
 * Interface rules:
 * - Everything runs on the kernel thread and returns at once; only `wait` blocks.
 * - A thread is either running or stopped. Registers, memory operations "via" it, fork and newThread need it stopped.
 * - Pages, copy on write and page faults belong to the platform; which range is mapped from what belongs to sentry/mm.
 * - Memory operations may be deferred until their thread resumes, or until the space is next read or written. A deferred
 *   failure kills the thread (event `exited`): the Sentry has checked limits before, so the host is out of memory.
 */
import type { Errno } from '../abi/errno.ts';

/** Index of each register in `Registers`, in the order of struct user_regs_struct (sys/user.h). */
export const REG = {
  r15: 0,
  r14: 1,
  r13: 2,
  r12: 3,
  rbp: 4,
  rbx: 5,
  r11: 6,
  r10: 7,
  r9: 8,
  r8: 9,
  rax: 10,
  rcx: 11,
  rdx: 12,
  rsi: 13,
  rdi: 14,
  orig_rax: 15,
  rip: 16,
  cs: 17,
  eflags: 18,
  rsp: 19,
  ss: 20,
  fs_base: 21,
  gs_base: 22,
  ds: 23,
  es: 24,
  fs: 25,
  gs: 26,
} as const;
export const REGISTER_COUNT = 27;

/** General registers. Both views share one buffer: BigInt where bits matter, 32-bit halves (low, high) on hot paths. */
export class Registers {
  readonly u64: BigUint64Array<ArrayBuffer>;
  readonly u32: Uint32Array<ArrayBuffer>;

  /** Of its own, or as they lie in a buffer that the platform shares with others. */
  constructor(buffer: ArrayBuffer = new ArrayBuffer(REGISTER_COUNT * 8), offset = 0) {
    this.u64 = new BigUint64Array(buffer, offset, REGISTER_COUNT);
    this.u32 = new Uint32Array(buffer, offset, REGISTER_COUNT * 2);
  }

  /** As an unsigned number: exact for addresses. */
  get(index: number): number {
    return (this.u32[index * 2 + 1] as number) * 0x1_0000_0000 + (this.u32[index * 2] as number);
  }
  /** Two's complement; exact within ±2^53. */
  set(index: number, value: number): void {
    this.u32[index * 2] = value;
    this.u32[index * 2 + 1] = Math.floor(value / 0x1_0000_0000);
  }
  copyFrom(other: Registers): void {
    this.u64.set(other.u64);
  }
}

/** struct rt_sigframe as the handler is to find it; registers and extended state in it are the thread's. */
export interface FrameOrder {
  readonly signal: number;
  readonly handler: number;
  readonly restorer: number;
  /** siginfo_t, 128 bytes. */
  readonly info: Uint8Array;
  /** uc_sigmask. */
  readonly mask: bigint;
  /** SA_ONSTACK. */
  readonly onAltStack: boolean;
  readonly altStack: FrameStack;
  readonly err: number;
  readonly trapno: number;
  readonly cr2: number;
}
/** stack_t. */
export interface FrameStack {
  readonly address: number;
  readonly size: number;
  readonly flags: number;
}
/** The application's frame at rt_sigreturn(2), as far as the Sentry has to know it. */
export interface FramePeek {
  readonly mask: bigint;
  readonly altStack: FrameStack;
  /** Stack pointer that it returns to. */
  readonly sp: number;
}
/**
 * Signal frames that the thread itself builds and takes down as it resumes. Whether it could comes later: `settle` says so, or the event
 * `brokenFrame` after the thread was resumed.
 */
export interface SignalFrames {
  /** An order has not been carried out yet. */
  readonly pending: boolean;
  /** No other order may be pending. */
  push(order: FrameOrder): void;
  /** At the stop of rt_sigreturn(2), with registers unchanged since; null: the frame cannot be read. */
  peek(): FramePeek | null;
  /** The thread returns through the frame at its stack pointer. */
  pop(): void;
  /** Carries out what is pending. False if that failed; the registers are as before. */
  settle(): boolean;
}

/** What a thread may answer and set without a stop, as far as it is lent. What the application forges there is about itself. */
export interface ThreadOwn {
  /** What getpid(2) and gettid(2) give. Null: it must ask. */
  tellNumbers(numbers: { readonly pid: number; readonly tid: number } | null): void;
  /** Its signal mask: rt_sigprocmask(2), and the return from a handler's frame that comes back with this alternate stack. */
  lendMask(mask: bigint, altStack: FrameStack): void;
  /** No more; what the mask is by now, null if it was not lent. */
  recallMask(): bigint | null;
  /** What it is by now, without taking it back. */
  readonly mask: bigint | null;
  /**
   * Whether it may set the addresses below and its first rseq area, give back memory right below its stack pointer, and end before its
   * exit(2) is an event.
   */
  keeps: boolean;
  /** set_robust_list(2); set_tid_address(2). 0: none. */
  robustList: number;
  clearChildTid: number;
  /** It has ended so, held no robust lock, and set the word at clearChildTid to 0. */
  readonly cleared: boolean;
}

/** rseq(2): a thread's registration. */
export interface RseqArea {
  readonly address: number;
  /** Stands before each place to which a sequence is aborted. */
  readonly signature: number;
}

/** Memory as `AddressSpace` reads and writes it. */
export interface ThreadMemory {
  read(address: number, into: Uint8Array, offset: number, count: number): number;
  write(address: number, from: Uint8Array, offset: number, count: number): number;
  /**
   * Place in the Sentry's own memory (an address) for up to `count` bytes that a host call is about to bring and that the thread is to find at
   * `address`; 0: there is none, and `write` serves. `filled` says how many have come, before anything else is done here.
   */
  room?(address: number, count: number): number;
  filled?(count: number): void;
  /** Address in the Sentry's own memory at which the `count` bytes that the call reads at `address` are already; 0: they must be read. */
  given?(address: number, count: number): number;
}

/** What the Sentry knows of the memory of an application. */
export interface OwnedMemory {
  /** The range is private and anonymous, and may be written: as long as the application leaves it alone, writing there cannot fail. */
  isOwned(address: number, count: number): boolean;
}

/** Which futex(2) calls on private words a platform may answer by itself: waiting until an absolute time is among them in `all` alone. */
export type FutexGrant = 'none' | 'untimed' | 'all';

/** The private futexes of a space whose threads' waits and wakes the platform answers without an event, as far as they were granted. */
export interface SpaceFutexes {
  /** A waiter for a private word has come to the Sentry's lists, or left. Before it reads the word. */
  listed(address: number, change: 1 | -1): void;
  /** Wakes up to `count` of those that sleep on the platform; how many. via: a stopped thread of the space. */
  wake(via: ThreadContext, address: number, count: number): number;
  /** As FUTEX_REQUEUE for them; with `value`, FUTEX_CMP_REQUEUE. How many were woken or moved, or an errno. */
  requeue(via: ThreadContext, from: number, to: number, wake: number, move: number, value: number | null): number | Errno;
}

/** One thread of an application. `data` is the Sentry's (its Task); the platform never looks inside. */
export interface ThreadContext {
  data: unknown;
  readonly space: AddressSpace;
  /** At a system-call stop: its number (low 32 bits of rax; -1 for int 0x80 and other entries the platform refuses). */
  readonly sysno: number;
  /** At a system-call stop: six arguments, low and high halves in turn. */
  readonly args: Uint32Array;

  /** Full register state; fetched when asked for. At a system-call stop rip is behind the instruction, rax still the number. */
  registers(): Registers;
  /** Call after changing what `registers()` gave. */
  setRegisters(): void;
  /** XSAVE area (standard format, uncompacted) as the host's ptrace NT_X86_XSTATE gives it; a copy. */
  xstate(): Uint8Array;
  /** Null: the initial state. False if the image is invalid; the state is then unchanged. */
  setXstate(image: Uint8Array | null): boolean;

  /** rax = result (number or errno), and nothing else fetched. */
  setResult?(result: number): void;
  /**
   * For what the system call that the thread has stopped at reads and writes: as the space's own, but what is read may be as old as the
   * call, and what is written be there when the thread goes on or somebody looks through the space. Absent: the space's own.
   */
  readonly callMemory?: ThreadMemory;
  /** Absent: frames are built through `registers`, `xstate` and memory. */
  readonly frames?: SignalFrames;
  /** Absent: it always asks. */
  readonly own?: ThreadOwn;
  /** Ends a system-call stop: rax = result (number or errno), everything else unchanged, run on. */
  resumeWithResult(result: number): void;
  /** Runs on with the registers as they are. */
  resume(): void;
  /** Runs one instruction, then event `fault` with SIGTRAP, TRAP_TRACE. */
  resumeSingleStep(): void;
  /** Asks a running thread to stop. Event `interrupted` follows, unless another stop comes first. No effect on a stopped one. */
  interrupt(): void;
  /**
   * The thread's rseq area (rseq(2)) is the host's to keep from now on: it writes the CPU's number there and restarts sequences. The Sentry
   * has seen that the area can be written. A forked thread inherits it, a new one has none. Absent: applications are preempted unseen.
   */
  setRseq?(address: number, signature: number): void;
  readonly rseqArea?: RseqArea | null;
  /** The area is not the host's any more; an errno where it cannot be written. A running thread keeps it until it ends. */
  dropRseq?(): number;
  /**
   * CPUs that it may run on (null: all), and how much weaker than others it is, 0 to 19 (nice(2)). New and forked threads inherit both.
   * Absent: it runs as the platform likes.
   */
  schedule?(cpus: readonly number[] | null, nice: number): void;
  /** Number of the CPU that it runs on, or will. Absent: unknown. */
  processor?(): number;
  /** Replaces what was granted before. Absent: every futex call is an event. */
  grantFutexes?(grant: FutexGrant): void;
  /** It runs, and sleeps in a futex call that was granted. */
  readonly asleep?: boolean;
  /**
   * At a stop for FUTEX_WAIT with a timeout: when it began to wait in the platform, before somebody asked it to stop, CLOCK_MONOTONIC ns;
   * 0: it did not. As the application says.
   */
  readonly waitsSince?: number;
  /** CPU time it has used in the application, ns. */
  cpuTime(): number;
  /** Ends this thread alone; stopped or running. No event follows. The last thread of a space: use space.release(). */
  exit(): void;
}

/** For a platform that rewrites system calls in place: what the Sentry knows of the code in an address space. */
export interface CodePolicy {
  /** Whether the bytes are code of a file that nobody can write, mapped privately, and `via` may find it changed. */
  isFixedCode(via: ThreadContext, address: number, length: number): boolean;
  /** Maps `length` bytes of code of the platform's, at best within 2 GiB of `near`: where, or 0. The application cannot write there. */
  reserveCode(via: ThreadContext, near: number, length: number): number;
}

export interface AddressSpace {
  /** Where the host's vDSO is mapped for the application (AT_SYSINFO_EHDR), 0 if it has none. Survives fork. */
  readonly vdsoBase: number;
  /** Changes code of the vDSO for this space and its forks alone. Absent: all spaces share one. */
  writeVdso?(offset: number, code: Uint8Array): void;
  /** Any stopped thread of the space serves as `via`. Lengths and addresses are multiples of the page size, inside the platform's range. */
  mapAnonymous(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno;
  /**
   * MAP_FIXED of a host file. The descriptor stays the caller's. The application gets no more rights than prot and shared need.
   * late: what the host refuses may end the thread later, instead of being told now.
   */
  mapFile(
    via: ThreadContext,
    address: number,
    length: number,
    prot: number,
    shared: boolean,
    hostFd: number,
    offset: number,
    late?: boolean,
  ): 0 | Errno;
  unmap(via: ThreadContext, address: number, length: number): 0 | Errno;
  protect(via: ThreadContext, address: number, length: number, prot: number): 0 | Errno;
  /**
   * mremap(2) to a new place (MREMAP_FIXED); keepSource: MREMAP_DONTUNMAP. `to === from`: anonymous memory grows where it is; EFAULT if it
   * is not one mapping.
   */
  move(via: ThreadContext, from: number, oldLength: number, to: number, newLength: number, keepSource: boolean): 0 | Errno;
  /** madvise(2); the Sentry has filtered the advice. */
  advise(via: ThreadContext, address: number, length: number, advice: number): 0 | Errno;

  /** Bytes up to the first page that cannot be read; EFAULT if that is the first. Page protections hold. */
  read(address: number, into: Uint8Array, offset: number, count: number): number;
  write(address: number, from: Uint8Array, offset: number, count: number): number;
  /** As read and write, but as a debugger: protections do not hold (breakpoints in read-only text). */
  readForced(address: number, into: Uint8Array, offset: number, count: number): number;
  writeForced(address: number, from: Uint8Array, offset: number, count: number): number;

  /**
   * Sets one bit of the 32-bit word at an aligned address, atomically against the application's own threads. 0, or EFAULT. A platform
   * without it: locks that the kernel hands over (FUTEX_LOCK_PI) may miss an unlock.
   */
  setBit?(via: ThreadContext, address: number, bit: number): 0 | Errno;

  /**
   * Changes the 32-bit word at an aligned address, atomically against the application's own threads. `operation`: as futex(2)
   * FUTEX_WAKE_OP encodes it. 0, or EFAULT. A platform without it: an unlucky change by another thread is lost.
   */
  changeWord?(via: ThreadContext, address: number, operation: number): 0 | Errno;
  /** Absent: waiters are on the Sentry's lists alone. */
  readonly futexes?: SpaceFutexes;
  /** membarrier(2): what the command says about the threads of this space. A platform without it: none is offered. */
  membarrier?(via: ThreadContext, command: number, flags: number, cpu: number): 0 | Errno;
  /** What calls give may be written as late as the thread goes on, where `owned` says that it cannot fail. Absent: all is written at once. */
  lateWrites?(owned: OwnedMemory): void;
  /** The platform may rewrite system calls in this space from now on. A forked space needs it anew. */
  patchCalls?(policy: CodePolicy): void;
  /** All code is what it was, and stays so: somebody debugs it. */
  restoreCalls?(): void;

  /** Copy-on-write copy with one thread: a stopped copy of `via`, in a new space (`result.space`). */
  fork(via: ThreadContext): ThreadContext | Errno;
  /**
   * Another thread of this space, stopped, registers and xstate copied from `via`. late: the host may make it when `via` is resumed; where
   * it refuses then, event `notStarted`.
   */
  newThread(via: ThreadContext, late?: boolean): ThreadContext | Errno;
  /** Ends all its threads and frees its memory. No event follows. */
  release(): void;
  /**
   * oom_score_adj (proc_pid_oom_score_adj(5)) of the application; forks inherit it, fresh spaces begin with 0. Absent where an
   * application is no process of the host's.
   */
  setOomScore?(wanted: number): void;
  /** /proc/PID/pagemap of the space from byte `offset` on; absent: unknown. Bytes, or an errno. */
  pagemap?(offset: number, into: Uint8Array, count: number): number;
  /** Host pages in bytes, for proc: resident and the part of it that is shared. Zero if the host does not say. */
  resident(): { readonly total: number; readonly shared: number };
}

/** What the processor says of a fault: error code (of a page fault: bit 1 write, bit 4 fetch) and vector. */
export interface Trap {
  readonly error: number;
  readonly vector: number;
}

/** What `wait` reports. Called on the kernel thread, from inside `wait`, with the thread stopped. */
export interface ThreadEvents {
  /** sysno and args are set. */
  syscall(thread: ThreadContext): void;
  /** `trap`: absent where the host does not tell. A signal that the thread's own instruction raised: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP; si_code and si_addr. */
  fault(thread: ThreadContext, signal: number, code: number, address: number, trap?: Trap): void;
  interrupted(thread: ThreadContext): void;
  /** The signal frame last ordered (SignalFrames) could not be built or taken down; the registers are as before. */
  brokenFrame?(thread: ThreadContext): void;
  /** `thread`, whom `via` has made late, could not be made. `via` is stopped at its call; nothing has been told to it. */
  notStarted?(via: ThreadContext, thread: ThreadContext, error: Errno): void;
  /**
   * What `PlatformMemory` granted is used up. `thread` has stopped in front of the instruction that wants more, and repeats it when it is
   * resumed; null: a read or write of the Sentry's own went beyond.
   */
  memoryShort?(thread: ThreadContext | null): void;
  /** The host thread is gone without our doing (killed from outside, out of memory, broken stub). `cause` is for the log. */
  exited(thread: ThreadContext, cause: string): void;
}

/**
 * Where fresh address spaces of one container come from: a host process of its own, which the host may hold to limits. Everything that is
 * made from it, and forks of that, begins in its cgroups.
 */
export interface SpaceSource {
  /** The host process, as the Sentry's pid namespace numbers it. */
  readonly pid: number;
  /** As the platform's. EAGAIN once the host process is gone. */
  newAddressSpace(): ThreadContext | Errno;
  release(): void;
}

/** Of a platform whose applications' memory is the Sentry's own: the host cannot end one of them when it runs out of memory. */
export interface PlatformMemory {
  /**
   * Applications may be given so many bytes more (Infinity: any) until the event `memoryShort`; what they free may be given again. Within
   * the last `zone` bytes pages are given one by one, and the event comes before, too.
   */
  grant(bytes: number, zone: number): void;
  /** Takes back what was given and never touched. Bytes of it that are left, which applications may touch at any time. */
  trim(): number;
}

/** The platform that was asked for cannot be had on this host: the message says why, and no stack says more. */
export class PlatformError extends Error {}

export interface Platform {
  readonly name: 'ptrace' | 'systrap' | 'kvm';
  /** Absent: an application's memory is its own process's. */
  readonly memory?: PlatformMemory;
  /** How it works on this host, for the log. */
  readonly description: string;
  /** Threads are the host's, and it restarts their sequences (rseq(2)): setRseq is there. */
  readonly restartsSequences?: boolean;
  /** The application may use [minAddress, maxAddress). */
  readonly minAddress: number;
  readonly maxAddress: number;
  /** A fresh, empty space and its one stopped thread (`result.space`). */
  newAddressSpace(): ThreadContext | Errno;
  /** Absent where applications are no processes of the host's. */
  newSpaceSource?(): SpaceSource | Errno;
  /**
   * Handles what is ready: threads that stopped, host descriptors (HostPoll). If nothing is, sleeps until something is or the
   * time has come. `deadline` is CLOCK_MONOTONIC ns; Infinity = no limit; 0 = do not sleep.
   */
  wait(events: ThreadEvents, deadline: number): void;
  /** Kills every application process. */
  shutdown(): void;
}
