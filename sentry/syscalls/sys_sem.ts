/** semget(2), semop(2), semtimedop(2), semctl(2). */
import { E2BIG, EAGAIN, EFAULT, EFBIG, EIDRM, EINTR, EINVAL, ERANGE, type Errno, isErrno } from '../../abi/errno.ts';
import * as I from '../../abi/ipc.ts';
import { POLLIN } from '../../abi/poll.ts';
import { READ, WRITE } from '../ipc/ipc_object.ts';
import { type Obstacle, SEMMNI, SEMMNS, SEMMSL, SEMOPM, SEMVMX, type SemaphoreSet, type SemOperation } from '../ipc/sem.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { addr, flags, int, size, syscall, uint } from './definition.ts';
import { readTimespec } from './user_time.ts';

const SEMBUF_SIZE = 6;

function semget(task: Task, key: number, count: number, flagBits: number): number {
  const table = task.namespaces.ipc.sem;
  if (count < 0 || count > SEMMSL) return EINVAL;
  const fits = (set: SemaphoreSet): 0 | Errno => (count > set.count ? EINVAL : 0);
  return table.open(task, key, flagBits, fits, () => table.create(task, key, count, flagBits));
}

function readOperations(task: Task, address: number, count: number): SemOperation[] | Errno {
  if (count === 0) return EINVAL;
  if (count > SEMOPM) return E2BIG;
  const raw = task.readBytes(address, count * SEMBUF_SIZE);
  if (isErrno(raw)) return raw;
  const view = new DataView(raw.buffer);
  return Array.from({ length: count }, (_, i) => ({
    num: view.getUint16(i * SEMBUF_SIZE, true),
    op: view.getInt16(i * SEMBUF_SIZE + 2, true),
    flags: view.getInt16(i * SEMBUF_SIZE + 4, true),
  }));
}

function semtimedop(task: Task, id: number, address: number, count: number, timeout: number): SyscallResult {
  const operations = readOperations(task, address, count);
  if (typeof operations === 'number') return operations;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const set = task.namespaces.ipc.sem.get(id);
  if (isErrno(set)) return set;
  if (operations.some(({ num }) => num >= set.count)) return EFBIG;
  const denied = set.check(task, operations.some(({ op }) => op !== 0) ? WRITE : READ);
  if (denied !== 0) return denied;
  const outcome = set.perform(task, operations);
  if (typeof outcome === 'number') return outcome;
  if (outcome.nowait) return EAGAIN;
  return semopBlocking(task, set, operations, outcome, Number.isFinite(ns) ? task.kernel.now() + ns : undefined);
}

function* semopBlocking(
  task: Task,
  set: SemaphoreSet,
  operations: readonly SemOperation[],
  first: Obstacle,
  deadline: number | undefined,
): Blocking {
  const wait = waitFor(set.queue, POLLIN, deadline);
  for (let obstacle = first; ; ) {
    const waiting = obstacle.zero ? set.waitingZero : set.waitingMore;
    waiting[obstacle.num] = (waiting[obstacle.num] as number) + 1;
    let wake: 'ready' | 'timeout' | 'signal';
    try {
      wake = yield wait;
    } finally {
      waiting[obstacle.num] = (waiting[obstacle.num] as number) - 1;
    }
    if (set.removed) return EIDRM;
    const outcome = set.perform(task, operations);
    if (typeof outcome === 'number') return outcome;
    if (outcome.nowait || wake === 'timeout') return EAGAIN;
    if (wake === 'signal') return EINTR;
    obstacle = outcome;
  }
}

function semctl(task: Task, id: number, num: number, command: number, argument: number): number {
  const table = task.namespaces.ipc.sem;
  const cmd = command & ~I.IPC_64;
  if (cmd === I.IPC_INFO || cmd === I.SEM_INFO) return tellInfo(task, cmd, argument);
  const bySlot = cmd === I.SEM_STAT || cmd === I.SEM_STAT_ANY;
  const set = bySlot ? table.at(id) : table.get(id);
  if (isErrno(set)) return set;
  switch (cmd) {
    case I.IPC_STAT:
    case I.SEM_STAT:
    case I.SEM_STAT_ANY: {
      const denied = cmd === I.SEM_STAT_ANY ? 0 : set.check(task, READ);
      return denied || task.copyOut(argument, encodeSet(task, set)) || (bySlot ? set.id : 0);
    }
    case I.IPC_SET: {
      const raw = task.readBytes(argument, I.SemidDs.size);
      if (isErrno(raw)) return EFAULT;
      const denied = set.checkOwner(task);
      return denied || set.setPermissions(task, I.SemidDs.decode(raw).sem_perm);
    }
    case I.IPC_RMID: {
      const denied = set.checkOwner(task);
      if (denied === 0) set.destroy(table);
      return denied;
    }
    case I.GETALL:
    case I.SETALL:
      return transferAll(task, set, cmd, argument);
    default:
      return controlOne(task, set, num, cmd, argument);
  }
}

function transferAll(task: Task, set: SemaphoreSet, cmd: number, address: number): number {
  const denied = set.check(task, cmd === I.GETALL ? READ : WRITE);
  if (denied !== 0) return denied;
  if (cmd === I.GETALL) return task.copyOut(address, new Uint8Array(set.values.slice().buffer));
  const raw = task.readBytes(address, set.count * 2);
  if (isErrno(raw)) return raw;
  const values = new Uint16Array(raw.buffer);
  if (values.some((value) => value > SEMVMX)) return ERANGE;
  for (const [i, value] of values.entries()) set.setValue(task, i, value);
  return 0;
}

function controlOne(task: Task, set: SemaphoreSet, num: number, cmd: number, argument: number): number {
  if (![I.GETPID, I.GETVAL, I.GETNCNT, I.GETZCNT, I.SETVAL].includes(cmd)) return EINVAL;
  if (num < 0 || num >= set.count) return EINVAL;
  const denied = set.check(task, cmd === I.SETVAL ? WRITE : READ);
  if (denied !== 0) return denied;
  switch (cmd) {
    case I.GETPID:
      return set.last[num]?.idIn(task.pidNamespace) ?? 0;
    case I.GETVAL:
      return set.values[num] as number;
    case I.GETNCNT:
      return set.waitingMore[num] as number;
    case I.GETZCNT:
      return set.waitingZero[num] as number;
    default:
      return set.setValue(task, num, argument | 0);
  }
}

function encodeSet(task: Task, set: SemaphoreSet): Uint8Array {
  return I.SemidDs.encode({
    sem_perm: set.permissions(task),
    sem_otime: BigInt(set.operationTime),
    sem_ctime: BigInt(set.changeTime),
    sem_nsems: set.count,
  });
}

/** SEM_INFO puts what is in use where IPC_INFO has semusz and semaem. */
function tellInfo(task: Task, cmd: number, address: number): number {
  const table = task.namespaces.ipc.sem;
  const [usage, total] = cmd === I.SEM_INFO ? [table.count, table.semaphores] : [20, SEMVMX];
  const values = [SEMMNS, SEMMNI, SEMMNS, SEMMNS, SEMMSL, SEMOPM, SEMOPM, usage, SEMVMX, total] as number[];
  return task.copyOut(address, I.Seminfo.encode({ values })) || table.highest;
}

export const SEM_CALLS = {
  semget: syscall({ x64: 64, man: 'semget(2)', args: [int, int, flags], run: semget }),
  semop: syscall({ x64: 65, man: 'semop(2)', args: [int, addr, uint], run: (task, id, ops, n) => semtimedop(task, id, ops, n, 0) }),
  semctl: syscall({ x64: 66, man: 'semctl(2)', args: [int, int, int, size], run: semctl }),
  semtimedop: syscall({ x64: 220, man: 'semop(2)', args: [int, addr, uint, addr], run: semtimedop }),
};
