/** Making names: the part that mkdir, mknod, symlink, link and bind(2) have in common. */
import { EEXIST, ENOENT, EOVERFLOW, EPERM, type Errno, EXDEV } from '../../abi/errno.ts';
import { IN_CREATE } from '../../abi/inotify.ts';
import { S_IALLUGO, S_IFDIR, S_IFMT, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { instantiate, lookupChild } from './dentry_cache.ts';
import type { Inode } from './inode.ts';
import { credentialsOn, isUnmapped } from './mount_id_map.ts';
import { Dentry, inodeOf, type VfsPath } from './path.ts';
import { checkMaking, checkMountWrite, checkPermission, createOptions, MAY_READ, MAY_WRITE, ownerOrCapable } from './permission.ts';
import { resolveParent } from './walk.ts';

/** A file of O_TMPFILE: it may still get a name. */
export class TemporaryDentry extends Dentry {}

/** A free name on a mount that can be written. The path is the name's, its dentry negative. */
function freeName(task: Task, dirfd: number, path: ByteString, directory: boolean): VfsPath | Errno {
  const walk = resolveParent(task, dirfd, path);
  if (typeof walk === 'number') return walk;
  if (walk.last !== 'name') return EEXIST;
  const dentry = lookupChild(walk.dentry, walk.name, task);
  if (typeof dentry === 'number') return dentry;
  if (dentry.inode !== null) return EEXIST;
  if (walk.trailingSlash && !directory) return ENOENT;
  const readOnly = checkMountWrite(walk.mount);
  return readOnly !== 0 ? readOnly : { mount: walk.mount, dentry };
}

/** May the task make something under this free name? */
function mayCreate(task: Task, place: VfsPath): 0 | Errno {
  const parent = place.dentry.parent as Dentry;
  return parent.deleted ? ENOENT : checkMaking(parent.inode as Inode, credentialsOn(place.mount, task.creds));
}

/** A free name under which the task may make something. */
function usableName(task: Task, dirfd: number, path: ByteString, directory: boolean): VfsPath | Errno {
  const place = freeName(task, dirfd, path, directory);
  if (typeof place === 'number') return place;
  const denied = mayCreate(task, place);
  return denied !== 0 ? denied : place;
}

function parentOf(place: VfsPath): Inode {
  return place.dentry.parent?.inode as Inode;
}

function enter(task: Task, place: VfsPath, made: Inode | Errno): VfsPath | Errno {
  if (typeof made === 'number') return made;
  instantiate(place.dentry, made);
  task.kernel.notify?.entry(IN_CREATE, parentOf(place), place.dentry.name, made);
  return place;
}

/** mkdirat(2). */
export function makeDirectory(task: Task, dirfd: number, path: ByteString, mode: number): VfsPath | Errno {
  const place = usableName(task, dirfd, path, true);
  if (typeof place === 'number') return place;
  const parent = parentOf(place);
  const bits = S_IFDIR | (mode & (0o777 | S_ISVTX));
  return enter(
    task,
    place,
    parent.mkdir(place.dentry.name, createOptions(parent, credentialsOn(place.mount, task.creds), bits, task.fs.umask)),
  );
}

/** mknodat(2), and bind(2) of a unix socket: `mode` has its type and is subject to the umask. Privileges have been checked. */
export function makeNode(task: Task, dirfd: number, path: ByteString, mode: number, rdev: number): VfsPath | Errno {
  const place = usableName(task, dirfd, path, false);
  if (typeof place === 'number') return place;
  const parent = parentOf(place);
  const options = createOptions(parent, credentialsOn(place.mount, task.creds), mode & (S_IFMT | S_IALLUGO), task.fs.umask);
  return enter(task, place, parent.mknod(place.dentry.name, options, rdev));
}

/** symlinkat(2). */
export function makeSymlink(task: Task, target: ByteString, dirfd: number, path: ByteString): VfsPath | Errno {
  const place = usableName(task, dirfd, path, false);
  if (typeof place === 'number') return place;
  const parent = parentOf(place);
  return enter(
    task,
    place,
    parent.symlink(place.dentry.name, target, createOptions(parent, credentialsOn(place.mount, task.creds), 0o777, 0)),
  );
}

/** linkat(2): another name for `source`. */
export function makeLink(task: Task, source: VfsPath, dirfd: number, path: ByteString): 0 | Errno {
  const place = freeName(task, dirfd, path, false);
  if (typeof place === 'number') return place;
  const target = inodeOf(source);
  if (source.mount !== place.mount) return EXDEV;
  const creds = credentialsOn(place.mount, task.creds);
  if (isUnmapped(creds, target)) return EOVERFLOW;
  if (!mayLink(target, creds)) return EPERM;
  const denied = mayCreate(task, place);
  if (denied !== 0) return denied;
  if (target.isDirectory) return EPERM;
  const temporary = source.dentry instanceof TemporaryDentry;
  if (source.dentry.deleted && !temporary && target.attributes().nlink === 0) return ENOENT;
  const parent = parentOf(place);
  const r = parent.link(place.dentry.name, target);
  if (r !== 0) return r;
  instantiate(place.dentry, target);
  task.kernel.notify?.linkCount(target);
  task.kernel.notify?.entry(IN_CREATE, parent, place.dentry.name, target);
  return 0;
}

/** fs.protected_hardlinks = 1 (proc_sys_fs(5)): others' files get no new names from those who cannot read and write them. */
function mayLink(target: Inode, creds: Credentials): boolean {
  if (ownerOrCapable(target, creds)) return true;
  const mode = target.mode;
  const privileged = (mode & S_ISUID) !== 0 || (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP);
  return target.isRegular && !privileged && checkPermission(target, creds, MAY_READ | MAY_WRITE) === 0;
}
