/** Mounting by descriptors: open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2), mount_setattr(2). */
import { E2BIG, EBUSY, EINVAL, ENODEV, EOPNOTSUPP, EPERM, type Errno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW, O_CLOEXEC, O_PATH, O_RDWR } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import {
  FSCONFIG_CMD_CREATE,
  FSCONFIG_CMD_CREATE_EXCL,
  FSCONFIG_CMD_RECONFIGURE,
  FSCONFIG_SET_FD,
  FSCONFIG_SET_FLAG,
  FSCONFIG_SET_STRING,
  FSMOUNT_CLOEXEC,
  FSOPEN_CLOEXEC,
  FSPICK_CLOEXEC,
  FSPICK_EMPTY_PATH,
  FSPICK_NO_AUTOMOUNT,
  FSPICK_SYMLINK_NOFOLLOW,
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
  MOVE_MOUNT_F_AUTOMOUNTS,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_F_SYMLINKS,
  MOVE_MOUNT_T_AUTOMOUNTS,
  MOVE_MOUNT_T_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
  MS_PRIVATE,
  MS_SHARED,
  MS_SLAVE,
  MS_UNBINDABLE,
  OPEN_TREE_CLONE,
} from '../../abi/mount.ts';
import type { Task } from '../kernel/task.ts';
import { detachedTree, FilesystemContext, markPlaced, unplacedTree } from '../vfs/detached_mount.ts';
import { FileDescription } from '../vfs/file.ts';
import { attach, cloneTree, coversLocked, moveMount, newMount, setPropagation, subtree } from '../vfs/mount.ts';
import { checkLockedFlags, checkNewFilesystem, mayMount } from '../vfs/mount_access.ts';
import { placeFile } from '../vfs/open.ts';
import {
  type Mount,
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  type Propagation,
  type VfsPath,
} from '../vfs/path.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, flags, int, path, size, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';

/** Most options of one fsconfig(2) context. */
const OPTIONS_MAX = 256;

function placeAt(task: Task, dirfd: number, address: number, follow: boolean, empty: boolean): VfsPath | Errno {
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  return resolve(task, dirfd, text, (follow ? LOOKUP_FOLLOW : 0) | (empty ? LOOKUP_EMPTY : 0));
}

const TREE_FLAGS = OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;

function openTree(task: Task, dirfd: number, address: number, bits: number): number {
  const clone = (bits & OPEN_TREE_CLONE) !== 0;
  if ((bits & ~TREE_FLAGS) !== 0 || ((bits & AT_RECURSIVE) !== 0 && !clone)) return EINVAL;
  if (clone && !mayMount(task)) return EPERM;
  const place = placeAt(task, dirfd, address, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0);
  if (typeof place === 'number') return place;
  if (clone && (place.mount.unbindable || ((bits & AT_RECURSIVE) === 0 && coversLocked(place)))) return EINVAL;
  const file = clone ? detachedTree(cloneTree(task.kernel, place, (bits & AT_RECURSIVE) !== 0), O_PATH) : placeFile(place);
  return installFile(task, file, (bits & O_CLOEXEC) !== 0);
}

const MOVE_FLAGS =
  MOVE_MOUNT_F_SYMLINKS |
  MOVE_MOUNT_F_AUTOMOUNTS |
  MOVE_MOUNT_F_EMPTY_PATH |
  MOVE_MOUNT_T_SYMLINKS |
  MOVE_MOUNT_T_AUTOMOUNTS |
  MOVE_MOUNT_T_EMPTY_PATH;

function move(task: Task, fromFd: number, fromAddress: number, toFd: number, toAddress: number, bits: number): number {
  if (!mayMount(task)) return EPERM;
  if ((bits & ~MOVE_FLAGS) !== 0) return EINVAL;
  const to = placeAt(task, toFd, toAddress, (bits & MOVE_MOUNT_T_SYMLINKS) !== 0, (bits & MOVE_MOUNT_T_EMPTY_PATH) !== 0);
  if (typeof to === 'number') return to;
  const from = placeAt(task, fromFd, fromAddress, (bits & MOVE_MOUNT_F_SYMLINKS) !== 0, (bits & MOVE_MOUNT_F_EMPTY_PATH) !== 0);
  if (typeof from === 'number') return from;
  const file = task.fds.get(fromFd);
  if (typeof file !== 'number' && unplacedTree(file) === from.mount && from.dentry === from.mount.root) {
    const r = attach(task.kernel, from.mount, to);
    if (r === 0) markPlaced(file);
    return r;
  }
  return moveMount(task.kernel, from, to);
}

function context(task: Task, made: FilesystemContext, cloexec: boolean): number {
  const place = task.kernel.anonymous.path('anon_inode:[fscontext]', 0o600);
  return installFile(task, new FileDescription(made, O_RDWR, place), cloexec);
}

function fsopen(task: Task, nameAddress: number, bits: number): number {
  if (!mayMount(task)) return EPERM;
  if ((bits & ~FSOPEN_CLOEXEC) !== 0) return EINVAL;
  const name = task.readString(nameAddress, PAGE_SIZE - 1);
  if (typeof name === 'number') return name;
  if (!task.kernel.filesystems.has(name)) return ENODEV;
  return context(task, new FilesystemContext(name, null), (bits & FSOPEN_CLOEXEC) !== 0);
}

const PICK_FLAGS = FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH;

function fspick(task: Task, dirfd: number, address: number, bits: number): number {
  if (!mayMount(task)) return EPERM;
  if ((bits & ~PICK_FLAGS) !== 0) return EINVAL;
  const place = placeAt(task, dirfd, address, (bits & FSPICK_SYMLINK_NOFOLLOW) === 0, (bits & FSPICK_EMPTY_PATH) !== 0);
  if (typeof place === 'number') return place;
  if (place.dentry !== place.mount.root) return EINVAL;
  return context(task, new FilesystemContext(place.mount.fs.type, place.mount), (bits & FSPICK_CLOEXEC) !== 0);
}

function contextOf(task: Task, number: number): FilesystemContext | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.impl instanceof FilesystemContext ? file.impl : EINVAL;
}

function fsconfig(task: Task, number: number, command: number, keyAddress: number, valueAddress: number, aux: number): number {
  const config = contextOf(task, number);
  if (typeof config === 'number') return config;
  switch (command) {
    case FSCONFIG_SET_FLAG:
    case FSCONFIG_SET_STRING:
      return setOption(task, config, keyAddress, command === FSCONFIG_SET_STRING ? valueAddress : 0);
    case FSCONFIG_SET_FD:
      return setDescriptor(task, config, keyAddress, valueAddress, aux);
    case FSCONFIG_CMD_CREATE:
    case FSCONFIG_CMD_CREATE_EXCL:
      return create(task, config);
    case FSCONFIG_CMD_RECONFIGURE:
      return config.picked === null ? EINVAL : config.picked.fs.remount(config.options.join(','));
    default:
      return EOPNOTSUPP; // binary values and paths: no filesystem here takes one
  }
}

/** FSCONFIG_SET_FD: an option whose value is a descriptor. */
function setDescriptor(task: Task, config: FilesystemContext, keyAddress: number, valueAddress: number, number: number): number {
  if (valueAddress !== 0) return EINVAL;
  if (config.made !== null) return EBUSY;
  const key = task.readString(keyAddress, 255);
  if (typeof key === 'number') return key;
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (key.includes(',') || config.options.length >= OPTIONS_MAX) return EINVAL;
  config.options.push(`${key}=${number}`);
  return 0;
}

function setOption(task: Task, config: FilesystemContext, keyAddress: number, valueAddress: number): number {
  if (config.made !== null) return EBUSY;
  const key = task.readString(keyAddress, 255);
  if (typeof key === 'number') return key;
  const value = valueAddress === 0 ? null : task.readString(valueAddress, 255);
  if (typeof value === 'number') return value;
  if (key === 'source' && value !== null) config.source = value;
  else if (value === null && (key === 'ro' || key === 'rw')) config.readOnly = key === 'ro';
  else if (key.includes(',') || value?.includes(',') || config.options.length >= OPTIONS_MAX) return EINVAL;
  else config.options.push(value === null ? key : `${key}=${value}`);
  return 0;
}

function create(task: Task, config: FilesystemContext): number {
  if (config.picked !== null || config.made !== null) return EBUSY;
  const { kernel } = task;
  const denied = checkNewFilesystem(task, kernel.filesystems.typeOf(config.type) ?? config.type);
  if (denied !== 0) return denied;
  const fs = kernel.filesystems.make(config.type, kernel, { source: config.source, data: config.options.join(','), task });
  if (typeof fs === 'number') return fs;
  config.made = fs;
  return 0;
}

/** MOUNT_ATTR_* as the bits that a mount keeps; the way of keeping access times apart. */
const ATTRIBUTES: readonly (readonly [number, number])[] = [
  [MOUNT_ATTR_RDONLY, MS_RDONLY],
  [MOUNT_ATTR_NOSUID, MS_NOSUID],
  [MOUNT_ATTR_NODEV, MS_NODEV],
  [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  [MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
  [MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW],
];
const KNOWN_ATTRIBUTES = ATTRIBUTES.reduce((all, [bit]) => all | bit, MOUNT_ATTR__ATIME);

function kept(attributes: number): number {
  return ATTRIBUTES.reduce((all, [bit, ms]) => ((attributes & bit) !== 0 ? all | ms : all), 0);
}
function accessTimes(attributes: number): number | Errno {
  const mode = attributes & MOUNT_ATTR__ATIME;
  if (mode === 0) return MS_RELATIME;
  return mode === MOUNT_ATTR_NOATIME ? MS_NOATIME : mode === MOUNT_ATTR_STRICTATIME ? 0 : EINVAL;
}

function fsmount(task: Task, number: number, bits: number, attributes: number): number {
  if (!mayMount(task)) return EPERM;
  if ((bits & ~FSMOUNT_CLOEXEC) !== 0 || (attributes & ~KNOWN_ATTRIBUTES) !== 0) return EINVAL;
  const times = accessTimes(attributes);
  if (times < 0) return times;
  const config = contextOf(task, number);
  if (typeof config === 'number') return config;
  const { made } = config;
  if (made === null) return EINVAL;
  config.made = null;
  const mount = newMount(
    task.kernel,
    made,
    kept(attributes) | times | (config.readOnly ? MS_RDONLY : 0),
    config.source,
    task.creds.namespace,
  );
  return installFile(task, detachedTree(mount, O_PATH), (bits & FSMOUNT_CLOEXEC) !== 0);
}

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
const MOUNT_ATTR_SIZE_VER0 = 32;
const PROPAGATION: Readonly<Record<number, Propagation>> = {
  [MS_PRIVATE]: 'private',
  [MS_SHARED]: 'shared',
  [MS_SLAVE]: 'slave',
  [MS_UNBINDABLE]: 'unbindable',
};

function mountSetattr(task: Task, dirfd: number, pathAddress: number, bits: number, address: number, length: number): number {
  if ((bits & ~(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) !== 0) return EINVAL;
  if (length < MOUNT_ATTR_SIZE_VER0) return EINVAL;
  if (length > PAGE_SIZE) return E2BIG;
  if (!mayMount(task)) return EPERM;
  const raw = task.readBytes(address, length);
  if (typeof raw === 'number') return raw;
  if (raw.subarray(MOUNT_ATTR_SIZE_VER0).some((b) => b !== 0)) return E2BIG;
  const words = new Uint32Array(raw.buffer, 0, MOUNT_ATTR_SIZE_VER0 / 4);
  const [set, setHigh, clear, clearHigh, propagation] = words as unknown as [number, number, number, number, number];
  if (setHigh !== 0 || clearHigh !== 0 || ((set | clear) & ~KNOWN_ATTRIBUTES) !== 0) return EINVAL;
  if (propagation !== 0 && PROPAGATION[propagation] === undefined) return EINVAL;
  // Another way of keeping access times is set only where the old one is cleared as a whole.
  if ((set & MOUNT_ATTR__ATIME) !== 0 && (clear & MOUNT_ATTR__ATIME) !== MOUNT_ATTR__ATIME) return EINVAL;
  const times = (clear & MOUNT_ATTR__ATIME) === 0 ? null : accessTimes(set);
  if (times !== null && times < 0) return times;
  const place = placeAt(task, dirfd, pathAddress, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0);
  if (typeof place === 'number') return place;
  if (place.dentry !== place.mount.root) return EINVAL;
  const recursive = (bits & AT_RECURSIVE) !== 0;
  const mounts = [...(recursive ? subtree(place.mount) : [place.mount])];
  if (mounts.some((mount) => checkLockedFlags(mount, (mount.flags & ~kept(clear)) | kept(set)) !== 0)) return EPERM;
  for (const mount of mounts) change(mount, set, clear, times);
  const kind = PROPAGATION[propagation];
  if (kind !== undefined) setPropagation(task.kernel, place.mount, kind, recursive);
  return 0;
}
function change(mount: Mount, set: number, clear: number, times: number | null): void {
  mount.flags = (mount.flags & ~kept(clear)) | kept(set);
  if (times !== null) mount.flags = (mount.flags & ~(MS_NOATIME | MS_RELATIME)) | times;
}

export const MOUNT_FD_CALLS = {
  open_tree: syscall({ x64: 428, man: 'open_tree(2)', args: [fd, path, flags], run: openTree }),
  move_mount: syscall({ x64: 429, man: 'move_mount(2)', args: [fd, path, fd, path, flags], run: move }),
  fsopen: syscall({ x64: 430, man: 'fsopen(2)', args: [path, flags], run: fsopen }),
  fsconfig: syscall({ x64: 431, man: 'fsconfig(2)', args: [fd, uint, addr, addr, int], run: fsconfig }),
  fsmount: syscall({ x64: 432, man: 'fsmount(2)', args: [fd, flags, uint], run: fsmount }),
  fspick: syscall({ x64: 433, man: 'fspick(2)', args: [fd, path, flags], run: fspick }),
  mount_setattr: syscall({
    x64: 442,
    man: 'mount_setattr(2)',
    args: [fd, path, flags, addr, size],
    run: mountSetattr,
    partial: 'no id-mapped mounts',
  }),
};
