/** What came for an endpoint of messages and waits to be read, with what it costs to keep it, and the errors about what it sent. */
import { EAGAIN, type Errno } from '../abi/errno.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM } from '../abi/poll.ts';
import { ErrorQueue } from './error_queue.ts';
import { type IcmpError, queuedError } from './icmp_error.ts';
import type { IncomingPacket } from './packet.ts';

/** What a message costs beside its bytes. */
const COST = 512;

export class MessageInbox<Message extends { readonly bytes: Uint8Array }> {
  /** Bytes that may wait to be read, cost included. One message always fits. */
  receiveLimit = 212_992;
  /** IP_RECVERR: softer errors count, too, and all are kept. */
  wantsErrors = false;
  wantsStamps = false;
  /** SO_MARK: rules of routing may ask for it. */
  mark = 0;
  readonly errors = new ErrorQueue();
  error: Errno | 0 = 0;
  drops = 0;
  private readonly queue: Message[] = [];
  private cost = 0;
  private readonly notify: (events: number) => void;

  constructor(notify: (events: number) => void) {
    this.notify = notify;
  }
  get pending(): number {
    return this.queue.length;
  }
  get first(): Message | null {
    return this.queue[0] ?? null;
  }
  get queuedBytes(): number {
    return this.cost;
  }
  /** Would a message of that many bytes be kept? Else it counts as dropped. */
  protected admits(length: number): boolean {
    if (this.queue.length === 0 || this.cost + length + COST <= this.receiveLimit) return true;
    this.drops++;
    return false;
  }
  /** After `admits`. */
  protected keep(message: Message): void {
    this.queue.push(message);
    this.cost += message.bytes.length + COST;
    this.notify(POLLIN | POLLRDNORM);
  }
  /** The oldest message, or EAGAIN. */
  next(): Message | Errno {
    const message = this.queue.shift();
    if (message === undefined) return EAGAIN;
    this.cost -= message.bytes.length + COST;
    return message;
  }

  /** A packet to `port` did not arrive. `payload`: where what the socket sent begins in it. */
  protected report(error: IcmpError, inner: IncomingPacket, port: number, payload: number): void {
    if (!error.hard && !this.wantsErrors) return;
    if (this.wantsErrors) this.errors.push(queuedError(error, inner, port, payload));
    this.error = error.errno;
    this.notify(POLLERR | POLLOUT | POLLIN);
  }
  takeError(): Errno | 0 {
    const { error } = this;
    this.error = 0;
    return error;
  }
  protected clear(): void {
    this.queue.length = 0;
    this.cost = 0;
  }
}
