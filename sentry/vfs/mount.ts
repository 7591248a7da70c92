/**
 * mount_namespaces(7): a tree of mounts, and what mount(2), umount(2) and pivot_root(2) do to it. Privileges and arguments have been
 * checked by the caller; these functions keep the tree whole.
 */
import { EBUSY, EINVAL, ELOOP, ENOSPC, ENOTDIR, type Errno } from '../../abi/errno.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import { pin, unpin } from './dentry_cache.ts';
import type { Filesystem, Inode } from './inode.ts';
import { Dentry, Mount, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, type Propagation, type VfsPath } from './path.ts';

/** Gives mount ids (Kernel.uniqueId). */
export interface IdSource {
  uniqueId(): number;
}

/** Most mounts of one namespace: each recursive bind of a tree into itself doubles it. fs.mount-max is 100,000 on Linux. */
export const MOUNT_MAX = 10_000;

export class MountNamespace {
  readonly id: number;
  root: Mount;
  readonly owner: UserNamespace;
  constructor(id: number, root: Mount, owner = ROOT_USER_NAMESPACE) {
    this.id = id;
    this.root = root;
    this.owner = owner;
  }
  /** "/" of the namespace: its topmost root mount. */
  get rootPath(): VfsPath {
    return topOf({ mount: this.root, dentry: this.root.root });
  }
  /** Every mount, parents before children. */
  *mounts(): Generator<Mount> {
    yield* subtree(this.root);
  }
  contains(mount: Mount): boolean {
    let top = mount;
    while (top.parent !== null) top = top.parent;
    return top === this.root;
  }
}

/** A mount of a whole filesystem, not attached yet. */
export function newMount(ids: IdSource, fs: Filesystem, flags: number, source: string, owner = ROOT_USER_NAMESPACE): Mount {
  return countMount(new Mount(ids.uniqueId(), fs, rootDentry(fs), flags, source, owner));
}

/** The tree's first namespace, or a container's. */
export function newNamespace(ids: IdSource, fs: Filesystem, flags: number, source: string): MountNamespace {
  return new MountNamespace(ids.uniqueId(), newMount(ids, fs, flags, source));
}

/** All mounts of a filesystem share its dentries. */
function rootDentry(fs: Filesystem): Dentry {
  fs.rootDentry ??= new Dentry('', null, fs.root);
  return fs.rootDentry;
}

function countMount(mount: Mount): Mount {
  mount.fs.mounts++;
  return mount;
}

/** A mount and what hangs on it, parents first. */
export function* subtree(mount: Mount): Generator<Mount> {
  yield mount;
  for (const child of mount.children.slice()) yield* subtree(child);
}

/** What is seen at a place: the topmost of the mounts on it. */
export function topOf(path: VfsPath): VfsPath {
  let { mount, dentry } = path;
  while (dentry.mountCount > 0) {
    const above = mount.mountedOn(dentry);
    if (above === null) break;
    mount = above;
    dentry = above.root;
  }
  return { mount, dentry };
}

function treeSize(mount: Mount): number {
  let n = 1;
  for (const child of mount.children) n += treeSize(child);
  return n;
}

/** No room for `more` mounts in the tree that `mount` is part of. */
function isFull(mount: Mount, more: number): boolean {
  let top = mount;
  while (top.parent !== null) top = top.parent;
  return treeSize(top) + more > MOUNT_MAX;
}

/** Puts a mount (and what hangs on it) at a place. ENOTDIR: a directory over a file, or the reverse. ENOSPC: too many mounts. */
export function attach(mount: Mount, at: VfsPath): 0 | Errno {
  const place = topOf(at);
  if (isFull(place.mount, treeSize(mount))) return ENOSPC;
  const directory = (mount.root.inode as Inode).isDirectory;
  if (directory !== (place.dentry.inode as Inode).isDirectory) return ENOTDIR;
  hang(mount, place.mount, place.dentry);
  return 0;
}

function hang(mount: Mount, parent: Mount, mountpoint: Dentry): void {
  mount.parent = parent;
  mount.mountpoint = mountpoint;
  parent.children.push(mount);
  mountpoint.mountCount++;
  pin(mountpoint);
}

function unhang(mount: Mount): void {
  const { parent, mountpoint } = mount;
  if (parent === null || mountpoint === null) return;
  parent.children = parent.children.filter((m) => m !== mount);
  mountpoint.mountCount--;
  unpin(mountpoint);
  mount.parent = null;
  mount.mountpoint = null;
}

/** A copy of one mount for a bind or a new namespace. `root`: what it shows. */
function copyMount(ids: IdSource, mount: Mount, root: Dentry): Mount {
  const copy = countMount(new Mount(ids.uniqueId(), mount.fs, root, mount.flags, mount.source, mount.userNamespace));
  copy.lockedFlags = mount.lockedFlags;
  copy.propagation = mount.propagation;
  copy.peerGroup = mount.peerGroup;
  return copy;
}

/** True if `dentry` is `ancestor` or below it. */
export function isBelow(dentry: Dentry, ancestor: Dentry): boolean {
  for (let d: Dentry | null = dentry; d !== null; d = d.parent) if (d === ancestor) return true;
  return false;
}

/** A detached copy of the tree at `path`; recursive: with the mounts below it. `copies` learns old → new. */
export function cloneTree(ids: IdSource, path: VfsPath, recursive: boolean, copies?: Map<Mount, Mount>): Mount {
  const copy = copyMount(ids, path.mount, path.dentry);
  copies?.set(path.mount, copy);
  if (!recursive) return copy;
  for (const child of path.mount.children) {
    const point = child.mountpoint as Dentry;
    if (child.propagation === 'unbindable' && copies === undefined) continue;
    if (!isBelow(point, path.dentry)) continue;
    const below = cloneTree(ids, { mount: child, dentry: child.root }, true, copies);
    below.locked = child.locked;
    hang(below, copy, point);
  }
  return copy;
}

/** MS_BIND. */
export function bindMount(ids: IdSource, source: VfsPath, target: VfsPath, recursive: boolean): 0 | Errno {
  if (source.mount.propagation === 'unbindable' || (!recursive && coversLocked(source))) return EINVAL;
  if (recursive && isFull(target.mount, treeSize(source.mount))) return ENOSPC;
  const copy = cloneTree(ids, source, recursive);
  const r = attach(copy, target);
  if (r !== 0) discardTree(copy);
  return r;
}

/** A copy without what is mounted below would show what a more privileged namespace has covered. */
export function coversLocked({ mount, dentry }: VfsPath): boolean {
  return mount.children.some((child) => child.locked && isBelow(child.mountpoint as Dentry, dentry));
}

/** MS_MOVE. `source` must be the root of an attached mount; not beneath itself (ELOOP). */
export function moveMount(source: VfsPath, target: VfsPath): 0 | Errno {
  const { mount } = source;
  if (source.dentry !== mount.root || mount.parent === null || mount.locked) return EINVAL;
  for (let m: Mount | null = topOf(target).mount; m !== null; m = m.parent) if (m === mount) return ELOOP;
  const directory = (mount.root.inode as Inode).isDirectory;
  if (directory !== (topOf(target).dentry.inode as Inode).isDirectory) return ENOTDIR;
  unhang(mount);
  return attach(mount, target);
}

/** umount2(2). EINVAL: not a mount point. EBUSY: mounts hang below, unless `detach`. */
export function unmount(path: VfsPath, detach: boolean): 0 | Errno {
  const { mount } = path;
  if (path.dentry !== mount.root) return EINVAL;
  if (mount.parent === null || mount.locked) return EINVAL;
  if (!detach && mount.children.length > 0) return EBUSY;
  discardTree(mount);
  return 0;
}

/** Takes a tree apart, leaves first. Open files keep what they need of it. */
export function discardTree(mount: Mount): void {
  for (const child of mount.children.slice()) discardTree(child);
  unhang(mount);
  if (--mount.fs.mounts === 0) mount.fs.release();
}

/**
 * pivot_root(2): `newRoot` becomes the namespace's root, the old one moves to `putOld` below it. The caller moves the root and
 * working directories of the tasks that stood at the old root.
 */
export function pivotRoot(ns: MountNamespace, root: VfsPath, newRoot: VfsPath, putOld: VfsPath): 0 | Errno {
  const oldMount = root.mount;
  const { mount } = newRoot;
  if (newRoot.dentry !== mount.root || root.dentry !== oldMount.root) return EINVAL;
  if (mount === oldMount || putOld.mount === oldMount) return EBUSY;
  if (mount.locked) return EINVAL;
  if (mount.parent === null || !isReachable(putOld, newRoot) || !isReachable(newRoot, root)) return EINVAL;
  if (!(putOld.dentry.inode as Inode).isDirectory) return ENOTDIR;
  const { parent, mountpoint } = oldMount;
  mount.locked = oldMount.locked;
  oldMount.locked = false;
  unhang(mount);
  if (parent === null || mountpoint === null) {
    ns.root = mount;
  } else {
    unhang(oldMount);
    hang(mount, parent, mountpoint);
  }
  const place = topOf(putOld);
  hang(oldMount, place.mount, place.dentry);
  return 0;
}

/** True if walking up from `path` comes to `root`. */
export function isReachable(path: VfsPath, root: VfsPath): boolean {
  let { mount, dentry } = path;
  while (mount !== root.mount) {
    if (mount.parent === null) return false;
    dentry = mount.mountpoint as Dentry;
    mount = mount.parent;
  }
  return isBelow(dentry, root.dentry);
}

/** CLONE_NEWNS: a copy of the namespace, and where each place of the old one is in the new one. */
export function cloneNamespace(
  ids: IdSource,
  ns: MountNamespace,
  owner: UserNamespace,
): { ns: MountNamespace; translate: (path: VfsPath) => VfsPath } {
  const copies = new Map<Mount, Mount>();
  const root = cloneTree(ids, { mount: ns.root, dentry: ns.root.root }, true, copies);
  if (owner !== ns.owner) lockTree(root);
  return {
    ns: new MountNamespace(ids.uniqueId(), root, owner),
    translate: ({ mount, dentry }) => ({ mount: copies.get(mount) ?? mount, dentry }),
  };
}

/** The copy is for somebody with less power: what it was given it cannot take apart, and attributes only become stricter. */
function lockTree(root: Mount): void {
  for (const mount of subtree(root)) {
    mount.locked = mount !== root;
    mount.lockedFlags |= mount.flags & LOCKABLE;
  }
}
const LOCKABLE = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;

/** MS_SHARED and its like, MS_REC with `recursive`. */
export function setPropagation(ids: IdSource, mount: Mount, propagation: Propagation, recursive: boolean): void {
  for (const m of recursive ? subtree(mount) : [mount]) {
    m.propagation = propagation;
    if (propagation === 'shared' && m.peerGroup === 0) m.peerGroup = ids.uniqueId();
    else if (propagation === 'private' || propagation === 'unbindable') m.peerGroup = 0;
  }
}
