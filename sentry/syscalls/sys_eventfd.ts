/** eventfd(2). */
import { EINVAL } from '../../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../../abi/fcntl.ts';
import { makeEventFile } from '../fs/eventfd.ts';
import type { Task } from '../kernel/task.ts';
import { flags, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';

const EFD_SEMAPHORE = 1;
const EFD_NONBLOCK = O_NONBLOCK;
const EFD_CLOEXEC = O_CLOEXEC;

function eventfd2(task: Task, count: number, flagBits: number): number {
  if ((flagBits & ~(EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC)) !== 0) return EINVAL;
  const file = makeEventFile(task.kernel, count, (flagBits & EFD_SEMAPHORE) !== 0, flagBits & EFD_NONBLOCK);
  return installFile(task, file, (flagBits & EFD_CLOEXEC) !== 0);
}

export const EVENTFD_CALLS = {
  eventfd: syscall({ x64: 284, man: 'eventfd(2)', args: [uint], run: (task, count) => eventfd2(task, count, 0) }),
  eventfd2: syscall({ x64: 290, man: 'eventfd(2)', args: [uint, flags], run: eventfd2 }),
};
