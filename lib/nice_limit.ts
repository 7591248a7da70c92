/** RLIMIT_NICE (getrlimit(2)): how much weaker threads may become strong again. */
import type { Host } from './host.ts';

const PRLIMIT64 = 302;
const RLIMIT_NICE = 13;
/** The limit at which a thread may return to nice value 0, and go no further. */
const UP_TO_ZERO = 20n;

/** For this process and those that it starts. An error (no power to) leaves it as it is. */
export function allowNiceZero(host: Host): void {
  host.syscall(PRLIMIT64, 0, RLIMIT_NICE, new BigUint64Array([UP_TO_ZERO, UP_TO_ZERO]), null);
}
export function mayReturnToNiceZero(host: Host): boolean {
  const limit = new BigUint64Array(2);
  return host.syscall(PRLIMIT64, 0, RLIMIT_NICE, null, limit) === 0 && (limit[0] as bigint) >= UP_TO_ZERO;
}
