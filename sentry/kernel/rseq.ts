/**
 * Restartable sequences (rseq(2)). The host keeps each thread's area: it alone sees preemption and migration, and it restarts a sequence
 * when it delivers a signal of its own. What it does not see are stops after which the thread goes on elsewhere (a handler of the
 * guest's, a call that is made through the thread): for these the kernel restarts the sequence itself.
 */
import { isErrno } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { Rseq, RseqCs } from '../../abi/rseq.ts';
import { SIGSEGV } from '../../abi/signal.ts';
import { REG, type RseqArea } from '../../platforms/platform.ts';
import { forceSignal } from './signal_send.ts';
import type { Task } from './task.ts';

const SI_KERNEL = 0x80;
const SIGNATURE_SIZE = 4;
const NO_SEQUENCE = new Uint8Array(8);

/** The thread has stopped between two instructions of its own: if it is in a sequence, it goes on at the sequence's abort handler. */
export function restartSequence(task: Task, area: RseqArea): void {
  if (!restart(task, area)) forceSignal(task, { signal: SIGSEGV, code: SI_KERNEL });
}
/** False: what describes the sequence cannot be read, or is wrong. */
function restart(task: Task, area: RseqArea): boolean {
  const pointer = area.address + Rseq.offsets.rseq_cs;
  const raw = task.readBytes(pointer, NO_SEQUENCE.length);
  if (isErrno(raw)) return false;
  const view = new DataView((raw as Uint8Array).buffer);
  const at = view.getUint32(4, true) * 0x1_0000_0000 + view.getUint32(0, true);
  if (at === 0) return true;
  const described = at < TASK_SIZE ? task.readBytes(at, RseqCs.size) : -1;
  if (typeof described === 'number') return false;
  const sequence = RseqCs.decode(described);
  const registers = task.thread.registers();
  const ip = registers.get(REG.rip);
  if (ip < sequence.start_ip || ip >= sequence.start_ip + sequence.post_commit_offset) return true;
  const { abort_ip } = sequence;
  if (sequence.version !== 0 || abort_ip >= TASK_SIZE || task.readU32(abort_ip - SIGNATURE_SIZE) !== area.signature) return false;
  if (task.copyOut(pointer, NO_SEQUENCE) !== 0) return false;
  registers.set(REG.rip, abort_ip);
  task.thread.setRegisters();
  return true;
}

/** The task ends, or gets other memory. Who shares the memory may free the area as soon as it hears of that: the host must not write there. */
export function leaveRseq(task: Task): void {
  const { group, mm } = task;
  if (mm.userCount > (group.exiting === null ? 1 : group.tasks.length)) task.thread.dropRseq?.();
}
