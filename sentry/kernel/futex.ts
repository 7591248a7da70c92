/** Futexes (futex(2)). */
import type { Task } from './task.ts';

/** The thread that holds robust futexes (set_robust_list(2)) ends: their words say so. */
export function exitRobustList(task: Task): void {
  task.robustList = 0;
}

/** CLONE_CHILD_CLEARTID: whoever joins the thread sees 0. */
export function clearChildTid(task: Task): void {
  const address = task.clearChildTid;
  task.clearChildTid = 0;
  if (address !== 0 && task.mm.userCount > 1) task.writeU32(address, 0);
}
