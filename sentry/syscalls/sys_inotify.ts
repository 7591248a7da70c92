/** inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2). */
import { EBADF, EINVAL, EMFILE, type Errno, isErrno } from '../../abi/errno.ts';
import { AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY } from '../../abi/fcntl.ts';
import * as N from '../../abi/inotify.ts';
import { InotifyInstance, MAX_INSTANCES } from '../fs/inotify/inotify.ts';
import type { Task } from '../kernel/task.ts';
import { FileDescription } from '../vfs/file.ts';
import type { Inode } from '../vfs/inode.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { checkPermission, MAY_READ } from '../vfs/permission.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { fd, flags, int, path, syscall } from './definition.ts';
import { installFile } from './install_file.ts';

const KNOWN = N.IN_ALL_EVENTS | N.IN_ONLYDIR | N.IN_DONT_FOLLOW | N.IN_EXCL_UNLINK | N.IN_MASK_CREATE | N.IN_MASK_ADD | N.IN_ONESHOT;
/** Bits of events that cannot be asked for but are let through. */
const TOLERATED = N.IN_ISDIR | N.IN_UNMOUNT | N.IN_Q_OVERFLOW | N.IN_IGNORED;

function inotify_init1(task: Task, flagBits: number): number {
  if ((flagBits & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return EINVAL;
  const { inotify, anonymous } = task.kernel;
  if (inotify.instances >= MAX_INSTANCES) return EMFILE;
  const place = anonymous.path('anon_inode:inotify', 0o600);
  const file = new FileDescription(new InotifyInstance(inotify), O_RDONLY | (flagBits & O_NONBLOCK), place);
  return installFile(task, file, (flagBits & O_CLOEXEC) !== 0);
}

function instanceOf(task: Task, number: number): InotifyInstance | Errno {
  const file = task.fds.get(number);
  if (isErrno(file) || file.isPath) return EBADF;
  return file.impl instanceof InotifyInstance ? file.impl : EINVAL;
}

function inotify_add_watch(task: Task, number: number, pathAddress: number, mask: number): number {
  if ((mask & N.IN_ALL_EVENTS) === 0 || (mask & ~(KNOWN | TOLERATED)) !== 0) return EINVAL;
  if ((mask & N.IN_MASK_ADD) !== 0 && (mask & N.IN_MASK_CREATE) !== 0) return EINVAL;
  const instance = instanceOf(task, number);
  if (isErrno(instance)) return instance;
  const name = task.readPath(pathAddress);
  if (isErrno(name)) return name;
  const options = ((mask & N.IN_DONT_FOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW) | ((mask & N.IN_ONLYDIR) !== 0 ? LOOKUP_DIRECTORY : 0);
  const place = resolve(task, AT_FDCWD, name, options);
  if (isErrno(place)) return place;
  const inode = place.dentry.inode as Inode;
  return checkPermission(inode, credentialsOn(place.mount, task.creds), MAY_READ) || instance.watch(inode, mask);
}

function inotify_rm_watch(task: Task, number: number, wd: number): number {
  const instance = instanceOf(task, number);
  return isErrno(instance) ? instance : instance.unwatch(wd);
}

export const INOTIFY_CALLS = {
  inotify_init: syscall({ x64: 253, man: 'inotify_init(2)', args: [], run: (task) => inotify_init1(task, 0) }),
  inotify_add_watch: syscall({ x64: 254, man: 'inotify_add_watch(2)', args: [fd, path, flags], run: inotify_add_watch }),
  inotify_rm_watch: syscall({ x64: 255, man: 'inotify_rm_watch(2)', args: [fd, int], run: inotify_rm_watch }),
  inotify_init1: syscall({ x64: 294, man: 'inotify_init(2)', args: [flags], run: inotify_init1 }),
};
