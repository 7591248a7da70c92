import { Reassembly } from './fragments.ts';
import { type IncomingPacket, IPPROTO_UDP } from './packet.ts';

function piece(offset: number, length: number, more: boolean): IncomingPacket {
  const bytes = new Uint8Array(length).fill(offset / 8 + 1);
  return {
    ...{ version: 4, bytes, header: 0, start: 0, end: length, source: '\x0a\0\0\x01', destination: '\x0a\0\0\x02', protocol: IPPROTO_UDP },
    ...{ ttl: 64, tos: 0, trusted: false, arrival: 2, fragment: { id: 7, offset, more } },
  };
}
const fresh = () => new Reassembly({ now: () => 1e9, startTimer: () => () => {}, random: () => 0 });

test('pieces in any order make the packet, with a header in front', () => {
  const reassembly = fresh();
  expect(reassembly.add(piece(16, 5, false))).toBe(null);
  expect(reassembly.add(piece(0, 8, true))).toBe(null);
  const whole = reassembly.add(piece(8, 8, true)) as IncomingPacket;
  expect([...whole.bytes.subarray(whole.start, whole.end)]).toEqual([...Array(8).fill(1), ...Array(8).fill(2), ...Array(5).fill(3)]);
  expect([whole.bytes[whole.header], whole.fragment]).toEqual([0x45, null]);
});

test('an end before what is there, a second end, an overlap: the packet is dropped, and its memory', () => {
  const end = fresh();
  expect(end.add(piece(64, 8, true))).toBe(null);
  expect(end.add(piece(0, 8, false))).toBe(null); // eight bytes in all: as many as would be there
  expect(end.add(piece(8, 8, false))).toBe(null);
  const second = fresh();
  expect(second.add(piece(16, 8, false))).toBe(null);
  expect(second.add(piece(8, 8, false))).toBe(null);
  expect(second.add(piece(0, 8, true))).toBe(null);
  const overlap = fresh();
  expect(overlap.add(piece(0, 16, true))).toBe(null);
  expect(overlap.add(piece(8, 16, false))).toBe(null);
  expect(overlap.add(piece(16, 8, false))).toBe(null);
});
