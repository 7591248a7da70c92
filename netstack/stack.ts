/**
 * One network: interfaces, routes and the protocols above. Nothing here waits and nothing runs by itself: packets come in through
 * `input`, time through the environment's timers.
 *
 * Interface: whoever has called into a protocol calls `deliver` afterwards, outside of any protocol code: it hands on what lies on the
 * loopback. Timers and `input` do so themselves.
 */
import { EMSGSIZE, ENETUNREACH, type Errno } from '../abi/errno.ts';
import { type IpAddress, isMulticast } from './address.ts';
import { Counters } from './counters.ts';
import { type CancelTimer, type Environment, MovableTimer } from './environment.ts';
import { Reassembly } from './fragments.ts';
import { Icmp } from './icmp.ts';
import { Loopback, type NetInterface } from './interface.ts';
import * as P from './packet.ts';
import { RawEndpoints } from './raw.ts';
import { type Route, RoutingTable } from './routes.ts';
import { Settings } from './settings.ts';
import { Tcp } from './tcp/tcp.ts';
import { Udp } from './udp.ts';

export const DEFAULT_TTL = 64;
/** Destinations whose path MTU is remembered. */
const MAX_PATHS = 1024;
/** ns (net.ipv4.route.mtu_expires). */
const MTU_LIFE = 600e9;
const MIN_MTU4 = 552;
const MIN_MTU6 = 1280;

export interface SendOptions {
  readonly ttl: number;
  readonly tos: number;
  /** IP_MTU_DISCOVER: no fragment is made here or underway. */
  readonly dontFragment: boolean;
}
export const PLAIN_SEND: SendOptions = { ttl: DEFAULT_TTL, tos: 0, dontFragment: false };

export class Stack {
  readonly environment: Environment;
  readonly loopback = new Loopback();
  readonly interfaces: NetInterface[] = [this.loopback];
  readonly routes = new RoutingTable(this.interfaces);
  readonly settings: Settings;
  readonly counters = new Counters();
  readonly raw: RawEndpoints;
  readonly icmp: Icmp;
  readonly udp: Udp;
  readonly tcp: Tcp;
  private readonly reassembly: Reassembly;
  private readonly pathMtus = new Map<IpAddress, { readonly mtu: number; readonly until: number }>();
  private delivering = false;
  private nextId: number;

  constructor(environment: Environment) {
    this.environment = environment;
    this.settings = new Settings((path) => environment.setting?.(path));
    this.nextId = environment.random(0x1_0000);
    this.reassembly = new Reassembly(environment);
    this.raw = new RawEndpoints();
    this.icmp = new Icmp(this);
    this.udp = new Udp(this);
    this.tcp = new Tcp(this);
  }

  addInterface(device: NetInterface): void {
    this.interfaces.push(device);
  }
  /** With its routes. */
  removeInterface(device: NetInterface): void {
    const at = this.interfaces.indexOf(device);
    if (at > 0) this.interfaces.splice(at, 1);
    for (const entry of this.routes.entries.filter((e) => e.device === device)) this.routes.remove(entry);
  }
  device(index: number): NetInterface | null {
    return this.interfaces.find((d) => d.index === index) ?? null;
  }

  /** A timer whose work may send. */
  timer(fire: () => void): MovableTimer {
    return new MovableTimer(this.environment, () => {
      fire();
      this.deliver();
    });
  }
  after(delay: number, fire: () => void): CancelTimer {
    return this.environment.startTimer(this.environment.now() + delay, () => {
      fire();
      this.deliver();
    });
  }

  /** An IP packet, bytes[start..end), from a link. `trusted`: its transport checksum need not be looked at. */
  input(device: NetInterface, bytes: Uint8Array, start: number, end: number, trusted: boolean): void {
    device.statistics.rx_packets++;
    device.statistics.rx_bytes += end - start;
    const packet = P.parseIp(bytes, start, end, trusted, device.index);
    if (packet === null || !this.isForUs(packet)) device.statistics.rx_dropped++;
    else this.accept(packet);
    this.deliver();
  }
  /** Several packets in one go: what they lead to is handed on once, behind the last. */
  batch(work: () => void): void {
    const outermost = !this.delivering;
    this.delivering = true;
    work();
    if (!outermost) return;
    this.delivering = false;
    this.deliver();
  }
  /** Hands on everything that lies on the loopback, and what that leads to. */
  deliver(): void {
    if (this.delivering) return;
    this.delivering = true;
    for (let packet = this.loopback.next(); packet !== null; packet = this.loopback.next()) {
      const parsed = P.parseIp(packet.bytes, P.HEADROOM, packet.bytes.length, true, this.loopback.index);
      if (parsed !== null) this.accept(parsed);
    }
    this.delivering = false;
    for (const device of this.interfaces) device.flush();
  }

  /** Loopback addresses do not come from a link (RFC 1122 §3.2.1.3), nor our own as source. */
  private isForUs(packet: P.IncomingPacket): boolean {
    const { source, destination } = packet;
    if (source.charCodeAt(0) === 127 && source.length === 4) return false;
    if (isMulticast(source) || this.routes.isLocal(source)) return false;
    if (destination.length === 4 && destination.charCodeAt(0) === 127) return false;
    return this.routes.isLocal(destination) || isMulticast(destination) || this.routes.isBroadcast(destination);
  }
  private accept(piece: P.IncomingPacket): void {
    const packet = piece.fragment === null ? piece : this.reassembly.add(piece);
    if (packet === null || !P.checksumHolds(packet)) return;
    this.raw.input(packet);
    switch (packet.protocol) {
      case P.IPPROTO_TCP:
        this.tcp.input(packet);
        return;
      case P.IPPROTO_UDP:
        this.udp.input(packet);
        return;
      case packet.version === 4 ? P.IPPROTO_ICMP : P.IPPROTO_ICMPV6:
        this.icmp.input(packet);
        return;
      default:
        if (!this.raw.wants(packet.protocol)) this.icmp.refuse(packet, 'protocol');
    }
  }

  /** Largest IP packet on the way to `destination`. */
  mtuTo(route: Route, destination: IpAddress): number {
    const { mtu, mtu6 } = route.device;
    const link = mtu6 > 0 && destination.length === 16 ? mtu6 : mtu;
    if (this.pathMtus.size === 0) return link;
    const known = this.pathMtus.get(destination);
    if (known === undefined) return link;
    if (known.until > this.environment.now()) return Math.min(link, known.mtu);
    this.pathMtus.delete(destination);
    return link;
  }
  /** A router has said what fits. It is tried anew after a while. */
  learnMtu(destination: IpAddress, mtu: number): void {
    const least = destination.length === 4 ? MIN_MTU4 : MIN_MTU6;
    if (this.pathMtus.size >= MAX_PATHS) this.pathMtus.delete(this.pathMtus.keys().next().value as IpAddress);
    this.pathMtus.set(destination, { mtu: Math.max(mtu, least), until: this.environment.now() + MTU_LIFE });
  }

  /** Sends what lies in `packet` from its transport header on. 0 or EMSGSIZE. */
  send(packet: P.Packet, route: Route, destination: IpAddress, protocol: number, options: SendOptions): 0 | Errno {
    const mtu = this.mtuTo(route, destination);
    const fields: P.HeaderFields = {
      source: route.source,
      destination,
      protocol,
      ttl: options.ttl,
      tos: options.tos,
      id: this.nextId,
      mayFragment: !options.dontFragment,
    };
    this.nextId = (this.nextId + 1) & 0xffff;
    const { device } = route;
    if (packet.length <= mtu || packet.segmentSize > 0) {
      P.writeHeader(packet, fields);
      P.finishChecksum(packet, fields, device.completesChecksums);
      device.send(packet, route.nextHop);
      return 0;
    }
    if (options.dontFragment || packet.bytes.length - packet.transport > 65_535) return EMSGSIZE;
    P.finishChecksum(packet, fields, false);
    this.sendFragments(packet, route, fields, mtu);
    return 0;
  }
  private sendFragments(packet: P.Packet, route: Route, fields: P.HeaderFields, mtu: number): void {
    const extra = packet.version === 6 ? 8 : 0;
    const header = packet.version === 4 ? P.IP4_HEADER : P.IP6_HEADER;
    const step = (mtu - header - extra) & ~7;
    const { bytes, transport } = packet;
    for (let at = transport; at < bytes.length; at += step) {
      const end = Math.min(at + step, bytes.length);
      const piece = new P.Packet(packet.version, extra + end - at);
      const more = end < bytes.length;
      piece.bytes.set(bytes.subarray(at, end), piece.transport + extra);
      if (packet.version === 6) {
        piece.bytes[piece.transport] = fields.protocol;
        P.put16(piece.bytes, piece.transport + 2, (at - transport) | (more ? 1 : 0));
        P.put32(piece.bytes, piece.transport + 4, fields.id);
        P.writeHeader(piece, { ...fields, protocol: P.IPPROTO_FRAGMENT });
      } else {
        P.writeHeader(piece, fields);
        P.markFragment(piece, (at - transport) >> 3, more);
      }
      route.device.send(piece, route.nextHop);
    }
  }

  /** The way to `destination`; EHOSTUNREACH and the like. */
  route(destination: IpAddress, source: IpAddress | null, device = 0): Route | Errno {
    const only = device === 0 ? null : this.device(device);
    if (device !== 0 && only === null) return ENETUNREACH;
    return this.routes.find(destination, source, only);
  }
}
