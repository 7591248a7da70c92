/** Ping endpoints (icmp(7)): echo requests without privilege. The identifier is the socket's port; answers find it by that. */
import { EINVAL, EMSGSIZE, type Errno, isErrno } from '../abi/errno.ts';
import { anyLike, type IpAddress, isAny } from './address.ts';
import type { IcmpError } from './icmp_error.ts';
import { MessageInbox } from './message_inbox.ts';
import { get16, type IncomingPacket, IPPROTO_ICMP, IPPROTO_ICMPV6, Packet, put16 } from './packet.ts';
import { type Binding, PortTable } from './ports.ts';
import type { RawPacket } from './raw.ts';
import type { SendOptions, Stack } from './stack.ts';

const HEADER = 8;
const LONGEST = 65_507;
export const ECHO4 = 8;
export const ECHO_REPLY4 = 0;
export const ECHO6 = 128;
export const ECHO_REPLY6 = 129;

export class Pings {
  readonly ports: PortTable;
  private readonly endpoints = new Map<number, PingEndpoint>();
  constructor(stack: Stack) {
    // Identifiers of both families are one set here: nobody sees a difference.
    this.ports = new PortTable(stack.environment, true, () => [1, 65_535]);
  }
  all(): Iterable<PingEndpoint> {
    return this.endpoints.values();
  }
  enter(endpoint: PingEndpoint): void {
    this.endpoints.set(endpoint.port, endpoint);
  }
  leave(endpoint: PingEndpoint): void {
    this.endpoints.delete(endpoint.port);
  }
  /** An echo reply. */
  input(packet: IncomingPacket): void {
    const endpoint = this.endpoints.get(get16(packet.bytes, packet.start + 4));
    if (endpoint?.accepts(packet) === true) endpoint.take(packet);
  }
  /** `inner`: an echo request that did not arrive. */
  icmpError(inner: IncomingPacket, error: IcmpError): void {
    if (inner.end - inner.start < HEADER) return;
    this.endpoints.get(get16(inner.bytes, inner.start + 4))?.failed(inner, error);
  }
}

export class PingEndpoint extends MessageInbox<RawPacket> {
  readonly stack: Stack;
  readonly version: 4 | 6;
  local: IpAddress;
  remote: IpAddress | null = null;
  device = 0;
  private binding: Binding | null = null;
  private boundAddress = false;

  constructor(stack: Stack, version: 4 | 6, any: IpAddress, notify: (events: number) => void) {
    super(notify);
    this.stack = stack;
    this.version = version;
    this.local = any;
  }
  /** The identifier. */
  get port(): number {
    return this.binding?.port ?? 0;
  }
  bind(address: IpAddress, port: number): 0 | Errno {
    if (this.binding !== null) return EINVAL;
    const binding = this.stack.pings.ports.bind({
      ...{ address, port, onlyV6: false, reuseAddress: false, reusePort: false, uid: 0, listening: false, shared: false },
    });
    if (isErrno(binding)) return binding;
    this.binding = binding;
    this.local = address;
    this.boundAddress = !isAny(address);
    this.stack.pings.enter(this);
    return 0;
  }
  connect(address: IpAddress): 0 | Errno {
    const route = this.stack.route(address, this.boundAddress ? this.local : null, this.device, this.mark);
    if (isErrno(route)) return route;
    const r = this.binding === null ? this.bind(this.local, 0) : 0;
    if (r !== 0) return r;
    if (!this.boundAddress) this.local = route.source;
    this.remote = address;
    return 0;
  }
  disconnect(): void {
    this.remote = null;
    if (!this.boundAddress) this.local = anyLike(this.local);
  }

  accepts(packet: IncomingPacket): boolean {
    if (packet.version !== this.version || (this.device !== 0 && this.device !== packet.arrival)) return false;
    if (!isAny(this.local) && this.local !== packet.destination) return false;
    return this.remote === null || this.remote === packet.source;
  }
  take(packet: IncomingPacket): void {
    if (!this.admits(packet.end - packet.start)) return;
    const { source, destination, arrival, ttl, tos } = packet;
    const at = this.wantsStamps ? this.stack.environment.now() : 0;
    this.keep({ bytes: packet.bytes.slice(packet.start, packet.end), source, destination, arrival, ttl, tos, at });
  }
  failed(inner: IncomingPacket, error: IcmpError): void {
    if (inner.version !== this.version || (this.remote !== null && this.remote !== inner.destination)) return;
    this.report(error, inner, 0, inner.start);
  }
  /** Only echo requests; the identifier is filled in. */
  send(
    destination: IpAddress,
    length: number,
    take: (into: Uint8Array, start: number) => number,
    options: SendOptions,
    from: IpAddress | null,
  ): number {
    if (length > LONGEST) return EMSGSIZE;
    if (length < HEADER) return EINVAL;
    const r = this.binding === null ? this.bind(this.local, 0) : 0;
    if (r !== 0) return r;
    const route = this.stack.route(destination, from ?? (isAny(this.local) ? null : this.local), this.device, this.mark);
    if (isErrno(route)) return route;
    const packet = new Packet(this.version, length);
    const at = packet.transport;
    const n = take(packet.bytes, at);
    if (n < length) return n < 0 ? n : EINVAL;
    if (packet.bytes[at] !== (this.version === 4 ? ECHO4 : ECHO6) || packet.bytes[at + 1] !== 0) return EINVAL;
    put16(packet.bytes, at + 4, this.port);
    packet.checksumOffset = 2;
    const sent = this.stack.send(packet, route, destination, this.version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, options);
    return sent === 0 ? length : sent;
  }
  close(): void {
    if (this.binding !== null) {
      this.stack.pings.leave(this);
      this.stack.pings.ports.release(this.binding);
    }
    this.binding = null;
    this.clear();
  }
}
