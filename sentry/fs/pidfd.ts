/** pidfd_open(2): a process as a file. Readable once it has ended. */
import { EBADF, type Errno, isErrno } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import type { WaitQueue } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';

export class PidFile extends FileImpl {
  readonly group: ThreadGroup;
  override readonly queue: WaitQueue;

  constructor(group: ThreadGroup) {
    super();
    this.group = group;
    this.queue = group.exitEvents;
  }
  override poll(_file: FileDescription): number {
    if (!this.group.zombie || this.group.untold) return 0;
    return POLLIN | POLLRDNORM | (this.group.reaped ? POLLHUP : 0);
  }
  override describe(): string {
    const pid = this.group.reaped ? -1 : this.group.leader.tid;
    return `Pid:\t${pid}\nNSpid:\t${pid}\n`;
  }
}

/** A close-on-exec descriptor of `group`; flags: O_NONBLOCK or 0. `kernel.openPidFd`. */
export function openPidFd(task: Task, group: ThreadGroup, flags = 0): number {
  const path = task.kernel.anonymous.path('anon_inode:[pidfd]', 0o600);
  const file = new FileDescription(new PidFile(group), O_RDWR | flags, path);
  const fd = task.fds.install(file, true, task.openFileLimit);
  if (isErrno(fd)) file.release();
  return fd;
}

/** The process behind a descriptor: EBADF if it is no pidfd. `kernel.pidFdTarget`. */
export function pidFdTarget(task: Task, fd: number): ThreadGroup | Errno {
  const file = task.fds.get(fd);
  if (isErrno(file)) return file;
  return file.impl instanceof PidFile ? file.impl.group : EBADF;
}
