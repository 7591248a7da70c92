/** The last step of every call that makes a descriptor. */
import { isErrno } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription } from '../vfs/file.ts';

/** Gives `file` the lowest free number. It takes over the caller's reference in any case: on EMFILE the file is released. */
export function installFile(task: Task, file: FileDescription, cloexec: boolean): number {
  const fd = task.fds.install(file, cloexec, task.openFileLimit);
  if (isErrno(fd)) file.release();
  return fd;
}
