/**
 * Nice values of application threads (nice(2)), 0 to 19: weaker than the kernel thread and the sandbox's others, never stronger than other
 * processes of the host. While the kernel thread waits for one it is not nice (scheduling.ts).
 */

import type { Host } from '../lib/host.ts';
import type { HostCall } from '../lib/host_call_filter.ts';
import { mayReturnToNiceZero } from '../lib/nice_limit.ts';

const SETPRIORITY = 141;
const PRIO_PROCESS = 0;
const WEAKEST = 19;

export const NICENESS_CALLS: readonly HostCall[] = [
  {
    name: 'setpriority',
    nr: SETPRIORITY,
    when: [
      { arg: 0, values: [PRIO_PROCESS] },
      { arg: 2, values: Array.from({ length: WEAKEST + 1 }, (_, nice) => nice) },
    ],
    reason: 'nice values of applications, none below 0',
  },
];

/** A thread's part: `value` as the application has it. */
export interface NiceThread {
  readonly tid: number;
  nice: number;
}

export class Niceness {
  private readonly host: Host;
  /** What is made weaker can be made as strong again: runsc has seen to it. Elsewhere nice values have no effect. */
  private readonly works: boolean;

  constructor(host: Host) {
    this.host = host;
    this.works = mayReturnToNiceZero(host);
  }
  set(thread: NiceThread, nice: number): void {
    if (!this.works || thread.nice === nice) return;
    thread.nice = nice;
    this.tell(thread.tid, nice);
  }
  /** A thread that `parent`, which was hurried, has cloned. */
  inherit(thread: NiceThread, parent: NiceThread): void {
    if (parent.nice !== 0) this.set(thread, parent.nice);
  }
  /** The kernel thread waits for it from here on, until `relax`. */
  hurry(thread: NiceThread): void {
    if (thread.nice !== 0) this.tell(thread.tid, 0);
  }
  relax(thread: NiceThread): void {
    if (thread.nice !== 0) this.tell(thread.tid, thread.nice);
  }
  /** An error (the thread is gone) leaves it as strong as it was. */
  private tell(tid: number, nice: number): void {
    this.host.syscall(SETPRIORITY, PRIO_PROCESS, tid, nice);
  }
}
