/** membarrier(2), rseq(2): calls of programs that do without locks. */
import { EINVAL, ENOSYS, EPERM } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import { addr, int, syscall, uint } from './definition.ts';

// membarrier(2)
const QUERY = 0;
const PRIVATE_EXPEDITED = 8;
const REGISTER_PRIVATE_EXPEDITED = 16;
const PRIVATE_EXPEDITED_SYNC_CORE = 32;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64;
const GET_REGISTRATIONS = 512;
/** Which registration a command needs. */
const NEEDS: Readonly<Record<number, number>> = {
  [PRIVATE_EXPEDITED]: REGISTER_PRIVATE_EXPEDITED,
  [PRIVATE_EXPEDITED_SYNC_CORE]: REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
};
const REGISTRATIONS = REGISTER_PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
const OFFERED = PRIVATE_EXPEDITED | PRIVATE_EXPEDITED_SYNC_CORE | REGISTRATIONS;

/**
 * The threads of a process are threads of one host process, so its own barrier, made by the host, reaches them wherever they run. What
 * is about all processes of the system (GLOBAL) is not offered: it would stop the whole sandbox for tens of milliseconds.
 */
function membarrier(task: Task, command: number, commandFlags: number): number {
  const { mm, thread } = task;
  if (commandFlags !== 0) return EINVAL;
  if (command === QUERY) return thread.space.membarrier === undefined ? 0 : OFFERED | GET_REGISTRATIONS;
  if (command === GET_REGISTRATIONS) return mm.membarriers;
  if (thread.space.membarrier === undefined) return EINVAL;
  if (command === REGISTER_PRIVATE_EXPEDITED || command === REGISTER_PRIVATE_EXPEDITED_SYNC_CORE) {
    const r = thread.space.membarrier(thread, command);
    if (r === 0) mm.membarriers |= command;
    return r;
  }
  const needed = NEEDS[command];
  if (needed === undefined) return EINVAL;
  return (mm.membarriers & needed) === 0 ? EPERM : thread.space.membarrier(thread, command);
}

export const MEMBARRIER_CALLS = {
  membarrier: syscall({
    x64: 324,
    man: 'membarrier(2)',
    args: [int, uint],
    run: membarrier,
    partial: 'PRIVATE_EXPEDITED and PRIVATE_EXPEDITED_SYNC_CORE; no command about other processes',
  }),
  // A sequence must be restarted when its thread is preempted, and the host preempts. Registering each thread with the host would cost
  // every thread start a call more and would show the host's CPU numbers; C libraries and allocators that ask take ENOSYS for an answer.
  rseq: syscall({ x64: 334, man: 'rseq(2)', args: [addr, uint, int, uint], run: () => ENOSYS, refused: ENOSYS }),
};
