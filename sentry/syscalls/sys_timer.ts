/** Timers of a process: setitimer(2), alarm(2), timer_create(2). */
import { EAGAIN, EFAULT, EINVAL, type Errno, isErrno } from '../../abi/errno.ts';
import { NSIG, SIGALRM, SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SIGEV_THREAD_ID } from '../../abi/signal.ts';
import { i32, pad, struct, u64 } from '../../abi/struct.ts';
import { NSEC_PER_SEC, TIMER_ABSTIME } from '../../abi/time.ts';
import type { ClockTimer } from '../kernel/clock_timer.ts';
import { type Clock, clockById } from '../kernel/clocks.ts';
import { ITIMER_PROF, ITIMER_REAL, type Notification, type PosixTimer } from '../kernel/process_timers.ts';
import { RLIMIT_SIGPENDING } from '../kernel/rlimits.ts';
import type { Task } from '../kernel/task.ts';
import { addr, flags, int, syscall, uint } from './definition.ts';
import { decodeTimespec, encodeTimespec } from './user_time.ts';

const SigEvent = struct('sigevent', 64, {
  sigev_value: u64,
  sigev_signo: i32,
  sigev_notify: i32,
  sigev_notify_thread_id: i32,
  __pad: pad(44),
});
/** struct itimerval and itimerspec: interval, then value, two words each. */
const ITIMER_SIZE = 32;
const USEC = 1000;
/** POSIX timers of one process, whatever RLIMIT_SIGPENDING says. */
const MAX_POSIX_TIMERS = 65_536;

interface Setting {
  readonly interval: number;
  readonly value: number;
}

/** unit: 1 for nanoseconds, 1000 for microseconds. */
function readSetting(task: Task, address: number, unit: number): Setting | Errno {
  const raw = task.readBytes(address, ITIMER_SIZE);
  if (isErrno(raw)) return raw;
  const view = new DataView((raw as Uint8Array).buffer);
  const at = (offset: number): number => {
    if (unit === 1) return decodeTimespec(view, offset);
    const sec = Number(view.getBigInt64(offset, true));
    const usec = Number(view.getBigInt64(offset + 8, true));
    return sec < 0 || usec < 0 || usec >= 1_000_000 ? EINVAL : sec * NSEC_PER_SEC + usec * USEC;
  };
  const interval = at(0);
  const value = at(16);
  return interval < 0 || value < 0 ? EINVAL : { interval, value };
}

function writeSetting(task: Task, address: number, timer: ClockTimer, unit: number): 0 | Errno {
  const out = new Uint8Array(ITIMER_SIZE);
  const view = new DataView(out.buffer);
  for (const [offset, ns] of [
    [0, timer.interval],
    // What is still to come never reads as disarmed.
    [16, timer.armed ? Math.max(timer.remaining(), unit) : 0],
  ] as const) {
    encodeTimespec(view, offset, ns);
    if (unit !== 1) view.setBigUint64(offset + 8, view.getBigUint64(offset + 8, true) / BigInt(unit), true);
  }
  return task.copyOut(address, out);
}

function getitimer(task: Task, which: number, address: number): number {
  if (which < ITIMER_REAL || which > ITIMER_PROF) return EINVAL;
  return writeSetting(task, address, task.group.timers.interval(which), USEC);
}

function setitimer(task: Task, which: number, address: number, old: number): number {
  if (which < ITIMER_REAL || which > ITIMER_PROF) return EINVAL;
  const next = address === 0 ? { interval: 0, value: 0 } : readSetting(task, address, USEC);
  if (isErrno(next)) return next;
  const timer = task.group.timers.interval(which);
  if (old !== 0 && writeSetting(task, old, timer, USEC) !== 0) return EFAULT;
  timer.start((next as Setting).value, (next as Setting).interval);
  return 0;
}

/** Seconds that were left, rounded as alarm(2) does: never down to 0 while armed. */
function alarm(task: Task, seconds: number): number {
  const timer = task.group.timers.interval(ITIMER_REAL);
  const left = timer.remaining();
  timer.start(Math.min(seconds, 0x7fff_ffff) * NSEC_PER_SEC, 0);
  if (left === 0) return 0;
  return Math.max(1, Math.floor(left / NSEC_PER_SEC + 0.5));
}

function readNotification(task: Task, address: number): ((id: number) => Notification) | Errno {
  if (address === 0) return (id) => ({ signal: SIGALRM, value: BigInt(id), thread: null });
  const raw = task.readBytes(address, SigEvent.size);
  if (isErrno(raw)) return raw;
  const event = SigEvent.decode(raw as Uint8Array);
  const { sigev_signo: signal, sigev_value: value } = event;
  if (event.sigev_notify === SIGEV_NONE) return () => ({ signal: 0, value, thread: null });
  if (signal <= 0 || signal > NSIG) return EINVAL;
  if (event.sigev_notify === SIGEV_SIGNAL || event.sigev_notify === SIGEV_THREAD) return () => ({ signal, value, thread: null });
  if (event.sigev_notify !== SIGEV_THREAD_ID) return EINVAL;
  const thread = task.pidNamespace.tasks.get(event.sigev_notify_thread_id);
  return thread === undefined || thread.group !== task.group ? EINVAL : () => ({ signal, value, thread });
}

function timer_create(task: Task, id: number, event: number, timerId: number): number {
  const clock = clockById(task, id);
  if (isErrno(clock)) return clock;
  const notify = readNotification(task, event);
  if (isErrno(notify)) return notify;
  const { timers, limits } = task.group;
  if (timers.posix.size >= Math.min(limits.soft(RLIMIT_SIGPENDING), MAX_POSIX_TIMERS)) return EAGAIN;
  const created = timers.create(clock as Clock, id, notify as (id: number) => Notification);
  if (task.writeU32(timerId, created) === 0) return 0;
  timers.delete(created);
  return EFAULT;
}

function find(task: Task, id: number): PosixTimer | null {
  return task.group.timers.posix.get(id) ?? null;
}

function timer_settime(task: Task, id: number, options: number, address: number, old: number): number {
  if (address === 0) return EINVAL;
  const next = readSetting(task, address, 1);
  if (isErrno(next)) return next;
  const found = find(task, id);
  if (found === null) return EINVAL;
  const { timer } = found;
  if (old !== 0 && writeSetting(task, old, timer, 1) !== 0) return EFAULT;
  const { value, interval } = next as Setting;
  if ((options & TIMER_ABSTIME) !== 0) timer.startAt(value, interval);
  else timer.start(value, interval);
  return 0;
}

function timer_gettime(task: Task, id: number, address: number): number {
  const found = find(task, id);
  return found === null ? EINVAL : writeSetting(task, address, found.timer, 1);
}

function timer_getoverrun(task: Task, id: number): number {
  return find(task, id)?.overrun ?? EINVAL;
}

function timer_delete(task: Task, id: number): number {
  return task.group.timers.delete(id) ? 0 : EINVAL;
}

export const TIMER_CALLS = {
  getitimer: syscall({ x64: 36, man: 'getitimer(2)', args: [int, addr], run: getitimer }),
  alarm: syscall({ x64: 37, man: 'alarm(2)', args: [uint], run: alarm }),
  setitimer: syscall({ x64: 38, man: 'getitimer(2)', args: [int, addr, addr], run: setitimer }),
  timer_create: syscall({ x64: 222, man: 'timer_create(2)', args: [int, addr, addr], run: timer_create }),
  timer_settime: syscall({ x64: 223, man: 'timer_settime(2)', args: [int, flags, addr, addr], run: timer_settime }),
  timer_gettime: syscall({ x64: 224, man: 'timer_settime(2)', args: [int, addr], run: timer_gettime }),
  timer_getoverrun: syscall({ x64: 225, man: 'timer_getoverrun(2)', args: [int], run: timer_getoverrun }),
  timer_delete: syscall({ x64: 226, man: 'timer_delete(2)', args: [int], run: timer_delete }),
};
