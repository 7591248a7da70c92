/**
 * What a task's thread may answer without a stop, where its platform can: getpid(2), gettid(2), the return from a signal handler. Not where
 * somebody looks at every call: strace, a tracer, a filter or dispatcher of the application's own. Futex calls: futex_grant.ts.
 */
import { SS_AUTODISARM } from '../../abi/signal.ts';
import { grantFutexes } from './futex_grant.ts';
import type { Task } from './task.ts';

function mayAnswer(task: Task): boolean {
  return task.kernel.strace === null && task.seccomp === null && task.trace === null && task.dispatch === null;
}

/** The task has asked for one of its numbers. */
export function tellNumbers(task: Task): void {
  if (task.thread.tellNumbers !== undefined && mayAnswer(task)) task.thread.tellNumbers({ pid: task.pid, tid: task.tid });
}

/** The task enters a handler, with all signals dealt with: whatever arrives from now on asks for its mask first. */
export function lendReturn(task: Task): void {
  const { pending, group, frame } = task;
  // A stack that was disarmed for the handler is armed again by its return.
  const altStack = frame?.altStack ?? task.altStack;
  if ((pending.set | group.pending.set) !== 0n || (altStack.flags & SS_AUTODISARM) !== 0 || !mayAnswer(task)) return;
  task.lendReturn();
}

/** Somebody looks at every call of the task, or nobody does any more. */
export function watchersChanged(task: Task): void {
  grantFutexes(task);
  if (!mayAnswer(task)) recallAnswers(task);
}

/** From now on the task's thread asks. */
export function recallAnswers(task: Task): void {
  task.thread.tellNumbers?.(null);
  recallReturn(task);
}
export function recallReturn(task: Task): void {
  void task.signalMask; // to ask for it is to recall
}
