/** signalfd(2). */
import { EBADF, EFAULT, EINVAL, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../../abi/fcntl.ts';
import { makeSignalFile, SignalFile } from '../fs/signalfd.ts';
import type { Task } from '../kernel/task.ts';
import { addr, flags, int, size, syscall } from './definition.ts';
import { installFile } from './install_file.ts';
import { readSignalMask } from './user_signal_mask.ts';

function signalfd4(task: Task, number: number, address: number, maskSize: number, flagBits: number): number {
  if ((flagBits & ~(O_CLOEXEC | O_NONBLOCK)) !== 0) return EINVAL;
  const mask = readSignalMask(task, address, maskSize);
  if (mask === null) return EFAULT;
  if (isErrno(mask)) return mask;
  if (number === -1) {
    const file = makeSignalFile(task.kernel, task, mask as bigint, flagBits & O_NONBLOCK);
    return installFile(task, file, (flagBits & O_CLOEXEC) !== 0);
  }
  const file = task.fds.get(number);
  if (isErrno(file) || file.isPath) return EBADF;
  if (!(file.impl instanceof SignalFile)) return EINVAL;
  file.impl.setMask(mask as bigint);
  return number;
}

export const SIGNALFD_CALLS = {
  signalfd: syscall({ x64: 282, man: 'signalfd(2)', args: [int, addr, size], run: (t, n, a, s) => signalfd4(t, n, a, s, 0) }),
  signalfd4: syscall({ x64: 289, man: 'signalfd(2)', args: [int, addr, size, flags], run: signalfd4 }),
};
