import { EADDRINUSE, EAGAIN, ECONNREFUSED, EMSGSIZE } from '../abi/errno.ts';
import { ANY4 } from './address.ts';
import { PLAIN_SEND, type Stack } from './stack.ts';
import { LossyLink, World } from './testing/world.ts';
import { type Datagram, UdpEndpoint } from './udp.ts';

const B = '\x0a\0\0\x02';
const PRIVATE = { reuseAddress: false, reusePort: false, uid: 0 };
const endpoint = (stack: Stack): UdpEndpoint => new UdpEndpoint(stack.udp, 4, ANY4, () => {});
function send(from: UdpEndpoint, port: number, bytes: Uint8Array, options = PLAIN_SEND): number {
  const take = (into: Uint8Array, start: number): number => {
    into.set(bytes, start);
    return bytes.length;
  };
  return from.send({ address: B, port }, bytes.length, take, options, null);
}

test('a datagram larger than the link travels in fragments, in whatever order they come', () => {
  const world = new World(new LossyLink(5, { reorder: 0.5 }));
  const to = endpoint(world.b);
  expect(to.bind(ANY4, 53, PRIVATE)).toBe(0);
  const bytes = Uint8Array.from({ length: 9001 }, (_, i) => i * 7);
  const from = endpoint(world.a);
  expect(send(from, 53, bytes)).toBe(bytes.length);
  world.run(() => to.pending > 0, 1);
  expect(Buffer.compare((to.next() as Datagram).bytes, bytes)).toBe(0);
  expect(to.next()).toBe(EAGAIN);
  expect(send(from, 53, bytes, { ...PLAIN_SEND, dontFragment: true })).toBe(EMSGSIZE);
});

test('a connected endpoint hears that the port is closed', () => {
  const world = new World(new LossyLink(1));
  const from = endpoint(world.a);
  expect(from.connect(B, 54)).toBe(0);
  expect(send(from, 54, Uint8Array.of(1))).toBe(1);
  world.run(() => from.error !== 0, 1);
  expect(from.takeError()).toBe(ECONNREFUSED);
});

test('ports: one owner, unless all share it', () => {
  const { a } = new World(new LossyLink(1));
  expect(endpoint(a).bind(ANY4, 53, PRIVATE)).toBe(0);
  expect(endpoint(a).bind('\x0a\0\0\x01', 53, PRIVATE)).toBe(EADDRINUSE);
  const shared = { ...PRIVATE, reusePort: true };
  expect(endpoint(a).bind(ANY4, 54, shared)).toBe(0);
  expect(endpoint(a).bind(ANY4, 54, shared)).toBe(0);
  expect(endpoint(a).bind(ANY4, 54, { ...shared, uid: 1 })).toBe(EADDRINUSE);
});
