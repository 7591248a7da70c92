/**
 * Futexes (futex(2)): who sleeps on which word.
 *
 * A waiter is put on its key's list first; then the word is read; only then does the task sleep. Application threads change words
 * whenever they like, but a wake is a system call, and those run one after another here: a thread that changes the word after it
 * was read finds the waiter when its wake comes.
 *
 * Of private words a platform may hold sleepers itself (SpaceFutexes): `wakeWaiters` and `requeueWaiters` reach both. Linux keeps words
 * that are named private and the same ones named shared apart, so those who wake without a call of a live thread's own (the end
 * of a thread, robust lists) need not look for sleepers.
 */
import { EFAULT, EINVAL, type Errno, isErrno } from '../../abi/errno.ts';
import { FUTEX_BITSET_MATCH_ANY } from '../../abi/futex.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { POLLIN } from '../../abi/poll.ts';
import type { SpaceFutexes } from '../../platforms/platform.ts';
import type { Task } from './task.ts';
import { WaitQueue } from './wait.ts';

/** Identity of a word: private ones by address space and address, shared ones by the object that is mapped and the offset in it. */
export interface FutexKey {
  readonly owner: object;
  readonly offset: number;
  /** Of a word that is found by address space: where others may wait for it than on the lists here. */
  readonly held: SpaceFutexes | null;
}

/** One place in a list. `queue` is notified when it is woken; several waiters may share one (futex_waitv). */
export class FutexWaiter {
  key: FutexKey;
  readonly task: Task;
  readonly queue: WaitQueue;
  /** FUTEX_WAIT_BITSET. */
  readonly bitset: number;
  /** Waits for a lock of which the kernel makes it the owner (FUTEX_LOCK_PI). */
  readonly pi: boolean;
  woken = false;

  constructor(task: Task, key: FutexKey, bitset = FUTEX_BITSET_MATCH_ANY, pi = false, queue = new WaitQueue()) {
    this.task = task;
    this.key = key;
    this.bitset = bitset;
    this.pi = pi;
    this.queue = queue;
  }
  wake(): void {
    this.woken = true;
    this.queue.notify(POLLIN);
  }
}

export class FutexTable {
  /** Waiters for locks: usually none, and then the exit of a thread need not look. */
  lockWaiterCount = 0;
  /** Lists are never empty. */
  private readonly lists = new Map<object, Map<number, FutexWaiter[]>>();

  add(waiter: FutexWaiter): void {
    if (waiter.pi) this.lockWaiterCount++;
    const { owner, offset, held } = waiter.key;
    held?.listed(offset, 1);
    let words = this.lists.get(owner);
    if (words === undefined) {
      words = new Map();
      this.lists.set(owner, words);
    }
    const list = words.get(offset);
    if (list === undefined) words.set(offset, [waiter]);
    else list.push(waiter);
  }

  /** Safe for one that is not there any more. */
  remove(waiter: FutexWaiter): void {
    const { owner, offset, held } = waiter.key;
    const words = this.lists.get(owner);
    const list = words?.get(offset);
    const at = list?.indexOf(waiter) ?? -1;
    if (words === undefined || list === undefined || at < 0) return;
    list.splice(at, 1);
    held?.listed(offset, -1);
    if (waiter.pi) this.lockWaiterCount--;
    if (list.length > 0) return;
    words.delete(offset);
    if (words.size === 0) this.lists.delete(owner);
  }

  waiters(key: FutexKey): readonly FutexWaiter[] {
    return this.lists.get(key.owner)?.get(key.offset) ?? NOBODY;
  }

  /** Wakes up to `count` in the order in which they came; how many. EINVAL if lock waiters (PI) are among them. */
  wake(key: FutexKey, count: number, bitset = FUTEX_BITSET_MATCH_ANY): number {
    const list = this.waiters(key);
    if (list.length === 0) return 0;
    let woken = 0;
    for (const waiter of list.slice()) {
      if (woken >= count) break;
      if (waiter.pi) return EINVAL;
      if ((waiter.bitset & bitset) === 0) continue;
      this.remove(waiter);
      waiter.wake();
      woken++;
    }
    return woken;
  }

  /** Wakes up to `wakeCount`, moves up to `moveCount` others to another word; how many of both. */
  requeue(from: FutexKey, to: FutexKey, wakeCount: number, moveCount: number): number {
    let done = 0;
    for (const waiter of this.waiters(from).slice()) {
      if (waiter.pi) return EINVAL;
      if (done >= wakeCount + moveCount) break;
      this.remove(waiter);
      if (done < wakeCount) waiter.wake();
      else {
        waiter.key = to;
        this.add(waiter);
      }
      done++;
    }
    return done;
  }

  /** Every waiter for a lock: for the exit of an owner, which is rare. */
  *lockWaiters(): Generator<FutexWaiter> {
    for (const words of this.lists.values()) for (const list of words.values()) for (const waiter of list) if (waiter.pi) yield waiter;
  }
}
const NOBODY: readonly FutexWaiter[] = [];

/** FUTEX_WAKE by a task in a call of its own: sleepers of the platform's after those on the list. */
export function wakeWaiters(task: Task, key: FutexKey, count: number, bitset = FUTEX_BITSET_MATCH_ANY): number {
  const woken = task.kernel.futexes.wake(key, count, bitset);
  if (key.held === null || woken < 0 || woken >= count) return woken;
  return woken + Math.max(0, key.held.wake(task.thread, key.offset, count - woken));
}

/** FUTEX_REQUEUE, with `value` FUTEX_CMP_REQUEUE: of the platform's sleepers first, since the host compares and moves in one step. */
export function requeueWaiters(task: Task, from: FutexKey, to: FutexKey, wake: number, move: number, value: number | null): number {
  const { held } = from;
  let done = 0;
  // To a word of another kind nobody can be moved: they wake up, and look at their word again.
  if (held !== null && held !== to.held) done = held.wake(task.thread, from.offset, wake + move);
  else if (held !== null) done = held.requeue(task.thread, from.offset, to.offset, wake, move, value);
  if (done < 0) return done;
  const rest = task.kernel.futexes.requeue(from, to, Math.max(0, wake - done), move - Math.max(0, done - wake));
  return rest < 0 && done > 0 ? done : rest + done;
}

/** isPrivate: FUTEX_PRIVATE_FLAG: no look-up of what is mapped. */
export function futexKey(task: Task, address: number, isPrivate: boolean): FutexKey | Errno {
  if (address % 4 !== 0) return EINVAL;
  if (address >= TASK_SIZE) return EFAULT;
  return isPrivate ? { owner: task.mm, offset: address, held: task.mm.space.futexes ?? null } : task.mm.futexKey(address);
}

/** CLONE_CHILD_CLEARTID: whoever joins the thread sees 0 and is woken. */
export function clearChildTid(task: Task): void {
  const address = task.clearChildTid;
  task.clearChildTid = 0;
  const cleared = task.thread.own?.cleared === true;
  if (address === 0 || task.mm.userCount <= 1 || (!cleared && task.writeU32(address, 0) !== 0)) return;
  const key = futexKey(task, address, false);
  if (!isErrno(key)) task.kernel.futexes.wake(key as FutexKey, 1);
}
