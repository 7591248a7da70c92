/** UDP (RFC 768): endpoints, who gets a datagram, what it costs to keep it. */
import { EINVAL, EISCONN, EMSGSIZE, type Errno, isErrno } from '../abi/errno.ts';
import { anyLike, type IpAddress, isAny, isMulticast } from './address.ts';
import { type IcmpError, ORIGIN_LOCAL } from './icmp_error.ts';
import { MessageInbox } from './message_inbox.ts';
import { get16, type IncomingPacket, IPPROTO_UDP, Packet, put16 } from './packet.ts';
import { type Binding, PortTable } from './ports.ts';
import type { Route } from './routes.ts';
import type { SendOptions, Stack } from './stack.ts';

const HEADER = 8;
const LONGEST4 = 65_507;
const LONGEST6 = 65_527;
const NO_BYTES = new Uint8Array(0);

export interface Datagram {
  readonly bytes: Uint8Array;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
  readonly arrival: number;
  readonly ttl: number;
  readonly tos: number;
  /** ns, if somebody asks. */
  readonly at: number;
  /** Bytes per datagram of those that came together (UDP_GRO); 0: it is one. */
  readonly segment: number;
}

export class Udp {
  readonly stack: Stack;
  readonly ports: PortTable;
  private readonly byPort = new Map<number, UdpEndpoint[]>();
  constructor(stack: Stack) {
    this.stack = stack;
    this.ports = new PortTable(stack.environment, false, () => stack.settings.ephemeralPorts);
  }
  *all(): Iterable<UdpEndpoint> {
    for (const endpoints of this.byPort.values()) yield* endpoints;
  }
  enter(endpoint: UdpEndpoint, port: number): void {
    const there = this.byPort.get(port);
    if (there === undefined) this.byPort.set(port, [endpoint]);
    else there.push(endpoint);
  }
  leave(endpoint: UdpEndpoint, port: number): void {
    const there = this.byPort.get(port) ?? [];
    const at = there.indexOf(endpoint);
    if (at >= 0) there.splice(at, 1);
    if (there.length === 0) this.byPort.delete(port);
  }

  input(packet: IncomingPacket): void {
    const { bytes, start, source, destination } = packet;
    const length = packet.end - start < HEADER ? 0 : get16(bytes, start + 4);
    if (length < HEADER || length > packet.end - start) return;
    const sourcePort = get16(bytes, start);
    const endpoints = this.byPort.get(get16(bytes, start + 2)) ?? [];
    const many = isMulticast(destination) || this.stack.routes.isBroadcast(destination);
    const takers = many ? endpoints.filter((one) => one.score(packet, sourcePort) > 0) : best(endpoints, packet, sourcePort);
    if (takers.length === 0) {
      this.stack.counters.udp.NoPorts++;
      this.stack.icmp.refuse(packet, 'port');
      return;
    }
    const stamped = takers.some((one) => one.wantsStamps);
    const datagram: Datagram = {
      bytes: copyOf(bytes, start + HEADER, start + length),
      source,
      sourcePort,
      destination,
      destinationPort: get16(bytes, start + 2),
      arrival: packet.arrival,
      ttl: packet.ttl,
      tos: packet.tos,
      at: stamped ? this.stack.environment.now() : 0,
      segment: packet.segment ?? 0,
    };
    this.stack.counters.udp.InDatagrams++;
    for (const endpoint of takers) endpoint.take(datagram);
  }
  uidOf(port: number): number {
    return this.byPort.get(port)?.[0]?.uid ?? -1;
  }
  icmpError(inner: IncomingPacket, error: IcmpError): void {
    const local = get16(inner.bytes, inner.start);
    const remote = get16(inner.bytes, inner.start + 2);
    for (const endpoint of this.byPort.get(local) ?? []) endpoint.refused(inner, remote, error);
  }
}

/** Small ones share a slab: an array of its own costs more than what it holds. */
function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = Buffer.allocUnsafe(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}

/** The endpoint that fits closest; among equals of a SO_REUSEPORT group one by the sender's numbers, else the newest. */
function best(endpoints: readonly UdpEndpoint[], packet: IncomingPacket, sourcePort: number): UdpEndpoint[] {
  let top = 0;
  let equal: UdpEndpoint[] = [];
  for (const endpoint of endpoints) {
    const score = endpoint.score(packet, sourcePort);
    if (score === 0 || score < top) continue;
    if (score > top) equal = [];
    top = score;
    equal.push(endpoint);
  }
  if (equal.length <= 1) return equal;
  const grouped = equal.every((one) => one.reusePort);
  const at = grouped ? hashOf(packet.source, sourcePort) % equal.length : equal.length - 1;
  return [equal[at] as UdpEndpoint];
}
export function hashOf(address: IpAddress, port: number): number {
  let hash = port;
  for (let i = 0; i < address.length; i++) hash = (Math.imul(hash, 31) + address.charCodeAt(i)) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}

export class UdpEndpoint extends MessageInbox<Datagram> {
  readonly udp: Udp;
  /** The family of the socket: an IPv6 socket takes IPv4, too, unless onlyV6. */
  readonly version: 4 | 6;
  onlyV6 = false;
  reusePort = false;
  local: IpAddress;
  remote: IpAddress | null = null;
  remotePort = 0;
  /** False: it did not ask for this group. */
  joined: (packet: IncomingPacket) => boolean = () => true;
  filter: ((packet: IncomingPacket) => boolean) | null = null;
  device = 0;
  private binding: Binding | null = null;
  private boundAddress = false;

  constructor(udp: Udp, version: 4 | 6, local: IpAddress, notify: (events: number) => void) {
    super(notify);
    this.udp = udp;
    this.version = version;
    this.local = local;
  }
  get port(): number {
    return this.binding?.port ?? 0;
  }
  /** Of who has bound it. */
  uid = -1;

  /** 0, EADDRINUSE, EINVAL if it has a port. */
  bind(address: IpAddress, port: number, options: { reuseAddress: boolean; reusePort: boolean; uid: number }): 0 | Errno {
    if (this.binding !== null) return EINVAL;
    const wanted: Binding = { address, port, onlyV6: this.onlyV6, listening: false, shared: false, ...options };
    const binding = this.udp.ports.bind(wanted);
    if (isErrno(binding)) return binding;
    this.binding = binding;
    this.reusePort = options.reusePort;
    this.local = address;
    this.boundAddress = !isAny(address);
    this.udp.enter(this, binding.port);
    return 0;
  }
  /** Answers at a place without taking the port: programs may still bind it. */
  serve(address: IpAddress, port: number): void {
    this.binding = { address, port, onlyV6: false, reuseAddress: false, reusePort: false, uid: 0, listening: false, shared: false };
    this.local = address;
    this.boundAddress = true;
    this.udp.enter(this, port);
  }
  private autobind(): 0 | Errno {
    if (this.binding !== null) return 0;
    return this.bind(this.local, 0, { reuseAddress: false, reusePort: false, uid: 0 });
  }
  connect(address: IpAddress, port: number): 0 | Errno {
    const route = this.udp.stack.route(address, this.boundAddress ? this.local : null, this.device, this.mark);
    if (isErrno(route)) return route;
    const r = this.autobind();
    if (r !== 0) return r;
    if (!this.boundAddress) this.local = route.source;
    this.remote = address;
    this.remotePort = port;
    return 0;
  }
  disconnect(): void {
    this.remote = null;
    this.remotePort = 0;
    if (!this.boundAddress) this.local = anyLike(this.local);
  }

  /** `take` fills the payload in: its bytes or an errno. */
  send(
    to: { address: IpAddress; port: number } | null,
    length: number,
    take: (into: Uint8Array, start: number) => number,
    options: SendOptions,
    from: IpAddress | null,
  ): number {
    const destination = to?.address ?? this.remote;
    if (destination === null) return EISCONN; // the caller has looked
    if (length > LONGEST4 && destination.length === 4) return EMSGSIZE;
    const r = this.autobind();
    if (r !== 0) return r;
    const source = from ?? (isAny(this.local) || this.local.length !== destination.length ? null : this.local);
    const route = this.udp.stack.route(destination, source, this.device, this.mark);
    if (isErrno(route)) return route;
    const port = to?.port ?? this.remotePort;
    if (length > LONGEST6) {
      if (this.wantsErrors) this.tooLong(destination, port, this.udp.stack.mtuTo(route, destination));
      return EMSGSIZE;
    }
    return this.emit(route, destination, port, length, take, options);
  }
  private emit(
    route: Route,
    destination: IpAddress,
    port: number,
    length: number,
    take: (into: Uint8Array, start: number) => number,
    options: SendOptions,
  ): number {
    const packet = new Packet(
      destination.length === 4 ? 4 : 6,
      HEADER + length,
      route.device.loopback ? this.udp.stack.loopbackMemory : null,
    );
    const at = packet.transport;
    put16(packet.bytes, at, this.port);
    put16(packet.bytes, at + 2, port);
    put16(packet.bytes, at + 4, HEADER + length);
    packet.checksumOffset = 6;
    const n = length === 0 ? 0 : take(packet.bytes, at + HEADER);
    if (n < length) return n < 0 ? n : EINVAL;
    const { stack } = this.udp;
    stack.counters.udp.OutDatagrams++;
    const sent = stack.send(packet, route, destination, IPPROTO_UDP, options);
    if (sent === 0) return length;
    if (sent === EMSGSIZE && this.wantsErrors) this.tooLong(destination, port, stack.mtuTo(route, destination));
    return sent;
  }
  /** tracepath(8) learns the MTU so. As with Linux, nothing of the message comes back. */
  private tooLong(destination: IpAddress, port: number, mtu: number): void {
    const local = { errno: EMSGSIZE, origin: ORIGIN_LOCAL, type: 0, code: 0, info: mtu, data: 0, from: null, told: null };
    this.errors.push({ ...local, destination, port, payload: NO_BYTES });
  }

  /** How closely a packet fits; 0: not at all. */
  score(packet: IncomingPacket, sourcePort: number): number {
    if (packet.version === 4 && this.version === 6 && this.onlyV6) return 0;
    if (this.device !== 0 && this.device !== packet.arrival) return 0;
    if (this.filter !== null && !this.filter(packet)) return 0;
    if (isMulticast(packet.destination) && !this.joined(packet)) return 0;
    let score = 1;
    if (this.version === packet.version) score += 1;
    if (!isAny(this.local)) {
      if (this.local !== packet.destination) return 0;
      score += 4;
    } else if (packet.version === 6 && this.version === 4) return 0;
    if (this.remote !== null) {
      if (this.remote !== packet.source || this.remotePort !== sourcePort) return 0;
      score += 8;
    }
    return score;
  }
  take(datagram: Datagram): void {
    if (this.admits(datagram.bytes.length)) this.keep(datagram);
    else this.udp.stack.counters.udp.RcvbufErrors++;
  }
  refused(inner: IncomingPacket, port: number, error: IcmpError): void {
    const connected = this.remote === inner.destination && this.remotePort === port;
    if (!connected && (this.remote !== null || !this.wantsErrors)) return;
    if (!isAny(this.local) && this.local !== inner.source) return;
    this.report(error, inner, port, inner.start + HEADER);
  }
  close(): void {
    if (this.binding !== null) {
      this.udp.leave(this, this.binding.port);
      this.udp.ports.release(this.binding);
    }
    this.binding = null;
    this.clear();
  }
}
