/** Attribute records of the gofer as the VFS wants them. */
import { makedev } from '../../../abi/stat.ts';
import { getLen64 } from '../../../abi/struct.ts';
import { Attr, attrIdentity } from '../../../lib/p9/attr.ts';
import type { Attributes, Timestamp } from '../../vfs/inode.ts';

const O = Attr.offsets;

function timestamp(view: DataView, at: number): Timestamp {
  return { sec: view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true), nsec: view.getUint32(at + 8, true) };
}

/** From the record at `at`. `device`: attrDevice of the mount's root. The inode number is the object's identity in its mount. */
export function readAttributes(view: DataView, at: number, device: number): Attributes {
  return {
    ino: attrIdentity(view, at, device),
    mode: view.getUint16(at + O.stx_mode, true),
    nlink: view.getUint32(at + O.stx_nlink, true),
    uid: view.getUint32(at + O.stx_uid, true),
    gid: view.getUint32(at + O.stx_gid, true),
    rdev: makedev(view.getUint32(at + O.stx_rdev_major, true), view.getUint32(at + O.stx_rdev_minor, true)),
    size: getLen64(view, at + O.stx_size),
    blksize: view.getUint32(at + O.stx_blksize, true),
    blocks: getLen64(view, at + O.stx_blocks),
    atime: timestamp(view, at + O.stx_atime_sec),
    mtime: timestamp(view, at + O.stx_mtime_sec),
    ctime: timestamp(view, at + O.stx_ctime_sec),
    btime: timestamp(view, at + O.stx_btime_sec),
  };
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
