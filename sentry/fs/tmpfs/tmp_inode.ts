/** What every object of a tmpfs has: metadata, links, extended attributes. */
import { EACCES, ENODATA, ENXIO, EOPNOTSUPP, type Errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { S_IFMT } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription, FileImpl } from '../../vfs/file.ts';
import {
  type AccessRule,
  type AttributeChange,
  type Attributes,
  type CreateOptions,
  Inode,
  type OpenContext,
  type Timestamp,
} from '../../vfs/inode.ts';
import { MS_NOATIME, MS_NODIRATIME, MS_RELATIME } from '../../vfs/path.ts';
import { ACL_ACCESS, ACL_DEFAULT, PosixAcl } from '../../vfs/posix_acl.ts';
import type { TmpFs } from './tmpfs.ts';
import { XattrStore } from './xattr_store.ts';

const RELATIME_MARGIN = 24 * 3600;

export abstract class TmpInode extends Inode {
  declare readonly fs: TmpFs;
  readonly ino: number;
  protected bits: number;
  protected owner: number;
  protected groupId: number;
  /** Names that lead here; a directory's own "." and its children's ".." count as well. */
  links = 1;
  // Times: two numbers each, no object per inode.
  private aSec: number;
  private aNsec: number;
  private mSec: number;
  private mNsec: number;
  private cSec: number;
  private cNsec: number;
  protected xattrs: XattrStore | null = null;
  /** Whose extended attributes these are while none has been changed (overlay). */
  protected xattrOrigin: Inode | null = null;
  /** As `lower` has them, lists included, until one is changed. */
  protected takeXattrsFrom(lower: Inode): void {
    this.xattrOrigin = lower;
    this.accessRule = undefined;
    this.defaultAcl = this.isDirectory ? undefined : null;
  }

  constructor(fs: TmpFs, ino: number, options: CreateOptions, times: Attributes | null = null) {
    super(fs);
    this.ino = ino;
    this.bits = options.mode;
    this.owner = options.uid;
    this.groupId = options.gid;
    if (times === null) {
      const now = fs.env.realtime();
      this.aSec = this.mSec = this.cSec = Math.floor(now / 1e9);
      this.aNsec = this.mNsec = this.cNsec = Math.floor(now - this.aSec * 1e9);
      return;
    }
    this.aSec = times.atime.sec;
    this.aNsec = times.atime.nsec;
    this.mSec = times.mtime.sec;
    this.mNsec = times.mtime.nsec;
    this.cSec = times.ctime.sec;
    this.cNsec = times.ctime.nsec;
  }

  override get mode(): number {
    return this.bits;
  }
  override get uid(): number {
    return this.owner;
  }
  override get gid(): number {
    return this.groupId;
  }
  get size(): number {
    return 0;
  }
  protected get blocks(): number {
    return 0;
  }
  protected get rdev(): number {
    return 0;
  }

  attributes(): Attributes {
    return {
      ino: this.ino,
      mode: this.bits,
      nlink: this.links,
      uid: this.owner,
      gid: this.groupId,
      rdev: this.rdev,
      size: this.size,
      blksize: PAGE_SIZE,
      blocks: this.blocks,
      atime: { sec: this.aSec, nsec: this.aNsec },
      mtime: { sec: this.mSec, nsec: this.mNsec },
      ctime: { sec: this.cSec, nsec: this.cNsec },
    };
  }

  override setAttributes(change: AttributeChange): 0 | Errno {
    if (change.size !== undefined) {
      const r = this.resize(change.size);
      if (r !== 0) return r;
    }
    if (change.mode !== undefined) {
      this.bits = (this.bits & S_IFMT) | change.mode;
      const rule = this.findAccessRule();
      if (rule instanceof PosixAcl) this.keepAcl(ACL_ACCESS, rule.withMode(change.mode));
    }
    if (change.uid !== undefined) this.owner = change.uid;
    if (change.gid !== undefined) this.groupId = change.gid;
    this.touchChange();
    if (change.size !== undefined) this.copyChangeToModify();
    if (change.atime !== undefined) this.setAccess(change.atime);
    if (change.mtime !== undefined) {
      this.mSec = change.mtime.sec;
      this.mNsec = change.mtime.nsec;
    }
    return 0;
  }
  protected resize(_size: number): 0 | Errno {
    return 0;
  }

  /** ctime = now. */
  touchChange(): void {
    const now = this.fs.env.realtime();
    this.cSec = Math.floor(now / 1e9);
    this.cNsec = Math.floor(now - this.cSec * 1e9);
  }
  /** mtime and ctime = now. */
  touchModify(): void {
    this.touchChange();
    this.copyChangeToModify();
  }
  private copyChangeToModify(): void {
    this.mSec = this.cSec;
    this.mNsec = this.cNsec;
  }
  private setAccess(time: Timestamp): void {
    this.aSec = time.sec;
    this.aNsec = time.nsec;
  }
  /** A read through `file`: atime as its mount wants it kept (mount(2) MS_RELATIME). */
  touchAccess(file: FileDescription): void {
    const flags = file.path?.mount.flags ?? MS_NOATIME;
    if ((flags & MS_NOATIME) !== 0 || ((flags & MS_NODIRATIME) !== 0 && this.isDirectory)) return;
    if ((flags & MS_RELATIME) !== 0 && !this.accessIsStale()) return;
    const now = this.fs.env.realtime();
    const sec = Math.floor(now / 1e9);
    this.setAccess({ sec, nsec: Math.floor(now - sec * 1e9) });
  }
  private accessIsStale(): boolean {
    if (this.aSec < this.mSec || (this.aSec === this.mSec && this.aNsec <= this.mNsec)) return true;
    if (this.aSec < this.cSec || (this.aSec === this.cSec && this.aNsec <= this.cNsec)) return true;
    return this.aSec + RELATIME_MARGIN < this.fs.env.realtime() / 1e9;
  }

  /** One name less. The last one: whatever the object holds goes with its last opener. */
  dropLink(): void {
    this.links--;
    this.touchChange();
    if (this.links === 0) this.unused();
  }
  /** Called when the last name or, later, the last opener is gone. */
  unused(): void {
    this.fs.inodeFreed();
  }

  open(_flags: number, _context: OpenContext): FileImpl | Errno {
    return ENXIO;
  }

  override getXattr(name: ByteString): Uint8Array | Errno {
    if (this.xattrOrigin !== null) {
      const value = this.xattrOrigin.getXattr(name);
      return value === EOPNOTSUPP ? ENODATA : value; // here it can be set
    }
    return this.xattrs?.get(name) ?? ENODATA;
  }
  override setXattr(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    if (name === ACL_ACCESS || name === ACL_DEFAULT) return this.setAcl(name, value);
    const own = this.ownXattrs();
    const r = typeof own === 'number' ? own : own.set(name, value, flags);
    if (r === 0) this.touchChange();
    return r;
  }
  override listXattrs(): ByteString[] | Errno {
    return this.xattrOrigin !== null ? this.xattrOrigin.listXattrs() : (this.xattrs?.names() ?? []);
  }
  override removeXattr(name: ByteString): 0 | Errno {
    if (this.xattrOrigin === null && this.xattrs === null) return ENODATA;
    if (name === ACL_ACCESS) this.accessRule = null;
    if (name === ACL_DEFAULT) this.defaultAcl = null;
    const own = this.ownXattrs();
    const r = typeof own === 'number' ? own : own.remove(name);
    if (r === 0) this.touchChange();
    return r;
  }
  override findAccessRule(): AccessRule | null {
    if (this.accessRule === undefined) this.accessRule = this.storedAcl(ACL_ACCESS);
    return this.accessRule;
  }
  override findDefaultAcl(): PosixAcl | null {
    if (this.defaultAcl === undefined) this.defaultAcl = this.storedAcl(ACL_DEFAULT);
    return this.defaultAcl;
  }
  private storedAcl(name: ByteString): PosixAcl | null {
    const value = this.getXattr(name);
    const acl = typeof value === 'number' ? null : PosixAcl.parse(value);
    return typeof acl === 'number' ? null : acl;
  }
  private setAcl(name: ByteString, value: Uint8Array): 0 | Errno {
    if (name === ACL_DEFAULT && !this.isDirectory) return EACCES;
    if (this.isSymlink) return EOPNOTSUPP;
    const acl = PosixAcl.parse(value);
    if (typeof acl === 'number') return acl;
    if (name === ACL_ACCESS) this.bits = (this.bits & ~0o777) | acl.mode;
    this.touchChange();
    // What bits can say needs no list.
    if (name === ACL_ACCESS && acl.isMinimal) {
      this.removeXattr(name);
      return 0;
    }
    return this.keepAcl(name, acl);
  }
  private keepAcl(name: ByteString, acl: PosixAcl): 0 | Errno {
    const own = this.ownXattrs();
    const r = typeof own === 'number' ? own : own.set(name, acl.encode(), 0);
    if (r !== 0) return r;
    if (name === ACL_ACCESS) this.accessRule = acl;
    else this.defaultAcl = acl;
    return 0;
  }
  /** It was made in a directory with this default list; its mode is what was asked for. */
  inheritAcl(acl: PosixAcl): void {
    const own = acl.inherited(this.bits & 0o777);
    this.bits = (this.bits & ~0o777) | own.mode;
    if (!own.isMinimal) this.keepAcl(ACL_ACCESS, own);
    if (this.isDirectory) this.keepAcl(ACL_DEFAULT, acl);
  }
  /** The store of this object, with what the origin had. */
  private ownXattrs(): XattrStore | Errno {
    const origin = this.xattrOrigin;
    if (origin === null) return (this.xattrs ??= new XattrStore());
    const store = new XattrStore();
    const names = origin.listXattrs();
    if (typeof names === 'number') return names;
    for (const name of names) {
      const value = origin.getXattr(name);
      if (typeof value !== 'number') store.set(name, value, 0);
    }
    this.xattrs = store;
    this.xattrOrigin = null;
    return store;
  }
  /** For readdir(3), without asking more. */
  get direntType(): number {
    return this.bits >> 12;
  }
}

export class TmpSymlink extends TmpInode {
  private readonly target: ByteString;
  constructor(fs: TmpFs, ino: number, options: CreateOptions, target: ByteString, times: Attributes | null = null) {
    super(fs, ino, options, times);
    this.target = target;
  }
  override get size(): number {
    return this.target.length;
  }
  override readlink(_task: Task | null): ByteString {
    return this.target;
  }
}

/** Fifo, socket or device node: what opens it is the kernel's. */
export class TmpSpecial extends TmpInode {
  private readonly device: number;
  constructor(fs: TmpFs, ino: number, options: CreateOptions, rdev: number, times: Attributes | null = null) {
    super(fs, ino, options, times);
    this.device = rdev;
  }
  protected override get rdev(): number {
    return this.device;
  }
}
