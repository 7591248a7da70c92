/**
 * Filesystems whose content the kernel makes up: proc, sysfs, cgroup2, devpts. A tree of inodes that exist for ever, and
 * directories that decide at each look-up.
 */
import { EPERM, type Errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { S_IFMT } from '../../../abi/stat.ts';
import {
  type AttributeChange,
  type Attributes,
  type CachePolicy,
  Filesystem,
  type FilesystemStats,
  Inode,
  type Timestamp,
} from '../../vfs/inode.ts';

/** What a filesystem asks of the kernel. */
export interface Clock {
  /** ns since the epoch. */
  realtime(): number;
}

export function timestamp(clock: Clock): Timestamp {
  const now = clock.realtime();
  const sec = Math.floor(now / 1e9);
  return { sec, nsec: Math.floor(now - sec * 1e9) };
}

export abstract class SyntheticFilesystem extends Filesystem {
  /** Names come and go without the VFS's doing, and a cached one would keep a dead process in memory. */
  override readonly cachePolicy: CachePolicy = 'never';
  /** f_type of statfs(2). */
  protected abstract readonly magic: number;
  /** What making a name answers; null: as Linux does where a filesystem has no such operation. */
  readonly refusal: Errno | null = null;
  /** When it was made: the times of objects that keep none. */
  readonly born: Timestamp;
  private lastIno = 1;

  constructor(dev: number, clock: Clock) {
    super(dev);
    this.born = timestamp(clock);
  }
  /** Numbers for objects that exist for ever; dynamic ones compute their own from 2^32 on. */
  nextIno(): number {
    return this.lastIno++;
  }
  stats(): FilesystemStats {
    return { type: this.magic, bsize: PAGE_SIZE, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, namelen: 255 };
  }
}

export abstract class SyntheticInode extends Inode {
  override readonly fs: SyntheticFilesystem;
  readonly ino: number;
  protected modeBits: number;

  constructor(fs: SyntheticFilesystem, ino: number, mode: number) {
    super(fs);
    this.fs = fs;
    this.ino = ino;
    this.modeBits = mode;
  }
  override get mode(): number {
    return this.modeBits;
  }
  override get uid(): number {
    return 0;
  }
  override get gid(): number {
    return 0;
  }
  /** Link count; directories count their subdirectories where that is cheap to know. */
  protected get links(): number {
    return 1;
  }
  protected get rdev(): number {
    return 0;
  }
  protected get size(): number {
    return 0;
  }
  /** Of the object as it is now. */
  protected get time(): Timestamp {
    return this.fs.born;
  }
  attributes(): Attributes {
    const { ino, mode, uid, gid, rdev, size, time } = this;
    return { ino, mode, nlink: this.links, uid, gid, rdev, size, blksize: 1024, blocks: 0, atime: time, mtime: time, ctime: time };
  }
  /** O_TRUNC and touch(1) of a knob succeed and change nothing; owners and modes are fixed. */
  override setAttributes(change: AttributeChange): 0 | Errno {
    if (change.mode !== undefined && change.mode !== (this.mode & ~S_IFMT)) return EPERM;
    const owner = (change.uid ?? this.uid) === this.uid && (change.gid ?? this.gid) === this.gid;
    return owner ? 0 : EPERM;
  }
}
