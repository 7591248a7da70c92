/** How namespaces end that unshare(2) or clone(2) made: with the last task in them. A container's own last as long as the container. */
import type { MountNamespace } from '../vfs/mount.ts';
import { discardTree } from '../vfs/mount.ts';
import type { Kernel } from './kernel.ts';
import type { Namespaces, NetNamespace } from './namespaces.ts';
import type { Task } from './task.ts';

/** The task has left the set, for `now` or for good (null). */
export function leaveNamespaces(task: Task, left: Namespaces, now: Namespaces | null): void {
  const { ipc, mount, net } = left;
  if (ipc !== now?.ipc && ipc.temporary && !isInhabited(task.kernel, task, (n) => n.ipc === ipc)) {
    // (On Linux an open file of /proc/PID/ns keeps them; here it keeps an empty namespace.)
    for (const segment of [...ipc.shm.objects()]) segment.destroy();
  }
  if (mount !== now?.mount && mount.temporary) endMountsUnlessUsed(task.kernel, mount, task);
  if (net !== now?.net && net.bare) endNetworkUnlessUsed(task.kernel, net, task);
}

/** An open file of /proc/PID/ns, or one that is mounted somewhere, keeps the mounts as tasks do. `leaving`: does not count. */
export function endMountsUnlessUsed(kernel: Kernel, namespace: MountNamespace, leaving: Task | null = null): void {
  if (!namespace.temporary || namespace.ended || namespace.handles > 0) return;
  if (isInhabited(kernel, leaving, (n) => n.mount === namespace) || isMounted(kernel, namespace)) return;
  namespace.ended = true;
  discardTree(namespace.root);
}

/** An open file that kept the network is closed. */
export function releaseNetwork(kernel: Kernel, namespace: NetNamespace): void {
  namespace.handles--;
  if (namespace.bare) endNetworkUnlessUsed(kernel, namespace);
}
/** Its interfaces end with it. A container's own network lasts as long as the container. */
export function endNetworkUnlessUsed(kernel: Kernel, namespace: NetNamespace, leaving: Task | null = null): void {
  if (!namespace.bare || namespace.ended || namespace.handles > 0) return;
  if (isInhabited(kernel, leaving, (n) => n.net === namespace) || isMounted(kernel, namespace)) return;
  namespace.ended = true;
  kernel.endNetwork(namespace);
}

function isInhabited(kernel: Kernel, leaving: Task | null, inside: (namespaces: Namespaces) => boolean): boolean {
  for (const task of kernel.rootPidNamespace.tasks.values()) {
    if (task !== leaving && task.state !== 'dead' && inside(task.namespaces)) return true;
  }
  return false;
}

function isMounted(kernel: Kernel, namespace: object): boolean {
  const seen = new Set<MountNamespace>();
  for (const task of kernel.rootPidNamespace.tasks.values()) {
    const { mount: tree } = task.namespaces;
    if (task.state === 'dead' || seen.has(tree)) continue;
    seen.add(tree);
    for (const mount of tree.mounts()) if (mount.root.inode?.standsFor === namespace) return true;
  }
  return false;
}
