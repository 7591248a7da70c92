/** stat(2), statx(2), statfs(2), getdents64(2): x86-64 structs and mode bits. */

import { len64, off64, pad, struct, u16, u32, u64 } from './struct.ts';

// inode(7): mode bits
export const S_IFMT = 0o170000;
export const S_IFSOCK = 0o140000;
export const S_IFLNK = 0o120000;
export const S_IFREG = 0o100000;
export const S_IFBLK = 0o060000;
export const S_IFDIR = 0o040000;
export const S_IFCHR = 0o020000;
export const S_IFIFO = 0o010000;
export const S_ISUID = 0o4000;
export const S_ISGID = 0o2000;
export const S_ISVTX = 0o1000;
export const S_IXGRP = 0o010;
export const S_IALLUGO = 0o7777;

// readdir(3): d_type is the mode's file type shifted down
export const DT_UNKNOWN = 0;
/** d_type of a mode. */
export function direntType(mode: number): number {
  return (mode & S_IFMT) >> 12;
}

// statx(2)
export const STATX_TYPE = 0x001;
export const STATX_MODE = 0x002;
export const STATX_NLINK = 0x004;
export const STATX_UID = 0x008;
export const STATX_GID = 0x010;
export const STATX_ATIME = 0x020;
export const STATX_MTIME = 0x040;
export const STATX_CTIME = 0x080;
export const STATX_INO = 0x100;
export const STATX_SIZE = 0x200;
export const STATX_BLOCKS = 0x400;
export const STATX_BASIC_STATS = 0x7ff;
export const STATX_BTIME = 0x800;
export const STATX_MNT_ID = 0x1000;
export const STATX_MNT_ID_UNIQUE = 0x4000;
export const STATX__RESERVED = 0x80000000;

/** glibc's and the kernel's device number encoding (makedev(3)), as st_rdev holds it: 32 bits are all we use. */
export function makedev(major: number, minor: number): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12)) >>> 0;
}
export function major(dev: number): number {
  return (dev >>> 8) & 0xfff;
}
export function minor(dev: number): number {
  return (dev & 0xff) | ((dev >>> 12) & 0xfff00);
}

/** struct stat, x86-64 (stat(3type)). Times are s + ns; st_blocks is in 512-byte units. */
export const Stat = struct('stat', 144, {
  st_dev: len64,
  st_ino: len64,
  st_nlink: len64,
  st_mode: u32,
  st_uid: u32,
  st_gid: u32,
  __pad0: pad(4),
  st_rdev: len64,
  st_size: len64,
  st_blksize: len64,
  st_blocks: len64,
  st_atime: off64,
  st_atime_nsec: len64,
  st_mtime: off64,
  st_mtime_nsec: len64,
  st_ctime: off64,
  st_ctime_nsec: len64,
  __unused: pad(24),
});

/** struct statx (statx(2)). Each time is s, ns and 4 bytes of padding. */
export const Statx = struct('statx', 256, {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  __spare0: pad(2),
  stx_ino: len64,
  stx_size: len64,
  stx_blocks: len64,
  stx_attributes_mask: u64,
  stx_atime: off64,
  stx_atime_nsec: u32,
  __pad1: pad(4),
  stx_btime: off64,
  stx_btime_nsec: u32,
  __pad2: pad(4),
  stx_ctime: off64,
  stx_ctime_nsec: u32,
  __pad3: pad(4),
  stx_mtime: off64,
  stx_mtime_nsec: u32,
  __pad4: pad(4),
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
  stx_mnt_id: len64,
  __spare: pad(104),
});
