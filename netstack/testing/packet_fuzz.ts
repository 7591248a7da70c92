/**
 * Packets that nobody would send: random bytes, and well-formed ones of every protocol with a few of their bytes changed, into a stack
 * that listens, talks, reassembles, filters and translates. Everything comes from a seed. Whatever a stack throws is a finding, and so
 * is anything that grows without bound.
 */
import { ANY4, addressBytes, type IpAddress } from '../address.ts';
import { checksum, pseudoSum } from '../checksum.ts';
import { PacketFilter } from '../filter/packet_filter.ts';
import { ACCEPT, POST_ROUTING, PRE_ROUTING, Table } from '../filter/rules.ts';
import { versionOf } from '../frame_taps.ts';
import { EthernetInterface, VNET_HEADER } from '../link/ethernet.ts';
import { checkOffload } from '../link/offload_header.ts';
import { TunInterface } from '../link/tunnel_link.ts';
import { QueueBudget, TunnelPort, TunnelQueue } from '../link/tunnel_port.ts';
import { put16, put32 } from '../packet.ts';
import { PingEndpoint } from '../ping.ts';
import type { Binding } from '../ports.ts';
import { RawEndpoint } from '../raw.ts';
import { Stack } from '../stack.ts';
import { type Connection, TcpOptions } from '../tcp/connection.ts';
import type { Listener } from '../tcp/listener.ts';
import { UdpEndpoint } from '../udp.ts';

const HERE4 = '\x0a\0\0\x01';
const THERE4 = '\x0a\0\0\x02';
const HERE6 = `\xfd${'\0'.repeat(14)}\x01`;
const THERE6 = `\xfd${'\0'.repeat(14)}\x02`;
/** Beyond the tunnel, in networks of eight bits. */
const ELSEWHERE4 = '\x08\0\0\x01';
const ELSEWHERE6 = `\x20${'\0'.repeat(14)}\x01`;
const ETH = 14;
/** ns between two packets. */
const STEP = 2e6;
const SNAPSHOT = 512;

class Tap extends EthernetInterface {
  /** The last frames that went out: answers are good material. */
  readonly recent: Uint8Array[] = [];
  override emit(frame: Uint8Array): void {
    if (this.recent.length >= 16) this.recent.shift();
    this.recent.push(frame.slice(VNET_HEADER, VNET_HEADER + SNAPSHOT));
  }
}

/** What may grow. */
export interface Footprint {
  readonly connections: number;
  readonly timers: number;
  readonly flows: number;
  readonly neighbours: number;
  readonly routes: number;
}

export class PacketFuzz {
  readonly stack: Stack;
  private readonly tap: Tap;
  /** Whose program writes what it likes; packets to elsewhere leave there. */
  private readonly tun: TunInterface;
  private readonly read = new TunnelQueue(new QueueBudget(1 << 20), () => {});
  private readonly filter: PacketFilter;
  private state: number;
  private time = 1e9;
  private timers = new Map<object, { at: number; run: () => void }>();
  private readonly listener: Listener;
  private readonly udp: UdpEndpoint;
  private readonly raw: RawEndpoint;
  private readonly ping: PingEndpoint;
  private accepted: Connection[] = [];

  constructor(seed: number) {
    this.state = seed >>> 0;
    this.stack = new Stack({
      now: () => this.time,
      startTimer: (at, run) => {
        const key = {};
        this.timers.set(key, { at, run });
        return () => this.timers.delete(key);
      },
      random: (limit) => this.below(limit),
      setting: (path) => ({ 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1', 'net/ipv4/tcp_ecn': '1' })[path],
    });
    const { stack } = this;
    this.tap = new Tap(stack, 2, 'eth0', 1500, Uint8Array.of(2, 0, 0, 0, 0, 1));
    stack.addInterface(this.tap);
    this.tap.addAddress({ address: HERE4, prefixLength: 24, broadcast: '\x0a\0\0\xff' });
    this.tap.addAddress({ address: HERE6, prefixLength: 64, broadcast: null });
    this.tap.ndp.acceptRouters = true;
    for (const destination of [ANY4, '\0'.repeat(16)]) {
      const gateway = destination.length === 4 ? THERE4 : THERE6;
      stack.routes.add({ destination, prefixLength: 0, gateway, source: null, device: this.tap, metric: 0 });
    }
    const port = new TunnelPort();
    port.queues.push(this.read, new TunnelQueue(new QueueBudget(1 << 16), () => {}));
    this.tun = new TunInterface(stack, 3, 'tun0', 600, port);
    stack.addInterface(this.tun);
    this.tun.addAddress({ address: ELSEWHERE4, prefixLength: 8, broadcast: null });
    this.tun.addAddress({ address: ELSEWHERE6, prefixLength: 8, broadcast: null });
    for (const destination of [ELSEWHERE4, ELSEWHERE6]) {
      stack.routes.add({ destination, prefixLength: 8, gateway: null, source: null, device: this.tun, metric: 0 });
    }
    this.tap.neighbours.set(THERE4, Uint8Array.of(2, 0, 0, 0, 0, 2), 0x80);
    this.tap.neighbours.set(THERE6, Uint8Array.of(2, 0, 0, 0, 0, 2), 0x80);
    this.filter = new PacketFilter(stack);
    stack.hooks = this.filter;
    const translate = (kind: 'source' | 'destination') => ({
      ...{ matches: [(s: { destinationPort: number }) => s.destinationPort === 81], packets: 0, bytes: 0 },
      action: { do: 'translate' as const, translation: { kind, addresses: 'interface' as const, ports: [80, 80] as const } },
    });
    const accept = { matches: [], action: ACCEPT, packets: 0, bytes: 0 };
    const rules = [translate('destination'), accept, translate('source'), accept];
    const entries = new Map([[PRE_ROUTING, 0] as const, [POST_ROUTING, 2] as const]);
    this.filter.tables.set('nat', new Table('nat', rules, entries));
    this.listener = this.listen();
    this.udp = new UdpEndpoint(stack.udp, 6, '\0'.repeat(16), () => {});
    this.udp.wantsErrors = true;
    this.udp.bind('\0'.repeat(16), 53, { reuseAddress: false, reusePort: false, uid: 0 });
    this.raw = new RawEndpoint(stack, 4, 1, ANY4, () => {});
    stack.raw.add(this.raw);
    this.ping = new PingEndpoint(stack, 4, ANY4, () => {});
    this.ping.bind(ANY4, 77);
    stack.groups.join(this.tap, '\xef\x01\x02\x03');
    stack.groups.join(this.tap, `\xff\x02${'\0'.repeat(12)}\x12\x34`);
  }
  private listen(): Listener {
    const binding = this.stack.tcp.ports.bind({
      ...{ address: '\0'.repeat(16), port: 80, onlyV6: false, reuseAddress: true, reusePort: false },
      ...{ uid: 0, listening: false, shared: false },
    }) as Binding;
    return this.stack.tcp.listen(binding, 6, new TcpOptions(), 0, 16, () => {}) as Listener;
  }
  private below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * limit);
  }
  private chance(part: number): boolean {
    return this.below(1000) < part * 1000;
  }
  private pick<T>(of: readonly T[]): T {
    return of[this.below(of.length)] as T;
  }
  private noise(bytes: Uint8Array, from: number): void {
    for (let i = from; i < bytes.length; i++) bytes[i] = this.below(256);
  }

  /** One packet, what it leads to, and a little time. */
  step(): void {
    const frame = this.make();
    for (let changes = this.chance(0.5) ? this.below(6) : 0; changes > 0; changes--) frame[this.below(frame.length)] = this.below(256);
    const whole = new Uint8Array(VNET_HEADER + frame.length);
    whole.set(frame, VNET_HEADER);
    if (this.chance(0.5)) whole[0] = 1; // the link vouches for the checksum
    if (this.chance(0.1)) {
      whole[1] = this.pick([1, 4]);
      whole[4] = this.below(256);
      whole[5] = this.below(6);
    }
    if (this.chance(0.2)) this.throughTunnel(whole.subarray(ETH), whole.subarray(0, VNET_HEADER));
    else this.tap.receive(whole, 0, whole.length);
    this.serve();
    this.pass(this.chance(0.01) ? 40e9 : STEP);
  }
  /** bytes: room for the header, and a packet. */
  private throughTunnel(bytes: Uint8Array, header: Uint8Array): void {
    const packet = bytes.slice();
    packet.set(header);
    for (let at = 2; at < VNET_HEADER && this.chance(0.3); at++) packet[at] = this.below(256);
    if (this.chance(0.1)) {
      const checksums = this.chance(0.5);
      this.tun.setOffload({ checksums, segments4: checksums && this.chance(0.5), segments6: false });
    }
    if (checkOffload(packet, false)) this.tun.take(packet, versionOf(packet, VNET_HEADER), this.read);
    for (const queue of this.tun.port.queues) while (queue.shift() !== null);
  }
  /** The applications: they take, read, write and close. */
  private serve(): void {
    const c = this.listener.accept();
    if (typeof c !== 'number') this.accepted.push(c);
    if (this.accepted.length > 64) this.accepted.shift()?.close(this.chance(0.3));
    for (const one of this.accepted) {
      if (this.chance(0.1)) one.read({ put: (_bytes, start, end) => end - start }, 4096, false);
      if (this.chance(0.05)) one.write({ take: (_into, start, end) => end - start }, this.below(5000), this.chance(0.1));
    }
    this.udp.next();
    this.udp.errors.next();
    this.udp.takeError();
    this.raw.next();
    this.ping.next();
    this.stack.deliver();
  }
  private pass(ns: number): void {
    this.time += ns;
    for (const [key, timer] of [...this.timers]) {
      if (timer.at > this.time || !this.timers.delete(key)) continue;
      timer.run();
    }
  }

  private make(): Uint8Array {
    const kind = this.below(12);
    if (kind === 0) {
      const bytes = new Uint8Array(ETH + this.below(200));
      this.noise(bytes, ETH);
      return this.link(bytes, this.pick([0x0800, 0x86dd, 0x0806, this.below(65_536)]));
    }
    if (kind === 1 && this.tap.recent.length > 0) return this.turned(this.pick(this.tap.recent).slice());
    if (kind === 2) return this.arp();
    return this.chance(0.5) ? this.packet4() : this.packet6();
  }
  private link(bytes: Uint8Array, type: number): Uint8Array {
    bytes.set(this.chance(0.9) ? this.tap.hardware : new Uint8Array(6).fill(0xff));
    bytes.set(Uint8Array.of(2, 0, 0, 0, 0, 2 + this.below(3)), 6);
    put16(bytes, 12, type);
    return bytes;
  }
  /** An answer of ours, sent back. */
  private turned(bytes: Uint8Array): Uint8Array {
    const type = bytes.length >= ETH ? ((bytes[12] as number) << 8) | (bytes[13] as number) : 0;
    const [from, to, length] = type === 0x0800 ? [12, 16, 4] : [8, 24, 16];
    if (bytes.length > ETH + to + length && (type === 0x0800 || type === 0x86dd)) {
      const source = bytes.slice(ETH + from, ETH + from + length);
      bytes.set(bytes.subarray(ETH + to, ETH + to + length), ETH + from);
      bytes.set(source, ETH + to);
      const at = ETH + to + length;
      const ports = bytes.slice(at, at + 2);
      if (bytes.length >= at + 12) {
        bytes.set(bytes.subarray(at + 2, at + 4), at);
        bytes.set(ports, at + 2);
        const seq = bytes.slice(at + 4, at + 8);
        bytes.set(bytes.subarray(at + 8, at + 12), at + 4);
        bytes.set(seq, at + 8);
      }
    }
    return bytes.length < ETH ? new Uint8Array(ETH) : this.link(bytes, type);
  }
  private arp(): Uint8Array {
    const bytes = this.link(new Uint8Array(ETH + 28), 0x0806);
    bytes.set(Uint8Array.of(0, 1, 8, 0, 6, 4, 0, 1 + this.below(2), 2, 0, 0, 0, 0, this.below(8), 10, 0, 0, this.below(8)), ETH);
    bytes.set(Uint8Array.of(10, 0, 0, this.below(4)), ETH + 24);
    return bytes;
  }
  private packet4(): Uint8Array {
    const protocol = this.pick([1, 2, 6, 6, 6, 17, 17, 41, this.below(256)]);
    const source = this.pick([THERE4, THERE4, '\x0a\0\0\x03', HERE4, '\x7f\0\0\x01', '\xe0\0\0\x05', '\xc0\xa8\x01\x01']);
    const destination = this.pick([
      HERE4,
      HERE4,
      HERE4,
      '\x0a\0\0\xff',
      '\xff\xff\xff\xff',
      '\xef\x01\x02\x03',
      '\xe0\0\0\x01',
      '\x08\x08\x08\x08',
    ]);
    const payload = this.transport(protocol, source, destination);
    const bytes = this.link(new Uint8Array(ETH + 20 + payload.length), 0x0800);
    bytes[ETH] = 0x45;
    bytes[ETH + 1] = this.below(4);
    put16(bytes, ETH + 2, 20 + payload.length);
    put16(bytes, ETH + 4, this.below(8));
    if (this.chance(0.2)) put16(bytes, ETH + 6, (this.chance(0.5) ? 0x2000 : 0) | this.below(40));
    bytes[ETH + 8] = this.pick([1, 64, 255]);
    bytes[ETH + 9] = protocol;
    bytes.set(addressBytes(source), ETH + 12);
    bytes.set(addressBytes(destination), ETH + 16);
    put16(bytes, ETH + 10, checksum(bytes, ETH, ETH + 20));
    bytes.set(payload, ETH + 20);
    return bytes;
  }
  private packet6(): Uint8Array {
    const protocol = this.pick([58, 58, 58, 6, 6, 17, this.below(256)]);
    const local = `\xfe\x80${'\0'.repeat(13)}\x02`;
    const source = this.pick([THERE6, local, '\0'.repeat(16), HERE6]);
    const destination = this.pick([
      HERE6,
      HERE6,
      `\xff\x02${'\0'.repeat(13)}\x01`,
      `\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff\0\0\x01`,
      `\x20${'\x01'.repeat(15)}`,
    ]);
    const payload = this.transport(protocol, source, destination);
    const extra = this.chance(0.2) ? this.extension(protocol) : new Uint8Array(0);
    const bytes = this.link(new Uint8Array(ETH + 40 + extra.length + payload.length), 0x86dd);
    bytes[ETH] = 0x60;
    put16(bytes, ETH + 4, extra.length + payload.length);
    bytes[ETH + 6] = extra.length > 0 ? this.pick([0, 43, 44, 60]) : protocol;
    bytes[ETH + 7] = this.pick([1, 64, 255]);
    bytes.set(addressBytes(source), ETH + 8);
    bytes.set(addressBytes(destination), ETH + 24);
    bytes.set(extra, ETH + 40);
    bytes.set(payload, ETH + 40 + extra.length);
    return bytes;
  }
  private extension(next: number): Uint8Array {
    const bytes = new Uint8Array(8);
    this.noise(bytes, 2);
    bytes[0] = this.chance(0.8) ? next : 44;
    bytes[1] = this.chance(0.9) ? 0 : this.below(256);
    return bytes;
  }
  private transport(protocol: number, source: IpAddress, destination: IpAddress): Uint8Array {
    const bytes = new Uint8Array(this.chance(0.8) ? 8 + this.below(64) : this.below(1400));
    this.noise(bytes, 0);
    if (protocol === 6) this.segment(bytes);
    else if (protocol === 17 && bytes.length >= 8) {
      put16(bytes, 0, this.pick([53, 5353]));
      put16(bytes, 2, this.pick([53, 53, 54, 81]));
      put16(bytes, 4, bytes.length);
    } else if (bytes.length >= 8 && (protocol === 1 || protocol === 58 || protocol === 2)) {
      bytes[0] =
        protocol === 58
          ? this.pick([1, 2, 3, 4, 128, 129, 130, 131, 132, 133, 134, 135, 136, 137, 143])
          : this.pick([0, 3, 5, 8, 11, 12, 0x11]);
      if (this.chance(0.7)) bytes[1] = this.below(5);
      if (this.chance(0.3)) bytes.set(addressBytes(HERE6).subarray(0, Math.max(0, Math.min(16, bytes.length - 8))), 8);
    }
    const at = protocol === 6 ? 16 : protocol === 17 ? 6 : 2;
    if (bytes.length >= at + 2 && this.chance(0.9)) {
      put16(bytes, at, 0);
      const pseudo = protocol === 1 || protocol === 2 ? 0 : pseudoSum(source, destination, protocol, bytes.length);
      put16(bytes, at, checksum(bytes, 0, bytes.length, pseudo));
    }
    return bytes;
  }
  /** Of a connection that there is, if there is one. */
  private segment(bytes: Uint8Array): void {
    if (bytes.length < 20) return;
    const c = this.accepted.length > 0 && this.chance(0.7) ? this.pick(this.accepted) : null;
    put16(bytes, 0, c?.remotePort ?? 1024 + this.below(64));
    put16(bytes, 2, c?.localPort ?? this.pick([80, 80, 81]));
    if (c !== null) {
      put32(bytes, 4, (c.rcvNxt + this.below(3000) - 1000 * this.below(2)) >>> 0);
      put32(bytes, 8, (c.sndUna + this.below(Math.max(1, c.inFlight + 2))) >>> 0);
    }
    const header = 5 + this.below(Math.min(11, (bytes.length >> 2) - 4));
    bytes[12] = header << 4;
    bytes[13] = this.pick([2, 2, 16, 16, 24, 17, 4, 20, 48, 0xc2, this.below(256)]);
  }

  get footprint(): Footprint {
    return {
      connections: [...this.stack.tcp.all()].length,
      timers: this.timers.size,
      flows: this.filter.connections.size,
      neighbours: [...this.tap.neighbours.all()].length,
      routes: this.stack.routes.entries.length,
    };
  }
}
