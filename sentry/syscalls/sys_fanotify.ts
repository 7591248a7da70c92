/** fanotify_init(2), fanotify_mark(2). */
import { EBADF, EINVAL, EMFILE, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import * as F from '../../abi/fanotify.ts';
import { O_ACCMODE, O_APPEND, O_CLOEXEC, O_DSYNC, O_LARGEFILE, O_NOATIME, O_NONBLOCK, O_RDWR, O_SYNC } from '../../abi/fcntl.ts';
import { FanotifyGroup, MAX_GROUPS, type Marked } from '../fs/fanotify/fanotify.ts';
import { CAP_SYS_ADMIN, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { FileDescription } from '../vfs/file.ts';
import { Filesystem, Inode } from '../vfs/inode.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { checkPermission, MAY_READ } from '../vfs/permission.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, flags, int, size, syscall } from './definition.ts';
import { installFile } from './install_file.ts';

const INIT_KNOWN = F.FAN_CLOEXEC | F.FAN_NONBLOCK | F.FAN_UNLIMITED_QUEUE | F.FAN_UNLIMITED_MARKS;
const EVENT_FLAGS = O_ACCMODE | O_LARGEFILE | O_CLOEXEC | O_APPEND | O_DSYNC | O_SYNC | O_NOATIME | O_NONBLOCK;
const KINDS = F.FAN_MARK_MOUNT | F.FAN_MARK_FILESYSTEM;
const COMMANDS = F.FAN_MARK_ADD | F.FAN_MARK_REMOVE | F.FAN_MARK_FLUSH;
const IGNORES = F.FAN_MARK_IGNORED_MASK | F.FAN_MARK_IGNORED_SURV_MODIFY;
const MARK_KNOWN = KINDS | COMMANDS | IGNORES | F.FAN_MARK_DONT_FOLLOW | F.FAN_MARK_ONLYDIR;
const MASK_KNOWN = F.FAN_EVENTS | F.FAN_EVENT_ON_CHILD | F.FAN_ONDIR;

function fanotify_init(task: Task, how: number, eventFlags: number): number {
  if (!hasCap(task.creds, CAP_SYS_ADMIN)) return EPERM;
  if ((how & ~INIT_KNOWN) !== 0 || (eventFlags & ~EVENT_FLAGS) !== 0 || (eventFlags & O_ACCMODE) === O_ACCMODE) return EINVAL;
  const { fanotify, anonymous } = task.kernel;
  if (fanotify.groups >= MAX_GROUPS) return EMFILE;
  const group = new FanotifyGroup(fanotify, eventFlags, task.pidNamespace, (how & F.FAN_UNLIMITED_QUEUE) !== 0);
  const status = (how & F.FAN_NONBLOCK) !== 0 ? O_NONBLOCK : 0;
  const file = new FileDescription(group, O_RDWR | status, anonymous.path('anon_inode:[fanotify]', 0o600));
  return installFile(task, file, (how & F.FAN_CLOEXEC) !== 0);
}

function fanotify_mark(task: Task, number: number, how: number, mask: number, dirfd: number, pathAddress: number): number {
  const command = how & COMMANDS;
  if ((how & ~MARK_KNOWN) !== 0 || ![F.FAN_MARK_ADD, F.FAN_MARK_REMOVE, F.FAN_MARK_FLUSH].includes(command)) return EINVAL;
  if ((how & KINDS) === KINDS || mask > 0xffff_ffff || (mask & ~MASK_KNOWN) !== 0) return EINVAL;
  const file = task.fds.get(number);
  if (isErrno(file) || file.isPath) return EBADF;
  if (!(file.impl instanceof FanotifyGroup)) return EINVAL;
  const group = file.impl;
  if (command === F.FAN_MARK_FLUSH) {
    if ((how & ~(F.FAN_MARK_FLUSH | KINDS)) !== 0) return EINVAL;
    group.flushMarks((on) => kindOf(on) === (how & KINDS));
    return 0;
  }
  if (mask === 0) return EINVAL;
  const place = placeOf(task, how, dirfd, pathAddress);
  if (isErrno(place)) return place;
  const inode = inodeOf(place as VfsPath);
  const denied = checkPermission(inode, credentialsOn((place as VfsPath).mount, task.creds), MAY_READ);
  if (denied !== 0) return denied;
  const on = (how & F.FAN_MARK_MOUNT) !== 0 ? (place as VfsPath).mount : (how & F.FAN_MARK_FILESYSTEM) !== 0 ? inode.fs : inode;
  const ignored = (how & F.FAN_MARK_IGNORED_MASK) !== 0;
  if (command === F.FAN_MARK_REMOVE) return group.remove(on, mask, ignored);
  return group.add(on, mask, ignored, (how & F.FAN_MARK_IGNORED_SURV_MODIFY) !== 0);
}

function kindOf(on: Marked): number {
  return on instanceof Inode ? 0 : on instanceof Filesystem ? F.FAN_MARK_FILESYSTEM : F.FAN_MARK_MOUNT;
}

/** Without a path: what the descriptor is open on. */
function placeOf(task: Task, how: number, dirfd: number, pathAddress: number): VfsPath | Errno {
  if (pathAddress === 0) {
    const file = task.fds.get(dirfd);
    return isErrno(file) ? file : (file.path ?? EBADF);
  }
  const name = task.readPath(pathAddress);
  if (isErrno(name)) return name;
  const follow = (how & F.FAN_MARK_DONT_FOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  return resolve(task, dirfd, name as string, follow | ((how & F.FAN_MARK_ONLYDIR) !== 0 ? LOOKUP_DIRECTORY : 0));
}

const PARTIAL = 'notification with descriptors; no permission events, no file handles';

export const FANOTIFY_CALLS = {
  fanotify_init: syscall({ x64: 300, man: 'fanotify_init(2)', args: [flags, flags], run: fanotify_init, partial: PARTIAL }),
  fanotify_mark: syscall({ x64: 301, man: 'fanotify_mark(2)', args: [fd, flags, size, int, addr], run: fanotify_mark, partial: PARTIAL }),
};
