/** Timestamps: utimensat(2), utime(2), utimes(2), futimesat(2). */
import { EFAULT, EINVAL, EPERM, type Errno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { off64 } from '../../abi/struct.ts';
import type { Task } from '../kernel/task.ts';
import type { AttributeChange, Timestamp } from '../vfs/inode.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { checkMountWrite, checkPermission, MAY_WRITE, ownerOrCapable } from '../vfs/permission.ts';
import { changeAttributes, checkOwners, placeAt, placeOf } from './attribute_target.ts';
import { addr, fd, flags, path, syscall } from './definition.ts';

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
  const creds = credentialsOn(place.mount, task.creds);
  const unknown = checkOwners(creds, inode);
  if (!ownerOrCapable(inode, creds)) {
    // Whoever may write may set both to the present.
    const denied = atime === 'now' && mtime === 'now' ? checkPermission(inode, creds, MAY_WRITE) : unknown || EPERM;
    if (denied !== 0) return denied;
  }
  if (unknown !== 0) return unknown;
  const present = now(task);
  const what: AttributeChange = {};
  if (atime !== null) what.atime = atime === 'now' ? present : atime;
  if (mtime !== null) what.mtime = mtime === 'now' ? present : mtime;
  return changeAttributes(task, place, what);
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
  if (atime === null && mtime === null) return 0;
  const place = pathAddress === 0 ? null : placeAt(task, dirfd, pathAddress, atFlags);
  if (typeof place === 'number') return place; // what is wrong with the path comes before what is wrong with the times
  if (typeof atime === 'number') return atime;
  if (typeof mtime === 'number') return mtime;
  if (place !== null) return setTimes(task, place, atime, mtime);
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

export const UTIME_CALLS = {
  utime: syscall({ x64: 132, man: 'utime(2)', args: [path, addr], run: utime }),
  utimes: syscall({ x64: 235, man: 'utime(2)', args: [path, addr], run: (t, p, a) => utimes(t, AT_FDCWD, p, a) }),
  futimesat: syscall({ x64: 261, man: 'futimesat(2)', args: [fd, path, addr], run: utimes }),
  utimensat: syscall({ x64: 280, man: 'utimensat(2)', args: [fd, path, addr, flags], run: utimensat }),
};
