/** epoll_create(2), epoll_ctl(2), epoll_wait(2) and their successors. */

import { EPOLL_CLOEXEC, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_EVENT_SIZE } from '../../abi/epoll.ts';
import { EBADF, EFAULT, EINTR, EINVAL, isErrno } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN } from '../../abi/poll.ts';
import type { Task } from '../kernel/task.ts';
import { withSignalMask } from '../kernel/temporary_mask.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { EpollFile, epollOf } from '../vfs/epoll.ts';
import { FileDescription } from '../vfs/file.ts';
import { addr, fd, flags, int, size, syscall } from './definition.ts';
import { installFile } from './install_file.ts';
import { deadlineAfter } from './sys_poll.ts';
import { readSignalMask } from './user_signal_mask.ts';
import { readTimespec } from './user_time.ts';

/** epoll_wait(2): EP_MAX_EVENTS. */
const MAX_EVENTS = Math.floor(0x7fff_ffff / EPOLL_EVENT_SIZE);

function epollCreate1(task: Task, flagBits: number): number {
  if ((flagBits & ~EPOLL_CLOEXEC) !== 0) return EINVAL;
  const path = task.kernel.anonymous.path('anon_inode:[eventpoll]', 0o600);
  return installFile(task, new FileDescription(new EpollFile(task.kernel), O_RDWR, path), flagBits !== 0);
}

function epollCtl(task: Task, epfd: number, op: number, target: number, address: number): number {
  const { scratch16, scratch16View: event } = task.kernel;
  if (op !== EPOLL_CTL_DEL && task.userMemory.read(address, scratch16, 0, EPOLL_EVENT_SIZE) !== EPOLL_EVENT_SIZE) return EFAULT;
  const self = task.fds.get(epfd);
  const file = task.fds.get(target);
  if (isErrno(self) || isErrno(file) || file.isPath) return EBADF;
  const epoll = epollOf(self);
  if (isErrno(epoll) || self === file) return EINVAL;
  if (op === EPOLL_CTL_DEL) return epoll.remove(file, target);
  const mask = event.getInt32(0, true);
  const low = event.getUint32(4, true);
  const high = event.getUint32(8, true);
  if (op === EPOLL_CTL_ADD) return epoll.add(file, target, mask, low, high);
  return op === EPOLL_CTL_MOD ? epoll.modify(file, target, mask, low, high) : EINVAL;
}

/** deadline: kernel monotonic ns; 0 does not wait. */
function waitUntil(task: Task, epfd: number, address: number, max: number, deadline: number): SyscallResult {
  if (max <= 0 || max > MAX_EVENTS) return EINVAL;
  const file = task.fds.get(epfd);
  const epoll = epollOf(file);
  if (isErrno(epoll)) return epoll;
  const n = collect(task, epoll, address, max);
  return n !== 0 || deadline === 0 ? n : waitBlocking(task, file as FileDescription, epoll, address, max, deadline);
}

function* waitBlocking(task: Task, file: FileDescription, epoll: EpollFile, address: number, max: number, deadline: number): Blocking {
  file.hold();
  try {
    const wait = waitFor(epoll.queue, POLLIN, Number.isFinite(deadline) ? deadline : undefined);
    for (;;) {
      const wake = yield wait;
      const n = collect(task, epoll, address, max);
      if (n !== 0 || wake === 'timeout') return n;
      if (wake === 'signal') return EINTR;
    }
  } finally {
    file.release();
  }
}

/** Events that are there now, in user memory; how many. */
function collect(task: Task, epoll: EpollFile, address: number, max: number): number {
  const { pollScratchBytes, pollScratchView } = task.kernel;
  const n = epoll.collect(pollScratchView, Math.min(max, Math.floor(pollScratchBytes.length / EPOLL_EVENT_SIZE)));
  if (n === 0) return 0;
  const length = n * EPOLL_EVENT_SIZE;
  return task.userMemory.write(address, pollScratchBytes, 0, length) === length ? n : EFAULT;
}

/** timeout: ms; negative = no limit. */
function millisecondDeadline(task: Task, timeout: number): number {
  return timeout < 0 ? Number.POSITIVE_INFINITY : timeout === 0 ? 0 : deadlineAfter(task, timeout * 1e6);
}

function epollWait(task: Task, epfd: number, address: number, max: number, timeout: number): SyscallResult {
  return waitUntil(task, epfd, address, max, millisecondDeadline(task, timeout));
}

function epollPwait(
  task: Task,
  epfd: number,
  address: number,
  max: number,
  timeout: number,
  mask: number,
  maskSize: number,
): SyscallResult {
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  if (set === null) return epollWait(task, epfd, address, max, timeout);
  return withSignalMask(task, set, () => epollWait(task, epfd, address, max, timeout));
}

function epollPwait2(
  task: Task,
  epfd: number,
  address: number,
  max: number,
  timeout: number,
  mask: number,
  maskSize: number,
): SyscallResult {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => waitUntil(task, epfd, address, max, deadline));
}

export const EPOLL_CALLS = {
  epoll_create: syscall({
    x64: 213,
    man: 'epoll_create(2)',
    args: [int],
    run: (task, count) => (count <= 0 ? EINVAL : epollCreate1(task, 0)),
  }),
  epoll_create1: syscall({ x64: 291, man: 'epoll_create(2)', args: [flags], run: epollCreate1 }),
  epoll_ctl: syscall({ x64: 233, man: 'epoll_ctl(2)', args: [fd, int, fd, addr], run: epollCtl }),
  epoll_wait: syscall({ x64: 232, man: 'epoll_wait(2)', args: [fd, addr, int, int], run: epollWait }),
  epoll_pwait: syscall({ x64: 281, man: 'epoll_wait(2)', args: [fd, addr, int, int, addr, size], run: epollPwait }),
  epoll_pwait2: syscall({ x64: 441, man: 'epoll_wait(2)', args: [fd, addr, int, addr, addr, size], run: epollPwait2 }),
};
