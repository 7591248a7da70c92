/** Mode, owner and access: chmod(2), chown(2), access(2), umask(2). */
import { EACCES, EINVAL, EOPNOTSUPP, EPERM, EROFS, type Errno } from '../../abi/errno.ts';
import { AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, W_OK, X_OK } from '../../abi/fcntl.ts';
import { S_IALLUGO, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_IXGRP } from '../../abi/stat.ts';
import { CAP_CHOWN, CAP_FSETID, type Credentials, hasCapIn, hasCapOver, inGroup } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { NO_ID } from '../kernel/user_namespace.ts';
import type { AttributeChange, Inode } from '../vfs/inode.ts';
import { credentialsOn, isUnmapped } from '../vfs/mount_id_map.ts';
import { inodeOf, type Mount, MS_NOEXEC, MS_RDONLY, type VfsPath } from '../vfs/path.ts';
import { checkMountWrite, checkPermission, ownerOrCapable } from '../vfs/permission.ts';
import { changeAttributes, checkOwners, placeAt, placeOf } from './attribute_target.ts';
import { fd, flags, int, mode, path, syscall, uint } from './definition.ts';

function chmodPlace(task: Task, place: VfsPath | Errno, wanted: number): number {
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const readOnly = checkMountWrite(place.mount);
  if (readOnly !== 0) return readOnly;
  if (inode.isSymlink) return EOPNOTSUPP;
  const creds = credentialsOn(place.mount, task.creds);
  const unknown = checkOwners(creds, inode);
  if (unknown !== 0) return unknown;
  if (!ownerOrCapable(inode, creds)) return EPERM;
  let bits = wanted & S_IALLUGO;
  if ((bits & S_ISGID) !== 0 && !inGroup(creds, inode.gid) && !hasCapOver(creds, CAP_FSETID, inode)) bits &= ~S_ISGID;
  return changeAttributes(task, place, { mode: bits });
}

/** uid and gid: -1 leaves it. */
function chownPlace(task: Task, place: VfsPath | Errno, wantedUid: number, wantedGid: number): number {
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const { uids, gids } = task.creds.namespace;
  const what: AttributeChange = {};
  if (wantedUid !== -1) what.uid = uids.toKernel(wantedUid >>> 0);
  if (wantedGid !== -1) what.gid = gids.toKernel(wantedGid >>> 0);
  if (what.uid === NO_ID || what.gid === NO_ID) return EINVAL;
  const readOnly = checkMountWrite(place.mount);
  if (readOnly !== 0) return readOnly;
  const { idMap } = place.mount;
  if (idMap !== null) {
    if (what.uid !== undefined) what.uid = idMap.uids.fromKernel(what.uid);
    if (what.gid !== undefined) what.gid = idMap.gids.fromKernel(what.gid);
  }
  const creds = credentialsOn(place.mount, task.creds);
  const denied = checkOwners(creds, inode, what.uid, what.gid) || (mayGive(place.mount, inode, creds, what) ? 0 : EPERM);
  if (denied !== 0) return denied;
  const kept = modeAfterChown(inode, creds);
  if (kept !== inode.mode) what.mode = kept & S_IALLUGO;
  if (inode.isRegular) inode.removeXattr('security.capability');
  return changeAttributes(task, place, what);
}
/** Owners give their files to groups of their own; anything else needs CAP_CHOWN, of an object without known owner over its filesystem. */
function mayGive(mount: Mount, inode: Inode, creds: Credentials, { uid, gid }: AttributeChange): boolean {
  if (hasCapOver(creds, CAP_CHOWN, inode) || inode.accessRule?.mayChange?.(inode, creds) === true) return true;
  if (isUnmapped(creds, inode) && hasCapIn(creds, CAP_CHOWN, mount.userNamespace)) return true;
  const owns = inode.uid === creds.fsuid;
  if (uid !== undefined && !(owns && uid === inode.uid)) return false;
  return gid === undefined || (owns && (gid === inode.gid || inGroup(creds, gid)));
}
/** A new owner takes setuid and setgid from anything but a directory, whoever asks; setgid that is not executable stays with those who could set it. */
function modeAfterChown(inode: Inode, creds: Credentials): number {
  const { mode, gid } = inode;
  if ((mode & S_IFMT) === S_IFDIR) return mode;
  const keepsGroup = (mode & S_IXGRP) === 0 && (inGroup(creds, gid) || hasCapOver(creds, CAP_FSETID, inode));
  return mode & ~(keepsGroup ? S_ISUID : S_ISUID | S_ISGID);
}

function faccessat(task: Task, dirfd: number, pathAddress: number, mask: number, atFlags: number): number {
  if ((mask & ~7) !== 0 || (atFlags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const creds = (atFlags & AT_EACCESS) !== 0 ? task.creds : realCredentials(task.creds);
  const own = task.creds;
  task.creds = creds; // the walk, too, is made as the real user
  let place: VfsPath | Errno;
  try {
    place = placeAt(task, dirfd, pathAddress, atFlags & ~AT_EACCESS);
  } finally {
    task.creds = own; // also if the call unwinds, to be made again
  }
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const type = inode.mode & S_IFMT;
  if ((mask & X_OK) !== 0 && type === S_IFREG && (place.mount.flags & MS_NOEXEC) !== 0) return EACCES;
  const denied = checkPermission(inode, credentialsOn(place.mount, creds), mask) || (mask === 0 ? 0 : inode.access(mask));
  if (denied !== 0) return denied;
  const onDisk = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
  return (mask & W_OK) !== 0 && onDisk && (place.mount.flags & MS_RDONLY) !== 0 ? EROFS : 0;
}

/** access(2) asks as the real user: root with what it is permitted, anybody else without capabilities. */
function realCredentials(creds: Credentials): Credentials {
  const effective = creds.uid === creds.namespace.rootUser ? creds.caps.permitted : 0n;
  if (creds.fsuid === creds.uid && creds.fsgid === creds.gid && effective === creds.caps.effective) return creds;
  return { ...creds, fsuid: creds.uid, fsgid: creds.gid, caps: { ...creds.caps, effective } };
}

function umask(task: Task, mask: number): number {
  const old = task.fs.umask;
  task.fs.umask = mask & 0o777;
  return old;
}

export const ATTR_CALLS = {
  chmod: syscall({ x64: 90, man: 'chmod(2)', args: [path, mode], run: (t, p, m) => chmodPlace(t, placeAt(t, AT_FDCWD, p, 0), m) }),
  fchmod: syscall({ x64: 91, man: 'chmod(2)', args: [fd, mode], run: (t, f, m) => chmodPlace(t, placeOf(t, f), m) }),
  fchmodat: syscall({ x64: 268, man: 'chmod(2)', args: [fd, path, mode], run: (t, d, p, m) => chmodPlace(t, placeAt(t, d, p, 0), m) }),
  fchmodat2: syscall({
    x64: 452,
    man: 'chmod(2)',
    args: [fd, path, mode, flags],
    run: (t, d, p, m, f) => chmodPlace(t, placeAt(t, d, p, f), m),
  }),
  chown: syscall({
    x64: 92,
    man: 'chown(2)',
    args: [path, int, int],
    run: (t, p, u, g) => chownPlace(t, placeAt(t, AT_FDCWD, p, 0), u, g),
  }),
  fchown: syscall({ x64: 93, man: 'chown(2)', args: [fd, int, int], run: (t, f, u, g) => chownPlace(t, placeOf(t, f), u, g) }),
  lchown: syscall({
    x64: 94,
    man: 'chown(2)',
    args: [path, int, int],
    run: (t, p, u, g) => chownPlace(t, placeAt(t, AT_FDCWD, p, AT_SYMLINK_NOFOLLOW), u, g),
  }),
  fchownat: syscall({
    x64: 260,
    man: 'chown(2)',
    args: [fd, path, int, int, flags],
    run: (t, d, p, u, g, f) => chownPlace(t, placeAt(t, d, p, f), u, g),
  }),
  access: syscall({ x64: 21, man: 'access(2)', args: [path, int], run: (t, p, m) => faccessat(t, AT_FDCWD, p, m, 0) }),
  faccessat: syscall({ x64: 269, man: 'access(2)', args: [fd, path, int], run: (t, d, p, m) => faccessat(t, d, p, m, 0) }),
  faccessat2: syscall({ x64: 439, man: 'access(2)', args: [fd, path, int, flags], run: faccessat }),
  umask: syscall({ x64: 95, man: 'umask(2)', args: [uint], run: umask }),
};
