/** pipe(2), pipe2(2). */
import { EINVAL, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../abi/fcntl.ts';
import { makePipe } from '../fs/pipefs/pipe_file.ts';
import type { Task } from '../kernel/task.ts';
import { addr, flags, syscall } from './definition.ts';
import { installFile } from './install_file.ts';

function pipe2(task: Task, address: number, flagBits: number): number {
  if ((flagBits & ~(O_CLOEXEC | O_DIRECT | O_NONBLOCK)) !== 0) return EINVAL;
  const cloexec = (flagBits & O_CLOEXEC) !== 0;
  const [reader, writer] = makePipe(task.kernel, task, flagBits & ~O_CLOEXEC);
  const readFd = installFile(task, reader, cloexec);
  if (isErrno(readFd)) {
    writer.release();
    return readFd;
  }
  const writeFd = installFile(task, writer, cloexec);
  const pair = new Uint8Array(Int32Array.of(readFd, writeFd).buffer);
  const r = isErrno(writeFd) ? writeFd : task.copyOut(address, pair);
  if (isErrno(r)) {
    for (const fd of [readFd, writeFd]) {
      const file = task.fds.remove(fd);
      if (!isErrno(file)) file.release();
    }
  }
  return r;
}

export const PIPE_CALLS = {
  pipe: syscall({ x64: 22, man: 'pipe(2)', args: [addr], run: (task, address) => pipe2(task, address, 0) }),
  pipe2: syscall({ x64: 293, man: 'pipe(2)', args: [addr, flags], run: pipe2 }),
};
