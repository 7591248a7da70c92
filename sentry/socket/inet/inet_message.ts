/** What UDP, raw and ping sockets share: messages with a sender, errors that wait, half closed ends. */
import { EACCES, EAGAIN, EDESTADDRREQ, EINVAL, ENOTCONN, EPIPE, type Errno, isErrno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_INET, AF_UNSPEC, MSG_ERRQUEUE, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR, SO_BROADCAST, SO_MARK } from '../../../abi/socket.ts';
import { type IpAddress, isAny } from '../../../netstack/address.ts';
import type { ErrorQueue } from '../../../netstack/error_queue.ts';
import type { IncomingPacket } from '../../../netstack/packet.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import { decodeInetAddress, familyOf, type InetAddress } from './inet_address.ts';
import { InetSocket } from './inet_socket.ts';
import { errorControl, type Received, readSentOptions, receivedControls, type SentOptions, wantsStamps } from './received_controls.ts';

/** An endpoint of the stack, as these sockets need it. */
export interface MessageEndpoint {
  readonly local: IpAddress;
  readonly remote: IpAddress | null;
  readonly errors: ErrorQueue;
  error: Errno | 0;
  device: number;
  wantsErrors: boolean;
  wantsStamps: boolean;
  mark: number;
  receiveLimit: number;
  readonly drops: number;
  readonly pending: number;
  takeError(): Errno | 0;
  disconnect(): void;
  close(): void;
}
/** A message as the socket gives it out. */
export interface ReadMessage extends Received {
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  readonly sourcePort: number;
}

export abstract class InetMessageSocket extends InetSocket {
  abstract readonly endpoint: MessageEndpoint;
  protected receiveShut = false;
  protected sendShut = false;

  override get endOfInput(): boolean {
    return this.receiveShut;
  }
  get stateCode(): number {
    return this.endpoint.remote === null ? 7 : 1;
  }
  /** Options that the endpoint looks at itself. */
  protected prepare(): void {
    const { endpoint } = this;
    endpoint.device = this.device;
    endpoint.wantsErrors = this.ipOption(I.IP_RECVERR) !== 0 || (this.family !== AF_INET && this.ip6Option(I.IPV6_RECVERR) !== 0);
    endpoint.wantsStamps = wantsStamps(this);
    endpoint.mark = this.options.get(SO_MARK);
  }
  protected override ipOptionsChanged(): void {
    this.prepare();
  }
  protected override socketOptionsChanged(): void {
    this.prepare();
  }
  /** For the endpoint: is a packet to a group one for this socket? */
  protected readonly joined = (packet: IncomingPacket): boolean => {
    const all = packet.version === 4 ? this.ipOption(I.IP_MULTICAST_ALL) : this.ip6Option(I.IPV6_MULTICAST_ALL);
    return this.groups.accepts(packet, all !== 0);
  };

  protected abstract connectTo(to: InetAddress): number;
  override connect(_task: Task, raw: Uint8Array): number {
    if (familyOf(raw) === AF_UNSPEC) {
      this.endpoint.disconnect();
      return 0;
    }
    const to = this.destination(raw);
    if (isErrno(to)) return to;
    this.prepare();
    return this.connectTo(to);
  }
  protected destination(raw: Uint8Array): InetAddress | Errno {
    const decoded = decodeInetAddress(raw, this.family);
    if (isErrno(decoded)) return decoded;
    const to = this.checkDestination(decoded);
    if (isErrno(to)) return to;
    const forbidden = this.stack.routes.isBroadcast(to.address) && this.options.get(SO_BROADCAST) === 0;
    return forbidden ? EACCES : to;
  }

  /** Sends all of `data` to `to`, or to where the socket is connected. */
  protected abstract transmit(to: InetAddress | null, data: Source, sent: SentOptions): number;
  override send(_task: Task, message: OutgoingMessage): number {
    const { endpoint } = this;
    if (endpoint.error !== 0) return endpoint.takeError();
    if (this.sendShut) return EPIPE;
    if (message.name === null && endpoint.remote === null) return EDESTADDRREQ;
    const to = message.name === null ? null : this.destination(message.name);
    if (isErrno(to)) return to;
    this.prepare();
    const target = to?.address ?? (endpoint.remote as IpAddress);
    const sent = readSentOptions(message.control?.others ?? null, this.sendOptions(target));
    if (typeof sent === 'number') return sent;
    if (sent.source !== null && !this.stack.routes.isLocal(sent.source) && !this.bindsElsewhere) return EINVAL;
    const bound = endpoint.device;
    if (sent.device !== 0) endpoint.device = sent.device;
    else if (endpoint.device === 0) endpoint.device = this.outgoingDevice(target, to?.scope ?? 0);
    const n = this.transmit(to, message.data, sent);
    endpoint.device = bound;
    this.stack.deliver();
    return n;
  }

  /** The oldest message; null: none. */
  protected abstract peek(): ReadMessage | null;
  /** It is read. */
  protected abstract drop(): void;
  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const { endpoint } = this;
    if ((message.flags & MSG_ERRQUEUE) !== 0) return this.receiveError(dst, message);
    if (endpoint.error !== 0) return endpoint.takeError();
    const first = this.peek();
    if (first === null) return this.receiveShut ? 0 : EAGAIN;
    const { bytes } = first;
    const n = bytes.length === 0 ? 0 : dst.put(bytes, 0, Math.min(bytes.length, dst.remaining));
    if (n < 0) return n;
    message.name = this.encode(first.source, first.sourcePort, first.arrival);
    if (n < bytes.length) message.resultFlags |= MSG_TRUNC;
    const others = receivedControls(this, first, endpoint.drops);
    if (others.length > 0) message.control = { others };
    if ((message.flags & MSG_PEEK) === 0) this.drop();
    return (message.flags & MSG_TRUNC) !== 0 ? bytes.length : n;
  }
  private receiveError(dst: Sink, message: IncomingMessage): number {
    const error = this.endpoint.errors.next();
    if (error === null) return EAGAIN;
    const { payload } = error;
    const n = payload.length === 0 ? 0 : dst.put(payload, 0, Math.min(payload.length, dst.remaining));
    if (n < 0) return n;
    if (n < payload.length) message.resultFlags |= MSG_TRUNC;
    message.resultFlags |= MSG_ERRQUEUE;
    if (error.destination !== null) message.name = this.encode(error.destination, error.port);
    const told = error.told === null ? [] : receivedControls(this, { ...error.told, at: 0 }, 0);
    message.control = { others: [...told, errorControl(this, error)] };
    return n;
  }

  override shutdown(_task: Task, how: number): number {
    if (this.endpoint.remote === null) return ENOTCONN;
    if (how !== SHUT_WR) this.receiveShut = true;
    if (how !== SHUT_RD) this.sendShut = true;
    this.queue.notify(POLLIN | POLLOUT | POLLRDHUP | (this.receiveShut && this.sendShut ? POLLHUP : 0));
    return 0;
  }
  override poll(_file: FileDescription): number {
    const { endpoint } = this;
    let events = POLLOUT | POLLWRNORM;
    if (endpoint.error !== 0 || endpoint.errors.length > 0) events |= POLLERR;
    if (endpoint.pending > 0 || this.receiveShut) events |= POLLIN | POLLRDNORM;
    if (this.receiveShut) events |= POLLRDHUP;
    if (this.receiveShut && this.sendShut) events |= POLLHUP;
    return events;
  }
  override name(): Uint8Array {
    const { local } = this.endpoint;
    return this.encode(isAny(local) ? this.wildcard : local, this.port);
  }
  override peerName(): Uint8Array | Errno {
    const { remote } = this.endpoint;
    return remote === null ? ENOTCONN : this.encode(remote, this.remotePort);
  }
  get port(): number {
    return 0;
  }
  get remotePort(): number {
    return 0;
  }
  override takeError(): number {
    return this.endpoint.takeError();
  }
  override inputQueued(): number {
    return this.peek()?.bytes.length ?? 0;
  }
  override buffersChanged(): void {
    this.endpoint.receiveLimit = this.options.receiveBuffer;
  }
  protected override pathMtu(): Uint8Array | Errno {
    const { remote } = this.endpoint;
    const route = remote === null ? ENOTCONN : this.stack.route(remote, null);
    return isErrno(route) ? route : this.int(this.stack.mtuTo(route, remote as IpAddress));
  }
  close(): void {
    this.groups.leaveAll();
    this.endpoint.close();
  }
}
