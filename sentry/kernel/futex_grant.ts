/**
 * Which futex calls of a task the platform may answer by itself. Not those that somebody wants to see or may refuse: a tracer, a seccomp
 * filter, --strace. Called whenever one of these changes, and for both sides when a thread is made: alone, a process has nobody to wait for.
 */
import type { Task } from './task.ts';

export function grantFutexes(task: Task): void {
  const seen = task.trace !== null || task.seccomp !== null || task.dispatch !== null || task.kernel.strace !== null;
  // The host's clock is not that of a time namespace with an offset.
  const timed = task.namespaces.time.monotonic === 0;
  task.thread.grantFutexes?.(seen || task.mm.userCount < 2 ? 'none' : timed ? 'all' : 'untimed');
}
