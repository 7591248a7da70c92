/**
 * Threads that call so often that it pays to burn a CPU for them: such a thread gets a CPU of its own, and both it and the kernel thread
 * look for each other's answer for a while before they sleep. Where that CPU is not really free (another tenant, a hyperthread) it
 * does not pay, and nothing says so beforehand: so a promotion is a trial, judged by the calls that the thread gets done.
 */
import type { PlacedThread } from './cpu_placement.ts';

/** Calls in a tick of 5 ms from which a thread is tried: a gap of 20 µs. */
const HOT_CALLS = 250;
/** Below this it goes back: both sides burn their CPUs for nothing. */
const COOL_CALLS = 100;
/** A trial must bring so many times the calls that the thread made at home. */
const WORTH = 1.4;
/** Ticks of a trial: the first sees the move, the second counts. */
const TRIAL_TICKS = 2;
/** Ticks until the next trial: doubled by each that failed. */
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
  coldUntil = 0;
  pause = FIRST_PAUSE;
}

export class HotCallers {
  private readonly hot: PlacedThread[] = [];
  private readonly cpus: readonly number[];

  /** cpus: all that we may use. */
  constructor(cpus: readonly number[]) {
    this.cpus = cpus;
  }
  /** Whether the kernel thread should look again before it sleeps. */
  get expecting(): boolean {
    for (const thread of this.hot) if (thread.running && thread.asleep !== true) return true;
    return false;
  }
  get any(): boolean {
    return this.hot.length > 0;
  }
  /**
   * Once a tick for each thread that runs at home and made `calls` calls in it. computing: threads that run elsewhere. The CPU to move it to,
   * or -1.
   */
  consider(thread: PlacedThread, calls: number, tick: number, home: number, computing: number): number {
    const { placement } = thread;
    const { heat } = placement;
    if (calls < HOT_CALLS || tick < heat.coldUntil || this.hot.length >= MOST_HOT) return -1;
    if (this.hot.length + computing + 1 >= this.cpus.length) return -1;
    const cpu = this.cpus.find((c) => c !== home && placement.mayRunOn(c) && !this.hot.some((h) => h.placement.heat.cpu === c));
    if (cpu === undefined) return -1;
    heat.cpu = cpu;
    heat.trial = TRIAL_TICKS;
    heat.callsAtHome = calls;
    this.hot.push(thread);
    return cpu;
  }
  /** Once a tick for each hot thread that runs. False: it goes back home. */
  judge(thread: PlacedThread, calls: number, tick: number): boolean {
    const { heat } = thread.placement;
    if (heat.trial > 0 && --heat.trial > 0) return true;
    const inTrial = heat.callsAtHome > 0;
    const enough = inTrial ? calls >= heat.callsAtHome * WORTH : calls >= COOL_CALLS;
    if (enough) {
      heat.callsAtHome = 0;
      return true;
    }
    heat.pause = inTrial ? Math.min(heat.pause * 2, LONGEST_PAUSE) : FIRST_PAUSE;
    heat.coldUntil = tick + heat.pause;
    this.drop(thread);
    return false;
  }
  /** It ended, or goes home. */
  drop(thread: PlacedThread): void {
    const at = this.hot.indexOf(thread);
    if (at >= 0) this.hot.splice(at, 1);
    thread.placement.heat.cpu = -1;
  }
}
