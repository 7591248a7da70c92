/** process_madvise(2), process_mrelease(2): one process looks after the memory of another. */
import { EINVAL, ENOMEM, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { pidFdTarget } from '../fs/pidfd.ts';
import { CAP_SYS_NICE, hasCapIn } from '../kernel/credentials.ts';
import { type Task, UIO_MAXIOV } from '../kernel/task.ts';
import { mayTrace } from '../kernel/trace_access.ts';
import { pageUp } from '../mm/memory_map.ts';
import { addr, fd, flags, int, size, syscall } from './definition.ts';

/** MADV_WILLNEED, COLD, PAGEOUT, COLLAPSE: what changes nothing that the other process could notice. */
const HINTS: readonly number[] = [3, 20, 21, 25];

/** Bytes that the advice was given for. The host decides about its pages itself: the ranges are checked and that is all. */
function process_madvise(task: Task, pidfd: number, vector: number, count: number, advice: number, options: number): number {
  if (options !== 0) return EINVAL;
  const group = pidFdTarget(task, pidfd);
  if (isErrno(group)) return group;
  if (!HINTS.includes(advice)) return EINVAL;
  if (group.zombie) return ESRCH;
  const target = group.leader;
  if (!mayTrace(task, target)) return EPERM;
  if (target.mm !== task.mm && !hasCapIn(task.creds, CAP_SYS_NICE, target.creds.namespace)) return EPERM;
  if (count > UIO_MAXIOV) return EINVAL;
  const raw = task.readBytes(vector, count * 16);
  if (typeof raw === 'number') return raw;
  const view = new DataView(raw.buffer);
  let total = 0;
  for (let i = 0; i < count; i++) {
    const start = Number(view.getBigUint64(16 * i, true));
    const length = Number(view.getBigUint64(16 * i + 8, true));
    const r = start % PAGE_SIZE !== 0 ? EINVAL : target.mm.vmas.covers(start, start + pageUp(length)) ? 0 : ENOMEM;
    if (r !== 0) return total > 0 ? total : r;
    total += length;
  }
  return total;
}

/** The memory of a process that ends is free at once. */
function process_mrelease(task: Task, pidfd: number, options: number): 0 | Errno {
  if (options !== 0) return EINVAL;
  const group = pidFdTarget(task, pidfd);
  if (isErrno(group)) return group;
  return group.zombie ? ESRCH : group.exiting === null ? EINVAL : 0;
}

export const PROCESS_MEMORY_CALLS = {
  process_madvise: syscall({ x64: 440, man: 'process_madvise(2)', args: [fd, addr, size, int, flags], run: process_madvise }),
  process_mrelease: syscall({ x64: 448, man: 'process_mrelease(2)', args: [fd, flags], run: process_mrelease }),
};
