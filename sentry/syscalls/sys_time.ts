/** Clocks and sleeping: clock_gettime(2), clock_nanosleep(2), gettimeofday(2), adjtimex(2). */
import { EFAULT, EINVAL, EOPNOTSUPP, EPERM, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, isErrno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { setLen64 } from '../../abi/struct.ts';
import {
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_REALTIME_COARSE,
  CLOCK_THREAD_CPUTIME_ID,
  NSEC_PER_SEC,
  TIMER_ABSTIME,
} from '../../abi/time.ts';
import { ClockTimer } from '../kernel/clock_timer.ts';
import { type Clock, clockById, deadlineOf, isCpuClock, readClock } from '../kernel/clocks.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, WaitQueue, waitFor } from '../kernel/wait.ts';
import { addr, flags, int, syscall } from './definition.ts';
import { deadlineAfter } from './sys_poll.ts';
import { readTimespec, writeTimespec, writeTimeval } from './user_time.ts';

/** Of the coarse clocks, ns: one tick at 250 Hz. */
const COARSE_RESOLUTION = 4_000_000;

function clock_gettime(task: Task, id: number, address: number): number {
  const clock = clockById(task, id);
  return isErrno(clock) ? clock : writeTimespec(task, address, readClock(task.kernel, clock as Clock));
}

function clock_getres(task: Task, id: number, address: number): number {
  const clock = clockById(task, id);
  if (isErrno(clock)) return clock;
  const coarse = id === CLOCK_REALTIME_COARSE || id === CLOCK_MONOTONIC_COARSE;
  return address === 0 ? 0 : writeTimespec(task, address, coarse ? COARSE_RESOLUTION : 1);
}

/** Nobody in the sandbox sets the host's clocks. */
function clock_settime(task: Task, id: number, address: number): number {
  const clock = clockById(task, id);
  if (isErrno(clock) || (clock as Clock).kind !== 'realtime') return EINVAL;
  const ns = readTimespec(task, address);
  return ns < 0 ? ns : EPERM;
}

function nanosleep(task: Task, request: number, remain: number): SyscallResult {
  return clock_nanosleep(task, CLOCK_MONOTONIC, 0, request, remain);
}

function clock_nanosleep(task: Task, id: number, options: number, request: number, remain: number): SyscallResult {
  const found = clockById(task, id);
  if (isErrno(found) || id === CLOCK_THREAD_CPUTIME_ID) return EINVAL;
  const clock = found as Clock;
  if (clock.kind === 'thread' && clock.task === task) return EINVAL; // it would never come
  const ns = readTimespec(task, request);
  if (ns < 0) return ns;
  if (isCpuClock(clock)) return sleepOnCpuClock(task, clock, ns, (options & TIMER_ABSTIME) !== 0, remain);
  if ((options & TIMER_ABSTIME) === 0) return sleepUntil(task, deadlineAfter(task, ns), remain);
  const deadline = deadlineOf(task.kernel, clock, ns);
  return deadline <= task.kernel.now() ? 0 : sleepToTime(deadline);
}

/** Relative: an interruption reports what is left and goes on with that through restart_syscall(2). */
function* sleepUntil(task: Task, deadline: number, remain: number): Blocking {
  const wait = Number.isFinite(deadline) ? { on: [], deadline } : { on: [] };
  for (;;) {
    const left = deadline - task.kernel.now();
    if (left <= 0) return 0;
    const wake = yield wait;
    if (wake !== 'signal') continue;
    const rest = Math.max(0, deadline - task.kernel.now());
    if (rest === 0) return 0;
    if (remain !== 0 && writeTimespec(task, remain, Math.min(rest, 9e18)) !== 0) return EFAULT;
    task.restart = () => sleepUntil(task, deadline, remain);
    return ERESTART_RESTARTBLOCK;
  }
}

/** Until the CPU clock of a process or a thread has come to a time. */
function* sleepOnCpuClock(task: Task, clock: Clock, ns: number, absolute: boolean, remain: number): Blocking {
  const end = absolute ? ns : readClock(task.kernel, clock) + ns;
  const reached = new WaitQueue();
  const timer = new ClockTimer(task.kernel, clock, () => reached.notify(POLLIN));
  if (readClock(task.kernel, clock) >= end) return 0;
  timer.startAt(end, 0);
  try {
    for (;;) {
      const wake = yield waitFor(reached, POLLIN);
      const left = end - readClock(task.kernel, clock);
      if (left <= 0) return 0;
      if (wake !== 'signal') continue;
      if (absolute) return ERESTARTNOHAND;
      if (remain !== 0 && writeTimespec(task, remain, left) !== 0) return EFAULT;
      task.restart = () => sleepOnCpuClock(task, clock, end, true, 0);
      return ERESTART_RESTARTBLOCK;
    }
  } finally {
    timer.stop();
  }
}

/** Absolute: the same call again means the same. */
function* sleepToTime(deadline: number): Blocking {
  const wake = yield { on: [], deadline };
  return wake === 'signal' ? ERESTARTNOHAND : 0;
}

function gettimeofday(task: Task, tv: number, tz: number): number {
  if (tv !== 0 && writeTimeval(task, tv, task.kernel.realtime()) !== 0) return EFAULT;
  if (tz === 0) return 0;
  task.kernel.scratch8.fill(0); // UTC
  return task.copyOut(tz, task.kernel.scratch8);
}

function time(task: Task, address: number): number {
  const seconds = Math.floor(task.kernel.realtime() / NSEC_PER_SEC);
  if (address === 0) return seconds;
  setLen64(task.kernel.scratch8View, 0, seconds);
  return task.copyOut(address, task.kernel.scratch8) === 0 ? seconds : EFAULT;
}

// adjtimex(2): struct timex, offsets of what is filled in
const TIMEX_SIZE = 208;
const TIMEX_STATUS = 40;
const TIMEX_TIME = 72;
const TIMEX_TICK = 88;
const STA_UNSYNC = 0x40;
const ADJ_READ_ONLY = 0xa000; // ADJ_OFFSET_SS_READ without its adjusting bit
const TIME_ERROR = 5;
/** Microseconds between two ticks of a 100 Hz clock. */
const TICK = 10_000;

/** Reads only; a clock that nobody here disciplines counts as not synchronised. */
function adjtimex(task: Task, address: number): number {
  const raw = task.readBytes(address, TIMEX_SIZE);
  if (isErrno(raw)) return raw;
  const view = new DataView((raw as Uint8Array).buffer);
  const modes = view.getUint32(0, true);
  if (modes !== 0 && (modes & ~0x8000) !== (ADJ_READ_ONLY & ~0x8000)) return EPERM;
  const now = task.kernel.realtime();
  (raw as Uint8Array).fill(0, 4);
  view.setInt32(TIMEX_STATUS, STA_UNSYNC, true);
  setLen64(view, TIMEX_TIME, Math.floor(now / NSEC_PER_SEC));
  setLen64(view, TIMEX_TIME + 8, Math.floor((now % NSEC_PER_SEC) / 1000));
  setLen64(view, TIMEX_TICK, TICK);
  return task.copyOut(address, raw as Uint8Array) === 0 ? TIME_ERROR : EFAULT;
}

function clock_adjtime(task: Task, id: number, address: number): number {
  const clock = clockById(task, id);
  if (isErrno(clock)) return clock;
  return (clock as Clock).kind === 'realtime' ? adjtimex(task, address) : EOPNOTSUPP;
}

export const TIME_CALLS = {
  nanosleep: syscall({ x64: 35, man: 'nanosleep(2)', args: [addr, addr], run: nanosleep }),
  gettimeofday: syscall({ x64: 96, man: 'gettimeofday(2)', args: [addr, addr], run: gettimeofday }),
  adjtimex: syscall({ x64: 159, man: 'adjtimex(2)', args: [addr], run: adjtimex, partial: 'reads only' }),
  settimeofday: syscall({ x64: 164, man: 'gettimeofday(2)', args: [addr, addr], run: () => EPERM }),
  time: syscall({ x64: 201, man: 'time(2)', args: [addr], run: time }),
  clock_settime: syscall({ x64: 227, man: 'clock_gettime(2)', args: [int, addr], run: clock_settime }),
  clock_gettime: syscall({ x64: 228, man: 'clock_gettime(2)', args: [int, addr], run: clock_gettime }),
  clock_getres: syscall({ x64: 229, man: 'clock_gettime(2)', args: [int, addr], run: clock_getres }),
  clock_nanosleep: syscall({
    x64: 230,
    man: 'clock_nanosleep(2)',
    args: [int, flags, addr, addr],
    run: clock_nanosleep,
  }),
  clock_adjtime: syscall({ x64: 305, man: 'adjtimex(2)', args: [int, addr], run: clock_adjtime, partial: 'reads only' }),
};
