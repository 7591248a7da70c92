/** futex(2), futex_waitv(2). The lists are in kernel/futex.ts, locks that the kernel hands over in kernel/futex_lock.ts. */
import { EAGAIN, EFAULT, EINVAL, ENOSYS, ERESTART_RESTARTBLOCK, ERESTARTSYS, type Errno, ETIMEDOUT, isErrno } from '../../abi/errno.ts';
import {
  FUTEX_32,
  FUTEX_BITSET_MATCH_ANY,
  FUTEX_CLOCK_REALTIME,
  FUTEX_CMD_MASK,
  FUTEX_CMP_REQUEUE,
  FUTEX_CMP_REQUEUE_PI,
  FUTEX_LOCK_PI,
  FUTEX_LOCK_PI2,
  FUTEX_PRIVATE_FLAG,
  FUTEX_REQUEUE,
  FUTEX_TRYLOCK_PI,
  FUTEX_UNLOCK_PI,
  FUTEX_WAIT,
  FUTEX_WAIT_BITSET,
  FUTEX_WAIT_REQUEUE_PI,
  FUTEX_WAITV_MAX,
  FUTEX_WAKE,
  FUTEX_WAKE_BITSET,
  FUTEX_WAKE_OP,
  FutexWaitv,
} from '../../abi/futex.ts';
import { POLLIN } from '../../abi/poll.ts';
import { CLOCK_MONOTONIC, CLOCK_REALTIME } from '../../abi/time.ts';
import { type FutexKey, FutexWaiter, futexKey, requeueWaiters, wakeWaiters } from '../kernel/futex.ts';
import { lockPi, unlockPi } from '../kernel/futex_lock.ts';
import { requeuePi, waitRequeuePi } from '../kernel/futex_requeue_pi.ts';
import { wakeOp } from '../kernel/futex_wake_op.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, WaitQueue } from '../kernel/wait.ts';
import { addr, flags, int, syscall, uint } from './definition.ts';
import { deadlineAfter } from './sys_poll.ts';
import { readTimespec } from './user_time.ts';

function futex(task: Task, uaddr: number, op: number, value: number, fourth: number, uaddr2: number, value3: number): SyscallResult {
  const command = op & FUTEX_CMD_MASK;
  const realtime = (op & FUTEX_CLOCK_REALTIME) !== 0;
  if (
    realtime &&
    command !== FUTEX_WAIT &&
    command !== FUTEX_WAIT_BITSET &&
    command !== FUTEX_LOCK_PI2 &&
    command !== FUTEX_WAIT_REQUEUE_PI
  )
    return ENOSYS;
  const isPrivate = (op & FUTEX_PRIVATE_FLAG) !== 0;
  const key = futexKey(task, uaddr, isPrivate);
  if (isErrno(key)) return key;
  switch (command) {
    case FUTEX_WAIT:
      return wait(task, uaddr, key as FutexKey, value, FUTEX_BITSET_MATCH_ANY, deadlineFrom(task, fourth, false, false));
    case FUTEX_WAIT_BITSET:
      return wait(task, uaddr, key as FutexKey, value, value3, deadlineFrom(task, fourth, true, realtime));
    case FUTEX_WAKE:
      return wakeWaiters(task, key as FutexKey, Math.max(value | 0, 1));
    case FUTEX_WAKE_BITSET:
      return value3 === 0 ? EINVAL : wakeWaiters(task, key as FutexKey, Math.max(value | 0, 1), value3);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2: {
      const deadline = deadlineFrom(task, fourth, true, command === FUTEX_LOCK_PI || realtime);
      return deadline < 0 ? deadline : lockPi(task, uaddr, key as FutexKey, deadline, true);
    }
    case FUTEX_TRYLOCK_PI:
      return lockPi(task, uaddr, key as FutexKey, 0, false);
    case FUTEX_UNLOCK_PI:
      return unlockPi(task, uaddr, key as FutexKey);
    case FUTEX_WAIT_REQUEUE_PI: {
      const lock = futexKey(task, uaddr2, isPrivate);
      if (isErrno(lock)) return lock;
      const deadline = deadlineFrom(task, fourth, true, realtime);
      return deadline < 0 ? deadline : waitRequeuePi(task, uaddr, key as FutexKey, value, lock as FutexKey, deadline);
    }
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_CMP_REQUEUE_PI:
    case FUTEX_WAKE_OP:
      return onTwo(task, command, uaddr, key as FutexKey, futexKey(task, uaddr2, isPrivate), [value | 0, fourth | 0, uaddr2, value3]);
    default:
      return ENOSYS;
  }
}

/** The commands on two words. arguments: count, second count, second address, third value. */
function onTwo(
  task: Task,
  command: number,
  uaddr: number,
  key: FutexKey,
  key2: FutexKey | Errno,
  [count, count2, uaddr2, value3]: readonly [number, number, number, number],
): number {
  if (isErrno(key2)) return key2;
  if (command === FUTEX_WAKE_OP) return wakeOp(task, key, key2 as FutexKey, count, count2, uaddr2, value3);
  if (count < 0 || count2 < 0) return EINVAL;
  if (command === FUTEX_CMP_REQUEUE_PI && (count !== 1 || uaddr === uaddr2)) return EINVAL;
  if (command === FUTEX_CMP_REQUEUE || command === FUTEX_CMP_REQUEUE_PI) {
    const word = task.readU32(uaddr);
    if (word < 0) return word;
    if (word !== value3) return EAGAIN;
  }
  if (command === FUTEX_CMP_REQUEUE_PI) return requeuePi(task, key, uaddr2, key2 as FutexKey, count2);
  return requeueWaiters(task, key, key2 as FutexKey, count, count2, command === FUTEX_CMP_REQUEUE ? value3 : null);
}

/** Kernel monotonic ns; Infinity without a timeout; an errno. */
function deadlineFrom(task: Task, timeout: number, absolute: boolean, realtime: boolean): number {
  if (timeout === 0) return Number.POSITIVE_INFINITY;
  const ns = readTimespec(task, timeout);
  if (ns < 0) return ns;
  if (!absolute) {
    const now = task.kernel.now();
    const since = task.thread.waitsSince ?? 0;
    return deadlineAfter(task, ns) - (since > 0 && since < now ? now - since : 0);
  }
  const deadline = realtime ? task.kernel.now() + (ns - task.kernel.realtime()) : ns - task.namespaces.time.monotonic;
  return Math.max(deadline, 0); // a time before boot has passed as well
}

function wait(task: Task, uaddr: number, key: FutexKey, value: number, bitset: number, deadline: number): SyscallResult {
  if (bitset === 0) return EINVAL;
  if (deadline < 0) return deadline;
  const waiter = new FutexWaiter(task, key, bitset);
  task.kernel.futexes.add(waiter);
  const word = task.readU32(uaddr);
  if (word === value) return sleep(task, uaddr, waiter, value, deadline);
  task.kernel.futexes.remove(waiter);
  return word < 0 ? EFAULT : EAGAIN;
}

function* sleep(task: Task, uaddr: number, waiter: FutexWaiter, value: number, deadline: number): Blocking {
  const on = [{ queue: waiter.queue, events: POLLIN }];
  try {
    for (;;) {
      const wake = yield Number.isFinite(deadline) ? { on, deadline } : { on };
      if (waiter.woken) return 0;
      if (wake === 'timeout') return ETIMEDOUT;
      if (wake !== 'signal') continue;
      if (!Number.isFinite(deadline)) return ERESTARTSYS;
      const { key, bitset } = waiter;
      task.restart = () => wait(task, uaddr, key, value, bitset, deadline);
      return ERESTART_RESTARTBLOCK;
    }
  } finally {
    task.kernel.futexes.remove(waiter);
  }
}

interface WordToWatch {
  readonly uaddr: number;
  readonly value: number;
  readonly key: FutexKey;
}

function futex_waitv(task: Task, list: number, count: number, options: number, timeout: number, clock: number): SyscallResult {
  if (options !== 0 || count === 0 || count > FUTEX_WAITV_MAX || list === 0) return EINVAL;
  if (timeout !== 0 && clock !== CLOCK_MONOTONIC && clock !== CLOCK_REALTIME) return EINVAL;
  const deadline = deadlineFrom(task, timeout, true, clock === CLOCK_REALTIME);
  if (deadline < 0) return deadline;
  const words = readWords(task, list, count);
  return isErrno(words) ? words : waitForAny(task, words as WordToWatch[], deadline);
}

function readWords(task: Task, list: number, count: number): WordToWatch[] | Errno {
  const raw = task.readBytes(list, count * FutexWaitv.size);
  if (isErrno(raw)) return raw;
  const view = new DataView((raw as Uint8Array).buffer);
  const out: WordToWatch[] = [];
  for (let i = 0; i < count; i++) {
    const { val, uaddr, flags: options } = FutexWaitv.read(view, i * FutexWaitv.size);
    const reserved = view.getUint32(i * FutexWaitv.size + 20, true);
    if (reserved !== 0 || (options & ~FUTEX_PRIVATE_FLAG) !== FUTEX_32 || val > 0xffff_ffffn) return EINVAL;
    const key = futexKey(task, uaddr, (options & FUTEX_PRIVATE_FLAG) !== 0);
    if (isErrno(key)) return key;
    out.push({ uaddr, value: Number(val), key: key as FutexKey });
  }
  return out;
}

/** Index of a word that was woken. */
function* waitForAny(task: Task, words: readonly WordToWatch[], deadline: number): Blocking {
  const { futexes } = task.kernel;
  const queue = new WaitQueue();
  const waiters = words.map(({ key }) => new FutexWaiter(task, key, FUTEX_BITSET_MATCH_ANY, false, queue));
  const on = [{ queue, events: POLLIN }];
  for (const waiter of waiters) futexes.add(waiter);
  try {
    for (const { uaddr, value } of words) {
      const word = task.readU32(uaddr);
      if (word !== value) return word < 0 ? EFAULT : EAGAIN;
    }
    for (;;) {
      const wake = yield Number.isFinite(deadline) ? { on, deadline } : { on };
      const index = waiters.findIndex((waiter) => waiter.woken);
      if (index >= 0) return index;
      if (wake === 'timeout') return ETIMEDOUT;
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    for (const waiter of waiters) futexes.remove(waiter);
  }
}

export const FUTEX_CALLS = {
  futex: syscall({
    x64: 202,
    man: 'futex(2)',
    args: [addr, int, uint, addr, addr, uint],
    run: futex,
  }),
  futex_waitv: syscall({ x64: 449, man: 'futex_waitv(2)', args: [addr, uint, flags, addr, int], run: futex_waitv }),
};
