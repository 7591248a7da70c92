/**
 * One network: interfaces, routes and the protocols above. Nothing here waits and nothing runs by itself: packets come in through
 * `input`, time through the environment's timers.
 *
 * Interface: whoever has called into a protocol calls `deliver` afterwards, outside of any protocol code: it hands on what lies on the
 * loopback. Timers and `input` do so themselves.
 */
import { ENETUNREACH, type Errno } from '../abi/errno.ts';
import { BufferPool } from '../lib/buffer_pool.ts';
import type { IpAddress } from './address.ts';
import { Counters } from './counters.ts';
import { type CancelTimer, type Environment, MovableTimer } from './environment.ts';
import { FrameTaps } from './frame_taps.ts';
import { GroupMembership } from './group_membership.ts';
import type { PacketHooks } from './hooks.ts';
import { Icmp } from './icmp.ts';
import { Loopback, type NetInterface } from './interface.ts';
import { IpInput } from './ip_input.ts';
import { IpOutput } from './ip_output.ts';
import { LoopbackMemory } from './loopback_memory.ts';
import type * as P from './packet.ts';
import { IPPROTO_TCP } from './packet.ts';
import { Pings } from './ping.ts';
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
/** Bytes that are kept for the next use. */
const MAX_POOLED = 16 << 20;
const MIN_MTU4 = 552;
const MIN_MTU6 = 1280;

export interface SendOptions {
  readonly ttl: number;
  readonly tos: number;
  /** IP_MTU_DISCOVER: no fragment is made here or underway. */
  readonly dontFragment: boolean;
  /** False: members of the group on this host do not get it. */
  readonly loop?: boolean;
}
export const PLAIN_SEND: SendOptions = { ttl: DEFAULT_TTL, tos: 0, dontFragment: false };

export class Stack {
  readonly environment: Environment;
  readonly taps = new FrameTaps();
  readonly loopback = new Loopback(this.taps);
  readonly interfaces: NetInterface[] = [this.loopback];
  readonly routes = new RoutingTable(this.interfaces);
  readonly settings: Settings;
  readonly counters = new Counters();
  /** Memory of large packets and of the buffers of connections. */
  readonly buffers = new BufferPool(MAX_POOLED);
  readonly loopbackMemory = new LoopbackMemory(this.buffers);
  readonly raw: RawEndpoints;
  readonly icmp: Icmp;
  readonly udp: Udp;
  readonly tcp: Tcp;
  readonly pings: Pings;
  readonly groups: GroupMembership;
  readonly in: IpInput;
  readonly out: IpOutput;
  /** Interfaces, addresses, routes, rules or neighbours are others now. */
  onChange: () => void = () => {};
  /** The packet filter; null: there are no rules. */
  hooks: PacketHooks | null = null;
  private readonly pathMtus = new Map<IpAddress, { readonly mtu: number; readonly until: number }>();
  private delivering = false;

  constructor(environment: Environment) {
    this.environment = environment;
    this.settings = new Settings((path) => environment.setting?.(path));
    this.in = new IpInput(this);
    this.out = new IpOutput(this);
    this.pings = new Pings(this);
    this.groups = new GroupMembership(this);
    this.raw = new RawEndpoints();
    this.icmp = new Icmp(this);
    this.udp = new Udp(this);
    this.tcp = new Tcp(this);
    this.routes.onChange = () => this.onChange();
  }

  addInterface(device: NetInterface): void {
    this.interfaces.push(device);
    this.onChange();
  }
  /** With its routes. */
  removeInterface(device: NetInterface): void {
    const at = this.interfaces.indexOf(device);
    if (at > 0) this.interfaces.splice(at, 1);
    for (const entry of this.routes.entries.filter((e) => e.device === device)) this.routes.remove(entry);
    this.onChange();
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

  /**
   * An IP packet, bytes[start..end), from a link. `trusted`: its transport checksum need not be looked at. segment: payload of each of
   * those that the link has merged into it; 0: it is one.
   */
  input(device: NetInterface, bytes: Uint8Array, start: number, end: number, trusted: boolean, segment = 0): void {
    device.statistics.rx_packets++;
    device.statistics.rx_bytes += end - start;
    this.in.fromLink(device, bytes, start, end, trusted, segment);
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
      this.in.fromLoopback(packet);
      // Whoever keeps something of a packet keeps a copy.
      if (packet.usedUp) this.loopbackMemory.give(packet.bytes);
    }
    this.delivering = false;
    for (const device of this.interfaces) device.flush();
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

  /** Sends what lies in `packet` from its transport header on. 0 or an errno. */
  send(packet: P.Packet, route: Route, destination: IpAddress, protocol: number, options: SendOptions): 0 | Errno {
    return this.out.send(packet, route, destination, protocol, options);
  }

  /** The user of the socket that a packet of ours comes from (packet filters ask); -1: nobody's. */
  uidOf(protocol: number, local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    return protocol === IPPROTO_TCP ? this.tcp.uidOf(local, localPort, remote, remotePort) : this.udp.uidOf(localPort);
  }
  /** The way to `destination`; EHOSTUNREACH and the like. mark: SO_MARK of who sends. */
  route(destination: IpAddress, source: IpAddress | null, device = 0, mark = 0): Route | Errno {
    const only = device === 0 ? null : this.device(device);
    if (device !== 0 && only === null) return ENETUNREACH;
    return this.routes.find(destination, source, only, mark);
  }
}
