/** getrusage(2): struct rusage, x86-64. */
import { off64, pad, struct } from './struct.ts';

/** struct timeval. */
export const Timeval = struct('timeval', 16, { tv_sec: off64, tv_usec: off64 });

export const Rusage = struct('rusage', 144, {
  ru_utime: Timeval,
  ru_stime: Timeval,
  /** KiB. */
  ru_maxrss: off64,
  __ru_ixrss: pad(24),
  ru_minflt: off64,
  ru_majflt: off64,
  __ru_nswap: pad(8),
  ru_inblock: off64,
  ru_oublock: off64,
  __ru_msgsnd: pad(24),
  ru_nvcsw: off64,
  ru_nivcsw: off64,
});
