/** The object of a call that changes metadata, by path or by descriptor. */
import { EBADF, EINVAL, EOVERFLOW, type Errno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { IN_ATTRIB, IN_MODIFY } from '../../abi/inotify.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { NO_ID } from '../kernel/user_namespace.ts';
import type { AttributeChange, Inode } from '../vfs/inode.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';

/** The place that a path argument with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH means. */
export function placeAt(task: Task, dirfd: number, address: number, atFlags: number): VfsPath | Errno {
  if ((atFlags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const options = (atFlags & AT_SYMLINK_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  return resolve(task, dirfd, text, (atFlags & AT_EMPTY_PATH) !== 0 ? options | LOOKUP_EMPTY : options);
}

/** The place of an open file that is not O_PATH. */
export function placeOf(task: Task, number: number): VfsPath | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.isPath || file.path === null ? EBADF : file.path;
}

/** EOVERFLOW: the change would leave, or give, an owner that the mount has no number for. `uid`, `gid`: the filesystem's; undefined: left. */
export function checkOwners(creds: Credentials, { uid, gid }: Inode, newUid?: number, newGid?: number): 0 | Errno {
  const { seenThrough } = creds;
  if (seenThrough === undefined) return 0;
  const known = (newUid ?? NO_ID) !== NO_ID || (newUid === undefined && seenThrough.uids.toKernel(uid) !== NO_ID);
  const knownGroup = (newGid ?? NO_ID) !== NO_ID || (newGid === undefined && seenThrough.gids.toKernel(gid) !== NO_ID);
  return known && knownGroup ? 0 : EOVERFLOW;
}

/** Changes metadata and tells who watches. */
export function changeAttributes(task: Task, place: VfsPath, what: AttributeChange): 0 | Errno {
  const r = inodeOf(place).setAttributes(what);
  if (r === 0) task.kernel.notify?.done(what.size === undefined ? IN_ATTRIB : IN_MODIFY, place, task);
  return r;
}
