import { EHOSTUNREACH } from '../../abi/errno.ts';
import { Connection, ESTABLISHED, TcpOptions } from '../tcp/connection.ts';
import { EtherWorld } from '../testing/ether_world.ts';
import { ETH_P_ARP } from './ethernet.ts';
import { NUD_DELAY, NUD_FAILED, NUD_INCOMPLETE, NUD_PERMANENT, NUD_REACHABLE, NUD_STALE } from './neighbours.ts';

const A = '\x0a\0\0\x01';
const B = '\x0a\0\0\x02';
const A6 = `\xfd\x09${'\0'.repeat(13)}\x01`;
const B6 = `\xfd\x09${'\0'.repeat(13)}\x02`;
const LL = `\xfe\x80${'\0'.repeat(13)}\x01`;
const MAC_C = [2, 0, 0, 0, 0, 3];

function world(): EtherWorld {
  const w = new EtherWorld();
  w.assign(w.a, A, 24);
  w.assign(w.b, B, 24);
  w.assign(w.a, A6, 64);
  w.assign(w.b, B6, 64);
  w.run(1);
  return w;
}
function connect(w: EtherWorld, address: string): Connection {
  const made = w.a.stack.tcp.connect({ address, port: 80 }, null, new TcpOptions(), 0, 0);
  expect(made).toBeInstanceOf(Connection);
  return made as Connection;
}
function listen(w: EtherWorld, address: string): void {
  const { tcp } = w.b.stack;
  const binding = { address, port: 80, onlyV6: false, reuseAddress: false, reusePort: false, uid: 0, listening: false, shared: false };
  tcp.listen(tcp.ports.bind(binding) as never, address.length === 4 ? 4 : 6, new TcpOptions(), 0, 8, () => {});
}
const typeOf = (frame: Uint8Array): number => ((frame[22] as number) << 8) | (frame[23] as number);
const arp = (operation: number, sender: string, hardware: number[], target: string, to = [255, 255, 255, 255, 255, 255]): number[] => [
  ...to,
  ...hardware,
  ...[8, 6, 0, 1, 8, 0, 6, 4, 0, operation],
  ...hardware,
  ...[...sender].map((c) => c.charCodeAt(0)),
  ...[0, 0, 0, 0, 0, 0],
  ...[...target].map((c) => c.charCodeAt(0)),
];

test.each([
  ['ARP', B, A],
  ['neighbour discovery', B6, A6],
])('%s finds the other side, and what has waited goes out', (_name, b, a) => {
  const w = world();
  listen(w, b);
  const c = connect(w, b);
  w.run(1);
  expect(c.state).toBe(ESTABLISHED);
  expect(w.a.neighbours.get(b)?.state).toBe(NUD_REACHABLE);
  expect(w.b.neighbours.get(a)?.hardware).toEqual(w.a.hardware);
  w.run(60);
  expect(w.a.neighbours.stateOf(w.a.neighbours.get(b) as never)).toBe(NUD_STALE);
  c.write({ take: (into, start, end) => into.fill(7, start, end) && end - start }, 100);
  expect(w.a.neighbours.get(b)?.state).toBe(NUD_DELAY);
  w.run(10);
  expect(w.a.neighbours.get(b)?.state).toBe(NUD_REACHABLE);
});

test('nobody answers: the connection is told, the entry shows it, and a later try asks again', () => {
  const w = world();
  const c = connect(w, '\x0a\0\0\x63');
  expect(w.a.neighbours.get('\x0a\0\0\x63')?.state).toBe(NUD_INCOMPLETE);
  w.run(5);
  expect(c.error).toBe(EHOSTUNREACH);
  expect(w.a.neighbours.get('\x0a\0\0\x63')?.state).toBe(NUD_FAILED);
  const before = w.frames.length;
  connect(w, '\x0a\0\0\x63');
  w.run(0.1);
  expect(w.frames.slice(before).map(typeOf)).toContain(ETH_P_ARP);
});

test('the cache and what waits in it are bounded, and fixed entries stay', () => {
  const w = world();
  w.a.neighbours.set('\x0a\0\0\x50', Uint8Array.of(...MAC_C), NUD_PERMANENT);
  for (let i = 0; i < 3000; i++) {
    w.inject(w.a, arp(1, String.fromCharCode(10, 0, 1 + (i >> 8), i & 0xff), MAC_C, A));
  }
  expect([...w.a.neighbours.all()].length).toBeLessThanOrEqual(1024);
  expect(w.a.neighbours.get('\x0a\0\0\x50')?.state).toBe(NUD_PERMANENT);
  // A reply nobody has asked for makes no entry; an announcement does not move a fixed one.
  w.inject(w.a, arp(2, '\x0a\0\0\x77', MAC_C, A, [...w.a.hardware]));
  expect(w.a.neighbours.get('\x0a\0\0\x77')).toBeUndefined();
  w.inject(w.a, arp(1, '\x0a\0\0\x50', [2, 0, 0, 0, 0, 9], '\x0a\0\0\x50'));
  expect(w.a.neighbours.get('\x0a\0\0\x50')?.hardware).toEqual(Uint8Array.of(...MAC_C));
});

test('an announcement moves a neighbour; a claim to our address is defended and told, once in a while', () => {
  const w = world();
  listen(w, B);
  connect(w, B);
  w.run(1);
  w.inject(w.a, arp(1, B, MAC_C, B));
  expect(w.a.neighbours.get(B)?.hardware).toEqual(Uint8Array.of(...MAC_C));
  const told: string[] = [];
  w.a.onConflict = (address) => told.push(address);
  const before = w.frames.length;
  for (let i = 0; i < 5; i++) w.inject(w.a, arp(1, A, MAC_C, A));
  expect(told).toEqual([A]);
  expect(w.frames.slice(before).filter((f) => typeOf(f) === ETH_P_ARP)).toHaveLength(1);
  expect(w.a.arp.conflicts).toBe(5);
});

test('frames to others, broken ones and our own echo are dropped', () => {
  const w = world();
  const before = w.frames.length;
  w.inject(w.a, arp(1, B, [...w.b.hardware], A, [2, 0, 0, 0, 0, 9]));
  w.inject(w.a, arp(1, B, [...w.b.hardware], A).slice(0, 30));
  w.inject(w.a, arp(1, B, [...w.a.hardware], A));
  w.inject(w.a, arp(1, B, [3, 0, 0, 0, 0, 9], A)); // a group is no station
  for (let n = 0; n < 14; n++) w.inject(w.a, new Array<number>(n).fill(255));
  expect(w.frames.length).toBe(before);
});

test('an address that somebody has is not taken; a free one is after a second', () => {
  const w = world();
  const taken = { address: B6, prefixLength: 64, broadcast: null };
  w.a.addAddress(taken, true);
  expect(w.a.owns(B6)).toBe(false);
  w.run(2);
  expect(w.a.owns(B6)).toBe(false);
  expect(w.a.ndp.duplicates.has(B6)).toBe(true);
  w.a.addAddress({ address: LL, prefixLength: 64, broadcast: null }, true);
  w.run(2);
  expect(w.a.owns(LL)).toBe(true);
});

/** An advertisement with one prefix (fd0a::/64), from fe80::9. */
function advertisement(lifetime: number): number[] {
  const source = [0xfe, 0x80, ...new Array<number>(13).fill(0), 9];
  const all = [0xff, 2, ...new Array<number>(13).fill(0), 1];
  const body = [134, 0, 0, 0, 64, 0, lifetime >> 8, lifetime & 255, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, ...MAC_C];
  body.push(5, 1, 0, 0, 0, 0, 0x05, 0x78); // MTU 1400
  body.push(3, 4, 64, 0xc0, 0, 0, 0x1c, 0x20, 0, 0, 0x0e, 0x10, 0, 0, 0, 0, 0xfd, 0x0a, ...new Array<number>(14).fill(0));
  let sum = body.length + 58;
  const words = [...source, ...all, ...body];
  for (let i = 0; i < words.length; i += 2) sum += ((words[i] as number) << 8) | (words[i + 1] as number);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  body[2] = (~sum >> 8) & 255;
  body[3] = ~sum & 255;
  const ip = [0x60, 0, 0, 0, 0, body.length, 58, 255, ...source, ...all];
  return [0x33, 0x33, 0, 0, 0, 1, ...MAC_C, 0x86, 0xdd, ...ip, ...body];
}

test('a router and its prefix are followed only where that is wanted, and forgotten with their time', () => {
  const w = world();
  const gateways = (): (string | null)[] => w.a.stack.routes.entries.map((e) => e.gateway).filter((g) => g !== null);
  w.inject(w.a, advertisement(1800));
  expect(gateways()).toEqual([]);
  w.a.ndp.acceptRouters = true;
  w.inject(w.a, advertisement(1800));
  w.inject(w.a, advertisement(1800));
  expect(gateways()).toHaveLength(1);
  expect(w.a.mtu6).toBe(1400);
  w.run(2);
  const made = `\xfd\x0a${'\0'.repeat(6)}\0\0\0\xff\xfe\0\0\x01`;
  expect(w.a.owns(made)).toBe(true);
  expect(w.a.neighbours.get(`\xfe\x80${'\0'.repeat(13)}\x09`)?.router).toBe(true);
  w.inject(w.a, advertisement(0));
  expect(gateways()).toEqual([]);
  w.run(7300);
  expect(w.a.owns(made)).toBe(false);
});
