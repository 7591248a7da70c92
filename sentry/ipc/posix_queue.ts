/** A POSIX message queue (mq_overview(7)): messages by priority, one process that is told when the queue stops being empty. */
import { EAGAIN, EBUSY, EMSGSIZE, type Errno } from '../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { SI_MESGQ } from '../../abi/signal.ts';
import { sendToGroup } from '../kernel/signal_send.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { WaitQueue } from '../kernel/wait.ts';

export interface PosixMessage {
  readonly priority: number;
  readonly bytes: Uint8Array;
}

/** mq_notify(3). `tell`: SIGEV_THREAD, 'woken' or 'removed' to the helper thread's socket; null: by signal or not at all. */
export interface QueueNotification {
  readonly group: ThreadGroup;
  readonly signal: number;
  readonly value: bigint;
  readonly tell: ((what: 'woken' | 'removed') => void) | null;
}

export class PosixQueue {
  readonly maxMessages: number;
  readonly messageSize: number;
  readonly queue = new WaitQueue();
  /** Highest priority first, then oldest. */
  private messages: PosixMessage[] = [];
  private notification: QueueNotification | null = null;
  private total = 0;
  /** Tasks in mq_receive: they come before the notification. */
  receivers = 0;

  constructor(maxMessages: number, messageSize: number) {
    this.maxMessages = maxMessages;
    this.messageSize = messageSize;
  }
  get count(): number {
    return this.messages.length;
  }
  get bytes(): number {
    return this.total;
  }
  get registered(): QueueNotification | null {
    return this.notification;
  }

  send(task: Task, message: PosixMessage): 0 | Errno {
    if (message.bytes.length > this.messageSize) return EMSGSIZE;
    if (this.messages.length >= this.maxMessages) return EAGAIN;
    let at = this.messages.length;
    while (at > 0 && (this.messages[at - 1] as PosixMessage).priority < message.priority) at--;
    this.messages.splice(at, 0, message);
    this.total += message.bytes.length;
    if (this.messages.length === 1 && this.receivers === 0) this.fire(task);
    this.queue.notify(POLLIN | POLLRDNORM);
    return 0;
  }
  receive(): PosixMessage | Errno {
    const message = this.messages.shift();
    if (message === undefined) return EAGAIN;
    this.total -= message.bytes.length;
    this.queue.notify(POLLOUT | POLLWRNORM);
    return message;
  }
  poll(): number {
    const reads = this.messages.length > 0 ? POLLIN | POLLRDNORM : 0;
    return reads | (this.messages.length < this.maxMessages ? POLLOUT | POLLWRNORM : 0);
  }

  /** EBUSY: somebody is registered. */
  register(notification: QueueNotification): 0 | Errno {
    if (this.notification !== null) return EBUSY;
    this.notification = notification;
    return 0;
  }
  /** mq_notify(NULL), and mq_close by the process that is registered. */
  unregister(group: ThreadGroup): void {
    if (this.notification?.group !== group) return;
    this.notification.tell?.('removed');
    this.notification = null;
  }
  /** Once; the registration is over then. */
  private fire(sender: Task): void {
    const { notification } = this;
    if (notification === null) return;
    this.notification = null;
    const { group, signal, value, tell } = notification;
    if (tell !== null) tell('woken');
    else if (signal !== 0) {
      sendToGroup(group, { signal, code: SI_MESGQ, pid: sender.group.idIn(group.pidNamespace), uid: sender.creds.uid, value });
    }
  }
}
