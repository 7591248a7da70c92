/** IP packets in memory, and the headers of IPv4 (RFC 791) and IPv6 (RFC 8200). */
import { type IpAddress, readAddress, writeAddress } from './address.ts';
import { addWords, checksum, fold, pseudoSum } from './checksum.ts';

export const IPPROTO_HOPOPTS = 0;
export const IPPROTO_ICMP = 1;
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

/** A packet on its way out: bytes[HEADROOM..] is the IP packet. */
export class Packet {
  readonly bytes: Uint8Array;
  readonly version: 4 | 6;
  /** Payload per segment that the link has to cut this packet into; 0: it is one. */
  segmentSize = 0;
  /** Where the transport's checksum lies, from the start of the transport header; -1: none to fill in. */
  checksumOffset = -1;
  /** Length of the transport's header, which is repeated in every segment. */
  transportHeader = 0;

  constructor(version: 4 | 6, transportLength: number) {
    this.version = version;
    this.bytes = new Uint8Array(HEADROOM + (version === 4 ? IP4_HEADER : IP6_HEADER) + transportLength);
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

/** Makes an IPv4 packet with a finished header one fragment of a larger one. offset: in units of 8 bytes. */
export function markFragment(packet: Packet, offset: number, more: boolean): void {
  const { bytes } = packet;
  put16(bytes, HEADROOM + 6, offset | (more ? MORE_FRAGMENTS : 0));
  put16(bytes, HEADROOM + 10, 0);
  put16(bytes, HEADROOM + 10, checksum(bytes, HEADROOM, HEADROOM + IP4_HEADER));
}
