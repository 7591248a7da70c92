/** Mounting by descriptors: open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2). */
import { EBUSY, EINVAL, ENODEV, EOPNOTSUPP, EPERM, type Errno } from '../../abi/errno.ts';
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
  MOVE_MOUNT_F_AUTOMOUNTS,
  MOVE_MOUNT_F_EMPTY_PATH,
  MOVE_MOUNT_F_SYMLINKS,
  MOVE_MOUNT_T_AUTOMOUNTS,
  MOVE_MOUNT_T_EMPTY_PATH,
  MOVE_MOUNT_T_SYMLINKS,
  OPEN_TREE_CLONE,
} from '../../abi/mount.ts';
import type { Task } from '../kernel/task.ts';
import { detachedTree, FilesystemContext, markPlaced, unplacedTree } from '../vfs/detached_mount.ts';
import { FileDescription } from '../vfs/file.ts';
import { attach, cloneTree, coversLocked, moveMount, newMount } from '../vfs/mount.ts';
import { checkNewFilesystem, mayMount } from '../vfs/mount_access.ts';
import { placeFile } from '../vfs/open.ts';
import { MS_RDONLY } from '../vfs/path.ts';
import { addr, fd, flags, int, path, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';
import { accessTimes, KNOWN_ATTRIBUTES, keptFlags, mountPlace } from './mount_attributes.ts';

/** Most options of one fsconfig(2) context. */
const OPTIONS_MAX = 256;

const TREE_FLAGS = OPEN_TREE_CLONE | O_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;

function openTree(task: Task, dirfd: number, address: number, bits: number): number {
  const clone = (bits & OPEN_TREE_CLONE) !== 0;
  if ((bits & ~TREE_FLAGS) !== 0 || ((bits & AT_RECURSIVE) !== 0 && !clone)) return EINVAL;
  if (clone && !mayMount(task)) return EPERM;
  const place = mountPlace(task, dirfd, address, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0);
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
  const to = mountPlace(task, toFd, toAddress, (bits & MOVE_MOUNT_T_SYMLINKS) !== 0, (bits & MOVE_MOUNT_T_EMPTY_PATH) !== 0);
  if (typeof to === 'number') return to;
  const from = mountPlace(task, fromFd, fromAddress, (bits & MOVE_MOUNT_F_SYMLINKS) !== 0, (bits & MOVE_MOUNT_F_EMPTY_PATH) !== 0);
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
  const place = mountPlace(task, dirfd, address, (bits & FSPICK_SYMLINK_NOFOLLOW) === 0, (bits & FSPICK_EMPTY_PATH) !== 0);
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
  const fs = kernel.filesystems.make(config.type, kernel, {
    source: config.source,
    data: config.options.join(','),
    task,
    creds: task.creds,
  });
  if (typeof fs === 'number') return fs;
  config.made = fs;
  return 0;
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
    keptFlags(attributes) | times | (config.readOnly ? MS_RDONLY : 0),
    config.source,
    task.creds.namespace,
  );
  return installFile(task, detachedTree(mount, O_PATH), (bits & FSMOUNT_CLOEXEC) !== 0);
}

export const MOUNT_FD_CALLS = {
  open_tree: syscall({ x64: 428, man: 'open_tree(2)', args: [fd, path, flags], run: openTree }),
  move_mount: syscall({ x64: 429, man: 'move_mount(2)', args: [fd, path, fd, path, flags], run: move }),
  fsopen: syscall({ x64: 430, man: 'fsopen(2)', args: [path, flags], run: fsopen }),
  fsconfig: syscall({ x64: 431, man: 'fsconfig(2)', args: [fd, uint, addr, addr, int], run: fsconfig }),
  fsmount: syscall({ x64: 432, man: 'fsmount(2)', args: [fd, flags, uint], run: fsmount }),
  fspick: syscall({ x64: 433, man: 'fspick(2)', args: [fd, path, flags], run: fspick }),
};
