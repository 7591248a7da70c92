/** close(2) of one descriptor: what happens besides giving the reference back. */

import { IN_CLOSE_NOWRITE, IN_CLOSE_WRITE } from '../../abi/inotify.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription } from './file.ts';

/** Releases the process's record locks on the file, reports pending errors. The caller has taken the descriptor out of its table. */
export function closeFile(task: Task, file: FileDescription): number {
  const { kernel } = task;
  if (file.isPath) {
    file.release();
    return 0;
  }
  const r = file.impl.flush(file, task);
  if (kernel.locks.inUse) kernel.locks.closed(task.fds, file);
  if (kernel.notify !== null && file.lastReference && file.path !== null && !file.unwatched) {
    kernel.notify.done(file.writable ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE, file.path, task);
  }
  file.release();
  return r;
}
