/** timerfd_create(2), timerfd_settime(2), timerfd_gettime(2). */
import { EBADF, EFAULT, EINVAL, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_NONBLOCK } from '../../abi/fcntl.ts';
import { CLOCK_BOOTTIME, CLOCK_BOOTTIME_ALARM, CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_REALTIME_ALARM, Itimerspec } from '../../abi/time.ts';
import { makeTimerFile, TimerFile, type TimerSetting } from '../fs/timerfd.ts';
import { type Clock, clockById } from '../kernel/clocks.ts';
import { CAP_WAKE_ALARM, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { addr, fd, flags, int, syscall } from './definition.ts';
import { installFile } from './install_file.ts';
import { decodeTimespec, encodeTimespec } from './user_time.ts';

const TFD_TIMER_ABSTIME = 1;
const TFD_TIMER_CANCEL_ON_SET = 2;
const CLOCKS: readonly number[] = [CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM];

function timerfd_create(task: Task, clockId: number, flagBits: number): number {
  if ((flagBits & ~(O_CLOEXEC | O_NONBLOCK)) !== 0 || !CLOCKS.includes(clockId)) return EINVAL;
  const alarm = clockId === CLOCK_REALTIME_ALARM || clockId === CLOCK_BOOTTIME_ALARM;
  if (alarm && !hasCap(task.creds, CAP_WAKE_ALARM)) return EPERM;
  const file = makeTimerFile(task.kernel, clockById(task, clockId) as Clock, clockId, flagBits & O_NONBLOCK);
  return installFile(task, file, (flagBits & O_CLOEXEC) !== 0);
}

function timerOf(task: Task, number: number): TimerFile | Errno {
  const file = task.fds.get(number);
  if (isErrno(file) || file.isPath) return EBADF;
  return file.impl instanceof TimerFile ? file.impl : EINVAL;
}

function tell(task: Task, address: number, setting: TimerSetting): number {
  const out = new Uint8Array(Itimerspec.size);
  const view = new DataView(out.buffer);
  encodeTimespec(view, 0, setting.interval);
  encodeTimespec(view, 16, setting.value);
  return task.copyOut(address, out);
}

function timerfd_settime(task: Task, number: number, flagBits: number, address: number, old: number): number {
  if ((flagBits & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) !== 0) return EINVAL;
  const raw = task.readBytes(address, Itimerspec.size);
  if (isErrno(raw)) return EFAULT;
  const view = new DataView(raw.buffer);
  const interval = decodeTimespec(view, 0);
  const value = decodeTimespec(view, 16);
  if (interval < 0 || value < 0) return EINVAL;
  const timer = timerOf(task, number);
  if (isErrno(timer)) return timer;
  const previous = timer.set({ interval, value }, (flagBits & TFD_TIMER_ABSTIME) !== 0, flagBits);
  return old === 0 ? 0 : tell(task, old, previous);
}

function timerfd_gettime(task: Task, number: number, address: number): number {
  const timer = timerOf(task, number);
  return isErrno(timer) ? timer : tell(task, address, timer.get());
}

export const TIMERFD_CALLS = {
  timerfd_create: syscall({ x64: 283, man: 'timerfd_create(2)', args: [int, flags], run: timerfd_create }),
  timerfd_settime: syscall({
    x64: 286,
    man: 'timerfd_create(2)',
    args: [fd, flags, addr, addr],
    run: timerfd_settime,
    partial: 'TFD_TIMER_CANCEL_ON_SET notices a step of the clock within five seconds',
  }),
  timerfd_gettime: syscall({ x64: 287, man: 'timerfd_create(2)', args: [fd, addr], run: timerfd_gettime }),
};
