/** What a link does not do itself: checksums that were left open, and TCP packets that are longer than the link. */

import { readAddress } from './address.ts';
import { checksum, pseudoSum } from './checksum.ts';
import { get16, get32, HEADROOM, IP4_HEADER, IP6_HEADER, IPPROTO_TCP, IPPROTO_UDP, Packet, put16, put32 } from './packet.ts';

/** What the link does. Segments: of IPv4 and of IPv6. */
export interface Offload {
  readonly checksums: boolean;
  readonly segments4: boolean;
  readonly segments6: boolean;
}
export const NO_OFFLOAD: Offload = { checksums: false, segments4: false, segments6: false };

// TCP's flags that not every segment has.
const FIN = 0x01;
const PSH = 0x08;
const CWR = 0x80;
const TCP_HEADER = 20;

/** The packets that such a link can take in the place of this one: itself, as a rule. */
export function forLink(packet: Packet, offload: Offload): readonly Packet[] {
  if (packet.segmentSize > 0) return (packet.version === 4 ? offload.segments4 : offload.segments6) ? [packet] : cut(packet);
  if (packet.partial && !offload.checksums) complete(packet);
  return [packet];
}

/** The sum of the pseudo header lies where the checksum belongs. */
function complete(packet: Packet): void {
  const { bytes, transport } = packet;
  const at = transport + packet.checksumOffset;
  const sum = checksum(bytes, transport, bytes.length);
  put16(bytes, at, sum === 0 && protocolOf(packet) === IPPROTO_UDP ? 0xffff : sum);
  packet.partial = false;
}
function protocolOf({ bytes, version }: Packet): number {
  return bytes[HEADROOM + (version === 4 ? 9 : 6)] as number;
}

/** A TCP packet as segments with `segmentSize` bytes of data each. */
function cut(packet: Packet): Packet[] {
  const { bytes, version, transport, transportHeader: header, segmentSize } = packet;
  const data = transport + header;
  if (header < TCP_HEADER || data > bytes.length) return [];
  const flags = bytes[transport + 13] as number;
  const pieces: Packet[] = [];
  for (let at = data; at < bytes.length; at += segmentSize) {
    const end = Math.min(at + segmentSize, bytes.length);
    const piece = new Packet(version, header + end - at);
    piece.bytes.set(bytes.subarray(HEADROOM, data), HEADROOM);
    piece.bytes.set(bytes.subarray(at, end), data);
    putLength(piece, pieces.length);
    put32(piece.bytes, transport + 4, (get32(bytes, transport + 4) + at - data) >>> 0);
    piece.bytes[transport + 13] = flags & ~(end < bytes.length ? FIN | PSH : 0) & ~(at > data ? CWR : 0);
    sumTcp(piece);
    pieces.push(piece);
  }
  return pieces;
}
/** number: how many pieces there are before it. */
function putLength({ bytes, version, length }: Packet, number: number): void {
  if (version === 6) {
    put16(bytes, HEADROOM + 4, length - IP6_HEADER);
    return;
  }
  put16(bytes, HEADROOM + 2, length);
  put16(bytes, HEADROOM + 4, get16(bytes, HEADROOM + 4) + number);
  put16(bytes, HEADROOM + 10, 0);
  put16(bytes, HEADROOM + 10, checksum(bytes, HEADROOM, HEADROOM + IP4_HEADER));
}
function sumTcp({ bytes, version, transport }: Packet): void {
  const [place, length] = version === 4 ? ([12, 4] as const) : ([8, 16] as const);
  const source = readAddress(bytes, HEADROOM + place, length);
  const destination = readAddress(bytes, HEADROOM + place + length, length);
  put16(bytes, transport + 16, 0);
  put16(
    bytes,
    transport + 16,
    checksum(bytes, transport, bytes.length, pseudoSum(source, destination, IPPROTO_TCP, bytes.length - transport)),
  );
}
