/** A system call that waits: its generator, what it is registered with, and how it goes on. */
import type { Task } from './task.ts';
import type { Timer } from './timer_queue.ts';
import type { Blocking, Wait, WaitEntry, Wake } from './wait.ts';

export class BlockedCall {
  readonly generator: Blocking;
  private readonly task: Task;
  private wait: Wait | null = null;
  private entries: WaitEntry[] = [];
  private timer: Timer | null = null;
  /** Why it was woken; null while it sleeps. */
  private wake: Wake | null = null;

  constructor(task: Task, generator: Blocking) {
    this.task = task;
    this.generator = generator;
  }

  /** Parks the task until one of the wait's conditions comes. */
  sleep(wait: Wait): void {
    const { kernel } = this.task;
    this.wait = wait;
    this.wake = null;
    this.entries = wait.on.map(({ events }) => ({ events, wake: () => this.notify('ready') }));
    for (const [i, target] of wait.on.entries()) target.queue.add(this.entries[i] as WaitEntry);
    if (wait.turn === true) kernel.turns.add(this);
    if (wait.deadline === undefined) return;
    const { task } = this;
    this.timer = kernel.timers.add(
      wait.deadline,
      () => this.notify('timeout'),
      (error) => kernel.broken(task, error),
    );
  }

  /** The first reason counts; the task runs on in the kernel's next round. */
  notify(reason: Wake): void {
    if (this.wake !== null || this.wait === null) return;
    this.wake = reason;
    this.unregister();
    this.task.kernel.makeReady(this.task);
  }

  /**
   * Runs the generator until it sleeps again (null) or ends (its result). The reason that came first may have hidden a signal: a generator
   * that goes back to sleep is told of it.
   */
  advance(): number | null {
    const reason = this.wake ?? 'ready';
    this.wake = null;
    const step = this.generator.next(reason);
    if (step.done) return step.value;
    this.sleep(step.value);
    if (this.task.attention && reason !== 'signal') this.notify('signal');
    return null;
  }

  /** The task dies here: the generator's finally blocks run. */
  abandon(): void {
    this.unregister();
    this.generator.return(0);
  }

  private unregister(): void {
    for (const [i, target] of (this.wait?.on ?? []).entries()) target.queue.remove(this.entries[i] as WaitEntry);
    this.entries = [];
    if (this.wait?.turn === true) this.task.kernel.turns.delete(this);
    this.wait = null;
    if (this.timer !== null) this.task.kernel.timers.cancel(this.timer);
    this.timer = null;
  }
}
