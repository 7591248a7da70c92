/** ICMP (RFC 792) and ICMPv6 (RFC 4443): echo, errors to send within a rate, errors that concern sockets of ours. */
import { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOPROTOOPT, EPROTO, type Errno } from '../abi/errno.ts';
import { isAny, isMulticast } from './address.ts';
import { get16, get32, type IncomingPacket, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP, Packet, put32 } from './packet.ts';
import { PLAIN_SEND, type Stack } from './stack.ts';

const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const ECHO = 8;
const TIME_EXCEEDED = 11;
const UNREACHABLE6 = 1;
const TOO_BIG6 = 2;
const TIME_EXCEEDED6 = 3;
const ECHO6 = 128;
const ECHO_REPLY6 = 129;
/** Router solicitation to redirect. */
const FIRST_NEIGHBOUR6 = 133;
const LAST_NEIGHBOUR6 = 137;
const HEADER = 8;
/** Errors a second, and how many at once (net.ipv4.icmp_msgs_per_sec, icmp_msgs_burst). */
const RATE = 1000;
const BURST = 50;
/** Of the packet that an error is about. */
const QUOTED4 = 548;
const QUOTED6 = 1232;

/** An error that a router or the other host sent about a packet of ours. */
export interface IcmpError {
  readonly errno: Errno;
  /** Ends a connection that is being made, and is told to a socket that did not ask for errors. */
  readonly hard: boolean;
}

export class Icmp {
  private readonly stack: Stack;
  private tokens = BURST;
  private filled = 0;
  constructor(stack: Stack) {
    this.stack = stack;
  }

  input(packet: IncomingPacket): void {
    const { bytes, start, end, version } = packet;
    if (end - start < HEADER) return;
    const type = bytes[start] as number;
    if (type === (version === 4 ? ECHO : ECHO6)) this.answerEcho(packet);
    else if (version === 6 && type >= FIRST_NEIGHBOUR6 && type <= LAST_NEIGHBOUR6)
      this.stack.device(packet.arrival)?.neighbourMessage(packet);
    else if (version === 4 ? type === UNREACHABLE || type === TIME_EXCEEDED : type >= UNREACHABLE6 && type <= 4)
      this.takeError(packet, type);
  }

  private answerEcho(packet: IncomingPacket): void {
    const { bytes, start, end, version, source, destination } = packet;
    if (isMulticast(source) || isAny(source)) return;
    const from = isMulticast(destination) || this.stack.routes.isBroadcast(destination) ? null : destination;
    const route = this.stack.route(source, from);
    if (typeof route === 'number') return;
    const reply = new Packet(version, end - start);
    reply.bytes.set(bytes.subarray(start, end), reply.transport);
    reply.bytes[reply.transport] = version === 4 ? ECHO_REPLY : ECHO_REPLY6;
    reply.checksumOffset = 2;
    sendIcmp(this.stack, reply, packet);
  }

  /** Tells the sender that nobody takes its packet. */
  refuse(packet: IncomingPacket, what: 'port' | 'protocol'): void {
    const { version, source, destination } = packet;
    if (isMulticast(destination) || this.stack.routes.isBroadcast(destination) || isAny(source) || isMulticast(source)) return;
    if (!this.mayTell()) return;
    const quoted = Math.min(packet.end - packet.header, version === 4 ? QUOTED4 : QUOTED6);
    // A packet that was put together has no header to quote.
    if (packet.header === packet.start) return;
    const error = new Packet(version, HEADER + quoted);
    const at = error.transport;
    error.bytes[at] = version === 4 ? UNREACHABLE : what === 'port' ? UNREACHABLE6 : 4;
    error.bytes[at + 1] = version === 4 ? (what === 'port' ? 3 : 2) : what === 'port' ? 4 : 1;
    if (version === 6 && what === 'protocol') put32(error.bytes, at + 4, 6); // where "next header" lies
    error.bytes.set(packet.bytes.subarray(packet.header, packet.header + quoted), at + HEADER);
    error.checksumOffset = 2;
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
  private takeError(packet: IncomingPacket, type: number): void {
    const { bytes, start, end, version } = packet;
    const code = bytes[start + 1] as number;
    const inner = quotedPacket(packet);
    if (inner === null || !this.stack.routes.isLocal(inner.source)) return;
    const tooBig = version === 4 ? type === UNREACHABLE && code === 4 : type === TOO_BIG6;
    if (tooBig) {
      const mtu = version === 4 ? get16(bytes, start + 6) : get32(bytes, start + 4);
      if (mtu > 0) this.stack.learnMtu(inner.destination, mtu);
    }
    const error = tooBig ? { errno: EMSGSIZE, hard: false } : version === 4 ? error4(type, code) : error6(type, code);
    if (inner.protocol === IPPROTO_UDP && end - inner.start >= 4) this.stack.udp.icmpError(inner, error);
    if (inner.protocol === IPPROTO_TCP && end - inner.start >= 8) this.stack.tcp.icmpError(inner, error);
  }
}

/** Answers `about` from the address that it was sent to. */
function sendIcmp(stack: Stack, reply: Packet, about: IncomingPacket): void {
  const local = stack.routes.isLocal(about.destination) ? about.destination : null;
  const route = stack.route(about.source, local);
  if (typeof route === 'number') return;
  stack.send(reply, route, about.source, about.version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, PLAIN_SEND);
}

/** Only the beginning of the packet need be there. */
function quotedPacket(packet: IncomingPacket): IncomingPacket | null {
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

function error4(type: number, code: number): IcmpError {
  if (type === TIME_EXCEEDED) return { errno: EHOSTUNREACH, hard: false };
  if (code === 2) return { errno: ENOPROTOOPT, hard: true };
  if (code === 3) return { errno: ECONNREFUSED, hard: true };
  return { errno: code === 0 || code === 6 || code === 11 ? ENETUNREACH : EHOSTUNREACH, hard: code === 9 || code === 10 || code === 13 };
}
function error6(type: number, code: number): IcmpError {
  if (type === TIME_EXCEEDED6) return { errno: EHOSTUNREACH, hard: false };
  if (type !== UNREACHABLE6) return { errno: EPROTO, hard: true };
  if (code === 4) return { errno: ECONNREFUSED, hard: true };
  return { errno: code === 0 ? ENETUNREACH : EHOSTUNREACH, hard: code === 1 };
}
