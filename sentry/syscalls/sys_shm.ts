/** shmget(2), shmat(2), shmdt(2), shmctl(2). */
import { EFAULT, EINVAL, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import * as I from '../../abi/ipc.ts';
import { MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_SHARED, PAGE_SIZE, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { READ, WRITE } from '../ipc/ipc_object.ts';
import { SHMALL, SHMMAX, SHMMNI, type ShmSegment } from '../ipc/shm.ts';
import { CAP_IPC_LOCK, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { addr, flags, int, size, syscall } from './definition.ts';

function shmget(task: Task, key: number, bytes: number, flagBits: number): number {
  const table = task.namespaces.ipc.shm;
  if ((flagBits & I.SHM_HUGETLB) !== 0) return EPERM;
  const fits = (segment: ShmSegment): 0 | Errno => (bytes > segment.size ? EINVAL : 0);
  return table.open(task, key, flagBits, fits, () => table.create(task, key, bytes, flagBits));
}

function shmat(task: Task, id: number, hint: number, flagBits: number): number {
  const segment = task.namespaces.ipc.shm.get(id);
  if (isErrno(segment)) return segment;
  const misaligned = hint % PAGE_SIZE;
  if (misaligned !== 0 && (flagBits & I.SHM_RND) === 0) return EINVAL;
  const address = hint - misaligned;
  const remap = (flagBits & I.SHM_REMAP) !== 0;
  if (address === 0 && (remap || hint !== 0)) return EINVAL;
  const readOnly = (flagBits & I.SHM_RDONLY) !== 0;
  const denied = segment.check(task, readOnly ? READ : READ | WRITE);
  if (denied !== 0) return denied;
  const prot = PROT_READ | (readOnly ? 0 : PROT_WRITE) | ((flagBits & I.SHM_EXEC) !== 0 ? PROT_EXEC : 0);
  const fixed = address === 0 ? 0 : remap ? MAP_FIXED : MAP_FIXED_NOREPLACE;
  const file = segment.open(readOnly);
  if (isErrno(file)) return file;
  const at = task.mm.map(task.thread, task.group.limits, address, segment.size, prot, MAP_SHARED | fixed, file, 0);
  file.release();
  if (!isErrno(at)) segment.noteAttach(task);
  return isErrno(at) && address !== 0 && !remap ? EINVAL : at;
}

function shmdt(task: Task, address: number): number {
  const { mm } = task;
  let found: ShmSegment | null = null;
  for (const vma of mm.vmas.all.slice()) {
    if (vma.file === null || vma.start - vma.offset !== address) continue;
    const segment = task.namespaces.ipc.shm.ownerOf(vma.file);
    if (segment === null || (found !== null && segment !== found)) continue;
    found = segment;
    segment.noteDetach(task);
    mm.unmap(task.thread, vma.start, vma.end - vma.start);
  }
  return found === null ? EINVAL : 0;
}

function shmctl(task: Task, id: number, command: number, address: number): number {
  const table = task.namespaces.ipc.shm;
  const cmd = command & ~I.IPC_64;
  if (cmd === I.IPC_INFO || cmd === I.SHM_INFO) return tellInfo(task, cmd, address);
  const bySlot = cmd === I.SHM_STAT || cmd === I.SHM_STAT_ANY;
  const segment = bySlot ? table.at(id) : table.get(id);
  if (isErrno(segment)) return segment;
  switch (cmd) {
    case I.IPC_STAT:
    case I.SHM_STAT:
    case I.SHM_STAT_ANY: {
      const denied = cmd === I.SHM_STAT_ANY ? 0 : segment.check(task, READ);
      return denied || task.copyOut(address, encodeSegment(task, segment)) || (bySlot ? segment.id : 0);
    }
    case I.IPC_SET: {
      const raw = task.readBytes(address, I.ShmidDs.size);
      if (isErrno(raw)) return EFAULT;
      const denied = segment.checkOwner(task);
      return denied || segment.setPermissions(task, I.ShmidDs.decode(raw).shm_perm);
    }
    case I.IPC_RMID: {
      const denied = segment.checkOwner(task);
      if (denied === 0) segment.destroy();
      return denied;
    }
    case I.SHM_LOCK:
    case I.SHM_UNLOCK:
      // Nothing here is ever swapped out by us; the flag is kept.
      if (!hasCap(task.creds, CAP_IPC_LOCK) && isErrno(segment.checkOwner(task))) return EPERM;
      segment.locked = cmd === I.SHM_LOCK;
      return 0;
    default:
      return EINVAL;
  }
}

function encodeSegment(task: Task, segment: ShmSegment): Uint8Array {
  const ns = task.pidNamespace;
  return I.ShmidDs.encode({
    shm_perm: { ...segment.permissions(task), mode: segment.modeWithFlags },
    shm_segsz: segment.size,
    shm_atime: BigInt(segment.attachTime),
    shm_dtime: BigInt(segment.detachTime),
    shm_ctime: BigInt(segment.changeTime),
    shm_cpid: segment.creator.idIn(ns),
    shm_lpid: segment.lastProcess?.idIn(ns) ?? 0,
    shm_nattch: segment.attached,
  });
}

function tellInfo(task: Task, cmd: number, address: number): number {
  const table = task.namespaces.ipc.shm;
  let pages = 0;
  for (const segment of table.objects()) pages += Math.ceil(segment.size / PAGE_SIZE);
  const out =
    cmd === I.IPC_INFO
      ? I.Shminfo.encode({ shmmax: SHMMAX, shmmin: 1, shmmni: SHMMNI, shmseg: SHMMNI, shmall: SHMALL })
      : I.ShmInfo.encode({ used_ids: table.count, shm_tot: pages, shm_rss: pages, shm_swp: 0 });
  return task.copyOut(address, out) || table.highest;
}

export const SHM_CALLS = {
  shmget: syscall({ x64: 29, man: 'shmget(2)', args: [int, size, flags], run: shmget }),
  shmat: syscall({ x64: 30, man: 'shmop(2)', args: [int, addr, flags], run: shmat }),
  shmctl: syscall({ x64: 31, man: 'shmctl(2)', args: [int, int, addr], run: shmctl }),
  shmdt: syscall({ x64: 67, man: 'shmop(2)', args: [addr], run: shmdt }),
};
