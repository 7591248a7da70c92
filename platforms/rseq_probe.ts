/** Whether the host has restartable sequences (rseq(2)). */
import { ENOSYS } from '../abi/errno.ts';
import type { Host } from '../lib/host.ts';
import { HOST_CALL } from './ptrace/requests.ts';

/** An area of no length is refused by every kernel that has the call. */
export function hostRestartsSequences(host: Host): boolean {
  return host.syscall(HOST_CALL.rseq, 0, 0, 0, 0) !== ENOSYS;
}
