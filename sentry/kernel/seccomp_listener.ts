/**
 * SECCOMP_RET_USER_NOTIF (seccomp_unotify(2)): a filter asks a supervisor about a call. The caller waits; the supervisor fetches the
 * notification from a descriptor, and answers with a result, or lets the call go on.
 *
 * A notification is 'asked' until it is fetched, 'fetched' until it is answered. Who waits leaves by an answer, a signal, or the end of
 * the listener (ENOSYS).
 */
import { ENOSYS, ERESTARTSYS } from '../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { RUN_CALL } from '../syscalls/definition.ts';
import type { Task } from './task.ts';
import { type Blocking, WaitQueue, waitFor } from './wait.ts';

/** How the call ends; null: it is made. */
export type Answer = { readonly value: number } | null;

export class Notification {
  readonly id: bigint;
  readonly task: Task;
  state: 'asked' | 'fetched' | 'answered' = 'asked';
  answer: Answer = null;
  readonly answered = new WaitQueue();
  constructor(id: bigint, task: Task) {
    this.id = id;
    this.task = task;
  }
}

export class SeccompListener {
  /** Supervisors that wait in ioctl(2) or poll(2). */
  readonly queue = new WaitQueue();
  /** SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: once fetched, only a fatal signal ends the wait. */
  readonly waitKillable: boolean;
  private readonly open: Notification[] = [];
  private closed = false;
  private nextId: bigint;

  /** firstId: random, so that identifiers of different listeners are not mistaken for one another. */
  constructor(waitKillable: boolean, firstId: bigint) {
    this.waitKillable = waitKillable;
    this.nextId = firstId;
  }

  /** The call's result, or RUN_CALL. */
  *ask(task: Task): Blocking {
    if (this.closed) return ENOSYS;
    const notification = new Notification(this.nextId, task);
    this.nextId = BigInt.asUintN(64, this.nextId + 1n);
    this.open.push(notification);
    this.queue.notify(POLLIN | POLLRDNORM);
    try {
      for (;;) {
        const wake = yield waitFor(notification.answered, POLLIN);
        if (notification.state === 'answered') return notification.answer === null ? RUN_CALL : notification.answer.value;
        if (this.closed) return ENOSYS;
        if (wake === 'signal' && !(this.waitKillable && notification.state === 'fetched')) return ERESTARTSYS;
      }
    } finally {
      this.open.splice(this.open.indexOf(notification), 1);
    }
  }

  /** The oldest one that nobody has fetched. */
  next(): Notification | null {
    return this.open.find((n) => n.state === 'asked') ?? null;
  }
  fetched(notification: Notification): void {
    notification.state = 'fetched';
    this.queue.notify(POLLOUT | POLLWRNORM);
  }
  find(id: bigint): Notification | null {
    return this.open.find((n) => n.id === id && n.state !== 'answered') ?? null;
  }
  answer(notification: Notification, answer: Answer): void {
    notification.state = 'answered';
    notification.answer = answer;
    notification.answered.notify(POLLIN);
  }
  /** What poll(2) says, but for the hang-up. */
  get events(): number {
    let events = 0;
    for (const { state } of this.open) {
      if (state === 'asked') events |= POLLIN | POLLRDNORM;
      else if (state === 'fetched') events |= POLLOUT | POLLWRNORM;
    }
    return events;
  }
  /** A task with the filter has ended: perhaps the last one. */
  lostUser(): void {
    this.queue.notify(POLLHUP);
  }
  /** The descriptor is closed: nobody will answer. */
  close(): void {
    this.closed = true;
    for (const notification of this.open) notification.answered.notify(POLLIN);
  }
}
