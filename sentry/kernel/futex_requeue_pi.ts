/**
 * FUTEX_WAIT_REQUEUE_PI and FUTEX_CMP_REQUEUE_PI (futex(2)): waiters of a condition variable are moved to the priority-inheritance lock
 * that they will need, and return as its owners.
 */
import { EAGAIN, EFAULT, EINVAL, ERESTARTNOINTR, ETIMEDOUT, isErrno } from '../../abi/errno.ts';
import { FUTEX_BITSET_MATCH_ANY, FUTEX_TID_MASK, FUTEX_WAITERS } from '../../abi/futex.ts';
import { POLLIN } from '../../abi/poll.ts';
import { type FutexKey, FutexWaiter } from './futex.ts';
import { claimWord } from './futex_lock.ts';
import type { Task } from './task.ts';
import type { Blocking, SyscallResult } from './wait.ts';

/** Waits on the condition; `lock` is where it will be moved. */
export class RequeueWaiter extends FutexWaiter {
  readonly lock: FutexKey;
  /** Its place in the lock's list, once it has been moved. */
  moved: FutexWaiter | null = null;
  constructor(task: Task, key: FutexKey, lock: FutexKey) {
    super(task, key);
    this.lock = lock;
  }
}

/** deadline: kernel monotonic ns. */
export function waitRequeuePi(task: Task, uaddr: number, key: FutexKey, value: number, lock: FutexKey, deadline: number): SyscallResult {
  if (key.owner === lock.owner && key.offset === lock.offset) return EINVAL;
  const waiter = new RequeueWaiter(task, key, lock);
  task.kernel.futexes.add(waiter);
  const word = task.readU32(uaddr);
  if (word === value) return sleep(task, waiter, deadline);
  task.kernel.futexes.remove(waiter);
  return word < 0 ? EFAULT : EAGAIN;
}

function* sleep(task: Task, waiter: RequeueWaiter, deadline: number): Blocking {
  const { futexes } = task.kernel;
  const on = [{ queue: waiter.queue, events: POLLIN }];
  try {
    for (;;) {
      const wake = yield Number.isFinite(deadline) ? { on, deadline } : { on };
      if (waiter.moved?.woken) return 0; // the lock's word holds our number
      if (wake === 'timeout') return ETIMEDOUT;
      if (wake === 'signal') return waiter.moved === null ? ERESTARTNOINTR : EAGAIN;
    }
  } finally {
    futexes.remove(waiter);
    if (waiter.moved !== null) futexes.remove(waiter.moved);
  }
}

/** Up to one waiter gets the lock if it is free, up to `moveCount` others wait for it; how many of both. */
export function requeuePi(task: Task, from: FutexKey, lockAddress: number, lock: FutexKey, moveCount: number): number {
  const { futexes } = task.kernel;
  const waiters = futexes.waiters(from).slice();
  if (!waiters.every((w) => w instanceof RequeueWaiter && w.lock.owner === lock.owner && w.lock.offset === lock.offset)) return EINVAL;
  if (waiters.length === 0) return 0;
  const word = claimWord(task, lockAddress);
  if (word < 0) return word;
  if (isErrno(word)) return word;
  let done = 0;
  let owner = word & FUTEX_TID_MASK;
  for (const waiter of waiters.slice(0, moveCount + 1) as RequeueWaiter[]) {
    futexes.remove(waiter);
    const moved = new FutexWaiter(waiter.task, lock, FUTEX_BITSET_MATCH_ANY, true, waiter.queue);
    waiter.moved = moved;
    if (owner === 0) {
      owner = waiter.task.tid;
      moved.wake();
    } else futexes.add(moved);
    done++;
  }
  const waits = futexes.waiters(lock).length > 0 ? FUTEX_WAITERS : 0;
  const r = task.writeU32(lockAddress, (owner | waits) >>> 0);
  return r === 0 ? done : r;
}
