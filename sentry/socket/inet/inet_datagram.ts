/** UDP sockets. */
import { EACCES, EAGAIN, EDESTADDRREQ, EINVAL, ENOTCONN, EPIPE, type Errno, isErrno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_INET, AF_UNSPEC, MSG_PEEK, MSG_TRUNC, SHUT_RD, SHUT_WR, SO_BROADCAST, SOCK_DGRAM } from '../../../abi/socket.ts';
import { type IpAddress, isAny, readAddress, writeAddress } from '../../../netstack/address.ts';
import { type Datagram, UdpEndpoint } from '../../../netstack/udp.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import type { RawControl } from '../control_message.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import { decodeInetAddress, familyOf, type InetAddress, sixteen } from './inet_address.ts';
import { InetSocket, intBytes } from './inet_socket.ts';
import type { Network } from './networks.ts';

export class InetDatagram extends InetSocket {
  readonly endpoint: UdpEndpoint;
  private receiveShut = false;
  private sendShut = false;

  constructor(task: Task, network: Network, family: number) {
    super(task, network, family, SOCK_DGRAM, I.IPPROTO_UDP);
    this.endpoint = new UdpEndpoint(network.stack.udp, this.version, this.wildcard, (events) => this.queue.notify(events));
    this.endpoint.receiveLimit = this.options.receiveBuffer;
  }
  override get endOfInput(): boolean {
    return this.receiveShut;
  }
  protected override get isBound(): boolean {
    return this.endpoint.port !== 0;
  }
  get stateCode(): number {
    return this.endpoint.remote === null ? 7 : 1;
  }

  override bind(task: Task, raw: Uint8Array): number {
    const to = decodeInetAddress(raw, this.family);
    if (isErrno(to)) return to;
    if (this.isBound) return EINVAL;
    const denied = this.checkBind(task, to);
    if (denied !== 0) return denied;
    this.prepare();
    return this.endpoint.bind(to.address, to.port, this.reuse);
  }
  private prepare(): void {
    this.endpoint.onlyV6 = this.onlyV6;
    this.endpoint.device = this.device;
    this.endpoint.wantsErrors = this.ipOption(I.IP_RECVERR) !== 0 || (this.family !== AF_INET && this.ip6Option(I.IPV6_RECVERR) !== 0);
  }
  override connect(_task: Task, raw: Uint8Array): number {
    if (familyOf(raw) === AF_UNSPEC) {
      this.endpoint.disconnect();
      return 0;
    }
    const to = this.destination(raw);
    if (isErrno(to)) return to;
    this.prepare();
    return this.endpoint.connect(to.address, to.port);
  }
  private destination(raw: Uint8Array): InetAddress | Errno {
    const decoded = decodeInetAddress(raw, this.family);
    if (isErrno(decoded)) return decoded;
    const to = this.checkDestination(decoded);
    if (isErrno(to)) return to;
    const forbidden = this.stack.routes.isBroadcast(to.address) && this.options.get(SO_BROADCAST) === 0;
    return forbidden ? EACCES : to;
  }

  override send(_task: Task, message: OutgoingMessage): number {
    if (this.endpoint.error !== 0) return this.endpoint.takeError();
    if (this.sendShut) return EPIPE;
    if (message.name === null && this.endpoint.remote === null) return EDESTADDRREQ;
    const to = message.name === null ? null : this.destination(message.name);
    if (isErrno(to)) return to;
    if (to !== null && to.port === 0) return EINVAL;
    this.prepare();
    const { data } = message;
    const from = sourceOf(message.control?.others ?? null);
    if (from !== null && !this.stack.routes.isLocal(from)) return EINVAL;
    const options = this.sendOptions(to?.address ?? (this.endpoint.remote as IpAddress));
    const n = this.endpoint.send(to, data.remaining, (into, start) => data.take(into, start, into.length), options, from);
    this.stack.deliver();
    return n;
  }
  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const first = this.endpoint.first;
    if (first === null) {
      if (this.endpoint.error !== 0) return this.endpoint.takeError();
      return this.receiveShut ? 0 : EAGAIN;
    }
    const { bytes } = first;
    const n = bytes.length === 0 ? 0 : dst.put(bytes, 0, Math.min(bytes.length, dst.remaining));
    if (n < 0) return n;
    message.name = this.encode(first.source, first.sourcePort);
    if (n < bytes.length) message.resultFlags |= MSG_TRUNC;
    const others = this.controls(first);
    if (others.length > 0) message.control = { others };
    if ((message.flags & MSG_PEEK) === 0) this.endpoint.next();
    return (message.flags & MSG_TRUNC) !== 0 ? bytes.length : n;
  }
  /** What the socket has asked to be told of each datagram. */
  private controls(datagram: Datagram): RawControl[] {
    const found: RawControl[] = [];
    const { destination, arrival } = datagram;
    const add = (level: number, type: number, data: Uint8Array): void => {
      found.push({ level, type, data });
    };
    if (this.ipOption(I.IP_PKTINFO) !== 0 && destination.length === 4) {
      const data = new Uint8Array(12);
      new DataView(data.buffer).setInt32(0, arrival, true);
      writeAddress(data, 4, destination);
      writeAddress(data, 8, destination);
      add(I.IPPROTO_IP, I.IP_PKTINFO, data);
    }
    if (this.ipOption(I.IP_RECVTTL) !== 0 && destination.length === 4) add(I.IPPROTO_IP, I.IP_TTL, intBytes(datagram.ttl));
    if (this.ipOption(I.IP_RECVTOS) !== 0 && destination.length === 4) add(I.IPPROTO_IP, I.IP_TOS, Uint8Array.of(datagram.tos));
    if (this.family === AF_INET) return found;
    if (this.ip6Option(I.IPV6_RECVPKTINFO) !== 0) {
      const data = new Uint8Array(20);
      writeAddress(data, 0, sixteen(destination));
      new DataView(data.buffer).setInt32(16, arrival, true);
      add(I.IPPROTO_IPV6, I.IPV6_PKTINFO, data);
    }
    if (this.ip6Option(I.IPV6_RECVHOPLIMIT) !== 0) add(I.IPPROTO_IPV6, I.IPV6_HOPLIMIT, intBytes(datagram.ttl));
    if (this.ip6Option(I.IPV6_RECVTCLASS) !== 0) add(I.IPPROTO_IPV6, I.IPV6_TCLASS, intBytes(datagram.tos));
    return found;
  }

  override shutdown(_task: Task, how: number): number {
    if (this.endpoint.remote === null) return ENOTCONN;
    if (how !== SHUT_WR) this.receiveShut = true;
    if (how !== SHUT_RD) this.sendShut = true;
    this.queue.notify(POLLIN | POLLOUT | POLLRDHUP | (this.receiveShut && this.sendShut ? POLLHUP : 0));
    return 0;
  }
  override poll(_file: FileDescription): number {
    let events = POLLOUT | POLLWRNORM;
    if (this.endpoint.error !== 0) events |= POLLERR;
    if (this.endpoint.pending > 0 || this.receiveShut) events |= POLLIN | POLLRDNORM;
    if (this.receiveShut) events |= POLLRDHUP;
    if (this.receiveShut && this.sendShut) events |= POLLHUP;
    return events;
  }
  override name(): Uint8Array {
    const { local, port } = this.endpoint;
    return this.encode(isAny(local) ? this.wildcard : local, port);
  }
  override peerName(): Uint8Array | Errno {
    const { remote, remotePort } = this.endpoint;
    return remote === null ? ENOTCONN : this.encode(remote, remotePort);
  }
  override takeError(): number {
    return this.endpoint.takeError();
  }
  override inputQueued(): number {
    return this.endpoint.first?.bytes.length ?? 0;
  }
  override buffersChanged(): void {
    this.endpoint.receiveLimit = this.options.receiveBuffer;
  }
  protected override pathMtu(): Uint8Array | Errno {
    const { remote } = this.endpoint;
    const route = remote === null ? ENOTCONN : this.stack.route(remote, null);
    return isErrno(route) ? route : intBytes(this.stack.mtuTo(route, remote as IpAddress));
  }
  close(): void {
    this.endpoint.close();
  }
}

/** The source address that IP_PKTINFO or IPV6_PKTINFO asks for; null: none. */
function sourceOf(others: readonly RawControl[] | null): IpAddress | null {
  for (const { level, type, data } of others ?? []) {
    let address: IpAddress | null = null;
    if (level === I.IPPROTO_IP && type === I.IP_PKTINFO && data.length >= 12) address = readAddress(data, 4, 4);
    if (level === I.IPPROTO_IPV6 && type === I.IPV6_PKTINFO && data.length >= 20) address = readAddress(data, 0, 16);
    if (address !== null && !isAny(address)) return address;
  }
  return null;
}
