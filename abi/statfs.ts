/** statfs(2): the struct, f_type values, f_flags. */
import { array, i32, len64, pad, struct } from './struct.ts';

export const TMPFS_MAGIC = 0x01021994;
export const OVERLAYFS_SUPER_MAGIC = 0x794c7630;
export const NFS_SUPER_MAGIC = 0x6969;
export const V9FS_MAGIC = 0x01021997;
export const CIFS_SUPER_MAGIC = 0xff534d42;
export const SMB2_SUPER_MAGIC = 0xfe534d42;
export const CEPH_SUPER_MAGIC = 0x00c36400;
export const RAMFS_MAGIC = 0x858458f6;

// f_flags
export const ST_RDONLY = 0x0001;
export const ST_NOSUID = 0x0002;
export const ST_NODEV = 0x0004;
export const ST_NOEXEC = 0x0008;
export const ST_VALID = 0x0020;
export const ST_NOATIME = 0x0400;
export const ST_NODIRATIME = 0x0800;
export const ST_RELATIME = 0x1000;
export const ST_NOSYMFOLLOW = 0x2000;

/** struct statfs, x86-64. */
export const Statfs = struct('statfs', 120, {
  f_type: len64,
  f_bsize: len64,
  f_blocks: len64,
  f_bfree: len64,
  f_bavail: len64,
  f_files: len64,
  f_ffree: len64,
  f_fsid: array(i32, 2),
  f_namelen: len64,
  f_frsize: len64,
  f_flags: len64,
  __f_spare: pad(32, 8),
});
