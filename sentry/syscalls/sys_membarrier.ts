/** membarrier(2): for programs that do without locks. */
import { EINVAL, EPERM } from '../../abi/errno.ts';
import type { Task } from '../kernel/task.ts';
import { int, syscall, uint } from './definition.ts';

// membarrier(2)
const QUERY = 0;
const PRIVATE_EXPEDITED = 8;
const REGISTER_PRIVATE_EXPEDITED = 16;
const PRIVATE_EXPEDITED_SYNC_CORE = 32;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE = 64;
const PRIVATE_EXPEDITED_RSEQ = 128;
const REGISTER_PRIVATE_EXPEDITED_RSEQ = 256;
const GET_REGISTRATIONS = 512;
/** Of PRIVATE_EXPEDITED_RSEQ: one CPU alone. */
const FLAG_CPU = 1;
/** Which registration a command needs. */
const NEEDS: Readonly<Record<number, number>> = {
  [PRIVATE_EXPEDITED]: REGISTER_PRIVATE_EXPEDITED,
  [PRIVATE_EXPEDITED_SYNC_CORE]: REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
  [PRIVATE_EXPEDITED_RSEQ]: REGISTER_PRIVATE_EXPEDITED_RSEQ,
};
const BARRIERS = PRIVATE_EXPEDITED | PRIVATE_EXPEDITED_SYNC_CORE;
const REGISTRATIONS = REGISTER_PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED_SYNC_CORE;
const OFFERED = BARRIERS | REGISTRATIONS;
const OFFERED_WITH_RSEQ = OFFERED | PRIVATE_EXPEDITED_RSEQ | REGISTER_PRIVATE_EXPEDITED_RSEQ;

function offered(task: Task): number {
  if (task.thread.space.membarrier === undefined) return 0;
  return task.kernel.platform.restartsSequences === true ? OFFERED_WITH_RSEQ : OFFERED;
}

/**
 * The threads of a process are threads of one host process, so its own barrier, made by the host, reaches them wherever they run. What
 * is about all processes of the system (GLOBAL) is not offered: it would stop the whole sandbox for tens of milliseconds.
 */
function membarrier(task: Task, command: number, commandFlags: number, cpu: number): number {
  const { mm, thread } = task;
  if (commandFlags !== 0 && (command !== PRIVATE_EXPEDITED_RSEQ || commandFlags !== FLAG_CPU)) return EINVAL;
  const commands = offered(task);
  if (command === QUERY) return commands === 0 ? 0 : commands | GET_REGISTRATIONS;
  if (command === GET_REGISTRATIONS) return mm.membarriers;
  if (thread.space.membarrier === undefined || (commands & command) !== command) return EINVAL;
  const needed = NEEDS[command];
  if (needed !== undefined) return (mm.membarriers & needed) === 0 ? EPERM : thread.space.membarrier(thread, command, commandFlags, cpu);
  if (!isOneRegistration(command)) return EINVAL;
  const r = thread.space.membarrier(thread, command, 0, 0);
  if (r === 0) mm.membarriers |= command;
  return r;
}
function isOneRegistration(command: number): boolean {
  return Object.values(NEEDS).includes(command);
}

export const MEMBARRIER_CALLS = {
  membarrier: syscall({
    x64: 324,
    man: 'membarrier(2)',
    args: [int, uint, int],
    run: membarrier,
    partial: 'the PRIVATE_EXPEDITED commands; none about other processes',
  }),
};
