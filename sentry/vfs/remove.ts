/** Taking names away: unlink(2), rmdir(2). */
import { EBUSY, EINVAL, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY, EOVERFLOW, type Errno } from '../../abi/errno.ts';
import { IN_DELETE } from '../../abi/inotify.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { lookupChild, unhash } from './dentry_cache.ts';
import type { Inode } from './inode.ts';
import { isMountpoint } from './mount.ts';
import { credentialsOn, isUnmapped } from './mount_id_map.ts';
import type { Dentry } from './path.ts';
import { checkMountWrite, checkPermission, checkSticky, MAY_EXEC, MAY_WRITE } from './permission.ts';
import { resolveParent, type Walk } from './walk.ts';

/** May the name be taken from its directory? `directory`: whether a directory is what the call removes; null: either. */
export function checkRemoval(dentry: Dentry, creds: Credentials, directory: boolean | null): 0 | Errno {
  const parent = dentry.parent?.inode as Inode;
  const inode = dentry.inode as Inode;
  if (isUnmapped(creds, inode)) return EOVERFLOW;
  const denied = checkPermission(parent, creds, MAY_WRITE | MAY_EXEC) || checkSticky(parent, inode, creds);
  if (denied !== 0) return denied as Errno;
  if (directory === true && !inode.isDirectory) return ENOTDIR;
  if (directory === false && inode.isDirectory) return EISDIR;
  return 0;
}

/** The existing name at the end of a walk, on a mount that can be written. */
function victim(task: Task, walk: Walk): Dentry | Errno {
  const readOnly = checkMountWrite(walk.mount);
  if (readOnly !== 0) return readOnly;
  const dentry = lookupChild(walk.dentry, walk.name, task);
  if (typeof dentry === 'number') return dentry;
  return dentry.inode === null ? ENOENT : dentry;
}

export function unlinkFile(task: Task, dirfd: number, path: ByteString): 0 | Errno {
  const walk = resolveParent(task, dirfd, path);
  if (typeof walk === 'number') return walk;
  if (walk.last !== 'name') return EISDIR;
  const dentry = victim(task, walk);
  if (typeof dentry === 'number') return dentry;
  const inode = dentry.inode as Inode;
  if (walk.trailingSlash) return inode.isDirectory ? EISDIR : ENOTDIR;
  const denied = checkRemoval(dentry, credentialsOn(walk.mount, task.creds), false);
  if (denied !== 0) return denied;
  if (isMountpoint(task.namespaces.mount, dentry)) return EBUSY;
  const r = (walk.dentry.inode as Inode).unlink(walk.name, inode);
  if (r !== 0) return r;
  unhash(dentry);
  const { notify } = task.kernel;
  if (notify === null) return 0;
  notify.linkCount(inode);
  if (inode.attributes().nlink === 0) notify.deleted(inode);
  notify.entry(IN_DELETE, walk.dentry.inode as Inode, walk.name, inode);
  return 0;
}

export function removeDirectory(task: Task, dirfd: number, path: ByteString): 0 | Errno {
  const walk = resolveParent(task, dirfd, path);
  if (typeof walk === 'number') return walk;
  if (walk.last !== 'name') return walk.last === 'dot' ? EINVAL : walk.last === 'dotdot' ? ENOTEMPTY : EBUSY;
  const dentry = victim(task, walk);
  if (typeof dentry === 'number') return dentry;
  const inode = dentry.inode as Inode;
  const denied = checkRemoval(dentry, credentialsOn(walk.mount, task.creds), true);
  if (denied !== 0) return denied;
  if (isMountpoint(task.namespaces.mount, dentry)) return EBUSY;
  const r = (walk.dentry.inode as Inode).rmdir(walk.name, inode);
  if (r !== 0) return r;
  unhash(dentry);
  dentry.children = null;
  task.kernel.notify?.deleted(inode);
  task.kernel.notify?.entry(IN_DELETE, walk.dentry.inode as Inode, walk.name, inode);
  return 0;
}
