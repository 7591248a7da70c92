/** Privileges over a network (capabilities(7), user_namespaces(7)): those of the user namespace that owns it count. */
import { hasCapIn } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';

/** cap: CAP_NET_*, over the network that the task is in. */
export function hasNetCap(task: Task, cap: number): boolean {
  return hasCapIn(task.creds, cap, task.namespaces.net.owner);
}
