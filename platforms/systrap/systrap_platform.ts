/**
 * The systrap platform: applications run in host processes that may make no host call but from the stub's code; their own calls raise
 * SIGSYS there, and the stub asks the Sentry through shared memory. The constructor and all methods run on one thread.
 */
import { EAGAIN, type Errno } from '../../abi/errno.ts';
import type { Host } from '../../lib/host.ts';
import { native } from '../../native-addon/native.ts';
import { CpuPlacement, SPIN_NS } from '../cpu_placement.ts';
import type { HostPoll } from '../host_poll.ts';
import { HostProc } from '../host_proc.ts';
import { Niceness } from '../niceness.ts';
import type { Platform, SpaceSource, ThreadContext, ThreadEvents } from '../platform.ts';
import { __WALL, HOST_CALL } from '../ptrace/requests.ts';
import { describeEnd } from '../ptrace/stops.ts';
import { hostRestartsSequences } from '../rseq_probe.ts';
import { Scheduling } from '../scheduling.ts';
import { MIN_ADDRESS, STUB_BASE } from '../stub_layout.ts';
import { RoomWindow } from './call_room.ts';
import {
  KIND_BROKEN_FRAME,
  KIND_FAULT,
  KIND_INTERRUPT,
  KIND_NOT_STARTED,
  KIND_SYSCALL,
  NEXT_SLOTS,
  NONCE_WORDS,
  OP_FORK,
  SLOT_SIZE,
  SLOTS,
  SLOTS_LENGTH,
  STATE_LEFT,
  STATE_POSTED,
  STATE_SLEEPING,
  W_ADDRESS,
  W_CODE,
  W_KIND,
  W_NONCE,
  W_SIGNAL,
  W_STATE,
} from './layout.ts';
import { clearAddressSpace, spawnSeed } from './seed.ts';
import { SlotWindow } from './slot_window.ts';
import { SystrapSpace } from './systrap_space.ts';
import type { SystrapThread } from './systrap_thread.ts';

export interface SystrapOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  /** A directory of a procfs that shows this process's children under the pids this process sees. */
  readonly procFd: number;
  /** The program `systrap_stub`, open for reading, by an identity that may read it. */
  readonly stubFd: number;
}

/** While threads keep stopping, host descriptors are looked at once in so many waits. */
const BUSY_ROUNDS = 16;
/** Where more threads than this are looked at, those that sleep are sought each time that so many slots have been looked at. */
const FEW_SLEEPERS = 64;
const LOOKS_PER_SEARCH = 2048 * FEW_SLEEPERS;
/** A search rouses this part of them at most. */
const ROUSED_PART = 1 / 4;
/** Looks at the slots between looks at the clock. */
const SPINS_PER_CLOCK = 32;
const WNOHANG = 1;
// eventfd(2), epoll_ctl(2)
const EFD_CLOEXEC = 0o2000000;
const EPOLLIN = 1;
const EPOLLOUT = 4;
const EPOLLET = 0x8000_0000;
const SOCK_SEQPACKET = 5;
// memfd_create(2), fcntl(2) F_ADD_SEALS
const MFD_CLOEXEC_SEALABLE = 3;
const F_ADD_SEALS = 1033;
const F_SEAL_SEAL = 1;
const F_SEAL_SHRINK = 2;
const F_SEAL_GROW = 4;
const F_SEAL_FUTURE_WRITE = 0x10;
const PAGE = 4096;

export class SystrapPlatform implements Platform {
  readonly name = 'systrap';
  readonly description = this.name;
  readonly minAddress = MIN_ADDRESS;
  readonly maxAddress = STUB_BASE;
  readonly host: Host;
  readonly proc: HostProc;
  readonly window = new SlotWindow();
  readonly rooms = new RoomWindow();
  /** The processor has what the fast way needs. */
  readonly patchesCalls = native.canPatchCalls();
  readonly restartsSequences: boolean;
  readonly placement: CpuPlacement;
  readonly scheduling: Scheduling;
  /** By pid; the seed is not among them. */
  readonly spaces = new Map<number, SystrapSpace>();
  private readonly poll: HostPoll;
  private readonly childFd: number;
  private readonly doorbell: number;
  /** Word 0: 1 while we sleep, so that stubs ring. */
  private readonly global: Int32Array<ArrayBuffer>;
  private readonly seed: SystrapThread;
  /** Threads whose slots are worth a look. */
  private readonly running: SystrapThread[] = [];
  private lost: { thread: SystrapThread; cause: string }[] = [];
  /** Stopped threads of which the next wait says that their frame is broken. */
  private broken: SystrapThread[] = [];
  /** Threads that the host has refused to make: the next wait says so. */
  private unborn: { via: SystrapThread; thread: SystrapThread; error: Errno }[] = [];
  private busyRounds = 0;
  private looks = 0;
  private readonly status = new Int32Array(1);
  private readonly drain = new Uint8Array(128);

  /** @throws Error with what the host refuses. */
  constructor(options: SystrapOptions) {
    this.host = options.host;
    this.restartsSequences = hostRestartsSequences(options.host);
    this.poll = options.poll;
    this.proc = new HostProc(options.host, options.procFd);
    this.childFd = native.childEventFd();
    if (this.childFd < 0) throw new Error(`signalfd: errno ${-this.childFd}`);
    this.poll.add(this.childFd, EPOLLIN, () => this.reap());
    this.doorbell = this.host.syscall(HOST_CALL.eventfd2, 0, EFD_CLOEXEC);
    this.poll.add(this.doorbell, EPOLLIN | EPOLLOUT | EPOLLET, (ready) => this.rang(ready));
    this.placement = new CpuPlacement(options.host, this.running, true);
    this.scheduling = new Scheduling(this.placement, new Niceness(options.host), this.proc);
    const globalFd = this.sealedMemory('sandbox', PAGE);
    if (globalFd < 0) throw new Error(`memfd_create: errno ${-globalFd}`);
    const global = native.mapShared(globalFd, PAGE, 0, 3);
    if (typeof global === 'number') throw new Error(`systrap: mmap: errno ${-global}`);
    this.global = new Int32Array(global);
    // Mapped by us; from here on it can only be mapped for reading.
    this.host.fcntl(globalFd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
    this.seed = this.startSeed(options, globalFd);
    this.host.close(globalFd);
  }

  private startSeed(options: SystrapOptions, globalFd: number): SystrapThread {
    const slots = this.sealedMemory('slots', SLOTS_LENGTH, F_SEAL_SEAL);
    const pair = this.host.socketpair(SOCK_SEQPACKET);
    if (slots < 0 || typeof pair === 'number') throw new Error('systrap: no descriptors');
    const [ours, theirs] = pair;
    const space = new SystrapSpace(this, slots, ours, 0, 0);
    const thread = space.addThread(0, null);
    if (typeof thread === 'number') throw new Error(`systrap: slot: errno ${-thread}`);
    const pid = spawnSeed(this.host, options.stubFd, { ours, theirs, doorbell: this.doorbell, slots, global: globalFd });
    space.pid = pid;
    this.proc.setOomScore(pid, 0);
    this.host.close(theirs);
    try {
      if (!this.adopt(thread, pid) || native.slotAwait(this.window.buffer, thread.place, pid) < 0)
        throw new Error(`systrap: the stub does not start (${this.endOf(pid)})`);
      space.vdsoBase = clearAddressSpace(this.host, options.procFd, pid, thread);
    } catch (e) {
      this.host.kill(pid, 9);
      throw e;
    }
    return thread;
  }
  private endOf(pid: number): string {
    const r = this.host.syscall(HOST_CALL.wait4, pid, this.status, __WALL | WNOHANG, null);
    return r === pid ? describeEnd(this.status[0] as number) : 'still running';
  }
  /** A memfd that keeps its size, or an errno. */
  private sealedMemory(name: string, length: number, more = 0): number {
    const fd = this.host.memfdCreate(name, MFD_CLOEXEC_SEALABLE);
    if (fd < 0) return fd;
    const sized = this.host.ftruncate(fd, length);
    const r = sized < 0 ? sized : this.host.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | more);
    if (r < 0) this.host.close(fd);
    return r < 0 ? r : fd;
  }

  newAddressSpace(): ThreadContext | Errno {
    return this.freshFrom(this.seed);
  }
  newSpaceSource(): SpaceSource | Errno {
    const seed = this.forkFrom(this.seed);
    if (typeof seed === 'number') return seed;
    return {
      pid: seed.space.pid,
      newAddressSpace: () => (seed.dead ? EAGAIN : this.freshFrom(seed)),
      release: () => seed.space.release(),
    };
  }
  private freshFrom(seed: SystrapThread): SystrapThread | Errno {
    const thread = this.forkFrom(seed);
    if (typeof thread === 'number') return thread;
    thread.registers().u64.fill(0n); // the seed's tell about the host
    thread.setRegisters();
    return thread;
  }
  /** A child process of `via`'s, whose one thread has stopped where `via` has. */
  forkFrom(via: SystrapThread): SystrapThread | Errno {
    const slots = this.sealedMemory('slots', SLOTS_LENGTH, F_SEAL_SEAL);
    if (slots < 0) return slots as Errno;
    const pair = this.host.socketpair(SOCK_SEQPACKET);
    if (typeof pair === 'number') {
      this.host.close(slots);
      return pair;
    }
    const [ours, theirs] = pair;
    const space = new SystrapSpace(this, slots, ours, via.index, via.space.vdsoBase);
    space.inherited = via.space.sites;
    const thread = space.addThread(via.index, via);
    const r = typeof thread === 'number' ? thread : this.forkInto(via, thread, slots, theirs);
    this.host.close(theirs);
    if (r < 0) {
      space.release();
      return r as Errno;
    }
    this.spaces.set(space.pid, space);
    return thread as SystrapThread;
  }
  private forkInto(via: SystrapThread, child: SystrapThread, slots: number, theirs: number): number {
    const nonce = this.window.randomize(this.host, child.at + W_NONCE, NONCE_WORDS);
    via.needFrame();
    child.startLike(via);
    child.inheritRseq(via);
    const sent = this.host.sendWithFds(via.space.socket, new Uint8Array(1), [slots, theirs], 0x40 /* MSG_DONTWAIT */);
    if (sent < 0) return sent;
    via.push(OP_FORK, 0);
    const pid = via.runCommands();
    if (pid < 0) return pid;
    if (!this.isChild(pid, child, nonce)) {
      this.dismiss(child, via);
      this.lose(via, 'the stub names a process that is not its child');
      return EAGAIN;
    }
    child.space.pid = pid;
    child.tid = pid;
    this.scheduling.inherit(child, via);
    return 0;
  }
  /**
   * The number comes from the application's memory. It is taken for the child's only if that process sees the fresh slots where the stub
   * has them, and is nobody else's: then it is a process that this application made.
   */
  private isChild(pid: number, child: SystrapThread, nonce: Int32Array): boolean {
    if (pid <= 1 || this.spaces.has(pid) || pid === this.seed?.space.pid) return false;
    const offset = child.index * SLOT_SIZE + W_NONCE * 4;
    // In their place already, or where they were prepared; between the two looks they may have been moved.
    return this.shows(pid, SLOTS + offset, nonce) || this.shows(pid, NEXT_SLOTS + offset, nonce) || this.shows(pid, SLOTS + offset, nonce);
  }
  private shows(pid: number, address: number, nonce: Int32Array): boolean {
    const seen = new Int32Array(NONCE_WORDS);
    if (native.readProcess(pid, address, seen, 0, NONCE_WORDS * 4) !== NONCE_WORDS * 4) return false;
    return seen.every((word, i) => word === nonce[i]);
  }
  /** Whatever process it is that serves the child's slot: it is told to end. */
  private dismiss(child: SystrapThread, via: SystrapThread): void {
    if (native.slotAwait(this.window.buffer, child.place, via.space.pid) < 0) return;
    child.tid = -1; // not the first thread of a process that we keep
    child.leave();
  }
  /** False if `tid`, which its process has named, is none of the process's. */
  adopt(thread: SystrapThread, tid: number): boolean {
    if (this.host.syscall(HOST_CALL.tgkill, thread.space.pid, tid, 0) < 0) return false;
    thread.tid = tid;
    return true;
  }

  /** The thread runs: its slot is worth a look. */
  started(thread: SystrapThread): void {
    thread.runIndex = this.running.length;
    this.running.push(thread);
    this.placement.resumed();
  }
  private unlist(thread: SystrapThread): void {
    const at = thread.runIndex;
    if (at < 0) return;
    const last = this.running.pop() as SystrapThread;
    if (last !== thread) {
      this.running[at] = last;
      last.runIndex = at;
    }
    thread.runIndex = -1;
  }
  /** Nobody hears of the thread any more. */
  forget(thread: SystrapThread): void {
    thread.dead = true;
    this.unlist(thread);
    this.placement.ended(thread);
  }
  /** The stub broke the rules, or cannot go on: its process ends, wait reports it. */
  lose(thread: SystrapThread, cause: string): void {
    if (thread.dead) return;
    if (thread.space.pid > 0) this.host.kill(thread.space.pid, 9);
    this.forget(thread);
    thread.space.threads.delete(thread);
    if (thread !== this.seed) this.lost.push({ thread, cause }); // of the seed nobody has heard
  }
  /** A stub was waited for, which may have taken its time: host descriptors are looked at the sooner. */
  waitedForStub(): void {
    this.busyRounds++;
  }
  frameBroken(thread: SystrapThread): void {
    this.broken.push(thread);
  }
  notStarted(via: SystrapThread, thread: SystrapThread, error: number): void {
    thread.stillborn = true;
    this.unborn.push({ via, thread, error: error as Errno });
  }
  /** Children that have ended. Those of released spaces have no listener. */
  private reap(): void {
    this.host.read(this.childFd, this.drain);
    for (;;) {
      const pid = this.host.syscall(HOST_CALL.wait4, -1, this.status, __WALL | WNOHANG, null);
      if (pid <= 0) return;
      const space = this.spaces.get(pid);
      if (space === undefined) continue;
      this.spaces.delete(pid);
      space.pid = 0; // its number may be another's soon
      const cause = describeEnd(this.status[0] as number);
      for (const thread of space.threads) {
        this.forget(thread);
        this.lost.push({ thread, cause });
      }
    }
  }

  wait(events: ThreadEvents, deadline: number): void {
    if (this.lost.length > 0) {
      const lost = this.lost;
      this.lost = [];
      for (const { thread, cause } of lost) events.exited(thread, cause);
      return;
    }
    if (this.broken.length > 0) {
      const broken = this.broken;
      this.broken = [];
      for (const thread of broken) if (!thread.dead) events.brokenFrame?.(thread);
      return;
    }
    if (this.unborn.length > 0) {
      const { unborn } = this;
      this.unborn = [];
      for (const { via, thread, error } of unborn) if (!thread.dead) events.notStarted?.(via, thread, error);
      return;
    }
    const handled = this.scan(events);
    if (handled > 0) {
      this.looks += this.running.length;
      if (this.looks >= LOOKS_PER_SEARCH) this.rouseSleepers();
      if (++this.busyRounds >= BUSY_ROUNDS) {
        this.busyRounds = 0;
        this.poll.wait(0);
      }
      this.placement.round(false);
      return;
    }
    this.busyRounds = 0;
    if (deadline !== 0 && this.placement.expecting && this.lookAgain()) {
      this.scan(events);
      this.placement.round(false);
      return;
    }
    this.sleep(events, deadline);
  }
  /** Each look at the slots costs for each thread that runs: those that sleep for long are told to sleep in the Sentry instead. */
  private rouseSleepers(): void {
    this.looks = 0;
    if (this.running.length <= FEW_SLEEPERS) return;
    let left = this.running.length * ROUSED_PART;
    for (const thread of this.running) if (thread.sleptSinceLastAsked() && left-- > 0) thread.rouse();
  }
  /** A hot thread will call in no time. True if one has. */
  private lookAgain(): boolean {
    const end = this.host.monotonicNow() + SPIN_NS;
    for (;;) {
      for (let i = 0; i < SPINS_PER_CLOCK; i++) if (this.anyPosted()) return true;
      if (this.host.monotonicNow() > end) return false;
    }
  }
  private sleep(events: ThreadEvents, deadline: number): void {
    Atomics.store(this.global, 0, 1);
    // A stub that posted before it could see that must not be missed.
    this.poll.waitUntil(this.anyPosted() ? 0 : this.placement.deadline(deadline));
    Atomics.store(this.global, 0, 0);
    const handled = this.scan(events);
    this.placement.round(handled === 0);
  }
  /**
   * The bell itself says nothing: slots do. Each ring is an event of its own (EPOLLET), so it is emptied only when it is full: then stubs
   * that ring wait for it.
   */
  private rang(ready: number): void {
    if ((ready & EPOLLOUT) === 0) this.host.read(this.doorbell, this.drain);
  }
  private anyPosted(): boolean {
    const { running } = this;
    for (let i = 0; i < running.length; i++) {
      const state = Atomics.load(this.window.words, (running[i] as SystrapThread).at + W_STATE);
      if (isPosted(state)) return true;
    }
    return false;
  }
  /** Handles each thread that has posted, once. How many. */
  private scan(events: ThreadEvents): number {
    const { running } = this;
    let handled = 0;
    // Whoever is resumed meanwhile lands at the end, and waits for the next scan.
    for (let i = 0, left = running.length; left > 0 && i < running.length; left--) {
      const thread = running[i] as SystrapThread;
      const state = Atomics.load(this.window.words, thread.at + W_STATE);
      if (!isPosted(state)) {
        i++;
        continue;
      }
      this.unlist(thread);
      handled++;
      this.handleSafely(events, thread);
    }
    return handled;
  }
  /** Whatever a stub has posted, it costs its own process at most. */
  private handleSafely(events: ThreadEvents, thread: SystrapThread): void {
    try {
      this.handle(events, thread);
      thread.startNow();
    } catch (e) {
      this.lose(thread, `broken platform: ${(e as Error).stack ?? e}`);
    }
  }
  private handle(events: ThreadEvents, thread: SystrapThread): void {
    thread.stopped();
    if (thread.dead) {
      thread.leave();
      return;
    }
    const words = this.window.words;
    const kind = words[thread.at + W_KIND];
    if (kind === KIND_SYSCALL) {
      thread.interruptWanted = false;
      thread.takeCall();
      thread.considerSite();
      this.placement.stopped(thread);
      events.syscall(thread);
      if (!thread.running && !thread.dead) thread.waits();
      thread.callMemory.settle(thread.space.threaded);
    } else if (kind === KIND_FAULT) {
      thread.interruptWanted = false;
      const low = (words[thread.at + W_ADDRESS] as number) >>> 0;
      const high = (words[thread.at + W_ADDRESS + 1] as number) >>> 0;
      const what = words[thread.at + W_SIGNAL] as number;
      const signal = what & 0xff;
      const trap = { error: (what >> 8) & 0xff, vector: (what >> 16) & 0xff };
      if (thread.leaveTrampoline(signal, words[thread.at + W_CODE] as number)) return;
      if (signal >= 1 && signal <= 31) events.fault(thread, signal, words[thread.at + W_CODE] as number, high * 0x1_0000_0000 + low, trap);
      else this.lose(thread, `the stub reports signal ${signal}`);
    } else if (kind === KIND_INTERRUPT) {
      thread.leaveTrampoline(0, 0);
      const wanted = thread.interruptWanted;
      thread.interruptWanted = false;
      if (wanted) events.interrupted(thread);
      else thread.resume();
    } else if (kind === KIND_NOT_STARTED && thread.askedFor?.dead === false) {
      this.notStarted(thread, thread.askedFor, -((words[thread.at + W_CODE] as number) & 0xfff));
      thread.askedFor = null;
    } else if (kind === KIND_BROKEN_FRAME && events.brokenFrame !== undefined) {
      events.brokenFrame(thread);
    } else {
      this.lose(thread, `the stub reports ${kind}`);
    }
  }

  shutdown(): void {
    const pids = [...this.spaces.keys(), this.seed.space.pid];
    for (const space of [...this.spaces.values()]) space.release();
    this.seed.space.release();
    for (const pid of pids) this.host.syscall(HOST_CALL.wait4, pid, this.status, __WALL, null);
    this.poll.remove(this.childFd);
    this.poll.remove(this.doorbell);
    this.host.close(this.doorbell);
  }
}

function isPosted(state: number): boolean {
  return state === STATE_POSTED || state === STATE_SLEEPING || state === STATE_LEFT;
}
