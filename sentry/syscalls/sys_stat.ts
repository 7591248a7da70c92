/** stat(2), statx(2), statfs(2). */
import { EBADF, EINVAL, type Errno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_NO_AUTOMOUNT, AT_STATX_SYNC_TYPE, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import {
  major,
  minor,
  STATX__RESERVED,
  STATX_BASIC_STATS,
  STATX_BTIME,
  STATX_MNT_ID,
  STATX_MNT_ID_UNIQUE,
  Stat,
  Statx,
} from '../../abi/stat.ts';
import {
  ST_NOATIME,
  ST_NODEV,
  ST_NODIRATIME,
  ST_NOEXEC,
  ST_NOSUID,
  ST_NOSYMFOLLOW,
  ST_RDONLY,
  ST_RELATIME,
  ST_VALID,
  Statfs,
} from '../../abi/statfs.ts';
import { setLen64 } from '../../abi/struct.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Task } from '../kernel/task.ts';
import type { UserNamespace } from '../kernel/user_namespace.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { Attributes, Inode, Timestamp } from '../vfs/inode.ts';
import { ownerThrough } from '../vfs/mount_id_map.ts';
import {
  inodeOf,
  type Mount,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  type VfsPath,
} from '../vfs/path.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve, startOf } from '../vfs/walk.ts';
import { addr, fd, flags, path, syscall, uint } from './definition.ts';

const STAT = Stat.offsets;
const STATX = Statx.offsets;

/** Lays struct stat out at the start of `view`: by hand, because every program does it all the time. */
export function writeStat(view: DataView, dev: number, a: Attributes, mount: Mount, { uids, gids }: UserNamespace): void {
  const { uid, gid } = mount.idMap === null ? a : ownerThrough(mount, a);
  setLen64(view, STAT.st_dev, dev);
  setLen64(view, STAT.st_ino, a.ino);
  setLen64(view, STAT.st_nlink, a.nlink);
  view.setUint32(STAT.st_mode, a.mode, true);
  view.setUint32(STAT.st_uid, uids.shown(uid), true);
  view.setUint32(STAT.st_gid, gids.shown(gid), true);
  view.setUint32(STAT.__pad0, 0, true);
  setLen64(view, STAT.st_rdev, a.rdev);
  setLen64(view, STAT.st_size, a.size);
  setLen64(view, STAT.st_blksize, a.blksize);
  setLen64(view, STAT.st_blocks, a.blocks);
  setTime(view, STAT.st_atime, a.atime);
  setTime(view, STAT.st_mtime, a.mtime);
  setTime(view, STAT.st_ctime, a.ctime);
  for (let at = STAT.__unused; at < Stat.size; at += 4) view.setUint32(at, 0, true);
}
function setTime(view: DataView, offset: number, time: Timestamp): void {
  setLen64(view, offset, time.sec);
  view.setUint32(offset + 8, time.nsec, true);
  view.setUint32(offset + 12, 0, true);
}

function copyStat(task: Task, inode: Inode, mount: Mount, address: number): number {
  const { kernel } = task;
  writeStat(kernel.ioView, inode.fs.dev, inode.attributes(), mount, task.creds.namespace);
  return task.copyOutFirst(address, kernel.ioScratch, Stat.size);
}

/** Where no walk has just asked a revalidating filesystem (the end is no looked-up name), asks it. */
function refreshed(task: Task, path: VfsPath, text: ByteString, file: FileDescription | null = null): Inode | Errno {
  const inode = inodeOf(path);
  if (inode.fs.cachePolicy !== 'revalidate') return inode;
  const walked = text !== '' && !text.endsWith('.') && path.dentry !== path.mount.root;
  if (walked && !inode.fs.attributesExpire) return inode;
  const r = inode.refresh(file, task.creds);
  return r !== 0 ? r : inode;
}

function statAt(task: Task, dirfd: number, pathAddress: number, address: number, atFlags: number): number {
  const text = task.readPath(pathAddress);
  if (typeof text === 'number') return text;
  const options = (atFlags & AT_SYMLINK_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  const found = resolve(task, dirfd, text, (atFlags & AT_EMPTY_PATH) !== 0 ? options | LOOKUP_EMPTY : options);
  if (typeof found === 'number') return found;
  const inode = refreshed(task, found, text);
  return typeof inode === 'number' ? inode : copyStat(task, inode, found.mount, address);
}

function newfstatat(task: Task, dirfd: number, pathAddress: number, address: number, atFlags: number): number {
  if ((atFlags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) !== 0) return EINVAL;
  // A null path with AT_EMPTY_PATH is fstat(2) (since Linux 6.11).
  if (pathAddress === 0 && (atFlags & AT_EMPTY_PATH) !== 0 && dirfd >= 0) return fstat(task, dirfd, address);
  return statAt(task, dirfd, pathAddress, address, atFlags);
}

function fstat(task: Task, number: number, address: number): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.path === null) return EBADF;
  const inode = refreshed(task, file.path, '', file);
  return typeof inode === 'number' ? inode : copyStat(task, inode, file.path.mount, address);
}

// statx(2)
const STATX_ATTR_MOUNT_ROOT = 0x2000;
/** Numbers that are never used again lie above those of /proc/PID/mountinfo; ours are not used again either. */
const UNIQUE_MOUNT_ID = 2 ** 32;

function statx(task: Task, dirfd: number, pathAddress: number, atFlags: number, mask: number, address: number): number {
  if ((mask & STATX__RESERVED) !== 0) return EINVAL;
  if ((atFlags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)) !== 0) return EINVAL;
  if ((atFlags & AT_STATX_SYNC_TYPE) === AT_STATX_SYNC_TYPE) return EINVAL;
  const text = pathAddress === 0 && (atFlags & AT_EMPTY_PATH) !== 0 ? '' : task.readPath(pathAddress);
  if (typeof text === 'number') return text;
  const options = (atFlags & AT_SYMLINK_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  const found = resolve(task, dirfd, text, (atFlags & AT_EMPTY_PATH) !== 0 ? options | LOOKUP_EMPTY : options);
  if (typeof found === 'number') return found;
  const inode = refreshed(task, found, text);
  if (typeof inode === 'number') return inode;
  writeStatx(task.kernel.ioView, inode.fs.dev, inode.attributes(), found, task.creds.namespace, mask);
  return task.copyOutFirst(address, task.kernel.ioScratch, Statx.size);
}

function writeStatx(view: DataView, dev: number, a: Attributes, place: VfsPath, { uids, gids }: UserNamespace, mask: number): void {
  const idKind = (mask & STATX_MNT_ID_UNIQUE) !== 0 ? STATX_MNT_ID_UNIQUE : STATX_MNT_ID;
  const { uid, gid } = ownerThrough(place.mount, a);
  for (let at = 0; at < Statx.size; at += 4) view.setUint32(at, 0, true);
  view.setUint32(STATX.stx_mask, STATX_BASIC_STATS | idKind | (a.btime === undefined ? 0 : STATX_BTIME), true);
  view.setUint32(STATX.stx_blksize, a.blksize, true);
  view.setUint32(STATX.stx_attributes, place.dentry === place.mount.root ? STATX_ATTR_MOUNT_ROOT : 0, true);
  view.setUint32(STATX.stx_attributes_mask, STATX_ATTR_MOUNT_ROOT, true);
  view.setUint32(STATX.stx_nlink, a.nlink, true);
  view.setUint32(STATX.stx_uid, uids.shown(uid), true);
  view.setUint32(STATX.stx_gid, gids.shown(gid), true);
  view.setUint16(STATX.stx_mode, a.mode, true);
  setLen64(view, STATX.stx_ino, a.ino);
  setLen64(view, STATX.stx_size, a.size);
  setLen64(view, STATX.stx_blocks, a.blocks);
  setTime(view, STATX.stx_atime, a.atime);
  if (a.btime !== undefined) setTime(view, STATX.stx_btime, a.btime);
  setTime(view, STATX.stx_ctime, a.ctime);
  setTime(view, STATX.stx_mtime, a.mtime);
  view.setUint32(STATX.stx_rdev_major, major(a.rdev), true);
  view.setUint32(STATX.stx_rdev_minor, minor(a.rdev), true);
  view.setUint32(STATX.stx_dev_major, major(dev), true);
  view.setUint32(STATX.stx_dev_minor, minor(dev), true);
  setLen64(view, STATX.stx_mnt_id, idKind === STATX_MNT_ID ? place.mount.id : UNIQUE_MOUNT_ID + place.mount.id);
}

const STATFS_FLAGS: readonly (readonly [number, number])[] = [
  [MS_RDONLY, ST_RDONLY],
  [MS_NOSUID, ST_NOSUID],
  [MS_NODEV, ST_NODEV],
  [MS_NOEXEC, ST_NOEXEC],
  [MS_NOATIME, ST_NOATIME],
  [MS_NODIRATIME, ST_NODIRATIME],
  [MS_RELATIME, ST_RELATIME],
  [MS_NOSYMFOLLOW, ST_NOSYMFOLLOW],
];

function copyStatfs(task: Task, mount: Mount, address: number): number {
  const s = mount.fs.stats();
  if (typeof s === 'number') return s;
  let f_flags = ST_VALID;
  for (const [bit, shown] of STATFS_FLAGS) if ((mount.flags & bit) !== 0) f_flags |= shown;
  return task.copyOut(
    address,
    Statfs.encode({
      f_type: s.type,
      f_bsize: s.bsize,
      f_blocks: s.blocks,
      f_bfree: s.bfree,
      f_bavail: s.bavail,
      f_files: s.files,
      f_ffree: s.ffree,
      f_fsid: [mount.fs.dev, 0],
      f_namelen: s.namelen,
      f_frsize: s.frsize || s.bsize || PAGE_SIZE,
      f_flags,
    }),
  );
}

function statfs(task: Task, pathAddress: number, address: number): number {
  const text = task.readPath(pathAddress);
  if (typeof text === 'number') return text;
  const found = resolve(task, AT_FDCWD, text, LOOKUP_FOLLOW);
  return typeof found === 'number' ? found : copyStatfs(task, found.mount, address);
}
function fstatfs(task: Task, number: number, address: number): number {
  const found = startOf(task, number);
  return number === AT_FDCWD ? EBADF : typeof found === 'number' ? found : copyStatfs(task, found.mount, address);
}

export const STAT_CALLS = {
  stat: syscall({ x64: 4, man: 'stat(2)', args: [path, addr], run: (t, p, a) => statAt(t, AT_FDCWD, p, a, 0) }),
  fstat: syscall({ x64: 5, man: 'stat(2)', args: [fd, addr], run: fstat }),
  lstat: syscall({ x64: 6, man: 'stat(2)', args: [path, addr], run: (t, p, a) => statAt(t, AT_FDCWD, p, a, AT_SYMLINK_NOFOLLOW) }),
  newfstatat: syscall({ x64: 262, man: 'stat(2)', args: [fd, path, addr, flags], run: newfstatat }),
  statx: syscall({ x64: 332, man: 'statx(2)', args: [fd, path, flags, uint, addr], run: statx }),
  statfs: syscall({ x64: 137, man: 'statfs(2)', args: [path, addr], run: statfs }),
  fstatfs: syscall({ x64: 138, man: 'statfs(2)', args: [fd, addr], run: fstatfs }),
};
