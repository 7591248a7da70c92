/** move_pages(2) on a machine with one node: nothing ever moves, but where each page is can be asked. */
import { E2BIG, EFAULT, EINVAL, ENODEV, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { CAP_SYS_NICE, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { mayTrace } from '../kernel/trace_access.ts';
import { addr, flags, int, size, syscall } from './definition.ts';

const MPOL_MF_MOVE = 2;
const MPOL_MF_MOVE_ALL = 4;
/** Pages that one call may name; Linux has no limit but memory. */
const MAX_PAGES = 1 << 20;

function move_pages(task: Task, pid: number, count: number, pages: number, nodes: number, status: number, how: number): number {
  if ((how & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL)) !== 0) return EINVAL;
  if ((how & MPOL_MF_MOVE_ALL) !== 0 && !hasCap(task.creds, CAP_SYS_NICE)) return EPERM;
  if (count > MAX_PAGES) return E2BIG;
  const target = targetOf(task, pid);
  if (isErrno(target)) return target;
  const addresses = task.readBytes(pages, count * 8);
  if (isErrno(addresses)) return addresses;
  if (nodes !== 0) {
    const wanted = task.readBytes(nodes, count * 4);
    if (isErrno(wanted)) return wanted;
    if (wanted.some((byte) => byte !== 0)) return ENODEV;
  }
  const list = new DataView(addresses.buffer, addresses.byteOffset);
  const answers = new Int32Array(count);
  for (let i = 0; i < count; i++) {
    const page = Math.floor(Number(list.getBigUint64(i * 8, true)) / PAGE_SIZE) * PAGE_SIZE;
    answers[i] = target.mm.vmas.find(page) === null ? EFAULT : 0;
  }
  return task.copyOut(status, new Uint8Array(answers.buffer));
}

function targetOf(task: Task, pid: number): Task | Errno {
  const target = pid === 0 ? task : task.pidNamespace.tasks.get(pid);
  if (target === undefined || target.state === 'dead') return ESRCH;
  return mayTrace(task, target) ? target : EPERM;
}

export const MOVE_PAGES_CALLS = {
  move_pages: syscall({
    x64: 279,
    man: 'move_pages(2)',
    args: [int, size, addr, addr, addr, flags],
    run: move_pages,
    partial: 'one node; a page that is mapped counts as present',
  }),
};
