/** IP packets in memory, and the headers of IPv4 (RFC 791) and IPv6 (RFC 8200). */
import { SMALLEST_POOLED } from '../lib/buffer_pool.ts';
import { type IpAddress, readAddress, writeAddress } from './address.ts';
import { addWords, checksum, fold, pseudoSum } from './checksum.ts';

export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ICMP = 1;
export const IPPROTO_IGMP = 2;
export const IPPROTO_TCP = 6;
export const IPPROTO_UDP = 17;
export const IPPROTO_ROUTING = 43;
export const IPPROTO_FRAGMENT = 44;
export const IPPROTO_ICMPV6 = 58;
export const IPPROTO_DSTOPTS = 60;

/** Bytes before the IP header that a link fills in: a virtio-net header of 10 and an Ethernet header of 14. */
export const HEADROOM = 24;
export const IP4_HEADER = 20;
export const IP6_HEADER = 40;
const DONT_FRAGMENT = 0x4000;
const MORE_FRAGMENTS = 0x2000;

/** Headers of all layers together are not longer. */
const HEADERS_ROOM = 160;

/** Gives memory for packets. keepsSmall: for those below SMALLEST_POOLED, too. */
export interface PacketMemory {
  readonly keepsSmall: boolean;
  take(length: number): Uint8Array;
}
/** A packet on its way out: bytes[HEADROOM..] is the IP packet. */
export class Packet {
  readonly bytes: Uint8Array;
  readonly version: 4 | 6;
  /** Its memory is the loopback's: after its delivery it is used again. */
  readonly usedUp: boolean;
  /** Payload per segment that the link has to cut this packet into; 0: it is one. */
  segmentSize = 0;
  /** Where the transport's checksum lies, from the start of the transport header; -1: none to fill in. */
  checksumOffset = -1;
  /** Index of the interface that it seems to come from when it is looped back; 0: lo. */
  arrival = 0;
  /** What its header says; null: the sender wrote it. */
  fields: HeaderFields | null = null;
  /** What the packet filter knows of its connection. */
  flow: unknown = null;
  /** The transport's checksum is the pseudo header's sum: the link completes it. */
  partial = false;
  /** Its header says more than `fields`: it is a fragment. */
  marked = false;
  /** Length of the transport's header, which is repeated in every segment. */
  transportHeader = 0;

  /** pool: where its memory comes from; whoever hands the packet over for good gives it back. Behind the headers it holds old bytes. */
  constructor(version: 4 | 6, transportLength: number, pool: PacketMemory | null = null) {
    this.version = version;
    this.usedUp = pool?.keepsSmall === true;
    const length = HEADROOM + (version === 4 ? IP4_HEADER : IP6_HEADER) + transportLength;
    if (pool === null || (length < SMALLEST_POOLED && !pool.keepsSmall)) this.bytes = new Uint8Array(length);
    else this.bytes = pool.take(length).fill(0, 0, HEADERS_ROOM);
  }
  /** Where the transport header begins in `bytes`. */
  get transport(): number {
    return HEADROOM + (this.version === 4 ? IP4_HEADER : IP6_HEADER);
  }
  /** Length of the IP packet. */
  get length(): number {
    return this.bytes.length - HEADROOM;
  }
}

/** A packet that came in: its parts, the payload bytes[start..end). The bytes are the link's: copy what is to be kept. */
export interface IncomingPacket {
  readonly version: 4 | 6;
  readonly bytes: Uint8Array;
  /** Where the IP header begins. */
  readonly header: number;
  readonly start: number;
  readonly end: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  /** The transport's checksum need not be looked at. */
  readonly trusted: boolean;
  /** Index of the interface. */
  readonly arrival: number;
  /** Several datagrams of one sender that came as one: bytes of each; absent: it is one. */
  readonly segment?: number;
  /** What the packet filter knows of its connection, when it left over the loopback. */
  readonly flow?: unknown;
  /** Null: a whole packet. */
  readonly fragment: { readonly id: number; readonly offset: number; readonly more: boolean } | null;
}

export interface HeaderFields {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly protocol: number;
  readonly ttl: number;
  readonly tos: number;
  /** IPv4 only. */
  readonly id: number;
  readonly mayFragment: boolean;
}

/** Writes the IP header at HEADROOM. */
export function writeHeader(packet: Packet, fields: HeaderFields): void {
  const { bytes } = packet;
  const at = HEADROOM;
  if (packet.version === 4) {
    bytes[at] = 0x45;
    bytes[at + 1] = fields.tos;
    put16(bytes, at + 2, packet.length);
    put16(bytes, at + 4, fields.id);
    put16(bytes, at + 6, fields.mayFragment ? 0 : DONT_FRAGMENT);
    bytes[at + 8] = fields.ttl;
    bytes[at + 9] = fields.protocol;
    writeAddress(bytes, at + 12, fields.source);
    writeAddress(bytes, at + 16, fields.destination);
    put16(bytes, at + 10, 0);
    put16(bytes, at + 10, checksum(bytes, at, at + IP4_HEADER));
    return;
  }
  bytes[at] = 0x60 | (fields.tos >>> 4);
  bytes[at + 1] = (fields.tos & 0xf) << 4;
  put16(bytes, at + 4, packet.length - IP6_HEADER);
  bytes[at + 6] = fields.protocol;
  bytes[at + 7] = fields.ttl;
  writeAddress(bytes, at + 8, fields.source);
  writeAddress(bytes, at + 24, fields.destination);
}

/** Fills in the transport's checksum: whole, or with `partial` the pseudo header's sum that the link completes. */
export function finishChecksum(packet: Packet, fields: HeaderFields, partial: boolean): void {
  if (packet.checksumOffset < 0) return;
  const { bytes, transport } = packet;
  const at = transport + packet.checksumOffset;
  const pseudo =
    fields.protocol === IPPROTO_ICMP ? 0 : pseudoSum(fields.source, fields.destination, fields.protocol, bytes.length - transport);
  put16(bytes, at, 0);
  packet.partial = partial;
  if (partial) {
    put16(bytes, at, fold(pseudo));
    return;
  }
  const sum = checksum(bytes, transport, bytes.length, pseudo);
  put16(bytes, at, sum === 0 && fields.protocol === IPPROTO_UDP ? 0xffff : sum);
}

/** True if the transport's checksum holds, or need not. */
export function checksumHolds(packet: IncomingPacket): boolean {
  if (packet.trusted) return true;
  const { start, end, protocol } = packet;
  const pseudo = protocol === IPPROTO_ICMP ? 0 : pseudoSum(packet.source, packet.destination, protocol, end - start);
  return fold(addWords(packet.bytes, start, end, pseudo)) === 0xffff;
}

/** Null: not an IP packet that can be understood. */
export function parseIp(bytes: Uint8Array, start: number, end: number, trusted: boolean, arrival: number): IncomingPacket | null {
  if (end - start < IP4_HEADER) return null;
  const version = (bytes[start] as number) >>> 4;
  if (version === 4) return parseIp4(bytes, start, end, trusted, arrival);
  return version === 6 ? parseIp6(bytes, start, end, trusted, arrival) : null;
}

function parseIp4(bytes: Uint8Array, at: number, end: number, trusted: boolean, arrival: number): IncomingPacket | null {
  const headerLength = ((bytes[at] as number) & 0xf) * 4;
  // A segmented packet may be longer than 65,535 bytes only in IPv6; 0 is not a length.
  const total = get16(bytes, at + 2);
  if (headerLength < IP4_HEADER || total < headerLength || total > end - at) return null;
  if (!trusted && fold(addWords(bytes, at, at + headerLength, 0)) !== 0xffff) return null;
  const flags = get16(bytes, at + 6);
  const offset = (flags & 0x1fff) * 8;
  const more = (flags & MORE_FRAGMENTS) !== 0;
  return {
    version: 4,
    bytes,
    header: at,
    start: at + headerLength,
    end: at + total,
    source: readAddress(bytes, at + 12, 4),
    destination: readAddress(bytes, at + 16, 4),
    protocol: bytes[at + 9] as number,
    ttl: bytes[at + 8] as number,
    tos: bytes[at + 1] as number,
    trusted,
    arrival,
    fragment: offset !== 0 || more ? { id: get16(bytes, at + 4), offset, more } : null,
  };
}

function parseIp6(bytes: Uint8Array, at: number, limit: number, trusted: boolean, arrival: number): IncomingPacket | null {
  if (limit - at < IP6_HEADER) return null;
  const payload = get16(bytes, at + 4);
  if (payload > limit - at - IP6_HEADER) return null;
  const end = at + IP6_HEADER + payload;
  let next = bytes[at + 6] as number;
  let start = at + IP6_HEADER;
  let fragment: IncomingPacket['fragment'] = null;
  while (next === IPPROTO_HOPOPTS || next === IPPROTO_ROUTING || next === IPPROTO_DSTOPTS || next === IPPROTO_FRAGMENT) {
    if (end - start < 8) return null;
    const following = bytes[start] as number;
    if (next === IPPROTO_FRAGMENT) {
      const offset = get16(bytes, start + 2);
      const id = get16(bytes, start + 4) * 0x1_0000 + get16(bytes, start + 6);
      fragment = { id, offset: offset & 0xfff8, more: (offset & 1) !== 0 };
      next = following;
      start += 8;
      if (fragment.offset !== 0) break; // what follows is payload in the middle
      continue;
    }
    start += ((bytes[start + 1] as number) + 1) * 8;
    next = following;
    if (start > end) return null;
  }
  return {
    version: 6,
    bytes,
    header: at,
    start,
    end,
    source: readAddress(bytes, at + 8, 16),
    destination: readAddress(bytes, at + 24, 16),
    protocol: next,
    ttl: bytes[at + 7] as number,
    tos: (((bytes[at] as number) & 0xf) << 4) | ((bytes[at + 1] as number) >>> 4),
    trusted,
    arrival,
    fragment,
  };
}

export function get16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}
export function get32(bytes: Uint8Array, at: number): number {
  return get16(bytes, at) * 0x1_0000 + get16(bytes, at + 2);
}
export function put32(bytes: Uint8Array, at: number, value: number): void {
  put16(bytes, at, value >>> 16);
  put16(bytes, at + 2, value & 0xffff);
}

/** An IPv4 header that the sender has written: what it left open, its length and its checksum. */
export function completeHeader(packet: Packet, source: IpAddress, headerLength: number, takeId: () => number): void {
  const { bytes } = packet;
  const at = HEADROOM;
  put16(bytes, at + 2, packet.length);
  if (get16(bytes, at + 4) === 0) put16(bytes, at + 4, takeId());
  if (get32(bytes, at + 12) === 0) writeAddress(bytes, at + 12, source);
  put16(bytes, at + 10, 0);
  put16(bytes, at + 10, checksum(bytes, at, at + headerLength));
}
/** Makes an IPv4 packet with a finished header one fragment of a larger one. offset: in units of 8 bytes. */
export function markFragment(packet: Packet, offset: number, more: boolean): void {
  const { bytes } = packet;
  packet.marked = true;
  put16(bytes, HEADROOM + 2, packet.length);
  put16(bytes, HEADROOM + 6, offset | (more ? MORE_FRAGMENTS : 0));
  put16(bytes, HEADROOM + 10, 0);
  put16(bytes, HEADROOM + 10, checksum(bytes, HEADROOM, HEADROOM + IP4_HEADER));
}
/** Where an IPv4 packet lies in a larger one: in units of 8 bytes. */
export function fragmentOf(bytes: Uint8Array): { offset: number; more: boolean } {
  const field = get16(bytes, HEADROOM + 6);
  return { offset: field & 0x1fff, more: (field & MORE_FRAGMENTS) !== 0 };
}
/** The same for IPv6: room for the fragment header is behind the IPv6 header, which is a copy of the whole packet's. offset: bytes. */
export function becomeFragment6(packet: Packet, offset: number, more: boolean, id: number): void {
  const { bytes, transport } = packet;
  packet.marked = true;
  put16(bytes, HEADROOM + 4, packet.length - IP6_HEADER);
  bytes[transport] = bytes[HEADROOM + 6] as number;
  bytes[HEADROOM + 6] = IPPROTO_FRAGMENT;
  put16(bytes, transport + 2, offset | (more ? 1 : 0));
  put32(bytes, transport + 4, id);
}
/** The first `options` bytes of what follows an IPv4 header belong to it. */
export function growHeader(packet: Packet, options: number): void {
  const { bytes } = packet;
  bytes[HEADROOM] = 0x40 | ((IP4_HEADER + options) >> 2);
  put16(bytes, HEADROOM + 10, 0);
  put16(bytes, HEADROOM + 10, checksum(bytes, HEADROOM, HEADROOM + IP4_HEADER + options));
}
/** ICMPv6 behind an extension header of `skip` bytes: its checksum. */
export function finishInner(packet: Packet, skip: number, fields: HeaderFields): void {
  const { bytes } = packet;
  const at = packet.transport + skip;
  put16(bytes, at + 2, checksum(bytes, at, bytes.length, pseudoSum(fields.source, fields.destination, IPPROTO_ICMPV6, bytes.length - at)));
}

/** A packet of ours as it arrives over the loopback. */
export function incomingOf(packet: Packet, fields: HeaderFields, arrival: number): IncomingPacket {
  return {
    version: packet.version,
    bytes: packet.bytes,
    header: HEADROOM,
    start: packet.transport,
    end: packet.bytes.length,
    source: fields.source,
    destination: fields.destination,
    protocol: fields.protocol,
    ttl: fields.ttl,
    tos: fields.tos,
    trusted: true,
    arrival,
    ...(packet.flow === null ? {} : { flow: packet.flow }),
    fragment: null,
  };
}
/** The same packet on its way out again. */
export function copyOf(packet: IncomingPacket): Packet {
  const header = packet.version === 4 ? IP4_HEADER : IP6_HEADER;
  const copy = new Packet(packet.version, packet.end - packet.header - header);
  copy.bytes.set(packet.bytes.subarray(packet.header, packet.end), HEADROOM);
  return copy;
}
export function mayNotFragment(packet: IncomingPacket): boolean {
  return packet.version === 6 || (get16(packet.bytes, packet.header + 6) & DONT_FRAGMENT) !== 0;
}
/** One hop less to go. */
export function countHop(packet: Packet): void {
  const { bytes } = packet;
  if (packet.version === 6) {
    bytes[HEADROOM + 7] = (bytes[HEADROOM + 7] as number) - 1;
    return;
  }
  bytes[HEADROOM + 8] = (bytes[HEADROOM + 8] as number) - 1;
  put16(bytes, HEADROOM + 10, 0);
  put16(bytes, HEADROOM + 10, checksum(bytes, HEADROOM, HEADROOM + ((bytes[HEADROOM] as number) & 0xf) * 4));
}
/** Where the transport's checksum lies, from its header's start; -1: it has none that covers addresses. */
export function checksumPlace(protocol: number, version: 4 | 6): number {
  if (protocol === IPPROTO_TCP) return 16;
  if (protocol === IPPROTO_UDP) return 6;
  return protocol === IPPROTO_ICMPV6 && version === 6 ? 2 : -1;
}
/** What came without a finished checksum (the link vouched for it) gets one. */
export function completeChecksum(out: Packet, packet: IncomingPacket): void {
  const place = checksumPlace(packet.protocol, packet.version);
  if (place < 0 || packet.fragment !== null) return;
  const at = HEADROOM + packet.start - packet.header;
  if (out.bytes.length - at < place + 2) return;
  const { bytes } = out;
  put16(bytes, at + place, 0);
  const sum = checksum(bytes, at, bytes.length, pseudoSum(packet.source, packet.destination, packet.protocol, bytes.length - at));
  put16(bytes, at + place, sum === 0 && packet.protocol === IPPROTO_UDP ? 0xffff : sum);
}
/** Bytes before the data of a TCP packet. */
export function headersOf({ bytes, header, start }: IncomingPacket): number {
  return start - header + ((bytes[start + 12] ?? 0) >>> 4) * 4;
}
/** A TCP packet that is longer than the link: the link cuts it into segments of `size` and completes their checksums. */
export function prepareSegments(out: Packet, packet: IncomingPacket, size: number): void {
  const { bytes, transport } = out;
  const pseudo = pseudoSum(packet.source, packet.destination, IPPROTO_TCP, bytes.length - transport);
  out.segmentSize = size;
  out.checksumOffset = 16;
  out.partial = true;
  out.transportHeader = ((bytes[transport + 12] as number) >>> 4) * 4;
  put16(bytes, transport + 16, fold(pseudo));
}

/** Puts `address` in an IP header, `place` bytes into it, and mends the checksums that cover it. */
export function replaceAddress(
  bytes: Uint8Array,
  header: number,
  place: number,
  address: IpAddress,
  transport: number,
  protocol: number,
): void {
  const version = address.length === 4 ? 4 : 6;
  const inside = checksumPlace(protocol, version);
  const sum = inside < 0 ? -1 : transport + inside;
  for (let i = 0; i < address.length; i += 2) {
    const word = (address.charCodeAt(i) << 8) | address.charCodeAt(i + 1);
    if (version === 4) mend(bytes, header + 10, get16(bytes, header + place + i), word);
    if (sum >= 0) mendTransport(bytes, sum, get16(bytes, header + place + i), word, protocol);
    put16(bytes, header + place + i, word);
  }
}
/** A port, or the identifier of an echo request, `place` bytes into the transport's header. */
export function replacePort(bytes: Uint8Array, transport: number, place: number, port: number, protocol: number): void {
  const sum = transport + (protocol === IPPROTO_ICMP ? 2 : checksumPlace(protocol, 6));
  mendTransport(bytes, sum, get16(bytes, transport + place), port, protocol);
  put16(bytes, transport + place, port);
}
function mendTransport(bytes: Uint8Array, at: number, before: number, after: number, protocol: number): void {
  if (protocol === IPPROTO_UDP && get16(bytes, at) === 0) return; // it has none
  mend(bytes, at, before, after);
}
/** One word of what a checksum covers has changed (RFC 1624). */
function mend(bytes: Uint8Array, at: number, before: number, after: number): void {
  put16(bytes, at, ~fold((~get16(bytes, at) & 0xffff) + (~before & 0xffff) + after) & 0xffff);
}
/** Addresses or ports of a packet have changed. One of ours: the transport's checksum anew; somebody else's: what its link completes. */
export function refreshChecksum(packet: Packet): void {
  const { fields, bytes, version, transport } = packet;
  if (fields !== null && packet.checksumOffset >= 0) finishChecksum(packet, fields, packet.partial);
  else if (packet.partial) {
    const [place, length] = version === 4 ? ([12, 4] as const) : ([8, 16] as const);
    const source = readAddress(bytes, HEADROOM + place, length);
    const destination = readAddress(bytes, HEADROOM + place + length, length);
    // Those alone are prepared (prepareSegments) that are TCP's.
    put16(bytes, transport + packet.checksumOffset, fold(pseudoSum(source, destination, IPPROTO_TCP, bytes.length - transport)));
  }
}
