/**
 * What a user namespace may mount (mount_namespaces(7), "Restrictions on mount namespaces"): the filesystems that show nothing but what
 * its own namespaces hold, and never what a more privileged one has covered up.
 */
import { EPERM, type Errno } from '../../abi/errno.ts';
import { CAP_SYS_ADMIN, hasCapIn, hasOwnCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { UserNamespace } from '../kernel/user_namespace.ts';
import type { Dentry, Mount } from './path.ts';

/** Over the tree of mounts that the task is in. */
export function mayMount(task: Task): boolean {
  return hasCapIn(task.creds, CAP_SYS_ADMIN, task.namespaces.mount.owner);
}

/** Whose namespaces a filesystem is about; types without a row are for the first user namespace alone. */
const OWNERS: Readonly<Record<string, (task: Task) => UserNamespace>> = {
  tmpfs: (task) => task.creds.namespace,
  ramfs: (task) => task.creds.namespace,
  devpts: (task) => task.creds.namespace,
  overlay: (task) => task.creds.namespace,
  proc: (task) => task.pidNamespace.owner,
  mqueue: (task) => task.namespaces.ipc.owner,
  sysfs: (task) => task.namespaces.net.owner,
  cgroup2: (task) => task.creds.namespace,
  fuse: (task) => task.creds.namespace,
};
/** Those of which only one is ever shown; parts of it may be covered. */
const REVEALING: readonly string[] = ['proc', 'sysfs'];

/** May the task make a filesystem of the type? 0 or EPERM. */
export function checkNewFilesystem(task: Task, type: string): 0 | Errno {
  if (task.creds.namespace.parent === null) return hasOwnCap(task.creds, CAP_SYS_ADMIN) ? 0 : EPERM;
  const owner = OWNERS[type]?.(task);
  if (owner === undefined || !hasCapIn(task.creds, CAP_SYS_ADMIN, owner)) return EPERM;
  if (!REVEALING.includes(type)) return 0;
  for (const mount of task.namespaces.mount.mounts()) if (mount.fs.type === type && isFullyVisible(mount)) return 0;
  return EPERM;
}

/** All of the filesystem can be seen through it, but for what lies under mounts on empty directories. */
function isFullyVisible(mount: Mount): boolean {
  if (mount.root !== mount.fs.rootDentry) return false;
  return mount.children.every((child) => !child.locked || isMountPointOnly(child.mountpoint as Dentry));
}
/** /sys/fs/cgroup: a directory that is there to be mounted on. */
function isMountPointOnly(dentry: Dentry): boolean {
  return dentry.name === 'cgroup' && dentry.parent?.name === 'fs';
}

/** May attributes become `next`? What came from a more privileged namespace stays (EPERM). */
export function checkLockedFlags(mount: Mount, next: number): 0 | Errno {
  return (mount.lockedFlags & ~next) !== 0 ? EPERM : 0;
}
