/** A thread whose stub answers to its slot. */
import { ENOMEM, type Errno } from '../../abi/errno.ts';
import { RSEQ_FLAG_UNREGISTER, RSEQ_SIZE } from '../../abi/rseq.ts';
import { SI_KERNEL, SIGTRAP } from '../../abi/signal.ts';
import { native } from '../../native-addon/native.ts';
import type { ThreadPlacement } from '../cpu_placement.ts';
import { type FutexGrant, REG, REGISTER_COUNT, Registers, type RseqArea, type ThreadContext } from '../platform.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { CallMemory } from './call_memory.ts';
import {
  C_ARGS,
  C_NR,
  C_RESULT,
  COMMAND_WORDS,
  FUTEXES_ASKED,
  FUTEXES_TIMED,
  FUTEXES_UNTIMED,
  getWords,
  MAP_FD_HELD,
  MAP_FD_KEEP,
  MAX_COMMANDS,
  OP_ADVISE,
  OP_FRAME,
  OP_HOST,
  OP_MAP_FILE,
  OP_STATE,
  OP_THREAD,
  REPLY_EXIT,
  REPLY_REGISTERS,
  REPLY_RESULT,
  STACK_SIZE,
  STATE_GONE,
  STATE_LEFT,
  STATE_POSTED,
  STATE_REPLY,
  STATE_SLEEPING,
  setWords,
  W_ASLEEP,
  W_CODE,
  W_COMMAND_COUNT,
  W_COMMANDS,
  W_CPU_TIME,
  W_FLAGS,
  W_FPSTATE,
  W_FUTEXES,
  W_HOST_TID,
  W_KICK,
  W_REGS,
  W_RESULT,
  W_RSEQ,
  W_RSEQ_SIGNATURE,
  W_SLEEPS,
  W_SPIN,
  W_STATE,
  W_WAITS_SINCE,
} from './layout.ts';
import { readXstate, writeXstate } from './signal_xstate.ts';
import type { SystrapPlatform } from './systrap_platform.ts';
import type { SystrapSpace } from './systrap_space.ts';
import { REPLY_FRAMES, ThreadFrames } from './thread_frames.ts';
import { SystrapOwn } from './thread_own.ts';

const USER_CS = 0x33n;
const USER_SS = 0x2bn;
const TRAP_FLAG = 0x100n;
/** Segment bases at or above fault in the stub. */
const BASE_LIMIT = 0x7fff_ffff_f000n;
/** The signal that makes a stub post although the application made no call. */
const KICK = 10;
/** Calls that came by a signal are considered for rewriting once in so many, less one. A process's first ones are not: most programs soon end. */
const CONSIDER_MASK = 15;
const FIRST_CALLS = 64;
/** user_regs_struct index of each argument of a call. */
const ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;

/** exit, exit_group, execve: the stub says how much CPU time the thread has used. */
const GRANTS: Readonly<Record<FutexGrant, number>> = { none: FUTEXES_ASKED, untimed: FUTEXES_UNTIMED, all: FUTEXES_TIMED };

const LAST_CALLS = new Set([60, 231, 59]);
/** ns; ten years. What a slot says is not to be believed beyond. */
const MAX_CPU_TIME = 3.2e17;

export class SystrapThread implements ThreadContext {
  data: unknown = null;
  sysno = -1;
  readonly args = new Uint32Array(12);
  readonly space: SystrapSpace;
  /** Its number in its process. */
  readonly index: number;
  /** Its slot in the window. */
  readonly place: number;
  /** The slot's first word in the window. */
  readonly at: number;
  /** Host thread, once the host has confirmed that it belongs to the process. */
  private number = 0;
  readonly placement: ThreadPlacement;
  running = false;
  dead = false;
  interruptWanted = false;
  /** Index in the platform's list of running threads. */
  runIndex = -1;
  nice = 0;
  readonly frames: ThreadFrames;
  readonly callMemory: CallMemory;
  readonly own: SystrapOwn;
  /** The thread that its next reply has the stub make. */
  starting: SystrapThread | null = null;
  /** The one that its last reply had it make. */
  askedFor: SystrapThread | null = null;
  /** The host has refused to make it. */
  stillborn = false;
  /** It has posted its exit and ended. */
  private left = false;
  /** REPLY_*: what the next reply tells the stub to do. */
  flags = 0;
  /** A frame was broken when somebody needed the registers before the thread was resumed: told then. */
  private frameBroken = false;
  private readonly platform: SystrapPlatform;
  private readonly words: Int32Array<ArrayBuffer>;
  private readonly regs = new Registers();
  private registersValid = false;
  private commands = 0;
  private stepping = false;
  /** Command that maps a file by descriptor `deferredFd`, and has not run. */
  private deferredMap = -1;
  private deferredFd = -1;
  /** Value of W_SLEEPS. */
  private sleepsSeen = -1;

  constructor(platform: SystrapPlatform, space: SystrapSpace, index: number, place: number, parent: SystrapThread | null) {
    this.platform = platform;
    this.space = space;
    this.index = index;
    this.place = place;
    this.at = platform.window.wordOf(place);
    this.words = platform.window.words;
    this.placement = platform.placement.started(parent);
    this.frames = new ThreadFrames(this, platform.window);
    this.callMemory = new CallMemory(space, platform.window, this.at);
    this.own = new SystrapOwn(this, platform.window);
  }

  /**
   * -1 where it does not run yet, or its slot names a number that is none of its process's. Its host keeps the number there, and the
   * application can write it.
   */
  get tid(): number {
    if (this.number !== 0) return this.number;
    const named = this.words[this.at + W_HOST_TID] as number;
    if (named <= 0 || this.dead || this.platform.host.syscall(HOST_CALL.tgkill, this.space.pid, named, 0) < 0) return -1;
    this.number = named;
    return named;
  }
  set tid(tid: number) {
    this.number = tid;
  }
  get isFirst(): boolean {
    return this.space.isFirst(this.index);
  }

  stopped(): void {
    this.running = false;
    this.registersValid = false;
    this.flags = 0;
    this.left = this.words[this.at + W_STATE] === STATE_LEFT;
    if (this.stepping) this.endStep();
  }
  /** Reads number and arguments of a call from the slot. */
  takeCall(): void {
    const words = this.words;
    const regs = this.at + W_REGS;
    if (words[this.at + W_CODE] !== 1) {
      this.sysno = -1;
      this.args.fill(0);
      return;
    }
    this.callMemory.begin();
    this.sysno = words[regs + REG.rax * 2] as number;
    for (let i = 0; i < 6; i++) {
      const word = regs + (ARGUMENTS[i] as number) * 2;
      this.args[i * 2] = words[word] as number;
      this.args[i * 2 + 1] = words[word + 1] as number;
    }
  }
  /** The slot of a thread that `other`'s stub is about to start on a copy of its frame: as if it had stopped there and posted. */
  startLike(other: SystrapThread): void {
    const { words, at } = this;
    this.sysno = other.sysno;
    this.args.set(other.args);
    this.regs.copyFrom(other.registers());
    this.setRegisters();
    const fpstate = getWords(words, other.at + W_FPSTATE) + (this.index - other.index) * STACK_SIZE;
    setWords(words, at + W_FPSTATE, fpstate);
    words[at + W_COMMAND_COUNT] = 0;
    words[at + W_KICK] = 0;
    words[at + W_FUTEXES] = FUTEXES_ASKED;
    words[at + W_ASLEEP] = 0;
    Atomics.store(words, at + W_STATE, STATE_POSTED);
  }
  /** A process forked from `other`'s: the host has copied its registration. */
  inheritRseq(other: SystrapThread): void {
    this.tellRseq(other.rseqArea);
  }
  /** As its slot says: the stub registers the first by itself, and unregisters at the thread's end. */
  get rseqArea(): RseqArea | null {
    const address = this.dead ? 0 : getWords(this.words, this.at + W_RSEQ);
    return address === 0 ? null : { address, signature: (this.words[this.at + W_RSEQ_SIGNATURE] as number) >>> 0 };
  }
  private tellRseq(area: RseqArea | null): void {
    setWords(this.words, this.at + W_RSEQ, area?.address ?? 0);
    this.words[this.at + W_RSEQ_SIGNATURE] = area?.signature ?? 0;
  }
  setRseq(address: number, signature: number): void {
    this.tellRseq({ address, signature });
    this.defer(HOST_CALL.rseq, address, RSEQ_SIZE, 0, signature);
  }
  dropRseq(): number {
    const area = this.rseqArea;
    if (area === null || this.running) return 0;
    this.tellRseq(null);
    this.push(OP_HOST, HOST_CALL.rseq, area.address, RSEQ_SIZE, RSEQ_FLAG_UNREGISTER, area.signature);
    return this.runCommands();
  }
  /** A call that came by a signal: one in a few is looked at, so that what runs often is found, and what runs once costs nothing. */
  considerSite(): void {
    const { sites } = this.space;
    const fpstate = this.at + W_FPSTATE;
    // Of futex calls the stub has told one in a few already.
    const few = this.sysno === HOST_CALL.futex && this.words[this.at + W_FUTEXES] !== FUTEXES_ASKED;
    if (sites === null || (this.words[fpstate] === 0 && this.words[fpstate + 1] === 0)) return;
    if (!few && (++this.space.trapped < FIRST_CALLS || (this.space.trapped & CONSIDER_MASK) !== 0)) return;
    const rip = this.at + W_REGS + REG.rip * 2;
    sites.consider(this, ((this.words[rip + 1] as number) >>> 0) * 0x1_0000_0000 + ((this.words[rip] as number) >>> 0), this.sysno);
  }
  /** The application must not see itself in a trampoline. True if the stop was a trap of a site that was being rewritten: it runs again. */
  leaveTrampoline(signal: number, code: number): boolean {
    const { sites } = this.space;
    if (sites === null) return false;
    const regs = this.registers();
    const rip = regs.get(REG.rip);
    const again = signal === SIGTRAP && code === SI_KERNEL && sites.retry(rip);
    const seen = again ? rip - 1 : sites.seenAt(rip);
    if (seen === rip) return false;
    regs.set(REG.rip, seen);
    this.setRegisters();
    if (again) this.resume();
    return again;
  }
  /** The extended state lies in a signal frame: also if the call came the fast way. */
  needFrame(): void {
    const fpstate = this.at + W_FPSTATE;
    if (this.words[fpstate] !== 0 || this.words[fpstate + 1] !== 0) return;
    this.push(OP_FRAME, 0);
    this.runCommands();
  }

  registers(): Registers {
    this.settleFrames();
    if (this.registersValid) return this.regs;
    const { u32, u64 } = this.regs;
    for (let i = 0, from = this.at + W_REGS; i < REGISTER_COUNT * 2; i++) u32[i] = this.words[from + i] as number;
    u64[REG.orig_rax] = u64[REG.rax] as bigint;
    this.registersValid = true;
    return this.regs;
  }
  setRegisters(): void {
    this.flags &= ~REPLY_RESULT; // rax is among them
    const { u32, u64 } = this.regs;
    u64[REG.cs] = USER_CS;
    u64[REG.ss] = USER_SS;
    if ((u64[REG.fs_base] as bigint) >= BASE_LIMIT) u64[REG.fs_base] = 0n;
    if ((u64[REG.gs_base] as bigint) >= BASE_LIMIT) u64[REG.gs_base] = 0n;
    for (let i = 0, to = this.at + W_REGS; i < REGISTER_COUNT * 2; i++) this.words[to + i] = u32[i] as number;
    this.registersValid = true;
    this.flags |= REPLY_REGISTERS;
  }
  setResult(result: number): void {
    const { words } = this;
    setWords(words, this.at + W_RESULT, result);
    setWords(words, this.at + W_REGS + REG.rax * 2, result);
    if (this.registersValid) this.regs.set(REG.rax, result);
    this.flags |= REPLY_RESULT;
  }
  /** Whoever looks at the thread's state sees it as it is after the frame. */
  private settleFrames(): void {
    if ((this.flags & REPLY_FRAMES) !== 0 && !this.applyFlags()) this.frameBroken = true;
  }
  applyFlags(): boolean {
    const { flags } = this;
    this.flags = 0;
    this.push(OP_STATE, 0, flags);
    const r = this.runCommands();
    this.registersValid = false;
    return r >= 0;
  }
  xstate(): Uint8Array {
    this.settleFrames();
    this.needFrame();
    return readXstate(this.space.pid, this.words, this.at);
  }
  setXstate(image: Uint8Array | null): boolean {
    this.settleFrames();
    this.needFrame();
    return writeXstate(this.space.pid, this.words, this.at, image);
  }

  resumeWithResult(result: number): void {
    this.words[this.at + W_RESULT] = result % 0x1_0000_0000;
    this.words[this.at + W_RESULT + 1] = Math.floor(result / 0x1_0000_0000);
    this.reply(this.flags | REPLY_RESULT);
  }
  resume(): void {
    this.reply(this.flags);
  }
  resumeSingleStep(): void {
    const { u64 } = this.registers();
    u64[REG.eflags] = (u64[REG.eflags] as bigint) | TRAP_FLAG;
    this.setRegisters();
    this.stepping = true;
    this.reply(this.flags);
  }
  /** The application's flags must not show the trap flag that was ours. */
  private endStep(): void {
    this.stepping = false;
    const { u64 } = this.registers();
    u64[REG.eflags] = (u64[REG.eflags] as bigint) & ~TRAP_FLAG;
    this.setRegisters();
  }
  private reply(flags: number): void {
    if (this.dead) return;
    if (this.left) {
      this.platform.lose(this, 'it has ended, and not by exit');
      return;
    }
    if (this.frameBroken) {
      this.flags = flags;
      this.frameBroken = false;
      this.platform.frameBroken(this);
      return;
    }
    this.running = true;
    this.platform.started(this);
    this.send(flags);
  }
  private send(flags: number): void {
    const { words, at } = this;
    words[at + W_FLAGS] = flags | this.callMemory.end();
    if (this.callMemory.failure !== 0) setWords(words, at + W_RESULT, this.callMemory.failure);
    words[at + W_SPIN] = this.platform.placement.spinOf(this.placement);
    words[at + W_COMMAND_COUNT] = this.commands;
    if (this.commands > 0) this.space.settled(this);
    this.commands = 0;
    this.deferredMap = -1;
    this.flags = 0;
    this.askedFor = this.starting;
    this.starting = null;
    if (Atomics.exchange(words, at + W_STATE, STATE_REPLY) === STATE_SLEEPING) native.slotWake(this.platform.window.buffer, this.place);
  }

  grantFutexes(grant: FutexGrant): void {
    if (this.dead) return; // the slot may be another's
    this.words[this.at + W_FUTEXES] = grant !== 'none' && this.space.shareFutexes() ? GRANTS[grant] : FUTEXES_ASKED;
  }
  /** Its call has been looked at, and waits for somebody: its stub need not look for the answer while others could run there. */
  waits(): void {
    if (this.platform.placement.shares(this.placement)) this.words[this.at + W_SPIN] = 0;
  }
  /** As its stub says. */
  get asleep(): boolean {
    return this.running && this.words[this.at + W_ASLEEP] === 1;
  }
  get waitsSince(): number {
    return getWords(this.words, this.at + W_WAITS_SINCE);
  }
  /** In one and the same sleep. */
  sleptSinceLastAsked(): boolean {
    const sleeps = this.words[this.at + W_SLEEPS] as number;
    const same = this.asleep && sleeps === this.sleepsSeen;
    this.sleepsSeen = sleeps;
    return same;
  }
  /** Its sleep ends, and its call becomes an event. */
  rouse(): void {
    this.kick();
  }
  interrupt(): void {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    this.kick();
  }
  /** One that has not come to its first instruction has no number yet, and will see the mark. */
  private kick(): void {
    if (this.number === 0) Atomics.store(this.words, this.at + W_KICK, 1);
    const { tid } = this;
    if (tid > 0) this.platform.host.syscall(HOST_CALL.tgkill, this.space.pid, tid, KICK);
  }
  schedule(cpus: readonly number[] | null, nice: number): void {
    if (this.dead) return;
    this.platform.scheduling.set(this, cpus, nice);
  }
  processor(): number {
    return this.platform.scheduling.processor(this);
  }
  cpuTime(): number {
    if (!this.running && LAST_CALLS.has(this.sysno)) {
      const told = getWords(this.words, this.at + W_CPU_TIME);
      if (told > 0 && told < MAX_CPU_TIME) return told;
    }
    return this.platform.proc.cpuTime(this.space.pid, this.tid);
  }
  exit(): void {
    if (this.dead) return;
    if (this.stillborn) {
      this.platform.forget(this);
      this.space.dropThread(this);
      return;
    }
    this.space.threads.delete(this);
    if (this.running) {
      this.space.ending.add(this);
      this.kick();
    } else this.leave();
    this.dead = true;
  }
  /**
   * The stopped thread ends. The first thread of a process stays, asleep for ever: its number stands for the process's memory, and
   * must neither end nor be given to another process.
   */
  leave(): void {
    this.space.flushThread(this);
    this.callMemory.complete();
    if (!this.left && this.number !== this.space.pid) this.send(REPLY_EXIT);
    this.space.left(this);
  }

  /** After `leave`: neither it nor the host touches slot and stack again. */
  hasEnded(): boolean {
    const { words, at } = this;
    const state = Atomics.load(words, at + W_STATE);
    return (state === STATE_GONE || state === STATE_LEFT) && words[at + W_HOST_TID] === 0;
  }
  /** The thread that waits for this one's reply to be made is made now: this one does not go on. */
  startNow(): void {
    if (this.starting !== null && !this.running && !this.dead) this.runCommands();
  }

  /** Adds a command for the stub. Those before it run first. */
  push(op: number, nr: number, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0): void {
    if (this.commands === MAX_COMMANDS) this.runCommands();
    const { words } = this;
    let w = this.at + W_COMMANDS + this.commands++ * COMMAND_WORDS;
    words[w] = op;
    words[w + C_NR] = nr;
    w += C_ARGS;
    setWords(words, w, a0);
    setWords(words, w + 2, a1);
    setWords(words, w + 4, a2);
    setWords(words, w + 6, a3);
    setWords(words, w + 8, a4);
    setWords(words, w + 10, a5);
  }
  /** As mapFile, deferred. The descriptor of a mapping that was deferred just before is not sent again. */
  deferMapFile(address: number, length: number, prot: number, flags: number, hostFd: number, offset: number): 0 | Errno {
    const before = this.commands - 1;
    const held = this.deferredMap === before && this.deferredFd === hostFd && before >= 0 && this.commands < MAX_COMMANDS;
    if (held) {
      const w = this.at + W_COMMANDS + before * COMMAND_WORDS + C_ARGS + 8;
      this.words[w] = (this.words[w] as number) | MAP_FD_KEEP;
    } else {
      const sent = this.space.sendFd(hostFd);
      if (sent < 0) return sent as Errno;
    }
    this.push(OP_MAP_FILE, 0, address, length, prot, flags, held ? MAP_FD_HELD : 0, offset);
    this.deferredMap = this.commands - 1;
    this.deferredFd = hostFd;
    this.space.unsettled(this);
    return 0;
  }
  deferAdvice(address: number, length: number, advice: number): 0 {
    this.push(OP_ADVISE, 0, address, length, advice);
    this.space.unsettled(this);
    return 0;
  }
  /** Deferred: the stub makes the call before it goes on, or when `runCommands` says so. It must not fail. */
  defer(nr: number, a0: number, a1: number, a2: number, a3 = 0, a4 = 0, a5 = 0): 0 {
    this.push(0, nr, a0, a1, a2, a3, a4, a5);
    this.space.unsettled(this);
    return 0;
  }
  /** Has the stub carry out what is pushed, the last command's result. An errno also if the thread is lost by it. */
  runCommands(): number {
    const count = this.commands;
    if (this.dead || (this.left && count > 0)) return ENOMEM;
    if (count === 0) return 0;
    const { starting } = this;
    this.starting = null;
    this.commands = 0;
    this.deferredMap = -1;
    this.space.settled(this);
    this.words[this.at + W_COMMAND_COUNT] = count;
    const bound = this.platform.scheduling.bound(this);
    if (bound) this.platform.scheduling.hurry(this);
    const r = native.slotCommand(this.platform.window.buffer, this.place, this.space.pid, this.platform.placement.spinOf(this.placement));
    if (bound) this.platform.scheduling.relax(this);
    this.platform.waitedForStub();
    if (r < 0) {
      this.platform.lose(this, `the stub does not answer (errno ${-r})`);
      return ENOMEM;
    }
    let last = 0;
    for (let i = 0; i < count; i++) {
      const w = this.at + W_COMMANDS + i * COMMAND_WORDS + C_RESULT;
      last = (this.words[w + 1] as number) * 0x1_0000_0000 + ((this.words[w] as number) >>> 0);
      if (last >= 0) continue;
      if (starting !== null && this.words[this.at + W_COMMANDS + i * COMMAND_WORDS] === OP_THREAD)
        this.platform.notStarted(this, starting, last);
      else if (i < count - 1) this.platform.lose(this, `a deferred memory operation failed (errno ${-last})`);
    }
    return last;
  }
}
