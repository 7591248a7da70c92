/** Timers that belong to a process: setitimer(2), timer_create(2), alarm(2). */
import type { Kernel } from './kernel.ts';

export class ProcessTimers {
  readonly kernel: Kernel;
  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  /** execve(2) deletes POSIX timers and keeps interval timers. */
  deletePosixTimers(): void {}
  /** The process has exited: nothing may fire any more. */
  cancelAll(): void {}
}
