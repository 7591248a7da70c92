/** Attribute records of the extension messages: struct statx up to (and without) stx_mnt_id, as the host's kernel wrote it. */
import { len64, off64, pad, struct, u16, u32, u64 } from '../../abi/struct.ts';
import { ATTR_SIZE } from './messages.ts';

export const Attr = struct('statx', ATTR_SIZE, {
  stx_mask: u32,
  stx_blksize: u32,
  stx_attributes: u64,
  stx_nlink: u32,
  stx_uid: u32,
  stx_gid: u32,
  stx_mode: u16,
  __spare0: pad(2),
  stx_ino: u64,
  stx_size: len64,
  stx_blocks: len64,
  stx_attributes_mask: u64,
  stx_atime_sec: off64,
  stx_atime_nsec: u32,
  __pad1: pad(4),
  stx_btime_sec: off64,
  stx_btime_nsec: u32,
  __pad2: pad(4),
  stx_ctime_sec: off64,
  stx_ctime_nsec: u32,
  __pad3: pad(4),
  stx_mtime_sec: off64,
  stx_mtime_nsec: u32,
  __pad4: pad(4),
  stx_rdev_major: u32,
  stx_rdev_minor: u32,
  stx_dev_major: u32,
  stx_dev_minor: u32,
});

const O = Attr.offsets;

export function attrMode(view: DataView, at: number): number {
  return view.getUint16(at + O.stx_mode, true);
}

/**
 * One number below 2^53 that names the object among all of a mount: its inode number, mixed with its device where a mount spans several. `base` is
 * the device (`attrDevice`) of the mount's root: there inode numbers stay what the host shows.
 */
export function attrIdentity(view: DataView, at: number, base: number): number {
  const low = view.getUint32(at + O.stx_ino, true);
  let high = foldInode(view.getUint32(at + O.stx_ino + 4, true));
  const device = attrDevice(view, at);
  if (device !== base) high = (high ^ Math.imul(device ^ base, 0x9e37_79b1)) & 0x1f_ffff;
  return high * 0x1_0000_0000 + low;
}

/** Filesystems that put an instance number into the top bits of st_ino (overlayfs with xino): folds them in, below 2^21. */
function foldInode(high: number): number {
  return high > 0x1f_ffff ? (high ^ (high >>> 21) ^ 0x10_0000) & 0x1f_ffff : high;
}

/** As attrIdentity, of an object on the root's own device, from the 64-bit inode number at `at`. */
export function inodeIdentity(view: DataView, at: number): number {
  return foldInode(view.getUint32(at + 4, true)) * 0x1_0000_0000 + view.getUint32(at, true);
}

/** Device number of the object's filesystem, as one 32-bit value. */
export function attrDevice(view: DataView, at: number): number {
  return ((view.getUint32(at + O.stx_dev_major, true) << 20) | view.getUint32(at + O.stx_dev_minor, true)) >>> 0;
}
