/**
 * What an application has said of where and how a thread runs: its CPUs and its nice value. The kernel thread sometimes waits for a stopped
 * thread to carry something out; meanwhile none of that holds, or the whole sandbox would wait behind whoever computes there.
 */
import type { CpuPlacement, PlacedThread } from './cpu_placement.ts';
import type { HostProc } from './host_proc.ts';
import type { Niceness, NiceThread } from './niceness.ts';

export type ScheduledThread = PlacedThread & NiceThread;

export class Scheduling {
  private readonly placement: CpuPlacement;
  private readonly niceness: Niceness;
  private readonly proc: HostProc;

  constructor(placement: CpuPlacement, niceness: Niceness, proc: HostProc) {
    this.placement = placement;
    this.niceness = niceness;
    this.proc = proc;
  }
  /** ThreadContext.schedule. */
  set(thread: ScheduledThread, cpus: readonly number[] | null, nice: number): void {
    this.placement.restrict(thread, cpus);
    this.niceness.set(thread, nice);
  }
  /** ThreadContext.processor. */
  processor(thread: ScheduledThread & { readonly space: { readonly pid: number } }): number {
    const { placement, space, tid } = thread;
    if (placement.cpu >= 0) return placement.cpu;
    const last = this.proc.processor(space.pid, tid);
    return placement.mayRunOn(last) ? last : (placement.allowed?.[0] ?? last);
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
