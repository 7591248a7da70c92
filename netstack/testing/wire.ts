/**
 * One stack, virtual time, and a test that plays the other side segment by segment. Segments are written as tcpdump has them, with both
 * sides' numbers counted from zero: 'S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,ts 5 7,wscale 8>'.
 */
import { readAddress, writeAddress } from '../address.ts';
import { checksum, pseudoSum } from '../checksum.ts';
import type { Environment } from '../environment.ts';
import { NetInterface } from '../interface.ts';
import { get16, get32, HEADROOM, IPPROTO_TCP, type Packet, put16, put32 } from '../packet.ts';
import type { Binding } from '../ports.ts';
import { Stack } from '../stack.ts';
import { type Connection, TcpOptions } from '../tcp/connection.ts';
import type { Listener } from '../tcp/listener.ts';

export const HERE = '\x0a\0\0\x01';
export const THERE = '\x0a\0\0\x02';
const FLAGS: readonly (readonly [letter: string, bit: number])[] = [
  ...[['F', 1] as const, ['S', 2] as const, ['R', 4] as const, ['P', 8] as const],
  ...[['.', 16] as const, ['U', 32] as const, ['E', 64] as const, ['W', 128] as const],
];
/** Where the other side's numbers begin, to show that they wrap. */
const PEER_BASE = 0xffff_f000;
const PEER_PORT = 4000;
const SEGMENT =
  /^(?<flags>[FSRP.UEW]+) (?<seq>-?\d+):(?<end>-?\d+)\((?<length>\d+)\)(?: ack (?<ack>-?\d+))?(?: win (?<win>\d+))?(?: urg (?<urg>\d+))?(?: <(?<options>[^>]*)>)?(?: (?<ce>CE))?$/;

class Tap extends NetInterface {
  readonly sent: Uint8Array[] = [];
  override send(packet: Packet): void {
    this.sent.push(packet.bytes.slice(HEADROOM));
  }
}

export class Wire {
  readonly stack: Stack;
  /** Of the stack's host. */
  port = 80;
  readonly settings = new Map<string, string>();
  private readonly tap: Tap;
  private time = 1e9;
  private timers: { at: number; run: () => void }[] = [];
  /** Our first number and timestamp, as the first SYN told. */
  private base = -1;
  private clock = 0;
  private seed = 42;
  private showWindow = false;
  private peerPort = PEER_PORT;

  constructor(settings: Readonly<Record<string, string>> = {}, mtu = 1500) {
    for (const [path, value] of Object.entries(settings)) this.settings.set(path, value);
    const environment: Environment = {
      now: () => this.time,
      startTimer: (at, run) => {
        const timer = { at, run };
        this.timers.push(timer);
        return () => {
          this.timers = this.timers.filter((other) => other !== timer);
        };
      },
      random: (limit) => {
        this.seed = (Math.imul(this.seed, 1_103_515_245) + 12_345) >>> 0;
        return Math.floor((this.seed / 2 ** 32) * limit);
      },
      setting: (path) => this.settings.get(path),
    };
    this.stack = new Stack(environment);
    this.tap = new Tap(2, 'eth0', mtu, new Uint8Array(6));
    this.tap.addresses = [{ address: HERE, prefixLength: 24, broadcast: '\x0a\0\0\xff' }];
    this.stack.addInterface(this.tap);
    this.stack.routes.add({ destination: '\x0a\0\0\0', prefixLength: 24, gateway: null, source: null, device: this.tap, metric: 0 });
  }
  /** Timers that are set. */
  get armed(): number {
    return this.timers.length;
  }
  private listener: Listener | null = null;
  /** The listener that there is. */
  listenAgain(): Listener {
    return this.listener ?? this.listen();
  }
  listen(backlog = 5, options = new TcpOptions()): Listener {
    const binding = this.stack.tcp.ports.bind({
      ...{ address: HERE, port: this.port, onlyV6: false, reuseAddress: true, reusePort: false, uid: 0, listening: false, shared: false },
    });
    this.listener = this.stack.tcp.listen(binding as Binding, 4, options, 0, backlog, () => {}) as Listener;
    return this.listener;
  }
  connect(options = new TcpOptions()): Connection {
    const c = this.stack.tcp.connect({ address: THERE, port: PEER_PORT }, null, options, 0, 0) as Connection;
    this.port = c.localPort;
    this.stack.deliver();
    return c;
  }
  /** Another client of the same listener. */
  from(port: number): this {
    this.peerPort = port;
    this.base = -1;
    return this;
  }
  /** From now on lines tell the window. */
  withWindows(): this {
    this.showWindow = true;
    return this;
  }
  /** The other side's part of a handshake with a listener. roundTrip: ms. */
  accept(listener: Listener, syn = '<mss 1460>', win = 65_535, roundTrip = 0): Connection {
    this.send(`S 0:0(0) win ${win} ${syn}`);
    this.out();
    this.run(roundTrip);
    this.send(`. 1:1(0) ack 1 win ${win}${/ts \d+/.test(syn) ? ` <${/ts \d+/.exec(syn)?.[0]} 0>` : ''}`);
    return listener.accept() as Connection;
  }
  /** Virtual milliseconds. */
  run(ms: number): void {
    const end = this.time + ms * 1e6;
    for (;;) {
      this.stack.deliver();
      let next: { at: number; run: () => void } | null = null;
      for (const timer of this.timers) if (next === null || timer.at < next.at) next = timer;
      if (next === null || next.at > end) break;
      const due = next;
      this.timers = this.timers.filter((other) => other !== due);
      this.time = Math.max(this.time, due.at);
      due.run();
    }
    this.time = end;
  }

  /** A segment from the other side. */
  send(line: string): void {
    const found = SEGMENT.exec(line)?.groups;
    if (found === undefined) throw new Error(`not a segment: ${line}`);
    const options = encodeOptions(found.options ?? '', Math.max(this.base, 0), this.clock);
    const length = Number(found.length);
    const bytes = new Uint8Array(40 + options.length + length);
    let flags = 0;
    for (const [letter, bit] of FLAGS) if (found.flags?.includes(letter)) flags |= bit;
    bytes[0] = 0x45;
    bytes[1] = found.ce === undefined ? 0 : 3;
    put16(bytes, 2, bytes.length);
    bytes[8] = 64;
    bytes[9] = IPPROTO_TCP;
    writeAddress(bytes, 12, THERE);
    writeAddress(bytes, 16, HERE);
    put16(bytes, 10, checksum(bytes, 0, 20));
    put16(bytes, 20, this.peerPort);
    put16(bytes, 22, this.port);
    put32(bytes, 24, (PEER_BASE + Number(found.seq)) >>> 0);
    if (found.ack !== undefined) put32(bytes, 28, (Math.max(this.base, 0) + Number(found.ack)) >>> 0);
    bytes[32] = ((20 + options.length) >> 2) << 4;
    bytes[33] = flags;
    put16(bytes, 34, Number(found.win ?? 65_535));
    put16(bytes, 38, Number(found.urg ?? 0));
    bytes.set(options, 40);
    for (let i = 0; i < length; i++) bytes[40 + options.length + i] = Number(found.seq) + i;
    put16(bytes, 36, checksum(bytes, 20, bytes.length, pseudoSum(THERE, HERE, IPPROTO_TCP, bytes.length - 20)));
    this.stack.input(this.tap, bytes, 0, bytes.length, false);
  }
  /** An ICMP error about the last segment that went out. */
  icmp(type: number, code: number, mtu: number, quoted: Uint8Array): void {
    const bytes = new Uint8Array(28 + Math.min(quoted.length, 68));
    bytes[0] = 0x45;
    put16(bytes, 2, bytes.length);
    bytes[8] = 64;
    bytes[9] = 1;
    writeAddress(bytes, 12, THERE);
    writeAddress(bytes, 16, HERE);
    put16(bytes, 10, checksum(bytes, 0, 20));
    bytes[20] = type;
    bytes[21] = code;
    put16(bytes, 26, mtu);
    bytes.set(quoted.subarray(0, 68), 28);
    put16(bytes, 22, checksum(bytes, 20, bytes.length));
    this.stack.input(this.tap, bytes, 0, bytes.length, false);
  }
  /** What has gone out since the last time, as bytes and as lines. */
  packets(): Uint8Array[] {
    this.stack.deliver();
    return this.tap.sent.splice(0);
  }
  out(): string[] {
    return this.packets().map((bytes) => this.describe(bytes));
  }
  private describe(bytes: Uint8Array): string {
    if (bytes[9] !== IPPROTO_TCP) return `protocol ${bytes[9]} to ${readAddress(bytes, 16, 4).length}`;
    const flags = bytes[33] as number;
    const seq = get32(bytes, 24);
    const header = 20 + ((bytes[32] as number) >>> 4) * 4;
    const length = bytes.length - header;
    if (this.base < 0 && (flags & 2) !== 0) this.base = seq;
    const relative = (seq - Math.max(this.base, 0)) | 0;
    const letters = FLAGS.map(([letter, bit]) => ((flags & bit) !== 0 ? letter : '')).join('');
    let line = `${letters} ${relative}:${relative + length}(${length})`;
    if ((flags & 16) !== 0) line += ` ack ${(get32(bytes, 28) - PEER_BASE) | 0}`;
    if (this.showWindow) line += ` win ${get16(bytes, 34)}`;
    if ((flags & 32) !== 0) line += ` urg ${get16(bytes, 38)}`;
    const options = this.describeOptions(bytes, header, (flags & 2) !== 0);
    if (options !== '') line += ` <${options}>`;
    return ((bytes[1] as number) & 3) === 2 ? `${line} ECT` : line;
  }
  private describeOptions(bytes: Uint8Array, end: number, syn: boolean): string {
    const parts: string[] = [];
    for (let at = 40; at < end; ) {
      const kind = bytes[at] as number;
      if (kind <= 1) {
        at++;
        continue;
      }
      const length = bytes[at + 1] as number;
      if (kind === 2) parts.push(`mss ${get16(bytes, at + 2)}`);
      else if (kind === 3) parts.push(`wscale ${bytes[at + 2]}`);
      else if (kind === 4) parts.push('sackOK');
      else if (kind === 8) {
        if (syn) this.clock = get32(bytes, at + 2);
        parts.push(`ts ${(get32(bytes, at + 2) - this.clock) | 0} ${get32(bytes, at + 6)}`);
      } else if (kind === 5) {
        for (let edge = at + 2; edge < at + length; edge += 8) {
          parts.push(`sack ${(get32(bytes, edge) - PEER_BASE) | 0}:${(get32(bytes, edge + 4) - PEER_BASE) | 0}`);
        }
      }
      at += length;
    }
    return parts.join(',');
  }
}

function encodeOptions(text: string, base: number, clock: number): Uint8Array {
  const bytes: number[] = [];
  const word = (n: number): number[] => [(n >>> 24) & 0xff, (n >>> 16) & 0xff, (n >>> 8) & 0xff, n & 0xff];
  const edges: number[] = [];
  for (const part of text.split(',')) {
    const [name, a = '0', b = '0'] = part.split(' ');
    if (name === 'mss') bytes.push(2, 4, Number(a) >>> 8, Number(a) & 0xff);
    else if (name === 'wscale') bytes.push(1, 3, 3, Number(a));
    else if (name === 'sackOK') bytes.push(1, 1, 4, 2);
    else if (name === 'ts') bytes.push(1, 1, 8, 10, ...word(Number(a)), ...word((clock + Number(b)) >>> 0));
    else if (name === 'sack') for (const edge of a.split(':')) edges.push((base + Number(edge)) >>> 0);
  }
  if (edges.length > 0) bytes.push(1, 1, 5, 2 + edges.length * 4, ...edges.flatMap(word));
  return Uint8Array.from(bytes);
}

/** Writes `length` bytes of anything. */
export function write(c: Connection, length: number): number {
  const n = c.write({ take: (_into, start, end) => end - start }, length);
  c.stack.deliver();
  return n;
}
/** Reads up to `length` bytes: what they are. */
export function read(c: Connection, length: number): number[] | number {
  const got: number[] = [];
  const n = c.read({ put: (bytes, start, end) => got.push(...bytes.subarray(start, end)) && end - start }, length, false);
  c.stack.deliver();
  return n < 0 ? n : got;
}
