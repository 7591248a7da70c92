/** How long a call may keep the kernel's one thread before it lets others run. */
import { isKilled } from './signal_delivery.ts';
import type { Task } from './task.ts';
import { TURN, type Wait, type Wake } from './wait.ts';

/** ns. */
const SHARE_NS = 2e6;

/** For loops whose length the guest chooses: `if (share.isOver && (yield* share.pass())) break` in each round. */
export class TimeShare {
  private readonly task: Task;
  private end: number;

  constructor(task: Task) {
    this.task = task;
    this.end = task.kernel.now() + SHARE_NS;
  }
  get isOver(): boolean {
    return this.task.kernel.now() >= this.end;
  }
  /** Goes on when it is the task's turn again. True: it has been killed, there is no point in going on. */
  *pass(): Generator<Wait, boolean, Wake> {
    const wake = yield TURN;
    this.end = this.task.kernel.now() + SHARE_NS;
    return wake === 'signal' && isKilled(this.task);
  }
}
