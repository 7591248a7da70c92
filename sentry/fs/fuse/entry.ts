/** What a server says about an object, taken apart and checked. */
import { FuseAttr, FuseAttrOut, FuseEntryOut } from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../../abi/stat.ts';
import { NO_ID, OVERFLOW_ID, type UserNamespace } from '../../kernel/user_namespace.ts';
import type { Attributes, Timestamp } from '../../vfs/inode.ts';

const TYPES: readonly number[] = [S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK];
const SAFE_BITS = (1n << 53n) - 1n;
const MAX_BLKSIZE = 1 << 20;
/** Longest validity, s: about three years, which keeps the sum with the clock exact. */
const MAX_VALID = 1e8;

/** An answer to LOOKUP and its like. */
export interface Entry {
  /** 0n: there is no such name, and that may be remembered. */
  readonly nodeid: bigint;
  readonly generation: bigint;
  /** How long name and attributes may be believed, ns. */
  readonly entryValid: number;
  readonly attrValid: number;
  readonly attributes: Attributes;
}

function duration(seconds: number, nanoseconds: number): number {
  return Math.min(seconds, MAX_VALID) * 1e9 + Math.min(nanoseconds, 999_999_999);
}
function time(sec: number, nsec: number): Timestamp {
  return { sec: Number.isSafeInteger(sec) ? sec : 0, nsec: Math.min(nsec, 999_999_999) };
}
function owner(id: number): number {
  return id === NO_ID ? OVERFLOW_ID : id;
}

/** Null: no attributes that an object can have. Owners are the namespace's numbers. */
function readAttr(view: DataView, at: number, { uids, gids }: UserNamespace): Attributes | null {
  const a = FuseAttr.read(view, at);
  if (!TYPES.includes(a.mode & S_IFMT) || a.mode > 0xffff || a.size > Number.MAX_SAFE_INTEGER) return null;
  return {
    ino: Number(a.ino & SAFE_BITS),
    mode: a.mode,
    nlink: a.nlink,
    uid: owner(uids.toKernel(a.uid)),
    gid: owner(gids.toKernel(a.gid)),
    rdev: a.rdev,
    size: a.size,
    blksize: a.blksize === 0 ? PAGE_SIZE : Math.min(a.blksize, MAX_BLKSIZE),
    blocks: Math.min(a.blocks, Number.MAX_SAFE_INTEGER),
    atime: time(a.atime, a.atimensec),
    mtime: time(a.mtime, a.mtimensec),
    ctime: time(a.ctime, a.ctimensec),
  };
}

const NO_ATTRIBUTES: Attributes = Object.freeze({
  ino: 0,
  mode: 0,
  nlink: 0,
  uid: 0,
  gid: 0,
  rdev: 0,
  size: 0,
  blksize: PAGE_SIZE,
  blocks: 0,
  atime: { sec: 0, nsec: 0 },
  mtime: { sec: 0, nsec: 0 },
  ctime: { sec: 0, nsec: 0 },
});

/** A fuse_entry_out, of which there are enough bytes. Null: nonsense. */
export function readEntry(view: DataView, at: number, namespace: UserNamespace): Entry | null {
  const e = FuseEntryOut.read(view, at);
  const attributes = e.nodeid === 0n ? NO_ATTRIBUTES : readAttr(view, at + FuseEntryOut.offsets.__attr, namespace);
  if (attributes === null) return null;
  return {
    nodeid: e.nodeid,
    generation: e.generation,
    entryValid: duration(e.entry_valid, e.entry_valid_nsec),
    attrValid: duration(e.attr_valid, e.attr_valid_nsec),
    attributes,
  };
}

/** A fuse_attr_out. */
export function readAttrOut(view: DataView, namespace: UserNamespace): { attributes: Attributes; attrValid: number } | null {
  const attributes = readAttr(view, FuseAttrOut.offsets.__attr, namespace);
  if (attributes === null) return null;
  const { attr_valid, attr_valid_nsec } = FuseAttrOut.read(view, 0);
  return { attributes, attrValid: duration(attr_valid, attr_valid_nsec) };
}
