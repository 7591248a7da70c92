/** Metadata: chmod(2), chown(2), utime(2), access(2), umask(2), truncate(2), fallocate(2), advice. */
import { EACCES, EBADF, EFAULT, EFBIG, EINVAL, EISDIR, ENODEV, EOPNOTSUPP, EPERM, EROFS, type Errno, ESPIPE } from '../../abi/errno.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from '../../abi/fallocate.ts';
import { AT_EACCESS, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, W_OK, X_OK } from '../../abi/fcntl.ts';
import { S_IALLUGO, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_IXGRP } from '../../abi/stat.ts';
import { off64 } from '../../abi/struct.ts';
import { CAP_CHOWN, CAP_FSETID, type Credentials, hasCap, inGroup } from '../kernel/credentials.ts';
import { RLIMIT_FSIZE } from '../kernel/rlimits.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { AttributeChange, Inode, Timestamp } from '../vfs/inode.ts';
import { IN_ATTRIB, IN_MODIFY } from '../vfs/notify.ts';
import { inodeOf, MS_NOEXEC, MS_RDONLY, type VfsPath } from '../vfs/path.ts';
import { checkMountWrite, checkPermission, MAY_WRITE, modeAfterWrite, ownerOrCapable } from '../vfs/permission.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, flags, int, long, mode, path, size, syscall, uint } from './definition.ts';
import { fileTooLarge } from './sys_readwrite.ts';

/** The place that a path argument with AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH means. */
function placeAt(task: Task, dirfd: number, address: number, atFlags: number): VfsPath | Errno {
  if ((atFlags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const options = (atFlags & AT_SYMLINK_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  return resolve(task, dirfd, text, (atFlags & AT_EMPTY_PATH) !== 0 ? options | LOOKUP_EMPTY : options);
}

/** The place of an open file that is not O_PATH. */
function placeOf(task: Task, number: number): VfsPath | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.isPath || file.path === null ? EBADF : file.path;
}

function change(task: Task, place: VfsPath, what: AttributeChange): 0 | Errno {
  const r = inodeOf(place).setAttributes(what);
  if (r === 0) task.kernel.notify?.object(what.size === undefined ? IN_ATTRIB : IN_MODIFY, place.dentry);
  return r;
}

function chmodPlace(task: Task, place: VfsPath | Errno, wanted: number): number {
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const readOnly = checkMountWrite(place.mount);
  if (readOnly !== 0) return readOnly;
  if (inode.isSymlink) return EOPNOTSUPP;
  if (!ownerOrCapable(inode, task.creds)) return EPERM;
  let bits = wanted & S_IALLUGO;
  if ((bits & S_ISGID) !== 0 && !inGroup(task.creds, inode.gid) && !hasCap(task.creds, CAP_FSETID)) bits &= ~S_ISGID;
  return change(task, place, { mode: bits });
}

/** uid and gid: -1 leaves it. */
function chownPlace(task: Task, place: VfsPath | Errno, uid: number, gid: number): number {
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const readOnly = checkMountWrite(place.mount);
  if (readOnly !== 0) return readOnly;
  const { creds } = task;
  if (!hasCap(creds, CAP_CHOWN)) {
    const owns = inode.uid === creds.fsuid;
    if (uid !== -1 && !(owns && uid >>> 0 === inode.uid)) return EPERM;
    if (gid !== -1 && !(owns && (gid >>> 0 === inode.gid || inGroup(creds, gid >>> 0)))) return EPERM;
  }
  const what: AttributeChange = {};
  if (uid !== -1) what.uid = uid >>> 0;
  if (gid !== -1) what.gid = gid >>> 0;
  const kept = modeAfterChown(inode.mode);
  if (kept !== inode.mode) what.mode = kept & S_IALLUGO;
  inode.removeXattr('security.capability');
  return change(task, place, what);
}
/** A new owner takes setuid and (executable) setgid from anything but a directory, whoever asks. */
function modeAfterChown(bits: number): number {
  if ((bits & S_IFMT) === S_IFDIR) return bits;
  return bits & ~(S_ISUID | ((bits & S_IXGRP) !== 0 ? S_ISGID : 0));
}

// utimensat(2)
const UTIME_NOW = (1 << 30) - 1;
const UTIME_OMIT = (1 << 30) - 2;
const NS = 1_000_000_000;

function now(task: Task): Timestamp {
  const ns = task.kernel.realtime();
  const sec = Math.floor(ns / NS);
  return { sec, nsec: Math.floor(ns - sec * NS) };
}

/** null: UTIME_OMIT; 'now': UTIME_NOW. */
type WantedTime = Timestamp | 'now' | null;

function setTimes(task: Task, place: VfsPath | Errno, atime: WantedTime, mtime: WantedTime): number {
  if (typeof place === 'number') return place;
  if (atime === null && mtime === null) return 0;
  const inode = inodeOf(place);
  const readOnly = checkMountWrite(place.mount);
  if (readOnly !== 0) return readOnly;
  if (!ownerOrCapable(inode, task.creds)) {
    // Whoever may write may set both to the present.
    if (atime !== 'now' || mtime !== 'now') return EPERM;
    const denied = checkPermission(inode, task.creds, MAY_WRITE);
    if (denied !== 0) return denied;
  }
  const present = now(task);
  const what: AttributeChange = {};
  if (atime !== null) what.atime = atime === 'now' ? present : atime;
  if (mtime !== null) what.mtime = mtime === 'now' ? present : mtime;
  return change(task, place, what);
}

function wantedTime(view: DataView, offset: number): WantedTime | Errno {
  const sec = off64.get(view, offset);
  const nsec = off64.get(view, offset + 8);
  if (nsec === UTIME_NOW) return 'now';
  if (nsec === UTIME_OMIT) return null;
  return nsec < 0 || nsec >= NS ? EINVAL : { sec, nsec };
}

function utimensat(task: Task, dirfd: number, pathAddress: number, times: number, atFlags: number): number {
  if ((atFlags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  let atime: WantedTime | Errno = 'now';
  let mtime: WantedTime | Errno = 'now';
  if (times !== 0) {
    const raw = task.readBytes(times, 32);
    if (typeof raw === 'number') return raw;
    const view = new DataView(raw.buffer);
    atime = wantedTime(view, 0);
    mtime = wantedTime(view, 16);
  }
  if (typeof atime === 'number') return atime;
  if (typeof mtime === 'number') return mtime;
  if (atime === null && mtime === null) return 0;
  if (pathAddress !== 0) return setTimes(task, placeAt(task, dirfd, pathAddress, atFlags), atime, mtime);
  if (dirfd === AT_FDCWD) return EFAULT;
  return setTimes(task, atFlags !== 0 ? EINVAL : placeOf(task, dirfd), atime, mtime);
}

/** utimes(2), futimesat(2): two struct timeval. */
function utimes(task: Task, dirfd: number, pathAddress: number, times: number): number {
  if (times === 0) return setTimes(task, utimesPlace(task, dirfd, pathAddress), 'now', 'now');
  const raw = task.readBytes(times, 32);
  if (typeof raw === 'number') return raw;
  const view = new DataView(raw.buffer);
  const usec = [off64.get(view, 8), off64.get(view, 24)] as const;
  if (usec.some((u) => u < 0 || u >= 1_000_000)) return EINVAL;
  const atime = { sec: off64.get(view, 0), nsec: usec[0] * 1000 };
  return setTimes(task, utimesPlace(task, dirfd, pathAddress), atime, { sec: off64.get(view, 16), nsec: usec[1] * 1000 });
}
function utimesPlace(task: Task, dirfd: number, pathAddress: number): VfsPath | Errno {
  return pathAddress === 0 && dirfd !== AT_FDCWD ? placeOf(task, dirfd) : placeAt(task, dirfd, pathAddress, 0);
}

/** utime(2): struct utimbuf, whole seconds. */
function utime(task: Task, pathAddress: number, times: number): number {
  const place = placeAt(task, AT_FDCWD, pathAddress, 0);
  if (times === 0) return setTimes(task, place, 'now', 'now');
  const raw = task.readBytes(times, 16);
  if (typeof raw === 'number') return raw;
  const view = new DataView(raw.buffer);
  return setTimes(task, place, { sec: off64.get(view, 0), nsec: 0 }, { sec: off64.get(view, 8), nsec: 0 });
}

function faccessat(task: Task, dirfd: number, pathAddress: number, mask: number, atFlags: number): number {
  if ((mask & ~7) !== 0 || (atFlags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const creds = (atFlags & AT_EACCESS) !== 0 ? task.creds : realCredentials(task.creds);
  const own = task.creds;
  task.creds = creds; // the walk, too, is made as the real user
  const place = placeAt(task, dirfd, pathAddress, atFlags & ~AT_EACCESS);
  task.creds = own;
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const type = inode.mode & S_IFMT;
  if ((mask & X_OK) !== 0 && type === S_IFREG && (place.mount.flags & MS_NOEXEC) !== 0) return EACCES;
  const denied = checkPermission(inode, creds, mask);
  if (denied !== 0) return denied;
  const onDisk = type === S_IFREG || type === S_IFDIR || type === S_IFLNK;
  return (mask & W_OK) !== 0 && onDisk && (place.mount.flags & MS_RDONLY) !== 0 ? EROFS : 0;
}

/** access(2) asks as the real user: root with what it is permitted, anybody else without capabilities. */
function realCredentials(creds: Credentials): Credentials {
  const effective = creds.uid === 0 ? creds.caps.permitted : 0n;
  if (creds.fsuid === creds.uid && creds.fsgid === creds.gid && effective === creds.caps.effective) return creds;
  return { ...creds, fsuid: creds.uid, fsgid: creds.gid, caps: { ...creds.caps, effective } };
}

function umask(task: Task, mask: number): number {
  const old = task.fs.umask;
  task.fs.umask = mask & 0o777;
  return old;
}

/** Largest size that a file may be given. */
const MAX_SIZE = Number.MAX_SAFE_INTEGER;

function checkSize(task: Task, wanted: number): 0 | Errno {
  if (wanted < 0) return EINVAL;
  if (wanted > MAX_SIZE) return EFBIG;
  return wanted > task.group.limits.soft(RLIMIT_FSIZE) ? fileTooLarge(task) : 0;
}

function truncate(task: Task, pathAddress: number, wanted: number): number {
  if (wanted < 0) return EINVAL;
  const place = placeAt(task, AT_FDCWD, pathAddress, 0);
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  if (inode.isDirectory) return EISDIR;
  if (!inode.isRegular) return EINVAL;
  const denied = checkMountWrite(place.mount) || checkPermission(inode, task.creds, MAY_WRITE) || checkSize(task, wanted);
  return denied !== 0 ? denied : change(task, place, withoutPrivileges(inode, task.creds, wanted));
}
function withoutPrivileges(inode: Inode, creds: Credentials, wanted: number): AttributeChange {
  const bits = inode.mode;
  const kept = modeAfterWrite(bits, creds);
  return kept === bits ? { size: wanted } : { size: wanted, mode: kept & S_IALLUGO };
}

function ftruncate(task: Task, number: number, wanted: number): number {
  if (wanted < 0) return EINVAL;
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if (!file.writable) return EINVAL;
  const r = checkSize(task, wanted) || file.impl.truncate(file, wanted);
  if (r === 0 && file.path !== null) task.kernel.notify?.object(IN_MODIFY, file.path.dentry);
  return r;
}

const FALLOC_KNOWN = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;

function fallocate(task: Task, number: number, allocateMode: number, offset: number, length: number): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if (offset < 0 || length <= 0) return EINVAL;
  if ((allocateMode & ~FALLOC_KNOWN) !== 0) return EOPNOTSUPP;
  if (!file.writable) return EBADF;
  const type = file.inode === null ? 0 : file.inode.mode & S_IFMT;
  if (type === S_IFIFO) return ESPIPE;
  if (type === S_IFDIR) return EISDIR;
  if (type !== S_IFREG) return ENODEV;
  if (offset + length > MAX_SIZE) return EFBIG;
  if ((allocateMode & FALLOC_FL_KEEP_SIZE) === 0) {
    const r = checkSize(task, offset + length);
    if (r !== 0) return r;
  }
  const r = file.impl.allocate(file, allocateMode, offset, length);
  if (r === 0 && file.path !== null) task.kernel.notify?.object(IN_MODIFY, file.path.dentry);
  return r;
}

/** posix_fadvise(2): accepted; the host's page cache knows better. */
function fadvise64(task: Task, number: number, _offset: number, length: number, advice: number): number {
  const file = seekable(task, number);
  if (typeof file === 'number') return file;
  return length < 0 || advice < 0 || advice > 5 ? EINVAL : 0;
}
function readahead(task: Task, number: number): number {
  const file = seekable(task, number);
  if (typeof file === 'number') return file === ESPIPE ? EINVAL : file;
  return file.readable ? 0 : EBADF;
}
function seekable(task: Task, number: number): FileDescription | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  return file.inode !== null && (file.inode.mode & S_IFMT) === S_IFIFO ? ESPIPE : file;
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
  utime: syscall({ x64: 132, man: 'utime(2)', args: [path, addr], run: utime }),
  utimes: syscall({ x64: 235, man: 'utime(2)', args: [path, addr], run: (t, p, a) => utimes(t, AT_FDCWD, p, a) }),
  futimesat: syscall({ x64: 261, man: 'futimesat(2)', args: [fd, path, addr], run: utimes }),
  utimensat: syscall({ x64: 280, man: 'utimensat(2)', args: [fd, path, addr, flags], run: utimensat }),
  access: syscall({ x64: 21, man: 'access(2)', args: [path, int], run: (t, p, m) => faccessat(t, AT_FDCWD, p, m, 0) }),
  faccessat: syscall({ x64: 269, man: 'access(2)', args: [fd, path, int], run: (t, d, p, m) => faccessat(t, d, p, m, 0) }),
  faccessat2: syscall({ x64: 439, man: 'access(2)', args: [fd, path, int, flags], run: faccessat }),
  umask: syscall({ x64: 95, man: 'umask(2)', args: [uint], run: umask }),
  truncate: syscall({ x64: 76, man: 'truncate(2)', args: [path, long], run: truncate }),
  ftruncate: syscall({ x64: 77, man: 'truncate(2)', args: [fd, long], run: ftruncate }),
  fallocate: syscall({ x64: 285, man: 'fallocate(2)', args: [fd, flags, long, long], run: fallocate }),
  fadvise64: syscall({ x64: 221, man: 'posix_fadvise(2)', args: [fd, long, long, int], run: fadvise64 }),
  readahead: syscall({ x64: 187, man: 'readahead(2)', args: [fd, long, size], run: readahead }),
};
