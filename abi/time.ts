/** clock_gettime(2), timespec(3type), timerfd_create(2): clock ids and structs, x86-64. */
import { off64, struct } from './struct.ts';

export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;

export const TIMER_ABSTIME = 1;

export const NSEC_PER_SEC = 1_000_000_000;

export const Timespec = struct('timespec', 16, { tv_sec: off64, tv_nsec: off64 });
export const Timeval = struct('timeval', 16, { tv_sec: off64, tv_usec: off64 });
export const Itimerspec = struct('itimerspec', 32, { it_interval: Timespec, it_value: Timespec });
