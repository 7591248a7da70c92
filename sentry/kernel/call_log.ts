/**
 * Calls that wait in the middle of a synchronous function, and are made again.
 *
 * Path walks and filesystem operations are plain functions. Where one of them needs an answer of another guest process (a FUSE server), it
 * cannot wait: it throws a Suspension. That unwinds to the kernel's dispatch, which parks the task until the answer is there and then makes
 * the system call once more, from its start. What it has been answered so far is in its CallLog: the same questions get the same
 * answers at once, and the call comes one question further. This is the one exception that crosses system-call dispatch.
 *
 * Rules that make it right:
 * - Only what runs inside a system call may suspend (`CallRuns.suspends` says whether); elsewhere the operation fails with EIO.
 * - A change that a server has made is in the log, too: it is not asked for again, and what follows from it is done in the last run.
 *   Before a suspension nothing else may have been changed, or it must be harmless to do it twice.
 * - Whoever holds a reference across an operation gives it back if the call unwinds (`releasing`).
 * - Decisions that were made from a cache are noted as well (`note`), so that a later run does not decide otherwise because somebody else
 *   has changed the cache meanwhile.
 */
import { EINTR } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { CALL_AGAIN } from '../syscalls/definition.ts';
import { isKilled } from './signal_delivery.ts';
import type { Task } from './task.ts';
import { type Blocking, type WaitQueue, waitFor } from './wait.ts';

/** Something that will be there later. */
export interface Awaited {
  /** Notified with POLLIN when `done` has become true. */
  readonly queue: WaitQueue;
  readonly done: boolean;
  /** On behalf of whom; called once, before the wait. May finish it at once. */
  begin(task: Task): void;
  /** A signal is there. True: nobody has begun to work on it, and it has been withdrawn. */
  interrupt(): boolean;
  /** Nobody waits for it any more. */
  abandon(): void;
}

/** Thrown, never caught but by the kernel's dispatch. No Error: it costs no stack trace. */
export class Suspension {
  readonly awaited: Awaited;
  constructor(awaited: Awaited) {
    this.awaited = awaited;
  }
}

/** Waits for it: 0, or EINTR if a signal came before anybody worked on it, or the process is being killed. */
export function* answered(awaited: Awaited, task: Task): Blocking {
  awaited.begin(task);
  try {
    while (!awaited.done) {
      const wake = yield waitFor(awaited.queue, POLLIN);
      if (wake === 'signal' && !awaited.done && (awaited.interrupt() || isKilled(task))) return EINTR;
    }
    return 0;
  } finally {
    if (!awaited.done) awaited.abandon();
  }
}

/** What an entry of a log may have to give back if the call ends without having used it. */
export interface Unused {
  unused(): void;
}

interface Entry {
  readonly key: string;
  readonly value: object;
  used: boolean;
}

/** Answers to one system call, in the order of its questions. */
export class CallLog {
  /** A server has changed something for this call: the checks before it were passed, and are not made again. */
  changed = false;
  private readonly entries: Entry[] = [];

  get size(): number {
    return this.entries.length;
  }
  *values(): Generator<object> {
    for (const { value } of this.entries) yield value;
  }
  /** Before the call is made again. */
  rewind(): void {
    for (const entry of this.entries) entry.used = false;
  }
  /** The next answer to this question, without using it up. */
  peek(key: string): object | null {
    return this.entries.find((entry) => !entry.used && entry.key === key)?.value ?? null;
  }
  /** It has been asked in this call, by whichever run. */
  has(key: string): boolean {
    return this.entries.some((entry) => entry.key === key);
  }
  take(key: string): object | null {
    const found = this.entries.find((entry) => !entry.used && entry.key === key);
    if (found === undefined) return null;
    found.used = true;
    return found.value;
  }
  /** A question that is asked now: its answer is for the next run. */
  add(key: string, value: object): void {
    this.entries.push({ key, value, used: false });
  }
  /** A decision of this run. */
  note(key: string, value: object): void {
    this.entries.push({ key, value, used: true });
  }
  /** The call is over. `completed`: its last run came to its end, so that what it used is its own now. */
  end(completed: boolean): void {
    for (const { value, used } of this.entries) {
      if (completed && used) continue;
      if ('unused' in value) (value as Unused).unused();
    }
  }
}

/** Runs `step`, and gives the reference back if the call unwinds out of it. */
export function releasing<T>(held: { release(): void }, step: () => T): T {
  try {
    return step();
  } catch (e) {
    held.release();
    throw e;
  }
}

/** Which call the kernel runs at the moment. Owned by the Kernel. */
export class CallRuns {
  /** A handler runs, or a generator that one has made. */
  suspends = false;
  private current: CallLog | null = null;

  /** The log of the call that runs; made when it is first needed. */
  get log(): CallLog {
    this.current ??= new CallLog();
    return this.current;
  }
  /** `log`: of the runs before, null in the first. */
  enter(log: CallLog | null): void {
    this.suspends = true;
    this.current = log;
  }
  leave(): void {
    this.suspends = false;
  }

  /** The call unwound: waits for what it needs; ends with CALL_AGAIN, or with EINTR. */
  *wait(task: Task, awaited: Awaited): Blocking {
    const { log } = this;
    task.callLog = log;
    let result: number = EINTR;
    try {
      const r = yield* answered(awaited, task);
      result = r === 0 ? CALL_AGAIN : r;
      return result;
    } finally {
      if (result !== CALL_AGAIN) endLog(task, log, false);
    }
  }

  /** The rest of a call that was made again and waits in the ordinary way. */
  *rest(task: Task, log: CallLog, call: Blocking): Blocking {
    let unwound = false;
    let completed = false;
    try {
      const result = yield* call;
      completed = true;
      return result;
    } catch (e) {
      unwound = e instanceof Suspension;
      throw e;
    } finally {
      if (!unwound) endLog(task, log, completed);
    }
  }
}

export function endLog(task: Task, log: CallLog, completed: boolean): void {
  task.callLog = null;
  log.end(completed);
}
