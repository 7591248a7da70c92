/**
 * What an application has said of where and how a thread runs: its CPUs and its nice value. The kernel thread sometimes waits for a stopped
 * thread to carry something out; meanwhile none of that holds, or the whole sandbox would wait behind whoever computes there.
 */
import type { CpuPlacement, PlacedThread } from './cpu_placement.ts';
import type { Niceness, NiceThread } from './niceness.ts';

export type ScheduledThread = PlacedThread & NiceThread;

export class Scheduling {
  private readonly placement: CpuPlacement;
  private readonly niceness: Niceness;

  constructor(placement: CpuPlacement, niceness: Niceness) {
    this.placement = placement;
    this.niceness = niceness;
  }
  /** ThreadContext.schedule. */
  set(thread: ScheduledThread, cpus: readonly number[] | null, nice: number): void {
    this.placement.restrict(thread, cpus);
    this.niceness.set(thread, nice);
  }
  /** A thread that `parent`, which was hurried, has cloned. */
  inherit(thread: ScheduledThread, parent: ScheduledThread): void {
    if (parent.nice !== 0) this.niceness.inherit(thread, parent);
    if (parent.placement.allowed !== null) this.placement.relax(thread);
  }
  /** Something was said of it. */
  bound(thread: ScheduledThread): boolean {
    return thread.nice !== 0 || thread.placement.allowed !== null;
  }
  /** Of a bound thread: the kernel thread waits for it from here on, until `relax`. */
  hurry(thread: ScheduledThread): void {
    this.niceness.hurry(thread);
    this.placement.hurry(thread);
  }
  relax(thread: ScheduledThread): void {
    this.niceness.relax(thread);
    this.placement.relax(thread);
  }
}
