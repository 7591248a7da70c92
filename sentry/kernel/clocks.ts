/**
 * The clocks of clock_gettime(2) as the kernel reads them, ns. Applications read CLOCK_REALTIME and CLOCK_MONOTONIC in the host's vDSO;
 * the same host clocks are used here, so both agree.
 */
import { EINVAL, type Errno } from '../../abi/errno.ts';
import {
  CLOCK_BOOTTIME,
  CLOCK_BOOTTIME_ALARM,
  CLOCK_MONOTONIC,
  CLOCK_MONOTONIC_COARSE,
  CLOCK_MONOTONIC_RAW,
  CLOCK_PROCESS_CPUTIME_ID,
  CLOCK_REALTIME,
  CLOCK_REALTIME_ALARM,
  CLOCK_REALTIME_COARSE,
  CLOCK_TAI,
  CLOCK_THREAD_CPUTIME_ID,
} from '../../abi/time.ts';
import { groupCpuTime, groupCpuTimes, taskCpuTime } from './cpu_time.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** A CPU-time clock belongs to a process ('user': its time in the application alone) or a thread; the others to the system. */
export type Clock =
  | { readonly kind: 'realtime' }
  /** offset: of the time namespace, ns. */
  | { readonly kind: 'monotonic' | 'boottime'; readonly offset: number }
  | { readonly kind: 'process' | 'user'; readonly group: ThreadGroup }
  | { readonly kind: 'thread'; readonly task: Task };

const REALTIME: Clock = { kind: 'realtime' };
export const MONOTONIC: Clock = { kind: 'monotonic', offset: 0 };
const BOOTTIME: Clock = { kind: 'boottime', offset: 0 };

/** EINVAL for clocks that do not exist, among them CPU clocks of processes that are not there. */
export function clockById(task: Task, id: number): Clock | Errno {
  const { time } = task.namespaces;
  switch (id) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
      return REALTIME;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
      return time.monotonic === 0 ? MONOTONIC : { kind: 'monotonic', offset: time.monotonic };
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
      return time.boottime === 0 ? BOOTTIME : { kind: 'boottime', offset: time.boottime };
    case CLOCK_PROCESS_CPUTIME_ID:
      return { kind: 'process', group: task.group };
    case CLOCK_THREAD_CPUTIME_ID:
      return { kind: 'thread', task };
    default:
      return id < 0 ? cpuClock(task, id) : EINVAL;
  }
}

/** clock_getcpuclockid(3): bits 0..1 which time, bit 2 set for threads, the rest the inverted number; 0 is the caller. */
function cpuClock(task: Task, id: number): Clock | Errno {
  const pid = ~(id >> 3);
  if ((id & 3) > 2) return EINVAL; // 3: a clock device
  const target = pid === 0 ? task : task.pidNamespace.tasks.get(pid);
  if (target === undefined) return EINVAL;
  if ((id & 4) === 0) return pid !== 0 && target.group.leader !== target ? EINVAL : { kind: 'process', group: target.group };
  return target.group === task.group ? { kind: 'thread', task: target } : EINVAL;
}

export function readClock(kernel: Kernel, clock: Clock): number {
  switch (clock.kind) {
    case 'realtime':
      return kernel.realtime();
    case 'monotonic':
      return kernel.now() + clock.offset;
    case 'boottime':
      return kernel.bootTime() + clock.offset;
    case 'process':
      return groupCpuTime(clock.group);
    case 'user':
      return groupCpuTimes(clock.group).user;
    case 'thread':
      return taskCpuTime(clock.task);
  }
}

export function isCpuClock(clock: Clock): boolean {
  return clock.kind === 'process' || clock.kind === 'user' || clock.kind === 'thread';
}

/** Kernel monotonic time of an absolute time on a system clock, as things stand now. */
export function deadlineOf(kernel: Kernel, clock: Clock, time: number): number {
  return clock.kind === 'monotonic' ? time - clock.offset : kernel.now() + (time - readClock(kernel, clock));
}
