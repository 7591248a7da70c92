/** rename(2), renameat2(2). */
import { EBUSY, EEXIST, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, EPERM, type Errno, EXDEV } from '../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT } from '../../abi/fcntl.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { CAP_MKNOD, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { exchangeDentries, instantiate, lookupChild, moveDentry } from './dentry_cache.ts';
import type { Inode } from './inode.ts';
import { isBelow, isMountpoint } from './mount.ts';
import { credentialsOn } from './mount_id_map.ts';
import { Dentry } from './path.ts';
import { checkMaking, checkMountWrite, checkPermission, MAY_WRITE } from './permission.ts';
import { checkRemoval } from './remove.ts';
import { resolveParent, type Walk } from './walk.ts';

const KNOWN = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

/** An errno for the new path comes to light once the old one's directory has been found. */
export function rename(
  task: Task,
  oldDirfd: number,
  oldPath: ByteString,
  newDirfd: number,
  newPath: ByteString | Errno,
  flags: number,
): 0 | Errno {
  if ((flags & ~KNOWN) !== 0) return EINVAL;
  if ((flags & RENAME_EXCHANGE) !== 0 && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)) !== 0) return EINVAL;
  if ((flags & RENAME_WHITEOUT) !== 0 && !hasCap(task.creds, CAP_MKNOD)) return EPERM;
  const from = resolveParent(task, oldDirfd, oldPath);
  if (typeof from === 'number') return from;
  const to = typeof newPath === 'number' ? newPath : resolveParent(task, newDirfd, newPath);
  if (typeof to === 'number') return to;
  if (from.mount !== to.mount) return EXDEV;
  if (from.last !== 'name') return EBUSY;
  if (to.last !== 'name') return (flags & RENAME_NOREPLACE) !== 0 ? EEXIST : EBUSY;
  const readOnly = checkMountWrite(from.mount);
  if (readOnly !== 0) return readOnly;
  const source = lookupChild(from.dentry, from.name, task);
  if (typeof source === 'number') return source;
  if (source.inode === null) return ENOENT;
  const target = lookupChild(to.dentry, to.name, task);
  if (typeof target === 'number') return target;
  return (
    checkShape(from, to, source, target, flags) ||
    checkRights(task, to, source, target, flags) ||
    perform(task, from, to, source, target, flags)
  );
}

/** What exists where, and what lies below what. */
function checkShape(from: Walk, to: Walk, source: Dentry, target: Dentry, flags: number): 0 | Errno {
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (target.inode !== null && (flags & RENAME_NOREPLACE) !== 0) return EEXIST;
  if (exchange) {
    if (target.inode === null) return ENOENT;
    if (to.trailingSlash && !target.inode.isDirectory) return ENOTDIR;
  }
  if (!(source.inode as Inode).isDirectory) {
    if (from.trailingSlash || (!exchange && to.trailingSlash)) return ENOTDIR;
  }
  if (isBelow(to.dentry, source)) return EINVAL;
  if (isBelow(from.dentry, target)) return exchange ? EINVAL : ENOTEMPTY;
  return 0;
}

function checkRights(task: Task, to: Walk, source: Dentry, target: Dentry, flags: number): 0 | Errno {
  if (source.inode === target.inode) return 0;
  const creds = credentialsOn(to.mount, task.creds);
  const inode = source.inode as Inode;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  const directory = inode.isDirectory;
  const denied = checkRemoval(source, creds, null);
  if (denied !== 0) return denied;
  if (target.inode === null) {
    if (to.dentry.deleted) return ENOENT;
    const r = checkMaking(to.dentry.inode as Inode, creds);
    if (r !== 0) return r;
  } else {
    const r = checkRemoval(target, creds, exchange ? null : directory);
    if (r !== 0) return r;
  }
  // ".." of a moved directory changes.
  if (source.parent !== target.parent) {
    if (directory && checkPermission(inode, creds, MAY_WRITE) !== 0) return checkPermission(inode, creds, MAY_WRITE);
    if (exchange && target.inode?.isDirectory) {
      const r = checkPermission(target.inode, creds, MAY_WRITE);
      if (r !== 0) return r;
    }
  }
  const { mount } = task.namespaces;
  return isMountpoint(mount, source) || isMountpoint(mount, target) ? EBUSY : 0;
}

function perform(task: Task, from: Walk, to: Walk, source: Dentry, target: Dentry, flags: number): 0 | Errno {
  const inode = source.inode as Inode;
  const replaced = target.inode;
  if (replaced === inode) return 0; // two names of one file: nothing happens
  const oldParent = from.dentry.inode as Inode;
  const newParent = to.dentry.inode as Inode;
  const r = oldParent.rename(from.name, inode, newParent, to.name, replaced, flags);
  if (r !== 0) return r;
  if ((flags & RENAME_EXCHANGE) !== 0) exchangeDentries(source, target);
  else {
    if (replaced !== null) target.deleted = true;
    moveDentry(source, to.dentry, to.name);
    if ((flags & RENAME_WHITEOUT) !== 0) showWhiteout(task, from);
  }
  const { notify } = task.kernel;
  if (notify === null) return 0;
  notify.moved(oldParent, from.name, newParent, to.name, inode);
  if ((flags & RENAME_EXCHANGE) !== 0) notify.moved(newParent, to.name, oldParent, from.name, replaced as Inode);
  else if (replaced !== null && (replaced.isDirectory || replaced.attributes().nlink === 0)) notify.deleted(replaced);
  return 0;
}

/** RENAME_WHITEOUT left an object where the source was. */
function showWhiteout(task: Task, from: Walk): void {
  const inode = (from.dentry.inode as Inode).lookup(from.name, task);
  if (typeof inode !== 'number') instantiate(new Dentry(from.name, from.dentry, inode), inode);
}
