/**
 * What a filesystem implements. An Inode is an object with metadata; a directory's operations are methods of its inode. The VFS
 * (path walk, dentries, mounts) has checked before it calls: names are valid single components, permissions and the sticky bit
 * hold, the mount is writable, a name that must not exist does not. All calls are synchronous: a filesystem that has to
 * fetch does so within the call.
 *
 * Names and link targets are byte strings (lib/byte_string.ts).
 */
import { ECONNREFUSED, EINVAL, ENODATA, ENOTDIR, EOPNOTSUPP, EPERM, type Errno } from '../../abi/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription, FileImpl } from './file.ts';
import type { Leases } from './leases.ts';
import type { Dentry, VfsPath } from './path.ts';
import type { PosixAcl } from './posix_acl.ts';

/** A point in time; nsec 0..999,999,999. */
export interface Timestamp {
  readonly sec: number;
  readonly nsec: number;
}

/** What stat(2) and statx(2) tell. `dev` is the filesystem's. */
export interface Attributes {
  readonly ino: number;
  /** Type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Device number of a device node (abi makedev). */
  readonly rdev: number;
  readonly size: number;
  readonly blksize: number;
  /** 512-byte units. */
  readonly blocks: number;
  readonly atime: Timestamp;
  readonly mtime: Timestamp;
  readonly ctime: Timestamp;
  readonly btime?: Timestamp;
}

/** A change of metadata; what is absent stays. `mode`: permission bits only. ctime follows by itself. */
export interface AttributeChange {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  atime?: Timestamp;
  mtime?: Timestamp;
}

/** Owner and permission bits of what is created. */
export interface CreateOptions {
  readonly mode: number;
  /** Still to be taken from the mode, unless the directory has a default ACL: for filesystems that find out themselves (`appliesUmask`). */
  readonly umask?: number;
  readonly uid: number;
  readonly gid: number;
}

/** How long the VFS may trust what `lookup` said: for ever, until `revalidate` says no, or not at all. */
export type CachePolicy = 'forever' | 'revalidate' | 'never';

/** statfs(2). */
export interface FilesystemStats {
  /** f_type, e.g. TMPFS_MAGIC. */
  readonly type: number;
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
  readonly namelen: number;
  /** Size of the units that blocks are counted in; absent: bsize. */
  readonly frsize?: number;
}

/**
 * The rest of a path walk, for filesystems whose look-ups cost a round trip: `names[index]` is what is looked up or revalidated now, what
 * follows is likely next. Plain names only: the list ends before "." and "..". `names` is one array a walk: what a filesystem
 * fetched ahead is valid while it sees the same array, and a later walk brings another.
 */
export interface WalkAhead {
  readonly names: readonly ByteString[];
  readonly index: number;
}

export abstract class Filesystem {
  /** As in /proc/mounts and mount(2): "tmpfs". */
  abstract readonly type: string;
  /** st_dev of its files; the Kernel numbers them. */
  readonly dev: number;
  readonly cachePolicy: CachePolicy = 'forever';
  /** What a walk has found may have older attributes than stat(2) may show: `refresh` is asked each time. */
  readonly attributesExpire: boolean = false;
  /** Its objects have owners of their own, which an ID-mapped mount may show under other numbers. */
  readonly idMappable: boolean = false;
  /** Mounts of all namespaces, bind mounts included; `release` follows the last one. */
  mounts = 0;
  /** Made with the first mount: all mounts share one tree of dentries. */
  rootDentry: Dentry | null = null;
  /** How many names the dentry cache keeps, about; beyond `sweepAt` it looks which it can forget. */
  cachedDentries = 0;
  sweepAt = 50_000;
  constructor(dev: number) {
    this.dev = dev;
  }
  abstract get root(): Inode;
  abstract stats(): FilesystemStats | Errno;
  /** The options part of /proc/mounts, without rw/ro ("size=1024k"). */
  options(): string {
    return '';
  }
  /** mount(2) MS_REMOUNT: new options, or EINVAL. */
  remount(_options: string): 0 | Errno {
    return 0;
  }
  /** The last mount is gone. */
  release(): void {}
  /** umount2(2) with MNT_FORCE: whoever waits for it fails. */
  abort(): void {}
  sync(): number {
    return 0;
  }
}

export abstract class Inode {
  readonly fs: Filesystem;
  /** What hangs on the object while it is in use: the Pipe of a fifo, the socket bound to a socket file. */
  attachment: object | null = null;
  /** Files that open(2) has opened for writing, and programs that run from it: one excludes the other (ETXTBSY). */
  writers = 0;
  programs = 0;
  /** FileDescriptions of it, O_PATH ones as well. */
  descriptions = 0;
  /** fcntl(2) F_SET_RW_HINT: how long what is written will live, as the application thinks. */
  lifetimeHint = 0;
  /** fcntl(2) F_SETLEASE; null: there was never one. */
  leases: Leases | null = null;
  /** What a file of nsfs stands for: the namespace. */
  readonly standsFor: object | null = null;
  /** inotify(7) watches this very object: the dentry cache must not forget it. */
  watched = false;
  /** `watched` has changed: who is told of changes by others begins or ends to listen. */
  watchChanged(): void {}
  /** Says more about who may do what than the mode's bits: an access ACL. Undefined: not known yet, ask findAccessRule. */
  accessRule: AccessRule | null | undefined = null;
  /** What objects that are made in this directory inherit (acl(5)). Undefined: not known yet, ask findDefaultAcl. */
  defaultAcl: PosixAcl | null | undefined = null;
  constructor(fs: Filesystem) {
    this.fs = fs;
  }

  abstract attributes(): Attributes;
  /** Fast path of permission checks: type and permission bits. */
  get mode(): number {
    return this.attributes().mode;
  }
  /** Owner, for permission checks. */
  get uid(): number {
    return this.attributes().uid;
  }
  get gid(): number {
    return this.attributes().gid;
  }
  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }

  /** Makes `accessRule` known where it is not. */
  findAccessRule(): AccessRule | null {
    return this.accessRule ?? null;
  }
  findDefaultAcl(): PosixAcl | null {
    return this.defaultAcl ?? null;
  }
  /** Whether the umask counts in this directory is for the filesystem to know. */
  get appliesUmask(): boolean {
    return false;
  }

  /** Changes metadata. The VFS has checked ownership and cleared setuid bits where due. */
  setAttributes(_change: AttributeChange): 0 | Errno {
    return EPERM;
  }
  /** For 'revalidate' filesystems: is the object that `lookup` gave still what the name means? Refreshes attributes. */
  revalidate(_parent: Inode, _name: ByteString, _ahead?: WalkAhead): boolean {
    return true;
  }
  /**
   * For 'revalidate' filesystems: makes attributes() current where no walk has just done so (fstat, "." and the root, AT_EMPTY_PATH).
   * ESTALE if the object cannot be reached any more. `file`: of fstat(2); `creds`: who asks, if
   * that may matter.
   */
  refresh(_file: FileDescription | null = null, _creds: Credentials | null = null): 0 | Errno {
    return 0;
  }
  /** access(2), chdir(2), chroot(2): MAY_* bits that `checkPermission` has granted and somebody else decides about as well. */
  access(_mask: number): 0 | Errno {
    return 0;
  }
  /** `open` itself empties the file for O_TRUNC. */
  get truncatesAtOpen(): boolean {
    return false;
  }

  /** True for device nodes that the filesystem opens by itself, without the kernel's registry. */
  get opensItself(): boolean {
    return false;
  }
  /** A socket file of the host's: a descriptor that is connected to it. ECONNREFUSED: nobody of the host's to connect to. */
  connectHost(_type: number): number {
    return ECONNREFUSED;
  }
  /** The bound descriptor of a socket file that was just made on the host, the caller's from then on; -1: none. */
  takeBoundSocket(): number {
    return -1;
  }
  /** Opens the object: a fresh FileImpl for one FileDescription. Not called for O_PATH, fifos, sockets. flags: O_* as given. */
  abstract open(flags: number, context: OpenContext): FileImpl | Errno;

  // Directories. ENOENT if there is no such name.
  lookup(_name: ByteString, _task: Task | null, _ahead?: WalkAhead): Inode | Errno {
    return ENOTDIR;
  }
  /** `flags`: O_* of the open(2) that follows at once. */
  create(_name: ByteString, _options: CreateOptions, _flags: number): Inode | Errno {
    return EPERM;
  }
  mkdir(_name: ByteString, _options: CreateOptions): Inode | Errno {
    return EPERM;
  }
  /** mode holds the type (fifo, socket, character or block device, regular). */
  mknod(_name: ByteString, _options: CreateOptions, _rdev: number): Inode | Errno {
    return EPERM;
  }
  symlink(_name: ByteString, _target: ByteString, _options: CreateOptions): Inode | Errno {
    return EPERM;
  }
  link(_name: ByteString, _target: Inode): 0 | Errno {
    return EPERM;
  }
  /** `target`: what the name means now; no directory. */
  unlink(_name: ByteString, _target: Inode): 0 | Errno {
    return EPERM;
  }
  /** ENOTEMPTY if it is not. */
  rmdir(_name: ByteString, _target: Inode): 0 | Errno {
    return EPERM;
  }
  /** Same filesystem. `replaced`: what newName means now, or null. flags: RENAME_*; the name is free for RENAME_NOREPLACE, unless others have just made it. */
  rename(
    _oldName: ByteString,
    _target: Inode,
    _newParent: Inode,
    _newName: ByteString,
    _replaced: Inode | null,
    _flags: number,
  ): 0 | Errno {
    return EPERM;
  }
  /** O_TMPFILE: an object without a name. `flags` as for create. */
  tmpfile(_options: CreateOptions, _flags: number): Inode | Errno {
    return EOPNOTSUPP;
  }

  /** Target of a symbolic link. */
  readlink(_task: Task | null): ByteString | Errno {
    return EINVAL;
  }
  /** A link that leads to an object and not to a path (/proc/PID/fd/N, exe, cwd, root, ns/*); null for ordinary links. */
  magicTarget(_task: Task): VfsPath | Errno | null {
    return null;
  }

  // Extended attributes (xattr(7)); the VFS has checked the namespace's rules.
  getXattr(_name: ByteString): Uint8Array | Errno {
    return ENODATA;
  }
  setXattr(_name: ByteString, _value: Uint8Array, _flags: number): 0 | Errno {
    return EOPNOTSUPP;
  }
  listXattrs(): ByteString[] | Errno {
    return [];
  }
  removeXattr(_name: ByteString): 0 | Errno {
    return ENODATA;
  }
}

/** Grants or denies rwx bits in place of the nine permission bits. Capabilities override it as they do those, unless it is final. */
export interface AccessRule {
  readonly final?: boolean;
  /** An errno: it could not be found out. */
  grants(inode: Inode, creds: Credentials, mask: number): boolean | Errno;
  /** Who owns the object is somebody else's to judge: these credentials may try to change its metadata. */
  mayChange?(inode: Inode, creds: Credentials): boolean;
}

export interface OpenContext {
  readonly path: VfsPath;
  readonly creds: Credentials;
  /** Null where the kernel itself opens. */
  readonly task: Task | null;
}
