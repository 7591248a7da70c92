/** System V semaphore sets: operations are all or nothing; undo when the process ends. */
import { EFBIG, EINVAL, ENOSPC, ERANGE, type Errno } from '../../abi/errno.ts';
import { IPC_NOWAIT, SEM_UNDO } from '../../abi/ipc.ts';
import { POLLIN } from '../../abi/poll.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { WaitQueue } from '../kernel/wait.ts';
import { IpcObject, IpcTable, seconds } from './ipc_object.ts';

// kernel.sem
export const SEMMNI = 32000;
export const SEMMSL = 32000;
/** Semaphores in all sets: less than Linux's default, they are the Sentry's memory. */
export const SEMMNS = 1_024_000;
export const SEMOPM = 500;
export const SEMVMX = 32767;

/** struct sembuf. */
export interface SemOperation {
  readonly num: number;
  readonly op: number;
  readonly flags: number;
}
/** Why an operation cannot go on: which semaphore, and whether it waits for zero. */
export interface Obstacle {
  readonly num: number;
  readonly zero: boolean;
  readonly nowait: boolean;
}

export class SemaphoreSet extends IpcObject {
  readonly values: Uint16Array;
  /** Who changed each last. */
  readonly last: (ThreadGroup | undefined)[] = [];
  /** Tasks that wait for an increase, and for zero. */
  readonly waitingMore: Uint32Array;
  readonly waitingZero: Uint32Array;
  operationTime = 0;
  readonly queue = new WaitQueue();
  /** What the end of each process gives back, by semaphore. */
  readonly undo = new Map<ThreadGroup, Map<number, number>>();

  constructor(task: Task, key: number, mode: number, count: number) {
    super(task, key, mode);
    this.values = new Uint16Array(count);
    this.waitingMore = new Uint32Array(count);
    this.waitingZero = new Uint32Array(count);
  }
  get count(): number {
    return this.values.length;
  }

  /** semop(2), tried once: 0, an errno, or what stands in the way. */
  perform(task: Task, operations: readonly SemOperation[]): 0 | Errno | Obstacle {
    const { values } = this;
    const before: number[] = [];
    let failed: Errno | Obstacle | null = null;
    for (const { num, op, flags } of operations) {
      if (num >= values.length) failed = EFBIG;
      else failed = this.step(num, op, flags);
      if (failed !== null) break;
      before.push(values[num] as number);
      values[num] = (values[num] as number) + op;
    }
    if (failed !== null) {
      for (let i = before.length - 1; i >= 0; i--) values[(operations[i] as SemOperation).num] = before[i] as number;
      return failed;
    }
    this.commit(task, operations);
    return 0;
  }
  private step(num: number, op: number, flags: number): Errno | Obstacle | null {
    const value = this.values[num] as number;
    const nowait = (flags & IPC_NOWAIT) !== 0;
    if (op === 0) return value === 0 ? null : { num, zero: true, nowait };
    if (value + op > SEMVMX) return ERANGE;
    return value + op < 0 ? { num, zero: false, nowait } : null;
  }
  private commit(task: Task, operations: readonly SemOperation[]): void {
    this.operationTime = seconds(task);
    let changed = false;
    for (const { num, op, flags } of operations) {
      this.last[num] = task.group;
      if (op === 0) continue;
      changed = true;
      if ((flags & SEM_UNDO) !== 0) {
        const undo = this.undoOf(task.group);
        undo.set(num, (undo.get(num) ?? 0) - op);
      }
    }
    if (changed) this.queue.notify(POLLIN);
  }
  private undoOf(group: ThreadGroup): Map<number, number> {
    let undo = this.undo.get(group);
    if (undo !== undefined) return undo;
    undo = new Map();
    this.undo.set(group, undo);
    group.exitEvents.add({ events: POLLIN, wake: () => this.processEnded(group) });
    return undo;
  }
  private processEnded(group: ThreadGroup): void {
    const undo = this.undo.get(group);
    if (undo === undefined || this.removed) return;
    this.undo.delete(group);
    for (const [num, change] of undo) {
      this.values[num] = Math.min(SEMVMX, Math.max(0, (this.values[num] as number) + change));
      this.last[num] = group;
    }
    this.queue.notify(POLLIN);
  }

  /** SETVAL: undo of that semaphore is forgotten everywhere. */
  setValue(task: Task, num: number, value: number): number {
    if (value < 0 || value > SEMVMX) return ERANGE;
    this.values[num] = value;
    this.last[num] = task.group;
    for (const undo of this.undo.values()) undo.delete(num);
    this.changeTime = seconds(task);
    this.queue.notify(POLLIN);
    return 0;
  }
  destroy(table: SemaphoreTable): void {
    this.removed = true;
    table.remove(this);
    table.semaphores -= this.count;
    this.undo.clear();
    this.queue.notify(POLLIN);
  }
}

export class SemaphoreTable extends IpcTable<SemaphoreSet> {
  /** In all sets. */
  semaphores = 0;
  constructor() {
    super(SEMMNI);
  }
  create(task: Task, key: number, count: number, mode: number): SemaphoreSet | Errno {
    if (count < 1 || count > SEMMSL) return EINVAL;
    if (this.semaphores + count > SEMMNS) return ENOSPC;
    this.semaphores += count;
    return new SemaphoreSet(task, key, mode, count);
  }
}
