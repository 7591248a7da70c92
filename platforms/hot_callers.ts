/**
 * Threads that call so often that it pays to burn a CPU for them: such a thread gets a CPU of its own, and both it and the kernel thread
 * look for each other's answer for a while before they sleep. Where that CPU is not really free (another tenant, a hyperthread) it
 * does not pay, and nothing says so beforehand: so a promotion is a trial, judged by the calls that the thread gets done.
 */
import type { PlacedThread } from './cpu_placement.ts';

/** Calls in a tick of 5 ms from which a thread is tried: a gap of 20 µs. */
const HOT_CALLS = 250;
/** Below this both sides burn their CPUs for nothing. */
const COOL_CALLS = 100;
/** A trial must bring so many times the calls that the thread made at home. */
const WORTH = 1.4;
/** Ticks in which a trial may show it: the first sees the move, and any of them can see somebody else (a compiler's thread) have the CPU for a slice. */
const TRIAL_TICKS = 4;
/** Later it must not fall below this part of what it made at home, */
const FLOOR = 0.7;
/** for so many ticks in a row: one alone says that somebody had a slice, or that the program did something else. */
const SLOW_TICKS = 4;
/** Ticks until the next trial: of a thread whose last one paid, and of one whose did not; doubled by each that failed. */
const SHORT_PAUSE = 4;
const FIRST_PAUSE = 40;
const LONGEST_PAUSE = 4000;
const MOST_HOT = 3;

/** What a stub's `spin` means: cycles of the time stamp counter. 30 to 50 µs. */
export const SPIN_CYCLES = 120_000;
/** And the kernel thread's, ns. */
export const SPIN_NS = 40_000;

/** The promotion's part of a thread. */
export class Heat {
  /** The CPU it has to itself; -1: it is not hot. */
  cpu = -1;
  /** Ticks that the trial still takes; 0: it has passed. */
  trial = 0;
  callsAtHome = 0;
  /** Ticks in a row that were not worth a CPU. */
  slow = 0;
  coldUntil = 0;
  pause = FIRST_PAUSE;
}

export class HotCallers {
  /** Those that have a CPU of their own. */
  readonly callers: PlacedThread[] = [];
  private readonly cpus: readonly number[];

  /** cpus: all that we may use. */
  constructor(cpus: readonly number[]) {
    this.cpus = cpus;
  }
  /** Whether the kernel thread should look again before it sleeps. */
  get expecting(): boolean {
    for (const thread of this.callers) if (thread.running && thread.asleep !== true) return true;
    return false;
  }
  get any(): boolean {
    return this.callers.length > 0;
  }
  /**
   * Once a tick for each thread that runs at home and made `calls` calls in it. computing: threads that run elsewhere. The CPU to move it to,
   * or -1.
   */
  consider(thread: PlacedThread, calls: number, tick: number, home: number, computing: number): number {
    const { placement } = thread;
    const { heat } = placement;
    if (calls < HOT_CALLS || tick < heat.coldUntil || this.callers.length >= MOST_HOT) return -1;
    if (this.callers.length + computing + 1 >= this.cpus.length) return -1;
    const cpu = this.cpus.find((c) => c !== home && placement.mayRunOn(c) && !this.callers.some((h) => h.placement.heat.cpu === c));
    if (cpu === undefined) return -1;
    heat.cpu = cpu;
    heat.trial = TRIAL_TICKS;
    heat.callsAtHome = calls;
    heat.slow = 0;
    this.callers.push(thread);
    return cpu;
  }
  /** Once a tick for each hot thread, also if it waits. False: it goes back home. */
  judge(thread: PlacedThread, calls: number, tick: number): boolean {
    const { heat } = thread.placement;
    if (heat.trial > 0) {
      if (calls >= heat.callsAtHome * WORTH) {
        heat.trial = 0;
        heat.pause = FIRST_PAUSE;
        return true;
      }
      if (--heat.trial > 0) return true;
      heat.coldUntil = tick + heat.pause;
      heat.pause = Math.min(heat.pause * 2, LONGEST_PAUSE);
    } else {
      heat.slow = calls < Math.max(COOL_CALLS, heat.callsAtHome * FLOOR) ? heat.slow + 1 : 0;
      if (heat.slow < SLOW_TICKS) return true;
      heat.coldUntil = tick + SHORT_PAUSE;
    }
    this.drop(thread);
    return false;
  }
  /** It ended, or goes home. */
  drop(thread: PlacedThread): void {
    const at = this.callers.indexOf(thread);
    if (at >= 0) this.callers.splice(at, 1);
    thread.placement.heat.cpu = -1;
  }
}
