/** struct rusage, as getrusage(2) and wait4(2) give it. */
import { Rusage } from '../../abi/resource.ts';
import type { Usage } from '../kernel/thread_group.ts';

export function encodeUsage(usage: Usage): Uint8Array {
  const time = (ns: number) => ({ tv_sec: Math.floor(ns / 1e9), tv_usec: Math.floor((ns % 1e9) / 1e3) });
  return Rusage.encode({
    ru_utime: time(usage.userTime),
    ru_stime: time(usage.systemTime),
    ru_maxrss: Math.floor(usage.maxResident / 1024),
    ru_minflt: usage.minorFaults,
    ru_majflt: 0,
    ru_inblock: 0,
    ru_oublock: 0,
    ru_nvcsw: usage.voluntarySwitches,
    ru_nivcsw: usage.involuntarySwitches,
  });
}
