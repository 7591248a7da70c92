/** Reassembly of fragments (RFC 791 §3.2, RFC 8200 §4.5), in bounded memory. Overlaps are an attack (RFC 5722): the packet is dropped. */
import type { Environment } from './environment.ts';
import { HEADROOM, type IncomingPacket, Packet, writeHeader } from './packet.ts';

/** Packets in the making, bytes of all of them, fragments of one. */
const MAX_PACKETS = 64;
const MAX_BYTES = 4 << 20;
const MAX_PIECES = 128;
const LONGEST = 65_535;
/** ns. */
const PATIENCE = 30e9;

interface Making {
  readonly key: string;
  readonly born: number;
  readonly pieces: { readonly offset: number; readonly bytes: Uint8Array }[];
  bytes: number;
  /** Length of the whole payload once the last piece is there. */
  total: number;
}

export class Reassembly {
  private readonly making = new Map<string, Making>();
  private bytes = 0;
  private readonly environment: Environment;
  constructor(environment: Environment) {
    this.environment = environment;
  }

  /** The whole packet when this was the piece that was missing. */
  add(packet: IncomingPacket): IncomingPacket | null {
    const { fragment } = packet;
    if (fragment === null) return packet;
    const length = packet.end - packet.start;
    const end = fragment.offset + length;
    if (length === 0 || end > LONGEST || (fragment.more && length % 8 !== 0)) return null;
    this.expire();
    const key = `${packet.source}${packet.destination}${packet.protocol}:${fragment.id}`;
    const entry = this.making.get(key) ?? this.begin(key);
    if (entry.pieces.length >= MAX_PIECES || this.bytes + length > MAX_BYTES || collides(entry, fragment, end)) {
      this.drop(entry);
      return null;
    }
    if (!fragment.more) entry.total = end;
    entry.pieces.push({ offset: fragment.offset, bytes: packet.bytes.slice(packet.start, packet.end) });
    entry.bytes += length;
    this.bytes += length;
    if (entry.bytes !== entry.total) return null;
    this.drop(entry);
    return whole(packet, entry);
  }
  private begin(key: string): Making {
    if (this.making.size >= MAX_PACKETS) this.drop(this.making.values().next().value as Making);
    const entry: Making = { key, born: this.environment.now(), pieces: [], bytes: 0, total: -1 };
    this.making.set(key, entry);
    return entry;
  }
  private drop(entry: Making): void {
    if (this.making.delete(entry.key)) this.bytes -= entry.bytes;
  }
  /** In the order of their birth. */
  private expire(): void {
    const limit = this.environment.now() - PATIENCE;
    for (const entry of this.making.values()) {
      if (entry.born > limit) return;
      this.drop(entry);
    }
  }
}

/** It overlaps, or contradicts what is known of the end: behind it, another one, or one before what is there. */
function collides(entry: Making, { offset, more }: { offset: number; more: boolean }, end: number): boolean {
  if (entry.total >= 0 && (end > entry.total || !more)) return true;
  for (const piece of entry.pieces) {
    const pieceEnd = piece.offset + piece.bytes.length;
    if ((offset < pieceEnd && piece.offset < end) || (!more && pieceEnd > end)) return true;
  }
  return false;
}

/** With an IP header of the usual kind, so that it can be shown and quoted. */
function whole(packet: IncomingPacket, entry: Making): IncomingPacket {
  const { version, source, destination, protocol, ttl, tos } = packet;
  const joined = new Packet(version, entry.total);
  const { bytes, transport } = joined;
  for (const piece of entry.pieces) bytes.set(piece.bytes, transport + piece.offset);
  writeHeader(joined, { source, destination, protocol, ttl, tos, id: (packet.fragment?.id ?? 0) & 0xffff, mayFragment: true });
  return { ...packet, bytes, header: HEADROOM, start: transport, end: bytes.length, trusted: false, fragment: null };
}
