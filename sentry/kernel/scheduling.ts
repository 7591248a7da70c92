/** What a task's policy, nice value and affinity mean for its thread on the host. */
import { SCHED_FIFO, SCHED_IDLE, SCHED_RR } from '../../abi/sched.ts';
import { cpuNumbersOf } from './cpu_set.ts';
import type { Task } from './task.ts';

const WEAKEST = 19;

export function isRealTime(policy: number): boolean {
  return policy === SCHED_FIFO || policy === SCHED_RR;
}

/**
 * Never stronger than the host's other processes: a sandbox gets its share of the machine by its cgroup alone, and a thread that nothing
 * preempts would take it from all others.
 */
function effectiveNice(task: Task): number {
  if (isRealTime(task.schedPolicy)) return 0;
  return task.schedPolicy === SCHED_IDLE ? WEAKEST : Math.max(0, task.niceValue);
}

/** The thread runs from now on as the task's settings say. */
export function applyScheduling(task: Task): void {
  task.thread.schedule?.(task.affinity === null ? null : cpuNumbersOf(task.affinity), effectiveNice(task));
}

/** A thread that has inherited nothing from the task's. */
export function applyToFreshThread(task: Task): void {
  if (task.affinity !== null || effectiveNice(task) !== 0) applyScheduling(task);
}
