import { checksum, fold, pseudoSum } from './checksum.ts';
import { finishChecksum, get16, get32, HEADROOM, IPPROTO_TCP, IPPROTO_UDP, Packet, put32, refreshChecksum, writeHeader } from './packet.ts';
import { forLink, NO_OFFLOAD } from './software_offload.ts';

const ENDS = { 4: ['\x0a\0\0\x01', '\x0a\0\0\x02'], 6: [`\xfd${'\0'.repeat(14)}\x01`, `\xfd${'\0'.repeat(14)}\x02`] } as const;
const ACK_PSH_FIN = 0x19;

function segment(version: 4 | 6, data: number, size: number): Packet {
  const packet = new Packet(version, 20 + data);
  const { bytes, transport } = packet;
  for (let i = 0; i < data; i++) bytes[transport + 20 + i] = i % 251;
  put32(bytes, transport + 4, 0xffff_ff00);
  bytes[transport + 12] = 0x50;
  bytes[transport + 13] = ACK_PSH_FIN;
  Object.assign(packet, { checksumOffset: 16, transportHeader: 20, segmentSize: size });
  finish(packet, IPPROTO_TCP);
  return packet;
}
function finish(packet: Packet, protocol: number): void {
  const [source, destination] = ENDS[packet.version];
  const fields = { source, destination, protocol, ttl: 64, tos: 0, id: 7, mayFragment: false };
  writeHeader(packet, fields);
  finishChecksum(packet, fields, true);
}
/** Whether the checksum at the other end holds. */
function holds({ bytes, version, transport }: Packet, protocol: number): boolean {
  const [source, destination] = ENDS[version];
  return checksum(bytes, transport, bytes.length, pseudoSum(source, destination, protocol, bytes.length - transport)) === 0;
}

test.each([4, 6] as const)('a long TCP packet of IPv%i is cut as TCP would have', (version) => {
  const pieces = forLink(segment(version, 2500, 1000), NO_OFFLOAD);
  expect(pieces.map((p) => p.bytes.length - p.transport - 20)).toEqual([1000, 1000, 500]);
  expect(pieces.map((p) => get32(p.bytes, p.transport + 4))).toEqual([0xffff_ff00, 0x2e8, 0x6d0]);
  expect(pieces.map((p) => p.bytes[p.transport + 13])).toEqual([0x10, 0x10, ACK_PSH_FIN]);
  expect(pieces.every((p) => holds(p, IPPROTO_TCP) && p.segmentSize === 0 && !p.partial)).toBe(true);
  expect(pieces.map((p) => p.bytes[p.transport + 20])).toEqual([0, 1000 % 251, 2000 % 251]);
  if (version === 6) return;
  expect(pieces.map((p) => [get16(p.bytes, HEADROOM + 2), get16(p.bytes, HEADROOM + 4)])).toEqual([
    [1040, 7],
    [1040, 8],
    [540, 9],
  ]);
  expect(pieces.every((p) => checksum(p.bytes, HEADROOM, HEADROOM + 20) === 0)).toBe(true);
});

test('what the link does is left to it, for the family that it does it for', () => {
  const packet = segment(4, 2500, 1000);
  expect(forLink(packet, { checksums: true, segments4: true, segments6: false })).toEqual([packet]);
  expect(packet.partial).toBe(true);
  expect(forLink(packet, { checksums: true, segments4: false, segments6: true })).toHaveLength(3);
});

test('an open checksum is filled in where the link does not', () => {
  const packet = new Packet(4, 12);
  packet.checksumOffset = 6;
  finish(packet, IPPROTO_UDP);
  expect(holds(packet, IPPROTO_UDP)).toBe(false);
  expect(forLink(packet, NO_OFFLOAD)).toEqual([packet]);
  expect(holds(packet, IPPROTO_UDP)).toBe(true);
});

test('a header that says nonsense of itself gives nothing', () => {
  const packet = segment(4, 100, 10);
  packet.transportHeader = 4;
  expect(forLink(packet, NO_OFFLOAD)).toEqual([]);
});

test('segments of somebody else whose source was translated', () => {
  const packet = segment(4, 2500, 1000);
  packet.fields = null; // it came from a link
  const { bytes, transport } = packet;
  bytes.set([192, 168, 0, 1], HEADROOM + 12);
  refreshChecksum(packet);
  const pseudo = pseudoSum('\xc0\xa8\0\x01', ENDS[4][1], IPPROTO_TCP, bytes.length - transport);
  expect(get16(bytes, transport + 16)).toBe(fold(pseudo));
});
