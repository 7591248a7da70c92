/** Addresses and ports are changed in place: the checksums that cover them hold afterwards. */
import {
  checksumHolds,
  finishChecksum,
  type IncomingPacket,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  Packet,
  put16,
  writeHeader,
} from '../packet.ts';
import { outgoingView, rewrite, viewOf } from './packet_view.ts';

const FROM = { 4: '\x0a\0\0\x01', 6: `\xfd\x10${'\0'.repeat(13)}\x01` } as const;
const TO = { 4: '\xc0\0\x02\x09', 6: `\xfd\x20${'\xab\xcd'.repeat(7)}` } as const;

function packet(version: 4 | 6, protocol: number, checksumOffset: number): Packet {
  const made = new Packet(version, 40);
  made.checksumOffset = checksumOffset;
  for (let i = 0; i < 40; i++) made.bytes[made.transport + i] = i * 7;
  if (protocol === IPPROTO_ICMPV6) put16(made.bytes, made.transport, 128 << 8);
  const fields = { source: FROM[version], destination: FROM[version], protocol, ttl: 64, tos: 0, id: 1, mayFragment: false };
  writeHeader(made, fields);
  finishChecksum(made, fields, false);
  return made;
}

test.each([
  [4, IPPROTO_TCP, 16],
  [4, IPPROTO_UDP, 6],
  [6, IPPROTO_TCP, 16],
  [6, IPPROTO_UDP, 6],
  [6, IPPROTO_ICMPV6, 2],
] as const)('version %d, protocol %d', (version, protocol, offset) => {
  const made = packet(version, protocol, offset);
  for (const end of ['source', 'destination'] as const) {
    const view = outgoingView(made);
    if (view === null) throw new Error('unreadable');
    expect(rewrite(view, end, TO[version], 4321)).toBe(true);
    const again = outgoingView(made);
    expect(again?.[end]).toBe(TO[version]);
    const whole: IncomingPacket = {
      ...(again as ReturnType<typeof viewOf>),
      version,
      ttl: 64,
      tos: 0,
      trusted: false,
      arrival: 1,
      fragment: null,
    };
    expect(checksumHolds(whole)).toBe(true);
    expect(rewrite(viewOf(whole), end, TO[version], 4321)).toBe(false);
  }
});
