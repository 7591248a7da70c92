/**
 * AF_UNIX SOCK_DGRAM. Messages go straight into the receiver's queue; a sender waits while that queue is long or its own messages
 * that nobody has read fill its SO_SNDBUF.
 */
import { EAGAIN, ECONNREFUSED, EFAULT, EMSGSIZE, ENOTCONN, EPERM, EPIPE, EPROTOTYPE, type Errno, isErrno } from '../../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_UNSPEC, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR, SOCK_DGRAM } from '../../../abi/socket.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import { ownCredentials, type SenderCredentials } from '../control_message.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import { decodeUnixAddress, encodeUnixAddress, type UnixAddress } from './address.ts';
import type { Rights } from './in_flight.ts';
import { findUnixSocket, peerCredentials, UnixSocket } from './unix_socket.ts';

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;
/** net.unix.max_dgram_qlen as distributions set it: messages in one queue. */
const MAX_QUEUE = 512;
/** What a message costs beside its bytes. */
const MESSAGE_COST = 256;

interface Datagram {
  readonly bytes: Uint8Array;
  readonly from: UnixAddress;
  readonly socket: UnixDatagram;
  readonly sender: SenderCredentials;
  rights: Rights | null;
}

export class UnixDatagram extends UnixSocket {
  private peer: UnixDatagram | null = null;
  private messages: Datagram[] = [];
  private receiveShutdown = false;
  private sendShutdown = false;
  /** Cost of our messages that lie in others' queues. */
  private unread = 0;
  /** Who found our queue full. */
  private readonly waiting = new Set<UnixDatagram>();

  constructor(kernel: Kernel, net: NetNamespace) {
    super(kernel, net, SOCK_DGRAM);
  }
  override get endOfInput(): boolean {
    return this.receiveShutdown;
  }
  override get stateCode(): number {
    return this.peer === null ? 1 : 3;
  }

  override connect(task: Task, raw: Uint8Array): number {
    if (raw.length >= 2 && ((raw[0] as number) | ((raw[1] as number) << 8)) === AF_UNSPEC) {
      this.peer = null;
      this.peerCreds = null;
      return 0;
    }
    const address = decodeUnixAddress(raw);
    if (isErrno(address)) return address;
    const target = this.destination(task, address);
    if (isErrno(target)) return target;
    if (this.options.passCredentials && this.address === '') this.autobind();
    this.peer = target;
    this.queue.notify(WRITABLE);
    return 0;
  }
  /** socketpair(2). */
  join(task: Task, peer: UnixDatagram): void {
    this.peer = peer;
    this.peerCreds = peerCredentials(task);
  }
  /** A socket that takes messages from us. */
  private destination(task: Task, address: UnixAddress): UnixDatagram | Errno {
    const target = findUnixSocket(task, address);
    if (isErrno(target)) return target;
    if (!(target instanceof UnixDatagram)) return EPROTOTYPE;
    return target.peer !== null && target.peer !== this ? EPERM : target;
  }

  override send(task: Task, message: OutgoingMessage): number {
    if (this.error !== 0) return this.takeError();
    if (this.sendShutdown) return EPIPE;
    const target = this.target(task, message);
    if (isErrno(target)) return target;
    if (target.receiveShutdown) return EPIPE;
    const length = message.data.remaining;
    if (length > this.options.sendBuffer - 32) return EMSGSIZE;
    if (this.unread > 0 && this.unread + length + MESSAGE_COST > this.options.sendBuffer) return EAGAIN;
    if (target.full(this)) return EAGAIN;
    return target.enqueue(task, this, message, length);
  }
  private target(task: Task, message: OutgoingMessage): UnixDatagram | Errno {
    if (message.name !== null) {
      const address = decodeUnixAddress(message.name);
      return isErrno(address) ? address : this.destination(task, address);
    }
    const { peer } = this;
    if (peer === null) return ENOTCONN;
    if (!peer.closed) return peer;
    this.peer = null; // it went away: told once
    return ECONNREFUSED;
  }
  /** A socket that is connected back to the sender is bounded by the sender's buffer alone. */
  private full(sender: UnixDatagram): boolean {
    if (this.peer === sender || this.messages.length < MAX_QUEUE) return false;
    this.waiting.add(sender);
    return true;
  }
  private enqueue(task: Task, from: UnixDatagram, message: OutgoingMessage, length: number): number {
    const bytes = new Uint8Array(length);
    if (length > 0 && message.data.take(bytes, 0, length) !== length) return EFAULT;
    const files = message.control?.files ?? null;
    const rights = files === null ? null : this.kernel.unix.inFlight.enter(task, files);
    if (typeof rights === 'number') return rights;
    const sender = message.control?.credentials ?? ownCredentials(task);
    message.control = null;
    this.messages.push({ bytes, from: from.address, socket: from, sender, rights });
    from.unread += length + MESSAGE_COST;
    this.queue.notify(READABLE);
    return length;
  }

  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const first = this.messages[0];
    if (first === undefined) {
      if (this.error !== 0) return this.takeError();
      return EAGAIN;
    }
    const length = first.bytes.length;
    const room = Math.min(length, dst.remaining);
    const n = room === 0 ? 0 : dst.put(first.bytes, 0, room);
    if (n < 0) return n;
    if (n < length) message.resultFlags |= MSG_TRUNC;
    if (first.from !== '') message.name = encodeUnixAddress(first.from);
    const peek = (message.flags & MSG_PEEK) !== 0;
    this.attach(first, message, peek);
    if (!peek) {
      this.messages.shift();
      this.settle(first);
    }
    return (message.flags & MSG_TRUNC) !== 0 ? length : n;
  }
  private attach(datagram: Datagram, message: IncomingMessage, peek: boolean): void {
    message.control = { credentials: datagram.sender };
    const { rights } = datagram;
    if (rights === null) return;
    if (peek) {
      if (message.wantsControl) message.control.files = rights.files.map((file) => file.hold());
      return;
    }
    datagram.rights = null;
    const { inFlight } = this.kernel.unix;
    const files = inFlight.leave(rights);
    if (message.wantsControl) message.control.files = files;
    else inFlight.dispose(files);
  }
  /** A message has left the queue: its sender, and those that found it full, may go on. */
  private settle(datagram: Datagram): void {
    const { socket } = datagram;
    socket.unread -= datagram.bytes.length + MESSAGE_COST;
    socket.queue.notify(WRITABLE);
    if (this.waiting.size === 0) return;
    const waiting = [...this.waiting];
    this.waiting.clear();
    for (const sender of waiting) sender.queue.notify(WRITABLE);
  }

  override shutdown(_task: Task, how: number): number {
    if (how !== SHUT_WR) this.receiveShutdown = true;
    if (how !== SHUT_RD) this.sendShutdown = true;
    this.queue.notify(READABLE | WRITABLE | POLLRDHUP | (this.receiveShutdown && this.sendShutdown ? POLLHUP : 0));
    return 0;
  }
  override poll(_file: FileDescription): number {
    let events = 0;
    if (this.error !== 0) events |= POLLERR;
    if (this.receiveShutdown && this.sendShutdown) events |= POLLHUP;
    if (this.receiveShutdown) events |= POLLRDHUP | READABLE;
    if (this.messages.length > 0) events |= READABLE;
    const room = this.unread * 2 <= this.options.sendBuffer;
    if (room && (this.peer === null || this.peer.closed || !this.peer.full(this))) events |= WRITABLE;
    return events;
  }

  override peerName(): Uint8Array | Errno {
    return this.peer === null ? ENOTCONN : encodeUnixAddress(this.peer.address);
  }
  override inputQueued(): number {
    return this.messages[0]?.bytes.length ?? 0;
  }
  override outputQueued(): number {
    return this.unread;
  }

  override close(): void {
    super.close();
    const { messages } = this;
    this.messages = [];
    const files: FileDescription[] = [];
    for (const datagram of messages) {
      if (datagram.rights !== null) files.push(...this.kernel.unix.inFlight.leave(datagram.rights));
      this.settle(datagram);
    }
    this.kernel.unix.inFlight.dispose(files);
    const { peer } = this;
    if (peer !== null && !peer.closed && peer.peer === this) {
      peer.queue.notify(WRITABLE | POLLERR);
    }
    for (const sender of this.waiting) sender.queue.notify(WRITABLE);
    this.waiting.clear();
    this.queue.notify(POLLHUP | POLLERR);
  }
  eachFileInFlight(visit: (file: FileDescription) => void): void {
    for (const { rights } of this.messages) for (const file of rights?.files ?? []) visit(file);
  }
  takeFilesInFlight(): FileDescription[] {
    const files: FileDescription[] = [];
    for (const datagram of this.messages) {
      if (datagram.rights !== null) files.push(...this.kernel.unix.inFlight.leave(datagram.rights));
      datagram.rights = null;
    }
    return files;
  }
}
