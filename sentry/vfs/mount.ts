/**
 * mount_namespaces(7): a tree of mounts, and what mount(2), umount(2) and pivot_root(2) do to it. Privileges and arguments have been
 * checked by the caller; these functions keep the tree whole.
 */
import { EBUSY, EINVAL, ELOOP, ENOSPC, ENOTDIR, type Errno } from '../../abi/errno.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import { pin, unpin } from './dentry_cache.ts';
import type { Filesystem, Inode } from './inode.ts';
import { Dentry, Mount, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, type Propagation, type VfsPath } from './path.ts';
import {
  becomeSlave,
  copyPropagation,
  leaveAll,
  makePrivate,
  makeShared,
  makeSlave,
  type PeerGroup,
  type Receiver,
  receivers,
  shows,
} from './propagation.ts';

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
  /** Made by unshare(2) or clone(2): it ends with its last user (kernel/namespace_end.ts). */
  temporary = false;
  /** Open files of nsfs that name it. */
  handles = 0;
  /** Its mounts are gone. */
  ended = false;
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
export function newNamespace(ids: IdSource, fs: Filesystem, flags: number, source: string, owner = ROOT_USER_NAMESPACE): MountNamespace {
  return new MountNamespace(ids.uniqueId(), newMount(ids, fs, flags, source), owner);
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

/** Something is mounted there as this namespace sees it: only that keeps a name from being removed. */
export function isMountpoint(ns: MountNamespace, dentry: Dentry): boolean {
  if (dentry.mountCount > 0) for (const mount of ns.mounts()) if (mount.mountpoint === dentry) return true;
  return false;
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

/**
 * Puts a mount (and what hangs on it) at a place, and copies of it wherever the place's mount shares it. ENOTDIR: a directory over a file, or
 * the reverse. ENOSPC: too many mounts. EINVAL: a tree with unbindable mounts where copies would be needed.
 */
export function attach(ids: IdSource, mount: Mount, at: VfsPath): 0 | Errno {
  const place = topOf(at);
  const size = treeSize(mount);
  if (isFull(place.mount, size)) return ENOSPC;
  const directory = (mount.root.inode as Inode).isDirectory;
  if (directory !== (place.dentry.inode as Inode).isDirectory) return ENOTDIR;
  const reached = receivers(place.mount).filter((r) => shows(r.mount, place.dentry));
  if (reached.some((r) => isFull(r.mount, size))) return ENOSPC;
  if (place.mount.group !== null) {
    if ([...subtree(mount)].some((m) => m.unbindable)) return EINVAL;
    for (const m of subtree(mount)) makeShared(ids, m);
  }
  hang(mount, place.mount, place.dentry);
  const copies = new Map<PeerGroup | null, Mount>([[null, mount]]);
  for (const receiver of reached) attachCopy(ids, receiver, place.dentry, copies);
  return 0;
}

/** `copies`: what arrived at each group's masters, by the group; null: what was attached in the first place. */
function attachCopy(ids: IdSource, { mount: parent, from }: Receiver, dentry: Dentry, copies: Map<PeerGroup | null, Mount>): void {
  const original = copies.get(from) ?? (copies.get(null) as Mount);
  const copy = cloneTree(ids, { mount: original, dentry: original.root }, true);
  if (from !== null) {
    // A slave hears of it and tells nobody but its own peers.
    for (const m of subtree(copy)) {
      const { group } = m;
      makePrivate(m, false);
      if (group !== null) becomeSlave(m, group);
      if (parent.group !== null) makeShared(ids, m);
    }
  }
  if (parent.group !== null) copies.set(parent.group, copy);
  const place = topOf({ mount: parent, dentry });
  hang(copy, place.mount, place.dentry);
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
  copy.idMap = mount.idMap;
  copyPropagation(mount, copy);
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
    if (child.unbindable && copies === undefined) continue;
    if (!isBelow(point, path.dentry)) continue;
    const below = cloneTree(ids, { mount: child, dentry: child.root }, true, copies);
    below.locked = child.locked;
    hang(below, copy, point);
  }
  return copy;
}

/** MS_BIND. */
export function bindMount(ids: IdSource, source: VfsPath, target: VfsPath, recursive: boolean): 0 | Errno {
  if (source.mount.unbindable || (!recursive && coversLocked(source))) return EINVAL;
  if (recursive && isFull(target.mount, treeSize(source.mount))) return ENOSPC;
  const copy = cloneTree(ids, source, recursive);
  const r = attach(ids, copy, target);
  if (r !== 0) discardTree(copy);
  return r;
}

/** A copy without what is mounted below would show what a more privileged namespace has covered. */
export function coversLocked({ mount, dentry }: VfsPath): boolean {
  return mount.children.some((child) => child.locked && isBelow(child.mountpoint as Dentry, dentry));
}

/** MS_MOVE. `source` must be the root of an attached mount, and that not on a shared one; not beneath itself (ELOOP). */
export function moveMount(ids: IdSource, source: VfsPath, target: VfsPath): 0 | Errno {
  const { mount } = source;
  if (source.dentry !== mount.root || mount.parent === null || mount.locked || mount.parent.group !== null) return EINVAL;
  for (let m: Mount | null = topOf(target).mount; m !== null; m = m.parent) if (m === mount) return ELOOP;
  const directory = (mount.root.inode as Inode).isDirectory;
  if (directory !== (topOf(target).dentry.inode as Inode).isDirectory) return ENOTDIR;
  const { parent, mountpoint } = mount;
  unhang(mount);
  const r = attach(ids, mount, target);
  if (r !== 0) hang(mount, parent, mountpoint as Dentry);
  return r;
}

/** umount2(2). EINVAL: not a mount point. EBUSY: mounts hang below, unless `detach`. */
export function unmount(path: VfsPath, detach: boolean): 0 | Errno {
  const { mount } = path;
  if (path.dentry !== mount.root) return EINVAL;
  if (mount.parent === null || mount.locked) return EINVAL;
  if (!detach && mount.children.length > 0) return EBUSY;
  const { parent, mountpoint } = mount;
  for (const { mount: receiver } of receivers(parent)) {
    const copy = receiver.mountedOn(mountpoint as Dentry);
    // What others have put on their copy keeps it.
    if (copy !== null && copy.root === mount.root && (detach || copy.children.length === 0)) discardTree(copy);
  }
  discardTree(mount);
  return 0;
}

/** Takes a tree apart, leaves first. Open files keep what they need of it. */
export function discardTree(mount: Mount): void {
  for (const child of mount.children.slice()) discardTree(child);
  unhang(mount);
  leaveAll(mount);
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
  if (owner !== ns.owner) {
    lockTree(root);
    for (const mount of subtree(root)) makeSlave(mount); // what is done there does not come here
  }
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
    if (propagation === 'shared') makeShared(ids, m);
    else if (propagation === 'slave') makeSlave(m);
    else makePrivate(m, propagation === 'unbindable');
  }
}
