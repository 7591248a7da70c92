/** Raw endpoints (raw(7), ipv6(7)): each gets a copy of every packet of its protocol, beside the protocol itself, and sends what it likes. */
import { EINVAL, EMSGSIZE, isErrno } from '../abi/errno.ts';
import { type IpAddress, isAny } from './address.ts';
import type { IcmpError } from './icmp_error.ts';
import { MessageInbox } from './message_inbox.ts';
import { completeHeader, HEADROOM, type IncomingPacket, IP4_HEADER, IP6_HEADER, IPPROTO_ICMP, IPPROTO_ICMPV6, Packet } from './packet.ts';
import type { Route } from './routes.ts';
import type { SendOptions, Stack } from './stack.ts';

const LONGEST = 65_535;

/** A packet as a raw socket reads it: IPv4 with its header, IPv6 without. */
export interface RawPacket {
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly arrival: number;
  readonly ttl: number;
  readonly tos: number;
  /** ns. */
  readonly at: number;
}

export class RawEndpoints {
  private readonly endpoints = new Set<RawEndpoint>();
  all(): Iterable<RawEndpoint> {
    return this.endpoints;
  }
  add(endpoint: RawEndpoint): void {
    this.endpoints.add(endpoint);
  }
  remove(endpoint: RawEndpoint): void {
    this.endpoints.delete(endpoint);
  }
  wants(protocol: number): boolean {
    for (const endpoint of this.endpoints) if (endpoint.protocol === protocol) return true;
    return false;
  }
  input(packet: IncomingPacket): void {
    for (const endpoint of this.endpoints) if (endpoint.accepts(packet)) endpoint.take(packet);
  }
  icmpError(inner: IncomingPacket, error: IcmpError): void {
    for (const endpoint of this.endpoints) endpoint.failed(inner, error);
  }
}

export class RawEndpoint extends MessageInbox<RawPacket> {
  readonly stack: Stack;
  readonly version: 4 | 6;
  readonly protocol: number;
  local: IpAddress;
  /** What it was bound to; isAny: nothing. */
  remote: IpAddress | null = null;
  device = 0;
  /** The sender writes the IP header, too. */
  headerIncluded = false;
  /** Where the sender wants a checksum over packet and pseudo header (IPV6_CHECKSUM); -1: nowhere. */
  checksumAt = -1;
  /** False: the packet is not for this one (filters of messages and of bytes). */
  filter: (packet: IncomingPacket) => boolean = () => true;
  /** False: it did not ask for this group. */
  joined: (packet: IncomingPacket) => boolean = () => true;

  constructor(stack: Stack, version: 4 | 6, protocol: number, any: IpAddress, notify: (events: number) => void) {
    super(notify);
    this.stack = stack;
    this.version = version;
    this.protocol = protocol;
    this.local = any;
    if (version === 6 && protocol === IPPROTO_ICMPV6) this.checksumAt = 2;
  }

  accepts(packet: IncomingPacket): boolean {
    if (this.protocol !== packet.protocol || this.version !== packet.version) return false;
    if (this.device !== 0 && this.device !== packet.arrival) return false;
    if (!isAny(this.local) && this.local !== packet.destination) return false;
    if (this.remote !== null && this.remote !== packet.source) return false;
    return this.joined(packet) && this.filter(packet);
  }
  take(packet: IncomingPacket): void {
    const from = this.version === 4 ? packet.header : packet.start;
    if (!this.admits(packet.end - from)) return;
    const { source, destination, arrival, ttl, tos } = packet;
    const at = this.wantsStamps ? this.stack.environment.now() : 0;
    this.keep({ bytes: packet.bytes.slice(from, packet.end), source, destination, arrival, ttl, tos, at });
  }

  /** An error about a packet of this protocol that went there. */
  failed(inner: IncomingPacket, error: IcmpError): void {
    if (inner.protocol !== this.protocol || inner.version !== this.version) return;
    if (!isAny(this.local) && this.local !== inner.source) return;
    if (this.remote !== null ? this.remote !== inner.destination : !this.wantsErrors) return;
    this.report(error, inner, 0, inner.start);
  }

  /** `take` fills the bytes in. Their number, or an errno. */
  send(
    destination: IpAddress,
    length: number,
    take: (into: Uint8Array, start: number) => number,
    options: SendOptions,
    from: IpAddress | null,
    protocol: number,
  ): number {
    if (length > LONGEST) return EMSGSIZE;
    const source = from ?? (isAny(this.local) ? null : this.local);
    const route = this.stack.route(destination, source, this.device, this.mark);
    if (isErrno(route)) return route;
    if (this.headerIncluded) return this.sendWhole(route, destination, length, take);
    const packet = new Packet(this.version, length);
    const n = length === 0 ? 0 : take(packet.bytes, packet.transport);
    if (n < length) return n < 0 ? n : EINVAL;
    if (this.checksumAt >= 0) {
      if (this.checksumAt + 2 > length) return EINVAL;
      packet.checksumOffset = this.checksumAt;
    }
    const sent = this.stack.send(packet, route, destination, protocol, options);
    return sent === 0 ? length : sent;
  }
  /** IP_HDRINCL: length, identification, source and checksum are filled in where they are not given. */
  private sendWhole(route: Route, destination: IpAddress, length: number, take: (into: Uint8Array, start: number) => number): number {
    const header = this.version === 4 ? IP4_HEADER : IP6_HEADER;
    if (length < header) return EINVAL;
    if (length > this.stack.mtuTo(route, destination)) return EMSGSIZE;
    const packet = new Packet(this.version, length - header);
    const n = take(packet.bytes, HEADROOM);
    if (n < length) return n < 0 ? n : EINVAL;
    const headerLength = this.version === 4 ? ((packet.bytes[HEADROOM] as number) & 0xf) * 4 : header;
    if (headerLength < header || headerLength > length) return EINVAL;
    if (this.version === 4) completeHeader(packet, route.source, headerLength, () => this.stack.out.takeId());
    const sent = this.stack.out.dispatch(packet, route);
    return sent === 0 ? length : sent;
  }
  close(): void {
    this.stack.raw.remove(this);
    this.clear();
  }
}

/** ICMP_FILTER and ICMP6_FILTER: does a set bit keep this type away? */
export function messageFilter(version: 4 | 6, mask: Uint8Array): (packet: IncomingPacket) => boolean {
  const protocol = version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
  return (packet) => {
    if (packet.protocol !== protocol || packet.end <= packet.start) return true;
    const type = packet.bytes[packet.start] as number;
    if (type >= mask.length * 8) return true;
    return ((mask[type >> 3] as number) & (1 << (type & 7))) === 0;
  };
}
