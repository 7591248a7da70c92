/**
 * Threads that call so often that it pays to give each a CPU of its own, beside the kernel thread's: stub and kernel thread look for each
 * other's answer for a while before they sleep.
 */
import type { PlacedThread } from './cpu_placement.ts';
import { Trial } from './trial.ts';

/** Calls in a tick of 5 ms from which it may pay: a gap of 20 µs. */
export const HOT_CALLS = 250;
const MOST_HOT = 3;

/** The promotion's part of a thread. */
export class Heat {
  /** The CPU it has to itself; -1: it is not hot. */
  cpu = -1;
  readonly trial = new Trial();
}

export class HotCallers {
  /** Those that have a CPU of their own. */
  readonly callers: PlacedThread[] = [];
  private readonly cpus: readonly number[];

  /** cpus: all that we may use. */
  constructor(cpus: readonly number[]) {
    this.cpus = cpus;
  }
  get any(): boolean {
    return this.callers.length > 0;
  }
  /** Once a tick for each thread that runs at home and made `calls` calls in it. taken: CPUs that others need. The CPU to move it to, or -1. */
  consider(thread: PlacedThread, calls: number, tick: number, taken: number, mayUse: (cpu: number) => boolean): number {
    const { placement } = thread;
    const { heat } = placement;
    if (calls < HOT_CALLS || !heat.trial.isDue(tick) || this.callers.length >= MOST_HOT) return -1;
    if (this.callers.length + taken >= this.cpus.length) return -1;
    const cpu = this.cpus.find((c) => mayUse(c) && placement.mayRunOn(c) && !this.callers.some((h) => h.placement.heat.cpu === c));
    if (cpu === undefined) return -1;
    heat.cpu = cpu;
    heat.trial.start(calls);
    this.callers.push(thread);
    return cpu;
  }
  /** Once a tick for each hot thread, also if it waits. False: it goes back home. */
  judge(thread: PlacedThread, calls: number, tick: number): boolean {
    if (thread.placement.heat.trial.goesOn(calls, tick)) return true;
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
