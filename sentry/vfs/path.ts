/** Places in the tree: dentries (names) and mounts. The algorithms are in walk.ts and mount.ts. */
import type { ByteString } from '../../lib/byte_string.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import type { Filesystem, Inode } from './inode.ts';
import type { MountIdMap } from './mount_id_map.ts';
import type { PeerGroup } from './propagation.ts';

/** A name in a directory. A null inode is a cached "no such file". A dentry without parent is a filesystem's root. */
export class Dentry {
  name: ByteString;
  parent: Dentry | null;
  inode: Inode | null;
  /** Known names below, for directories of caching filesystems. */
  children: Map<ByteString, Dentry> | null = null;
  /** How many mounts of any namespace sit on it: the walk looks for one only if it is not 0. */
  mountCount = 0;
  /** FileDescriptions that were opened here. */
  openFiles = 0;
  /** Unlinked or rmdir'ed: open files still hold it. */
  deleted = false;

  constructor(name: ByteString, parent: Dentry | null, inode: Inode | null) {
    this.name = name;
    this.parent = parent;
    this.inode = inode;
  }

  /** Makes `child` what its name means here. */
  adopt(child: Dentry): void {
    this.children ??= new Map();
    this.children.set(child.name, child);
  }
}

// mount(2), mount attributes kept per mount
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_NOSYMFOLLOW = 256;
export const MS_NOATIME = 1024;
export const MS_NODIRATIME = 2048;
export const MS_RELATIME = 1 << 21;
export const MS_STRICTATIME = 1 << 24;

/** What a mount keeps of mount(2)'s flags. */
const KEPT = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_NOSYMFOLLOW;

/** Attributes of a mount from mount(2)'s flags: relatime unless another is asked for. */
export function mountAttributes(bits: number): number {
  const kept = bits & KEPT;
  return (bits & (MS_NOATIME | MS_STRICTATIME)) === 0 ? kept | MS_RELATIME : kept & ~MS_RELATIME;
}

/** What MS_SHARED and its like make of a mount (mount_namespaces(7)). */
export type Propagation = 'private' | 'shared' | 'slave' | 'unbindable';

/** One attachment of a (part of a) filesystem. */
export class Mount {
  readonly id: number;
  readonly fs: Filesystem;
  /** What is seen at the mount point: the filesystem's root, or the source of a bind mount. */
  readonly root: Dentry;
  /** MS_* attributes. */
  flags: number;
  /** First field of /proc/mounts. */
  readonly source: string;
  /** Null for the namespace's root. */
  parent: Mount | null = null;
  mountpoint: Dentry | null = null;
  children: Mount[] = [];
  /** Shares what is mounted on it with these; null: with nobody. */
  group: PeerGroup | null = null;
  /** Receives from these; null: from nobody. */
  master: PeerGroup | null = null;
  unbindable = false;
  /** Whose: set-user-ID files count for it and those below. */
  readonly userNamespace: UserNamespace;
  /** A less privileged mount namespace got it as part of a tree: it stays where it is. */
  locked = false;
  /** MS_* that a less privileged mount namespace cannot take away. */
  lockedFlags = 0;
  /** It shows owners under other numbers. Set before it is attached, and for good. */
  idMap: MountIdMap | null = null;

  constructor(id: number, fs: Filesystem, root: Dentry, flags: number, source: string, userNamespace = ROOT_USER_NAMESPACE) {
    this.userNamespace = userNamespace;
    this.id = id;
    this.fs = fs;
    this.root = root;
    this.flags = flags;
    this.source = source;
  }

  /** The mount that sits on `dentry` of this one; at most one does (a second sits on the first one's root). */
  mountedOn(dentry: Dentry): Mount | null {
    for (const child of this.children) if (child.mountpoint === dentry) return child;
    return null;
  }
}

/** A place: which dentry, seen through which mount. Immutable. */
export interface VfsPath {
  readonly mount: Mount;
  readonly dentry: Dentry;
}

export function samePath(a: VfsPath, b: VfsPath): boolean {
  return a.mount === b.mount && a.dentry === b.dentry;
}

/** The object at a path that resolve() gave: never a negative dentry. */
export function inodeOf(path: VfsPath): Inode {
  return path.dentry.inode as Inode;
}
