/**
 * What a task's thread may answer without a stop, where its platform can: getpid(2), gettid(2), its signal mask and the return from a handler,
 * addresses that matter at its end. Not where somebody looks at every call: strace, a tracer, a filter or dispatcher of the application's own.
 * Futex calls: futex_grant.ts.
 */
import { SS_AUTODISARM } from '../../abi/signal.ts';
import { grantFutexes } from './futex_grant.ts';
import type { Task } from './task.ts';

function mayAnswer(task: Task): boolean {
  return task.kernel.strace === null && task.seccomp === null && task.trace === null && task.dispatch === null;
}

/** A new thread or program is about to run. */
export function lendAnswers(task: Task): void {
  const { own } = task.thread;
  if (own === undefined || !mayAnswer(task)) return;
  own.tellNumbers({ pid: task.pid, tid: task.tid });
  own.keeps = !locksMemory(task);
  lendMask(task);
}

/** Locked memory cannot be given back (madvise(2)): its threads ask. */
function locksMemory({ mm }: Task): boolean {
  return mm.lockFuture || mm.lockedBytes > 0;
}
/** The task has locked memory. */
export function memoryLocked(task: Task): void {
  for (const member of task.group.tasks) if (member.thread.own !== undefined) member.thread.own.keeps = false;
}

/** The task has asked for one of its numbers. */
export function tellNumbers(task: Task): void {
  const { own } = task.thread;
  if (own !== undefined && mayAnswer(task)) own.tellNumbers({ pid: task.pid, tid: task.tid });
}

/** With all signals dealt with: whatever arrives from now on asks for the mask first. */
export function lendMask(task: Task): void {
  const { pending, group, altStack } = task;
  // A stack that is disarmed for a handler is another one there.
  if ((pending.set | group.pending.set) !== 0n || (altStack.flags & SS_AUTODISARM) !== 0 || !mayAnswer(task)) return;
  task.lendMask();
}

/** Somebody looks at every call of the task, or nobody does any more. */
export function watchersChanged(task: Task): void {
  grantFutexes(task);
  if (!mayAnswer(task)) recallAnswers(task);
}

/** From now on the task's thread asks. */
export function recallAnswers(task: Task): void {
  const { own } = task.thread;
  if (own === undefined) return;
  own.tellNumbers(null);
  own.keeps = false;
  void task.signalMask; // to ask for it is to recall
}
