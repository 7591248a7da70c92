/** mount(2), umount2(2), pivot_root(2). */
import { EAGAIN, EBUSY, EINVAL, ENAMETOOLONG, ENOTDIR, EPERM, type Errno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import {
  MNT_DETACH,
  MNT_EXPIRE,
  MNT_FORCE,
  MS_BIND,
  MS_MGC_MSK,
  MS_MGC_VAL,
  MS_MOVE,
  MS_PRIVATE,
  MS_REC,
  MS_REMOUNT,
  MS_SHARED,
  MS_SILENT,
  MS_SLAVE,
  MS_UNBINDABLE,
  UMOUNT_NOFOLLOW,
} from '../../abi/mount.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { CAP_SYS_ADMIN, hasCapIn } from '../kernel/credentials.ts';
import { endNetworkUnlessUsed } from '../kernel/namespace_end.ts';
import { NetNamespace } from '../kernel/namespaces.ts';
import type { Task } from '../kernel/task.ts';
import { attach, bindMount, discardTree, moveMount, newMount, pivotRoot, setPropagation, unmount } from '../vfs/mount.ts';
import { checkLockedFlags, checkNewFilesystem, mayMount } from '../vfs/mount_access.ts';
import { isMountUsed } from '../vfs/mount_use.ts';
import {
  inodeOf,
  MS_NOATIME,
  MS_NODIRATIME,
  MS_RELATIME,
  MS_STRICTATIME,
  mountAttributes,
  type Propagation,
  samePath,
  type VfsPath,
} from '../vfs/path.ts';
import { LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, flags, path, size, syscall } from './definition.ts';

const PROPAGATION: readonly (readonly [number, Propagation])[] = [
  [MS_PRIVATE, 'private'],
  [MS_SHARED, 'shared'],
  [MS_SLAVE, 'slave'],
  [MS_UNBINDABLE, 'unbindable'],
];

/** An optional string argument; '' for a null pointer. */
function optionalString(task: Task, address: number): ByteString | Errno {
  return address === 0 ? '' : task.readString(address, PAGE_SIZE - 1);
}

function placeOf(task: Task, address: number): VfsPath | Errno {
  const text = task.readPath(address);
  return typeof text === 'number' ? text : resolve(task, AT_FDCWD, text, LOOKUP_FOLLOW);
}

function mount(task: Task, source: number, target: number, type: number, bits: number, data: number): number {
  const wanted = (bits & MS_MGC_MSK) >>> 0 === MS_MGC_VAL ? bits & ~MS_MGC_MSK : bits;
  const place = placeOf(task, target);
  if (typeof place === 'number') return place;
  if (!mayMount(task)) return EPERM;
  const sourceText = optionalString(task, source);
  if (typeof sourceText === 'number') return sourceText;
  const options = optionalString(task, data);
  if (typeof options === 'number') return options === ENAMETOOLONG ? EINVAL : options;
  if ((wanted & MS_REMOUNT) !== 0) return remount(task, place, wanted, options);
  if ((wanted & MS_BIND) !== 0) return bind(task, sourceText, place, (wanted & MS_REC) !== 0);
  const kind = PROPAGATION.find(([bit]) => (wanted & bit) !== 0);
  if (kind !== undefined) return propagate(task, place, wanted, kind);
  if ((wanted & MS_MOVE) !== 0) return move(task, sourceText, place);
  const typeText = task.readString(type, PAGE_SIZE - 1);
  if (typeof typeText === 'number') return typeText;
  return mountNew(task, typeText, sourceText, place, wanted, options);
}

/** With MS_BIND only the mount's own attributes change, else the filesystem's options too. */
function remount(task: Task, place: VfsPath, bits: number, options: ByteString): number {
  if (place.dentry !== place.mount.root) return EINVAL;
  const timed = (bits & (MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME)) !== 0;
  const times = MS_NOATIME | MS_NODIRATIME | MS_RELATIME;
  const attributes = mountAttributes(bits);
  if (checkLockedFlags(place.mount, attributes) !== 0) return EPERM;
  if ((bits & MS_BIND) === 0) {
    // What others show as well is not for a namespace of less power to change.
    if (!hasCapIn(task.creds, CAP_SYS_ADMIN, place.mount.userNamespace)) return EPERM;
    const r = place.mount.fs.remount(options);
    if (r !== 0) return r;
  }
  place.mount.flags = timed ? attributes : (attributes & ~times) | (place.mount.flags & times);
  return 0;
}

function bind(task: Task, source: ByteString, place: VfsPath, recursive: boolean): number {
  const from = resolve(task, AT_FDCWD, source, LOOKUP_FOLLOW);
  return typeof from === 'number' ? from : bindMount(task.kernel, from, place, recursive);
}

function propagate(task: Task, place: VfsPath, bits: number, kind: readonly [number, Propagation]): number {
  const others = PROPAGATION.filter(([bit]) => bit !== kind[0] && (bits & bit) !== 0);
  if (others.length > 0 || (bits & ~(kind[0] | MS_REC | MS_SILENT)) !== 0) return EINVAL;
  if (place.dentry !== place.mount.root) return EINVAL;
  setPropagation(task.kernel, place.mount, kind[1], (bits & MS_REC) !== 0);
  return 0;
}

function move(task: Task, source: ByteString, place: VfsPath): number {
  const from = resolve(task, AT_FDCWD, source, LOOKUP_FOLLOW);
  return typeof from === 'number' ? from : moveMount(task.kernel, from, place);
}

function mountNew(task: Task, type: ByteString, source: ByteString, place: VfsPath, bits: number, options: ByteString): number {
  if (type === '') return EINVAL;
  const { kernel } = task;
  const kind = kernel.filesystems.typeOf(type);
  const denied = kind !== null ? checkNewFilesystem(task, kind) : 0;
  if (denied !== 0) return denied;
  const fs = kernel.filesystems.make(type, kernel, { source, data: options, task, creds: task.creds });
  if (typeof fs === 'number') return fs;
  const made = newMount(kernel, fs, mountAttributes(bits), source === '' ? 'none' : source, task.creds.namespace);
  const r = attach(kernel, made, place);
  if (r !== 0) discardTree(made);
  return r;
}

function umount2(task: Task, target: number, bits: number): number {
  if ((bits & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) !== 0) return EINVAL;
  if ((bits & MNT_EXPIRE) !== 0 && (bits & (MNT_FORCE | MNT_DETACH)) !== 0) return EINVAL;
  const text = task.readPath(target);
  if (typeof text === 'number') return text;
  const place = resolve(task, AT_FDCWD, text, (bits & UMOUNT_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW);
  if (typeof place === 'number') return place;
  if (!mayMount(task)) return EPERM;
  if (place.dentry !== place.mount.root || !task.namespaces.mount.contains(place.mount)) return EINVAL;
  if ((bits & MNT_FORCE) !== 0) place.mount.fs.abort();
  const detach = (bits & MNT_DETACH) !== 0;
  if (!detach && isMountUsed(task.kernel, place.mount)) return EBUSY;
  if ((bits & MNT_EXPIRE) !== 0) return EAGAIN; // the first call only marks it; marks are not kept
  const stood = place.mount.root.inode?.standsFor;
  const r = unmount(place, detach);
  if (r === 0 && stood instanceof NetNamespace) endNetworkUnlessUsed(task.kernel, stood);
  return r;
}

function pivot(task: Task, newRootAddress: number, putOldAddress: number): number {
  if (!mayMount(task)) return EPERM;
  const newRoot = placeOf(task, newRootAddress);
  if (typeof newRoot === 'number') return newRoot;
  const putOld = placeOf(task, putOldAddress);
  if (typeof putOld === 'number') return putOld;
  if (!inodeOf(newRoot).isDirectory || !inodeOf(putOld).isDirectory) return ENOTDIR;
  const ns = task.namespaces.mount;
  const { root } = task.fs;
  const r = pivotRoot(ns, root, newRoot, putOld);
  if (r !== 0) return r;
  // Whoever stood at the old root stands at the new one.
  for (const other of task.kernel.rootPidNamespace.tasks.values()) {
    if (other.namespaces.mount !== ns) continue;
    if (samePath(other.fs.root, root)) other.fs.root = newRoot;
    if (samePath(other.fs.cwd, root)) other.fs.cwd = newRoot;
  }
  return 0;
}

export const MOUNT_CALLS = {
  mount: syscall({
    x64: 165,
    man: 'mount(2)',
    args: [addr, path, addr, size, addr],
    run: (t, s, p, y, f, d) => mount(t, s, p, y, f | 0, d),
  }),
  umount2: syscall({ x64: 166, man: 'umount(2)', args: [path, flags], run: umount2 }),
  pivot_root: syscall({ x64: 155, man: 'pivot_root(2)', args: [path, path], run: pivot }),
};
