/** Readiness bits that mean the same to a waiter. */
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';

/** What to wait for so that whoever asks for POLLRDNORM alone is woken by a file that says POLLIN, and likewise for writing. */
export function wakeEvents(events: number): number {
  return events | ((events & POLLRDNORM) !== 0 ? POLLIN : 0) | ((events & POLLWRNORM) !== 0 ? POLLOUT : 0);
}
