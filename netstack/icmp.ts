/** ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, errors to send within a rate, errors that concern sockets of ours. */
import { isAny, isMulticast } from './address.ts';
import {
  type IcmpError,
  PARAMETER_PROBLEM4,
  PARAMETER_PROBLEM6,
  readError,
  TIME_EXCEEDED4,
  UNREACHABLE4,
  UNREACHABLE6,
} from './icmp_error.ts';
import { type IncomingPacket, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, Packet, put32 } from './packet.ts';
import { ECHO_REPLY4, ECHO_REPLY6, ECHO4, ECHO6 } from './ping.ts';
import { PLAIN_SEND, type Stack } from './stack.ts';

const HEADER = 8;
/** Neighbour discovery: routers, neighbours, redirects. */
const FIRST_NEIGHBOUR6 = 133;
const LAST_NEIGHBOUR6 = 137;
/** Errors a second, and how many at once (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst). */
const RATE = 1000;
const BURST = 50;
/** Of the packet that an error is about. */
const QUOTED4 = 548;
const QUOTED6 = 1232;

/** An ICMP message that quotes the packet which it is about, and where that lies in it. */
interface Quoting {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly version: 4 | 6;
}
type Quoted = Pick<IncomingPacket, 'header' | 'start' | 'source' | 'destination' | 'protocol'>;

export class Icmp {
  private readonly stack: Stack;
  private tokens = BURST;
  private filled = 0;
  constructor(stack: Stack) {
    this.stack = stack;
  }

  input(packet: IncomingPacket): void {
    const { bytes, start, end, version } = packet;
    const { stack } = this;
    stack.counters.icmp.InMsgs++;
    if (end - start < HEADER) return;
    const type = bytes[start] as number;
    if (type === (version === 4 ? ECHO4 : ECHO6)) this.answerEcho(packet);
    else if (type === (version === 4 ? ECHO_REPLY4 : ECHO_REPLY6)) {
      stack.counters.icmp.InEchoReps++;
      stack.pings.input(packet);
    } else if (version === 4 || type < ECHO6) this.takeError(packet);
    else if (type >= FIRST_NEIGHBOUR6 && type <= LAST_NEIGHBOUR6) stack.device(packet.arrival)?.neighbourMessage(packet);
    else stack.groups.listenerMessage(packet);
  }

  private answerEcho(packet: IncomingPacket): void {
    const { bytes, start, end, version, source, destination } = packet;
    const { settings, counters } = this.stack;
    counters.icmp.InEchos++;
    if (isMulticast(source) || isAny(source) || (version === 4 && settings.ignoresEcho)) return;
    const toMany = isMulticast(destination) || this.stack.routes.isBroadcast(destination);
    if (toMany && version === 4 && settings.ignoresBroadcastEcho) return;
    const from = toMany ? null : destination;
    const route = this.stack.route(source, from);
    if (typeof route === 'number') return;
    const reply = new Packet(version, end - start);
    reply.bytes.set(bytes.subarray(start, end), reply.transport);
    reply.bytes[reply.transport] = version === 4 ? ECHO_REPLY4 : ECHO_REPLY6;
    reply.checksumOffset = 2;
    counters.icmp.OutEchoReps++;
    sendIcmp(this.stack, reply, packet);
  }

  /** Tells the sender that nobody takes its packet. */
  refuse(packet: IncomingPacket, what: 'port' | 'protocol'): void {
    if (packet.version === 4) this.report(packet, UNREACHABLE4, what === 'port' ? 3 : 2, 0);
    else if (what === 'port') this.report(packet, UNREACHABLE6, 4, 0);
    else this.report(packet, PARAMETER_PROBLEM6, 1, 6); // where "next header" lies
  }
  /** An error about a packet that came in: never about an error, never to many, and not too often (RFC 1122 §3.2.2, RFC 4443 §2.4). */
  report(packet: IncomingPacket, type: number, code: number, info: number): void {
    const { version, source, destination, header } = packet;
    if (isMulticast(destination) || this.stack.routes.isBroadcast(destination) || isAny(source) || isMulticast(source)) return;
    if (packet.fragment !== null && packet.fragment.offset > 0) return;
    if (isIcmpError(packet) || !this.mayTell()) return;
    const quoted = Math.min(packet.end - header, version === 4 ? QUOTED4 : QUOTED6);
    const error = new Packet(version, HEADER + quoted);
    const at = error.transport;
    error.bytes[at] = type;
    error.bytes[at + 1] = code;
    put32(error.bytes, at + 4, info);
    error.bytes.set(packet.bytes.subarray(header, header + quoted), at + HEADER);
    error.checksumOffset = 2;
    this.stack.counters.icmp.OutDestUnreachs++;
    sendIcmp(this.stack, error, packet);
  }
  private mayTell(): boolean {
    const now = this.stack.environment.now();
    this.tokens = Math.min(BURST, this.tokens + ((now - this.filled) * RATE) / 1e9);
    this.filled = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }

  /** The quoted packet is one of ours: its transport is told. */
  private takeError(packet: IncomingPacket): void {
    const error = readError(packet);
    const inner = quotedPacket(packet);
    if (error === null || inner === null || !this.stack.routes.isLocal(inner.source)) return;
    this.stack.counters.icmp.InDestUnreachs++;
    if (error.mtu > 0) this.stack.learnMtu(inner.destination, error.mtu);
    this.tell(inner, error);
  }
  /** `inner`: a packet of ours that did not arrive. */
  tell(inner: IncomingPacket, error: IcmpError): void {
    const { stack } = this;
    const length = inner.end - inner.start;
    if (inner.protocol === IPPROTO_UDP && length >= 4) stack.udp.icmpError(inner, error);
    else if (inner.protocol === IPPROTO_TCP && length >= 8) stack.tcp.icmpError(inner, error);
    else if (inner.protocol === (inner.version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6)) stack.pings.icmpError(inner, error);
    stack.raw.icmpError(inner, error);
  }
}

function isIcmpError({ protocol, version, bytes, start, end }: IncomingPacket): boolean {
  if (protocol !== (version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6) || end <= start) return false;
  const type = bytes[start] as number;
  return version === 6
    ? type < ECHO6
    : type === UNREACHABLE4 || type === TIME_EXCEEDED4 || type === PARAMETER_PROBLEM4 || type === 4 || type === 5;
}

/** Answers `about` from the address that it was sent to. */
function sendIcmp(stack: Stack, reply: Packet, about: IncomingPacket): void {
  const local = stack.routes.isLocal(about.destination) ? about.destination : null;
  const route = stack.route(about.source, local);
  if (typeof route === 'number') return;
  stack.counters.icmp.OutMsgs++;
  stack.send(reply, route, about.source, about.version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, PLAIN_SEND);
}

/** Only the beginning of the packet need be there. */
export function quotedPacket<T extends Quoting>(packet: T): (T & Quoted) | null {
  const { bytes, end, version } = packet;
  const header = packet.start + HEADER;
  const length = version === 4 ? ((bytes[header] ?? 0) & 0xf) * 4 : 40;
  if (header + length > end || length < 20 || (bytes[header] as number) >>> 4 !== version) return null;
  const at = version === 4 ? header + 12 : header + 8;
  const size = version === 4 ? 4 : 16;
  return {
    ...packet,
    header,
    start: header + length,
    source: String.fromCharCode(...bytes.subarray(at, at + size)),
    destination: String.fromCharCode(...bytes.subarray(at + size, at + 2 * size)),
    protocol: bytes[version === 4 ? header + 9 : header + 6] as number,
  };
}
