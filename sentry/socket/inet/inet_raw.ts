/** Raw sockets (raw(7)): one protocol above IP, with CAP_NET_RAW. */
import { EINVAL, ENOPROTOOPT, EOPNOTSUPP, EPROTONOSUPPORT, type Errno, isErrno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { AF_INET6, SOCK_RAW } from '../../../abi/socket.ts';
import { anyLike, type IpAddress, isAny } from '../../../netstack/address.ts';
import { messageFilter, RawEndpoint } from '../../../netstack/raw.ts';
import type { Task } from '../../kernel/task.ts';
import type { Source } from '../../vfs/io.ts';
import { decodeInetAddress, type InetAddress } from './inet_address.ts';
import { InetMessageSocket, type MessageEndpoint, type ReadMessage } from './inet_message.ts';
import { intBytes, intValue } from './inet_socket.ts';
import type { Network } from './networks.ts';
import type { SentOptions } from './received_controls.ts';

const ACCEPT_ALL = (): boolean => true;

export class InetRaw extends InetMessageSocket {
  readonly raw: RawEndpoint;
  readonly endpoint: MessageEndpoint;
  private bound = false;
  private mask: Uint8Array;

  constructor(task: Task, network: Network, family: number, protocol: number) {
    super(task, network, family, SOCK_RAW, protocol);
    const raw = new RawEndpoint(network.stack, this.version, protocol, this.wildcard, (events) => this.queue.notify(events));
    this.raw = raw;
    this.endpoint = Object.assign(raw, {
      disconnect: (): void => {
        raw.remote = null;
        if (!this.bound) raw.local = anyLike(raw.local);
      },
    });
    this.mask = new Uint8Array(this.version === 4 ? 4 : 32);
    raw.receiveLimit = this.options.receiveBuffer;
    raw.joined = (packet) => !GROUPS.test(packet.destination) || this.joined(packet);
    if (protocol === I.IPPROTO_RAW) raw.headerIncluded = family !== AF_INET6;
    network.stack.raw.add(raw);
  }
  protected override get isBound(): boolean {
    return this.bound;
  }
  /** Linux shows the protocol where others have a port. */
  override get port(): number {
    return this.protocol;
  }
  override bind(_task: Task, bytes: Uint8Array): number {
    const to = decodeInetAddress(bytes, this.family);
    if (isErrno(to)) return to;
    const denied = this.checkAddress(to.address);
    if (denied !== 0) return denied;
    this.raw.local = to.address;
    this.bound = !isAny(to.address);
    return 0;
  }
  protected override connectTo({ address }: InetAddress): number {
    const route = this.stack.route(address, this.bound ? this.raw.local : null, this.device);
    if (isErrno(route)) return route;
    if (!this.bound) this.raw.local = route.source;
    this.raw.remote = address;
    return 0;
  }
  protected override prepare(): void {
    super.prepare();
    const own = this.messageFilter;
    const messages = this.mask.some((byte) => byte !== 0) ? messageFilter(this.version, this.mask) : ACCEPT_ALL;
    this.raw.filter = own === null ? messages : (packet) => messages(packet) && own(packet);
  }
  protected override transmit(to: InetAddress | null, data: Source, sent: SentOptions): number {
    const destination = to?.address ?? (this.raw.remote as IpAddress);
    if (destination.length !== this.wildcard.length) return EINVAL;
    const take = (into: Uint8Array, start: number): number => data.take(into, start, into.length);
    const protocol = this.protocol === I.IPPROTO_RAW && to !== null && to.port !== 0 ? to.port : this.protocol;
    return this.raw.send(destination, data.remaining, take, sent.options, sent.source, protocol);
  }
  protected override peek(): ReadMessage | null {
    const first = this.raw.first;
    return first === null ? null : { ...first, sourcePort: 0 };
  }
  protected override drop(): void {
    this.raw.next();
  }

  protected override getProtocolOption(_task: Task, level: number, option: number): Uint8Array | Errno {
    if (level === I.SOL_RAW || level === I.IPPROTO_ICMPV6) return this.isFilter(level, option) ? this.mask.slice() : ENOPROTOOPT;
    if (level === I.IPPROTO_IP && option === I.IP_HDRINCL) return intBytes(Number(this.raw.headerIncluded));
    if (level !== I.IPPROTO_IPV6) return ENOPROTOOPT;
    if (option === I.IPV6_CHECKSUM) return intBytes(this.raw.checksumAt);
    return option === I.IPV6_HDRINCL ? intBytes(Number(this.raw.headerIncluded)) : ENOPROTOOPT;
  }
  private isFilter(level: number, option: number): boolean {
    if (this.version === 4) return level === I.SOL_RAW && option === I.ICMP_FILTER && this.protocol === I.IPPROTO_ICMP;
    return level === I.IPPROTO_ICMPV6 && option === I.ICMPV6_FILTER && this.protocol === I.IPPROTO_ICMPV6;
  }
  protected override setProtocolOption(_task: Task, level: number, option: number, value: Uint8Array): number {
    if ((level === I.SOL_RAW && option !== I.IPV6_CHECKSUM) || level === I.IPPROTO_ICMPV6) {
      if (!this.isFilter(level, option)) return level === I.SOL_RAW && option === I.ICMP_FILTER ? EOPNOTSUPP : ENOPROTOOPT;
      this.mask.set(value.subarray(0, this.mask.length));
      this.prepare();
      return 0;
    }
    const n = intValue(value);
    if (n === null) return EINVAL;
    if ((level === I.IPPROTO_IP && option === I.IP_HDRINCL) || (level === I.IPPROTO_IPV6 && option === I.IPV6_HDRINCL)) {
      this.raw.headerIncluded = n !== 0;
      return 0;
    }
    if ((level !== I.IPPROTO_IPV6 && level !== I.SOL_RAW) || option !== I.IPV6_CHECKSUM || this.version === 4) return ENOPROTOOPT;
    // ICMPv6 always has one where it belongs (RFC 3542 §3.1); at the level of raw sockets ping(8) may say so.
    if (this.protocol === I.IPPROTO_ICMPV6) return level === I.SOL_RAW && n === 2 ? 0 : EINVAL;
    if (n > 0 && n % 2 !== 0) return EINVAL;
    this.raw.checksumAt = n < 0 ? -1 : n;
    return 0;
  }
}
/** 224.0.0.0/4 and ff00::/8, by length and first byte. */
const GROUPS = /^(?:[\xe0-\xef]...|\xff.{15})$/s;

const IPPROTO_MAX = 263;

/** socket(2). CAP_NET_RAW is checked by the caller. */
export function makeRaw(task: Task, network: Network, family: number, protocol: number): InetRaw | Errno {
  if (protocol < 0 || protocol >= IPPROTO_MAX) return EINVAL;
  if (protocol === 0) return EPROTONOSUPPORT;
  return new InetRaw(task, network, family, protocol);
}
