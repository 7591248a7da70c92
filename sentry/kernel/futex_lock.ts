/**
 * Locks whose word the kernel helps to keep: priority-inheritance futexes (FUTEX_LOCK_PI) and robust lists (get_robust_list(2)).
 *
 * The word of a free lock is 0, of a taken one its owner's thread number; FUTEX_WAITERS says that unlocking needs the kernel. While that
 * bit is set, application threads leave the word alone: so the kernel sets it atomically first, and is then the only writer. There are no
 * priorities to inherit: waiters get the lock in the order in which they came.
 */
import { EAGAIN, EDEADLK, EFAULT, EINVAL, EPERM, ERESTARTNOINTR, ESRCH, ETIMEDOUT, isErrno } from '../../abi/errno.ts';
import {
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_OWNER_DIED,
  FUTEX_TID_MASK,
  FUTEX_WAITERS,
  ROBUST_LIST_LIMIT,
  RobustListHead,
} from '../../abi/futex.ts';
import { POLLIN } from '../../abi/poll.ts';
import { type FutexKey, FutexWaiter, futexKey } from './futex.ts';
import type { Task } from './task.ts';
import type { Blocking, SyscallResult } from './wait.ts';

const WAITERS_BIT = 31;

/** Sets FUTEX_WAITERS; the word with it, or EFAULT. */
export function claimWord(task: Task, address: number): number {
  const { space } = task.thread;
  if (space.setBit !== undefined) {
    const r = space.setBit(task.thread, address, WAITERS_BIT);
    return r < 0 ? r : task.readU32(address);
  }
  const word = task.readU32(address);
  if (word < 0) return word;
  const claimed = (word | FUTEX_WAITERS) >>> 0;
  return task.writeU32(address, claimed) || claimed;
}

/** FUTEX_LOCK_PI, and FUTEX_TRYLOCK_PI with `wait` false. deadline: kernel monotonic ns. */
export function lockPi(task: Task, address: number, key: FutexKey, deadline: number, wait: boolean): SyscallResult {
  const before = task.readU32(address);
  if (before < 0) return before;
  if ((before & FUTEX_TID_MASK) === task.tid) return EDEADLK;
  if (!wait && (before & FUTEX_TID_MASK) !== 0) return EAGAIN;
  const { futexes } = task.kernel;
  if (futexes.waiters(key).some((waiter) => !waiter.pi)) return EINVAL;
  const word = claimWord(task, address);
  if (word < 0) return word;
  if ((word & FUTEX_TID_MASK) === 0) return take(task, address, key, word & FUTEX_OWNER_DIED);
  if (!task.pidNamespace.tasks.has(word & FUTEX_TID_MASK)) return ESRCH;
  return wait ? waitForLock(task, key, deadline) : EAGAIN;
}

/** The kernel is the only writer of the word now. `died`: FUTEX_OWNER_DIED or 0. */
function take(task: Task, address: number, key: FutexKey, died: number): number {
  const waiters = task.kernel.futexes.waiters(key).length > 0 ? FUTEX_WAITERS : 0;
  return task.writeU32(address, (task.tid | waiters | died) >>> 0);
}

function* waitForLock(task: Task, key: FutexKey, deadline: number): Blocking {
  const { futexes } = task.kernel;
  const waiter = new FutexWaiter(task, key, FUTEX_BITSET_MATCH_ANY, true);
  futexes.add(waiter);
  const on = [{ queue: waiter.queue, events: POLLIN }];
  try {
    for (;;) {
      const wake = yield Number.isFinite(deadline) ? { on, deadline } : { on };
      if (waiter.woken) return 0; // handed over: the word holds our number
      if (wake === 'timeout') return ETIMEDOUT;
      if (wake === 'signal') return ERESTARTNOINTR;
    }
  } finally {
    futexes.remove(waiter);
  }
}

/** FUTEX_UNLOCK_PI: the first waiter becomes the owner. */
export function unlockPi(task: Task, address: number, key: FutexKey): number {
  const word = task.readU32(address);
  if (word < 0) return word;
  if ((word & FUTEX_TID_MASK) !== task.tid) return EPERM;
  return handOver(task, address, key, 0);
}

/** `writer` is any task of the address space. */
function handOver(writer: Task, address: number, key: FutexKey, died: number): number {
  const { futexes } = writer.kernel;
  const [next, second] = futexes.waiters(key);
  if (next === undefined) return writer.writeU32(address, died);
  if (!next.pi) return EINVAL;
  const word = (next.task.tid | (second === undefined ? 0 : FUTEX_WAITERS) | died) >>> 0;
  if (writer.writeU32(address, word) !== 0) return EFAULT;
  futexes.remove(next);
  next.wake();
  return 0;
}

/** The thread ends: the robust locks that it holds say so, their waiters and those of its other locks go on. */
export function exitRobustList(task: Task): void {
  const head = task.robustList;
  task.robustList = 0;
  if (head !== 0) walkRobustList(task, head);
  const { futexes } = task.kernel;
  if (futexes.lockWaiterCount === 0) return;
  for (const waiter of [...futexes.lockWaiters()]) {
    if (waiter.key.owner !== task.mm) continue;
    const word = task.readU32(waiter.key.offset);
    if (word > 0 && (word & FUTEX_TID_MASK) === task.tid) handOver(task, waiter.key.offset, waiter.key, FUTEX_OWNER_DIED);
  }
}

function walkRobustList(task: Task, head: number): void {
  const raw = task.readBytes(head, RobustListHead.size);
  if (typeof raw === 'number') return;
  const { list, futex_offset, list_op_pending } = RobustListHead.decode(raw);
  const pending = pointer(list_op_pending);
  const offset = Number(BigInt.asIntN(64, futex_offset));
  let entry = list;
  // A ring that has lost its head (a copied one, say) says nothing new the second time, and each look at it is a host call.
  const seen = new Set<number>();
  while (seen.size < ROBUST_LIST_LIMIT && pointer(entry) !== head && !seen.has(pointer(entry))) {
    const at = pointer(entry);
    seen.add(at);
    // The next one first: whoever takes the lock may reuse the entry.
    const next = task.readBytes(at, 8);
    if (at !== pending) ownerDied(task, at + offset, (entry & 1n) !== 0n, false);
    if (typeof next === 'number') break;
    entry = new DataView(next.buffer).getBigUint64(0, true);
  }
  if (pending !== 0) ownerDied(task, pending + offset, (list_op_pending & 1n) !== 0n, true);
}

function pointer(value: bigint): number {
  return Number(value & ~1n);
}

/** `pending`: the thread died while it locked or unlocked this one; a word that is free already may have waiters that nobody woke. */
function ownerDied(task: Task, address: number, pi: boolean, pending: boolean): void {
  if (!(address >= 0)) return;
  const word = task.readU32(address);
  const key = futexKey(task, address, false);
  if (word < 0 || isErrno(key)) return;
  const { futexes } = task.kernel;
  const owner = word & FUTEX_TID_MASK;
  if (pending && !pi && owner === 0) futexes.wake(key as FutexKey, 1);
  if (owner !== task.tid) return;
  if (pi) {
    handOver(task, address, key as FutexKey, FUTEX_OWNER_DIED);
    return;
  }
  task.writeU32(address, ((word & FUTEX_WAITERS) | FUTEX_OWNER_DIED) >>> 0);
  if ((word & FUTEX_WAITERS) !== 0) futexes.wake(key as FutexKey, 1);
}
