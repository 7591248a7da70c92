/** System V message queues. */
import { E2BIG, EAGAIN, ENOMSG, type Errno } from '../../abi/errno.ts';
import { MSG_COPY, MSG_EXCEPT, MSG_NOERROR } from '../../abi/ipc.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { WaitQueue } from '../kernel/wait.ts';
import { IpcObject, IpcTable, seconds } from './ipc_object.ts';

// kernel.msgmax, msgmnb, msgmni: bytes of a message, bytes of a queue, queues (fewer than Linux's 32000: the Sentry's memory).
export const MSGMAX = 8192;
export const MSGMNB = 16384;
export const MSGMNI = 4096;
/** Messages in one queue, where Linux allows as many as msg_qbytes: empty ones cost the Sentry's memory as well. */
const MAX_MESSAGES = 4096;

export interface Message {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export class MessageQueue extends IpcObject {
  messages: Message[] = [];
  bytes = 0;
  /** msg_qbytes: most bytes, and most messages. */
  maxBytes = MSGMNB;
  sendTime = 0;
  receiveTime = 0;
  lastSender: ThreadGroup | null = null;
  lastReceiver: ThreadGroup | null = null;
  readonly queue = new WaitQueue();

  /** EAGAIN: no room. */
  send(task: Task, message: Message): 0 | Errno {
    if (this.bytes + message.bytes.length > this.maxBytes || this.messages.length >= Math.min(this.maxBytes, MAX_MESSAGES)) return EAGAIN;
    this.messages.push(message);
    this.bytes += message.bytes.length;
    this.sendTime = seconds(task);
    this.lastSender = task.group;
    this.queue.notify(POLLIN);
    return 0;
  }

  /** The first that `type` and `flags` choose, taken out unless MSG_COPY; ENOMSG, E2BIG if it is longer than `room`. */
  receive(task: Task, room: number, type: number, flags: number): Message | Errno {
    const at = this.find(type, flags);
    const message = this.messages[at];
    if (message === undefined) return ENOMSG;
    if (message.bytes.length > room && (flags & MSG_NOERROR) === 0) return E2BIG;
    if ((flags & MSG_COPY) !== 0) return message;
    this.messages.splice(at, 1);
    this.bytes -= message.bytes.length;
    this.receiveTime = seconds(task);
    this.lastReceiver = task.group;
    this.queue.notify(POLLOUT);
    return message;
  }
  /** -1: none. */
  private find(type: number, flags: number): number {
    const { messages } = this;
    if ((flags & MSG_COPY) !== 0) return type < messages.length ? type : -1;
    if (type === 0) return messages.length > 0 ? 0 : -1;
    if (type > 0) return messages.findIndex((m) => (m.type === type) !== ((flags & MSG_EXCEPT) !== 0));
    let best = -1;
    for (const [i, { type: t }] of messages.entries()) if (t <= -type && (best < 0 || t < (messages[best] as Message).type)) best = i;
    return best;
  }
  destroy(table: MessageQueueTable): void {
    this.removed = true;
    table.remove(this);
    this.messages = [];
    this.queue.notify(POLLIN | POLLOUT);
  }
}

export class MessageQueueTable extends IpcTable<MessageQueue> {
  constructor() {
    super(MSGMNI);
  }
}
