/**
 * Files that were not opened by a path: pipes, sockets, eventfd, epoll and the like. Each has a place in a filesystem that no mount
 * shows, so that fstat(2), /proc/PID/fd and fdinfo have an inode and a name to tell.
 */
import { ENXIO, type Errno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { FileImpl } from '../vfs/file.ts';
import { type AttributeChange, type Attributes, Filesystem, type FilesystemStats, Inode, type Timestamp } from '../vfs/inode.ts';
import { Dentry, Mount, type VfsPath } from '../vfs/path.ts';

// statfs(2): f_type
const PIPEFS_MAGIC = 0x50495045;
const SOCKFS_MAGIC = 0x534f434b;
const ANON_INODE_FS_MAGIC = 0x09041934;
const TMPFS_MAGIC = 0x01021994;
const NSFS_MAGIC = 0x6e736673;

/** Which hidden filesystem a file lives in. */
export type AnonymousKind = 'pipefs' | 'sockfs' | 'anon_inodefs' | 'tmpfs' | 'nsfs';

const MAGIC: Readonly<Record<AnonymousKind, number>> = {
  pipefs: PIPEFS_MAGIC,
  sockfs: SOCKFS_MAGIC,
  anon_inodefs: ANON_INODE_FS_MAGIC,
  tmpfs: TMPFS_MAGIC,
  nsfs: NSFS_MAGIC,
};

/** One hidden filesystem, with the one mount through which its files are seen. */
export class AnonymousFilesystem extends Filesystem {
  readonly type: AnonymousKind;
  readonly mount: Mount;
  private readonly rootInode: AnonymousInode;
  private lastIno = 1;

  constructor(kind: AnonymousKind, dev: number, mountId: number, now: Timestamp) {
    super(dev);
    this.type = kind;
    this.rootInode = new AnonymousInode(this, 1, 0o040555, 0, 0, now);
    this.mount = new Mount(mountId, this, new Dentry('', null, this.rootInode), 0, kind);
  }
  get root(): Inode {
    return this.rootInode;
  }
  nextIno(): number {
    return ++this.lastIno;
  }
  stats(): FilesystemStats {
    return { type: MAGIC[this.type], bsize: PAGE_SIZE, blocks: 0, bfree: 0, bavail: 0, files: 0, ffree: 0, namelen: 255 };
  }
}

/** The metadata of an anonymous file. It cannot be opened again (ENXIO, as Linux answers) unless a subclass says how. */
export class AnonymousInode extends Inode {
  readonly ino: number;
  private attrs: Attributes;

  constructor(fs: Filesystem, ino: number, mode: number, uid: number, gid: number, now: Timestamp) {
    super(fs);
    this.ino = ino;
    const times = { atime: now, mtime: now, ctime: now };
    this.attrs = { ino, mode, nlink: 1, uid, gid, rdev: 0, size: 0, blksize: PAGE_SIZE, blocks: 0, ...times };
  }
  attributes(): Attributes {
    return this.attrs;
  }
  override get mode(): number {
    return this.attrs.mode;
  }
  /** fchmod(2) and fchown(2) work on pipes and sockets, without effect on who may use them. */
  override setAttributes(change: AttributeChange): 0 | Errno {
    const { mode, size: _size, ...rest } = change;
    this.attrs = { ...this.attrs, ...rest, mode: mode === undefined ? this.attrs.mode : (this.attrs.mode & ~0o7777) | mode };
    return 0;
  }
  open(_flags: number): FileImpl | Errno {
    return ENXIO;
  }
}

/** The kernel's anonymous files: `kernel.anonymous`. */
export class AnonymousFiles {
  private readonly kernel: Kernel;
  private readonly filesystems = new Map<AnonymousKind, AnonymousFilesystem>();
  /** Files of the anon_inode kind share one inode, as on Linux, and so one place per name. */
  private readonly shared = new Map<ByteString, VfsPath>();

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /**
   * A place for a new file. 'pipe' and 'socket' get a numbered inode and the name "pipe:[N]"; any other name is used as it is
   * ("anon_inode:[eventpoll]"). `mode` holds type and permission bits; `creds` the owner (root if absent).
   */
  path(name: 'pipe' | 'socket' | `anon_inode:${string}`, mode: number, creds: Credentials | null = null): VfsPath {
    if (name !== 'pipe' && name !== 'socket') return this.sharedPath(name, mode);
    const fs = this.filesystem(name === 'pipe' ? 'pipefs' : 'sockfs');
    const inode = new AnonymousInode(fs, fs.nextIno(), mode, creds?.fsuid ?? 0, creds?.fsgid ?? 0, this.timestamp());
    return this.place(inode, `${name}:[${inode.ino}]`);
  }
  /** A place for an inode of the caller's own, made with `filesystem(kind)`. */
  place(inode: AnonymousInode, name: ByteString): VfsPath {
    return { mount: (inode.fs as AnonymousFilesystem).mount, dentry: new Dentry(name, null, inode) };
  }
  filesystem(kind: AnonymousKind): AnonymousFilesystem {
    let fs = this.filesystems.get(kind);
    if (fs === undefined) {
      fs = new AnonymousFilesystem(kind, this.kernel.uniqueId(), this.kernel.uniqueId(), this.timestamp());
      this.filesystems.set(kind, fs);
    }
    return fs;
  }
  /** Now, for a new inode's times. */
  timestamp(): Timestamp {
    const now = this.kernel.realtime();
    const sec = Math.floor(now / 1e9);
    return { sec, nsec: Math.floor(now - sec * 1e9) };
  }

  private sharedPath(name: ByteString, mode: number): VfsPath {
    const key = `${mode} ${name}`;
    let path = this.shared.get(key);
    if (path === undefined) {
      const fs = this.filesystem('anon_inodefs');
      path = this.place(new AnonymousInode(fs, 1, mode, 0, 0, this.timestamp()), name);
      this.shared.set(key, path);
    }
    return path;
  }
}
