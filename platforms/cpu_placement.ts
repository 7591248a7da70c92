/**
 * Which CPU application threads run on. A stop and its answer cost a few microseconds if thread and kernel share a CPU, and ten times
 * that if the answer has to wake an idle CPU; but threads that compute must spread. So threads that call run on one CPU ("home"), where
 * a thread starts; it is set free when it computes, and comes back when it calls often.
 *
 * The kernel thread is at home too, or apart: on a CPU of its own, if there are many calls and that brings more of them. Then both sides look for each
 * other's answer for a while before they sleep; threads that take turns (client and server, both ends of a pipe) stop looking as soon as their call
 * waits for somebody, and the next one runs. Where that brings nothing, or CPUs are left, single threads get CPUs of their own (hot_callers.ts).
 *
 * Interface: `started` for each new thread, `stopped` at each stop, `resumed` at each resume, `round` once a wait; `deadline` bounds the
 * wait while a thread at home runs. What the application itself allows a thread (sched_setaffinity(2)) holds throughout: `restrict`. An idle sandbox has no thread that runs at home for longer than one tick, so it does not tick.
 */
import type { Host } from '../lib/host.ts';
import { CallRhythm } from './call_rhythm.ts';
import { cpusOf, isIn, MASK_BYTES, setIn } from './cpu_mask.ts';
import { Heat, HOT_CALLS, HotCallers } from './hot_callers.ts';
import { Trial } from './trial.ts';

/** ns between looks at who computes. A thread that runs through one without a stop is set free. */
const TICK = 5e6;
/** The kernel thread apart is in nobody's way, and who called all the time may have had to wait for a slice. */
const STILL_TICKS = 3;
/** Waits between looks at the clock. */
const ROUNDS_PER_CLOCK = 16;
/** A free thread that stops so often in one tick (a gap below TICK / 8) comes home. */
const CALLS_TO_COME_HOME = 8;
/** Threads that contend for the home CPU in so many ticks in a row: the one that stops least leaves, if its gap is above 100 µs. */
const CONTENDED_TICKS = 4;
const CALLS_TO_STAY = 50;
/** Ticks for which such a thread stays away. */
const AWAY_TICKS = 100;
/** Ticks after which the kernel thread lets the host choose its CPU again: another sandbox may have come to this one. */
const TICKS_PER_CHOICE = 100;

/** What a stub's `spin` means: cycles of the time stamp counter. 30 to 50 µs; less where another thread could run instead. */
const SPIN_CYCLES = 120_000;
const SHARED_SPIN_CYCLES = 30_000;
/** And the kernel thread's, ns. */
export const SPIN_NS = 40_000;

const SCHED_SETAFFINITY = 203;
const SCHED_GETAFFINITY = 204;
const GETCPU = 309;

/** The placement's part of a thread. */
export interface PlacedThread {
  readonly tid: number;
  readonly running: boolean;
  /** It runs, but sleeps. */
  readonly asleep?: boolean;
  readonly placement: ThreadPlacement;
}
export class ThreadPlacement {
  /** Kept on this CPU; -1: free. */
  cpu: number;
  stops = 0;
  stopsAtTick = 0;
  /** Ticks in a row that it has run through at home without a stop. */
  still = 0;
  /** It comes home at its next stop. */
  returning = false;
  /** Tick before which it stays free. */
  awayUntil = 0;
  /** CPUs that the application allows it; null: all. */
  allowed: readonly number[] | null;
  readonly heat = new Heat();

  constructor(cpu: number, allowed: readonly number[] | null) {
    this.cpu = cpu;
    this.allowed = allowed;
  }
  mayRunOn(cpu: number): boolean {
    return this.allowed === null || this.allowed.includes(cpu);
  }
}

export class CpuPlacement {
  /** Where threads that call run. */
  home = -1;
  /** The kernel thread's; `home` unless it is apart. */
  private kernel = -1;
  private readonly host: Host;
  private readonly threads: Iterable<PlacedThread>;
  private readonly allowed = new Uint8Array(MASK_BYTES);
  private readonly mask = new Uint8Array(MASK_BYTES);
  private rounds = 0;
  private tick = 0;
  private lastTick = 0;
  private contended = 0;
  private ticksOnCpu = 0;
  /** No thread runs at home, as far as the last look and the resumes since say. */
  private quiet = true;
  /** Null where the platform cannot spin. */
  readonly hot: HotCallers | null;
  /** The kernel thread's being apart. */
  private readonly apart = new Trial();
  private readonly cpus: readonly number[];
  private readonly rhythm = new CallRhythm();

  /** threads: all of the platform's that run, or more, iterated once a tick. spins: stubs can wait awake. Pins the calling thread. */
  constructor(host: Host, threads: Iterable<PlacedThread>, spins: boolean) {
    this.host = host;
    this.threads = threads;
    host.syscall(SCHED_GETAFFINITY, 0, MASK_BYTES, this.allowed);
    this.cpus = cpusOf(this.allowed);
    this.hot = spins ? new HotCallers(this.cpus) : null;
    this.choose();
  }

  /** A thread cloned from `parent` (null: started by the kernel thread) has its CPU. */
  started(parent: PlacedThread | null): ThreadPlacement {
    return parent === null ? new ThreadPlacement(this.home, null) : new ThreadPlacement(parent.placement.cpu, parent.placement.allowed);
  }
  /** The application allows it these CPUs alone (null: all); those that are not ours do not count. */
  restrict(thread: PlacedThread, cpus: readonly number[] | null): void {
    const { placement } = thread;
    const usable = cpus?.filter((cpu) => isIn(this.allowed, cpu)) ?? [];
    placement.allowed = usable.length > 0 ? usable : null;
    this.hot?.drop(thread);
    this.place(thread, this.home >= 0 && placement.mayRunOn(this.home) ? this.home : -1);
  }
  /** The kernel thread waits for it: at home it runs at once, elsewhere when others let it. Until `relax`. */
  hurry(thread: PlacedThread): void {
    if (this.home >= 0 && !thread.placement.mayRunOn(this.home)) this.setMask(thread.tid, this.only(this.home));
  }
  relax(thread: PlacedThread): void {
    if (this.home >= 0 && !thread.placement.mayRunOn(this.home)) this.place(thread, thread.placement.cpu);
  }
  /** At each stop. */
  stopped(thread: PlacedThread): void {
    const placement = thread.placement;
    placement.stops++;
    this.rhythm.stopped(thread);
    if (this.home < 0 || placement.heat.cpu >= 0) return;
    if (placement.returning || (placement.cpu >= 0 && placement.cpu !== this.home)) {
      placement.returning = false;
      this.place(thread, placement.mayRunOn(this.home) ? this.home : -1);
    }
  }
  resumed(): void {
    this.quiet = false;
  }
  private get isApart(): boolean {
    return this.kernel !== this.home;
  }
  /** Cycles for which the thread's stub is to look for its next answer before it sleeps. */
  spinOf(placement: ThreadPlacement): number {
    if (placement.heat.cpu >= 0) return SPIN_CYCLES;
    if (!this.isApart || placement.cpu !== this.home) return 0;
    return this.rhythm.takingTurns ? SHARED_SPIN_CYCLES : SPIN_CYCLES;
  }
  /** Another thread may want the CPU of one whose call waits. */
  shares(placement: ThreadPlacement): boolean {
    return this.rhythm.takingTurns && placement.heat.cpu < 0 && this.isApart;
  }
  /** Whether the kernel thread should look again before it sleeps: who has another CPU will call in no time. */
  get expecting(): boolean {
    if (this.hot === null) return false;
    if (!this.isApart) return this.hot.callers.some(isAwake);
    for (const thread of this.threads) {
      const { heat, cpu } = thread.placement;
      if ((heat.cpu >= 0 || cpu === this.home) && isAwake(thread)) return true;
    }
    return false;
  }
  /** `deadline` (CLOCK_MONOTONIC ns), or the time before it by which a round must come so that the ticks go on. */
  deadline(deadline: number): number {
    return this.quiet ? deadline : Math.min(deadline, this.lastTick + TICK);
  }
  /** After each wait. idle: it ended without an event. */
  round(idle: boolean): void {
    if (!idle && ++this.rounds < ROUNDS_PER_CLOCK) return;
    this.rounds = 0;
    const now = this.host.monotonicNow();
    if (now - this.lastTick < TICK * 0.9) return;
    const gap = now - this.lastTick;
    this.lastTick = now;
    // After a sleep the counts say nothing about frequency.
    if (gap < 2 * TICK) this.look();
    else for (const thread of this.threads) thread.placement.stopsAtTick = thread.placement.stops;
  }

  private look(): void {
    this.tick++;
    this.rhythm.tick();
    this.judgeHot();
    let atHome = 0;
    let rarest: PlacedThread | null = null;
    let fewest = CALLS_TO_STAY;
    let computing = 0;
    let stranger: PlacedThread | null = null;
    let most = CALLS_TO_COME_HOME - 1;
    this.quiet = true;
    for (const thread of this.threads) {
      const p = thread.placement;
      if (p.heat.cpu >= 0 || (p.returning && p.cpu >= 0)) continue;
      const calls = p.stops - p.stopsAtTick;
      p.stopsAtTick = p.stops;
      if (p.cpu < 0) {
        if (thread.running && thread.asleep !== true && calls < CALLS_TO_COME_HOME) computing++;
        p.returning = calls >= CALLS_TO_COME_HOME && this.tick >= p.awayUntil && p.mayRunOn(this.home);
        if (calls > most && !p.mayRunOn(this.home)) {
          most = calls;
          stranger = thread;
        }
      } else if (thread.running) {
        p.still = calls === 0 ? p.still + 1 : 0;
        if (p.still >= (this.isApart ? STILL_TICKS : 1)) {
          this.place(thread, -1);
          continue;
        }
        this.quiet = false;
        atHome++;
        this.consider(thread, calls, computing);
        if (calls < fewest) {
          fewest = calls;
          rarest = thread;
        }
      }
    }
    this.judgeApart(computing);
    this.contended = atHome >= 2 ? this.contended + 1 : 0;
    if (this.contended >= CONTENDED_TICKS && rarest !== null) {
      this.contended = 0;
      rarest.placement.awayUntil = this.tick + AWAY_TICKS;
      this.place(rarest, -1);
    }
    if (stranger !== null && atHome === 0 && !this.isApart) {
      this.moveTo(stranger);
    } else if (++this.ticksOnCpu >= TICKS_PER_CHOICE && !this.hot?.any && !this.isApart) {
      this.ticksOnCpu = 0;
      // The host may move us until the next choice; threads at home follow at their next stop.
      if (this.home >= 0) this.setMask(0, this.allowed);
      this.home = -1;
      this.kernel = -1;
    } else if (this.home < 0) {
      this.choose();
    }
  }
  /** A thread that calls very often may get a CPU of its own. */
  private consider(thread: PlacedThread, calls: number, computing: number): void {
    if (this.hot === null || this.home < 0 || !(this.isApart ? this.rhythm.takingTurns : this.apart.hasFailed)) return;
    const taken = computing + (this.isApart ? 2 : 1);
    const cpu = this.hot.consider(thread, calls, this.tick, taken, (c) => c !== this.home && c !== this.kernel);
    if (cpu >= 0) this.place(thread, cpu);
  }
  /** The kernel thread parts from those that call, or joins them. computing: threads elsewhere. */
  private judgeApart(computing: number): void {
    if (this.hot === null || this.home < 0) return;
    const { last, before } = this.rhythm;
    if (this.isApart) {
      if (!this.apart.goesOn(last, this.tick)) this.moveKernel(this.home);
    } else if (Math.min(last, before) >= HOT_CALLS && this.apart.isDue(this.tick)) {
      this.part((last + before) / 2, computing);
    }
  }
  /** Calls of a tick go up and down: `calls` is a mean. */
  private part(calls: number, computing: number): void {
    const [first] = this.hot?.callers ?? [];
    if (first === undefined) {
      const cpu = this.cpus.find((c) => c !== this.home);
      if (cpu === undefined || computing + 1 >= this.cpus.length) return;
      this.moveKernel(cpu);
    } else {
      if (!this.rhythm.takingTurns) return;
      this.home = first.placement.heat.cpu; // the others come to it
      while (this.hot?.callers[0] !== undefined) this.hot.drop(this.hot.callers[0]);
    }
    this.apart.start(calls);
  }
  private moveKernel(cpu: number): void {
    this.kernel = cpu;
    this.setMask(0, this.only(cpu));
  }
  private judgeHot(): void {
    if (this.hot === null) return;
    const { callers } = this.hot;
    for (let i = callers.length - 1; i >= 0; i--) {
      const thread = callers[i] as PlacedThread;
      const p = thread.placement;
      const calls = p.stops - p.stopsAtTick;
      p.stopsAtTick = p.stops;
      if (thread.running) this.quiet = false;
      if (!this.hot.judge(thread, calls, this.tick)) p.returning = true;
    }
  }
  /** It runs no more. */
  ended(thread: PlacedThread): void {
    this.hot?.drop(thread);
  }
  private choose(): void {
    const cpu = new Uint32Array(1);
    if (this.host.syscall(GETCPU, cpu, null, null) < 0) return;
    this.home = cpu[0] as number;
    this.moveKernel(this.home);
  }
  /** A caller that may not come home: nobody else is there, so the kernel thread comes to it. */
  private moveTo(thread: PlacedThread): void {
    this.ticksOnCpu = 0;
    this.home = thread.placement.allowed?.[0] ?? this.home;
    this.moveKernel(this.home);
    this.place(thread, this.home);
  }
  private place(thread: PlacedThread, cpu: number): void {
    const { placement } = thread;
    placement.cpu = cpu;
    this.setMask(thread.tid, cpu >= 0 ? this.only(cpu) : placement.allowed === null ? this.allowed : this.all(placement.allowed));
  }
  private only(cpu: number): Uint8Array {
    this.mask.fill(0);
    setIn(this.mask, cpu);
    return this.mask;
  }
  private all(cpus: readonly number[]): Uint8Array {
    this.mask.fill(0);
    for (const cpu of cpus) setIn(this.mask, cpu);
    return this.mask;
  }
  /** An error (a CPU taken away, the thread gone) leaves the thread where it is: slower, not wrong. */
  private setMask(tid: number, mask: Uint8Array): void {
    this.host.syscall(SCHED_SETAFFINITY, tid, MASK_BYTES, mask);
  }
}

function isAwake(thread: PlacedThread): boolean {
  return thread.running && thread.asleep !== true;
}
