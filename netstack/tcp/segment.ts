/** TCP segments (RFC 9293 §3.1) and their options (RFC 7323, RFC 2018). */
import { get16, get32, type IncomingPacket, put16, put32 } from '../packet.ts';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const PSH = 0x08;
export const ACK = 0x10;
export const URG = 0x20;
/** RFC 3168. */
export const ECE = 0x40;
export const CWR = 0x80;
export const TCP_HEADER = 20;
/** Options: two of no operation, then the timestamps. */
export const TIMESTAMP_SPACE = 12;
const MAX_SACK_BLOCKS = 4;

export interface Segment {
  readonly packet: IncomingPacket;
  readonly sourcePort: number;
  readonly destinationPort: number;
  seq: number;
  readonly ack: number;
  flags: number;
  readonly urgentPointer: number;
  /** Not scaled. */
  readonly window: number;
  /** Payload: packet.bytes[start..end). */
  start: number;
  end: number;
  /** Options; -1: absent. */
  mss: number;
  windowScale: number;
  sackPermitted: boolean;
  hasTimestamps: boolean;
  timestamp: number;
  echo: number;
  /** Pairs of edges. */
  sack: number[] | null;
}

/** Null: not a segment. */
export function parseSegment(packet: IncomingPacket): Segment | null {
  const { bytes, start, end } = packet;
  if (end - start < TCP_HEADER) return null;
  const header = ((bytes[start + 12] as number) >>> 4) * 4;
  if (header < TCP_HEADER || header > end - start) return null;
  const segment: Segment = {
    packet,
    sourcePort: get16(bytes, start),
    destinationPort: get16(bytes, start + 2),
    seq: get32(bytes, start + 4),
    ack: get32(bytes, start + 8),
    flags: (bytes[start + 13] as number) & 0xff,
    urgentPointer: get16(bytes, start + 18),
    window: get16(bytes, start + 14),
    start: start + header,
    end,
    mss: -1,
    windowScale: -1,
    sackPermitted: false,
    hasTimestamps: false,
    timestamp: 0,
    echo: 0,
    sack: null,
  };
  if (header > TCP_HEADER) parseOptions(segment, bytes, start + TCP_HEADER, start + header);
  return segment;
}

function parseOptions(segment: Segment, bytes: Uint8Array, from: number, end: number): void {
  for (let at = from; at < end; ) {
    const kind = bytes[at] as number;
    if (kind === 0) return;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = bytes[at + 1] ?? 0;
    if (length < 2 || at + length > end) return;
    if (kind === 2 && length === 4) segment.mss = get16(bytes, at + 2);
    else if (kind === 3 && length === 3) segment.windowScale = Math.min(bytes[at + 2] as number, 14);
    else if (kind === 4 && length === 2) segment.sackPermitted = true;
    else if (kind === 5 && (length - 2) % 8 === 0) segment.sack = parseSack(bytes, at + 2, (length - 2) / 8);
    else if (kind === 8 && length === 10) {
      segment.hasTimestamps = true;
      segment.timestamp = get32(bytes, at + 2);
      segment.echo = get32(bytes, at + 6);
    }
    at += length;
  }
}
function parseSack(bytes: Uint8Array, at: number, count: number): number[] {
  const edges: number[] = [];
  for (let i = 0; i < Math.min(count, MAX_SACK_BLOCKS); i++) edges.push(get32(bytes, at + i * 8), get32(bytes, at + i * 8 + 4));
  return edges;
}

/** The options of a SYN, or of its answer. */
export interface SynOptions {
  readonly mss: number;
  /** -1: none. */
  readonly windowScale: number;
  readonly sackPermitted: boolean;
  readonly timestamps: boolean;
  readonly timestamp: number;
  readonly echo: number;
}
export function synOptionsLength(options: SynOptions): number {
  return 4 + (options.windowScale >= 0 ? 4 : 0) + (options.sackPermitted ? 4 : 0) + (options.timestamps ? TIMESTAMP_SPACE : 0);
}
export function writeSynOptions(bytes: Uint8Array, from: number, options: SynOptions): void {
  let at = from;
  put16(bytes, at, 0x0204);
  put16(bytes, at + 2, options.mss);
  at += 4;
  if (options.windowScale >= 0) {
    put16(bytes, at, 0x0103);
    put16(bytes, at + 2, 0x0300 | options.windowScale);
    at += 4;
  }
  if (options.sackPermitted) {
    put16(bytes, at, 0x0101);
    put16(bytes, at + 2, 0x0402);
    at += 4;
  }
  if (options.timestamps) writeTimestamps(bytes, at, options.timestamp, options.echo);
}
/** TIMESTAMP_SPACE bytes. */
export function writeTimestamps(bytes: Uint8Array, at: number, timestamp: number, echo: number): void {
  put16(bytes, at, 0x0101);
  put16(bytes, at + 2, 0x080a);
  put32(bytes, at + 4, timestamp);
  put32(bytes, at + 8, echo);
}
/** Bytes that selective acknowledgements take. */
export function sackSpace(edges: readonly number[] | null): number {
  return edges === null || edges.length === 0 ? 0 : 4 + edges.length * 4;
}
export function writeSack(bytes: Uint8Array, at: number, edges: readonly number[]): void {
  put16(bytes, at, 0x0101);
  put16(bytes, at + 2, 0x0500 | (2 + edges.length * 4));
  for (let i = 0; i < edges.length; i++) put32(bytes, at + 4 + i * 4, edges[i] as number);
}
