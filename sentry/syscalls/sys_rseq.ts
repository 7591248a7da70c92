/** rseq(2): one restartable-sequences area for each thread. */
import { EBUSY, EFAULT, EINVAL, ENOSYS, EPERM } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { RSEQ_FLAG_UNREGISTER, RSEQ_SIZE, Rseq } from '../../abi/rseq.ts';
import type { Task } from '../kernel/task.ts';
import { addr, int, syscall, uint } from './definition.ts';

function rseq(task: Task, address: number, length: number, options: number, signature: number): number {
  if (task.kernel.platform.restartsSequences !== true) return ENOSYS;
  if ((options & RSEQ_FLAG_UNREGISTER) !== 0) return unregister(task, address, length, options, signature);
  if (options !== 0) return EINVAL;
  const { rseq: area } = task;
  if (area !== null) {
    if (area.address !== address || length !== RSEQ_SIZE) return EINVAL;
    return area.signature === signature ? EBUSY : EPERM;
  }
  if (length !== RSEQ_SIZE || address % RSEQ_SIZE !== 0) return EINVAL;
  if (address + RSEQ_SIZE > TASK_SIZE || task.copyOut(address + Rseq.offsets.rseq_cs, new Uint8Array(8)) !== 0) return EFAULT;
  task.thread.setRseq?.(address, signature);
  return 0;
}

function unregister(task: Task, address: number, length: number, options: number, signature: number): number {
  const { rseq: area } = task;
  if (options !== RSEQ_FLAG_UNREGISTER || area === null || area.address !== address || length !== RSEQ_SIZE) return EINVAL;
  if (area.signature !== signature) return EPERM;
  return task.thread.dropRseq?.() ?? 0;
}

export const RSEQ_CALLS = {
  rseq: syscall({
    x64: 334,
    man: 'rseq(2)',
    args: [addr, uint, int, uint],
    run: rseq,
    partial: 'areas of 32 bytes; ENOSYS on KVM, whose virtual processors are preempted unseen',
  }),
};
