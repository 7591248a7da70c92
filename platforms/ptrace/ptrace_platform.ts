/**
 * The ptrace platform: applications run in host processes whose every system call stops (PTRACE_SYSEMU). Needs nothing of the host
 * but ptrace of its own children. The constructor and all methods run on one thread, which must be the process's main thread.
 */
import { EAGAIN, type Errno } from '../../abi/errno.ts';
import { SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP } from '../../abi/signal.ts';
import type { Host } from '../../lib/host.ts';
import { native } from '../../native-addon/native.ts';
import { CpuPlacement } from '../cpu_placement.ts';
import type { HostPoll } from '../host_poll.ts';
import { HostProc } from '../host_proc.ts';
import { Niceness } from '../niceness.ts';
import { type Platform, REG, type Registers, type SpaceSource, type ThreadContext, type ThreadEvents } from '../platform.ts';
import { hostRestartsSequences } from '../rseq_probe.ts';
import { Scheduling } from '../scheduling.ts';
import { MIN_ADDRESS, STUB_BASE } from '../stub_layout.ts';
import { DescriptorChannel } from './descriptor_channel.ts';
import { FORK_FLAGS } from './injection.ts';
import { PtraceSpace } from './ptrace_space.ts';
import { PtraceThread } from './ptrace_thread.ts';
import { __WALL, HOST_CALL, PTRACE_EVENT_STOP } from './requests.ts';
import { type Seed, startSeed } from './seed.ts';
import { describeEnd, MAX_STOPS, POLL_READABLE, STOP_CODE, STOP_NUMBER, STOP_PID, STOP_STATUS, STOP_WORDS, SYSCALL_STOP } from './stops.ts';
import { Tracer } from './tracer.ts';

export interface PtraceOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  /** A directory of a procfs that shows this process's children under the pids this process sees. */
  readonly procFd: number;
  /** The program `ptrace_stub`, open for reading, by an identity that may read it. */
  readonly stubFd: number;
}

/** While threads keep stopping, host descriptors are looked at once in so many waits. */
const BUSY_ROUNDS = 16;

export class PtracePlatform implements Platform {
  readonly name = 'ptrace';
  readonly description = this.name;
  readonly minAddress = MIN_ADDRESS;
  readonly maxAddress = STUB_BASE;
  readonly host: Host;
  readonly proc: HostProc;
  readonly restartsSequences: boolean;
  readonly tracer: Tracer;
  readonly channel: DescriptorChannel;
  readonly placement: CpuPlacement;
  readonly scheduling: Scheduling;
  private readonly poll: HostPoll;
  private readonly childFd: number;
  private readonly seed: Seed;
  private readonly seedThread: PtraceThread;
  /** Every traced thread that still has a listener. */
  private readonly threads = new Map<number, PtraceThread>();
  private readonly stops = new Uint32Array(STOP_WORDS * MAX_STOPS);
  private lost: { thread: PtraceThread; cause: string }[] = [];
  private busyRounds = 0;

  /** @throws Error with what the host refuses. */
  constructor(options: PtraceOptions) {
    this.host = options.host;
    this.poll = options.poll;
    this.proc = new HostProc(options.host, options.procFd);
    this.restartsSequences = hostRestartsSequences(options.host);
    this.tracer = new Tracer(options.host);
    this.channel = new DescriptorChannel(options.host);
    this.childFd = native.childEventFd();
    if (this.childFd < 0) throw new Error(`signalfd: errno ${-this.childFd}`);
    this.placement = new CpuPlacement(options.host, { [Symbol.iterator]: () => this.threads.values() }, false);
    this.scheduling = new Scheduling(this.placement, new Niceness(options.host), this.proc);
    this.seed = startSeed(options.host, options.procFd, options.stubFd, this.channel.theirs);
    this.proc.setOomScore(this.seed.pid, 0);
    this.seedThread = new PtraceThread(this, new PtraceSpace(this, this.seed.pid, this.seed.vdsoBase), this.seed.pid, null);
  }

  newAddressSpace(): ThreadContext | Errno {
    return this.freshFrom(this.seedThread);
  }
  newSpaceSource(): SpaceSource | Errno {
    const seed = this.forkFrom(this.seedThread, FORK_FLAGS);
    if (typeof seed === 'number') return seed;
    return {
      pid: seed.space.pid,
      newAddressSpace: () => (seed.dead ? EAGAIN : this.freshFrom(seed)),
      release: () => seed.space.release(),
    };
  }
  private freshFrom(seed: PtraceThread): PtraceThread | Errno {
    const thread = this.forkFrom(seed, FORK_FLAGS);
    if (typeof thread === 'number') return thread;
    thread.registers().u64.fill(0n); // the seed's tell about the host
    thread.setRegisters();
    return thread;
  }
  forkFrom(via: PtraceThread, flags: number): PtraceThread | Errno {
    const pid = via.clone(flags);
    if (pid < 0) return pid as Errno;
    const thread = this.adopt(new PtraceThread(this, new PtraceSpace(this, pid, this.seed.vdsoBase), pid, via));
    thread.takeStopOf(via);
    thread.inheritRseq(via);
    this.scheduling.inherit(thread, via);
    return thread;
  }
  adopt(thread: PtraceThread): PtraceThread {
    this.threads.set(thread.tid, thread);
    thread.space.threads.add(thread);
    return thread;
  }
  /** Nobody hears of the thread any more. Its number stays taken until wait has reaped it. */
  forget(thread: PtraceThread): void {
    thread.dead = true;
    this.threads.delete(thread.tid);
  }
  /** The host thread is gone, or unusable: the process ends, wait reports it. */
  lose(thread: PtraceThread, cause: string): void {
    if (thread.dead) return;
    this.host.kill(thread.space.pid, 9);
    this.forget(thread);
    thread.space.threads.delete(thread);
    if (thread !== this.seedThread) this.lost.push({ thread, cause }); // of the seed nobody has heard
  }

  wait(events: ThreadEvents, deadline: number): void {
    if (this.lost.length > 0) {
      const lost = this.lost;
      this.lost = [];
      for (const { thread, cause } of lost) events.exited(thread, cause);
      return;
    }
    const r = native.ptraceWait(this.childFd, this.poll.fd, this.timeoutUntil(this.placement.deadline(deadline)), this.stops);
    if (r < 0) throw new Error(`ptraceWait: errno ${-r}`);
    const count = r & (POLL_READABLE - 1);
    for (let at = 0; at < count * STOP_WORDS; at += STOP_WORDS) this.handleSafely(events, at);
    if (r >= POLL_READABLE || (count > 0 && ++this.busyRounds >= BUSY_ROUNDS)) {
      this.busyRounds = 0;
      this.poll.wait(0);
    }
    this.placement.round(r === 0);
  }
  /** ns for ptraceWait. */
  private timeoutUntil(deadline: number): number {
    if (deadline === 0) return 0;
    if (deadline === Number.POSITIVE_INFINITY) return -1;
    return Math.max(0, deadline - this.host.monotonicNow());
  }

  /** Whatever a process has done, it costs that process at most. */
  private handleSafely(events: ThreadEvents, at: number): void {
    try {
      this.handle(events, at);
    } catch (e) {
      const thread = this.threads.get(this.stops[at + STOP_PID] as number);
      if (thread === undefined) throw e;
      this.host.kill(thread.space.pid, 9);
      if (!thread.dead) this.lost.push({ thread, cause: `broken platform: ${(e as Error).stack ?? e}` });
    }
  }

  private handle(events: ThreadEvents, at: number): void {
    const stops = this.stops;
    const thread = this.threads.get(stops[at + STOP_PID] as number);
    if (thread === undefined) return; // released; this is its end
    const status = stops[at + STOP_STATUS] as number;
    if ((status & 0xff) !== 0x7f) {
      this.ended(events, thread, status);
    } else if (thread.dead) {
      thread.stopped();
      thread.leave();
    } else if (((status >> 8) & 0xff) === SYSCALL_STOP) {
      thread.stoppedAtCall(stops, at);
      this.placement.stopped(thread);
      events.syscall(thread);
    } else if (status >> 16 === PTRACE_EVENT_STOP) {
      this.trapped(events, thread);
    } else {
      this.signalled(events, thread, status >> 8, at);
    }
  }
  private ended(events: ThreadEvents, thread: PtraceThread, status: number): void {
    const expected = thread.dead;
    this.forget(thread);
    thread.space.threads.delete(thread);
    if (!expected) events.exited(thread, describeEnd(status));
  }
  /** An interrupt, or one that came too late: another stop was reported in its place. */
  private trapped(events: ThreadEvents, thread: PtraceThread): void {
    const wanted = thread.interruptWanted;
    thread.stopped();
    thread.interruptWanted = false;
    if (wanted) events.interrupted(thread);
    else thread.resume();
  }
  /** Only what the thread's own instruction raised is its business; signals from the host's other processes are dropped. */
  private signalled(events: ThreadEvents, thread: PtraceThread, signal: number, at: number): void {
    const code = (this.stops[at + STOP_CODE] as number) | 0;
    const low = this.stops[at + STOP_NUMBER] as number;
    const address = (this.stops[at + STOP_NUMBER + 1] as number) * 0x1_0000_0000 + low;
    thread.stopped();
    const own = signal === SIGSEGV || signal === SIGBUS || signal === SIGFPE || signal === SIGILL || signal === SIGTRAP;
    if (!own || code <= 0) {
      thread.resume();
      return;
    }
    thread.interruptWanted = false;
    events.fault(thread, signal, code, address);
  }

  /** Registers with which a thread ends itself. */
  exitGate(regs: Registers): void {
    regs.set(REG.rip, STUB_BASE);
    regs.set(REG.rax, HOST_CALL.exit);
    regs.set(REG.rdi, 0);
  }
  threadCpuTime(thread: PtraceThread): number {
    return this.proc.cpuTime(thread.space.pid, thread.tid);
  }
  shutdown(): void {
    const spaces = new Set<PtraceSpace>([this.seedThread.space]);
    for (const thread of this.threads.values()) spaces.add(thread.space);
    for (const space of spaces) space.release();
    const status = new Int32Array(1);
    for (const space of spaces) this.host.syscall(HOST_CALL.wait4, space.pid, status, __WALL, null);
    this.channel.close();
  }
}
