/** Two stacks on virtual time with a link between that loses, reorders and duplicates, from a seed. */
import { ECONNREFUSED, isErrno } from '../../abi/errno.ts';
import type { Binding } from '../ports.ts';
import { LossyLink, World } from '../testing/world.ts';
import { CLOSED, type Connection, ESTABLISHED, TcpOptions, TIME_WAIT } from './connection.ts';

const A = '\x0a\0\0\x01';
const B = '\x0a\0\0\x02';
const bound = (address: string, port: number): Binding => ({
  ...{ address, port, onlyV6: false, reuseAddress: true, reusePort: false, uid: 0, listening: false, shared: false },
});

function open(world: World, options = new TcpOptions()): { client: Connection; server: Connection } {
  const binding = world.b.tcp.ports.bind(bound(B, 80)) as Binding;
  const listener = world.b.tcp.listen(binding, 4, new TcpOptions(), 0, 5, () => {});
  if (isErrno(listener)) throw new Error('listen');
  const client = world.a.tcp.connect({ address: B, port: 80 }, null, options, 0, 0);
  if (isErrno(client)) throw new Error('connect');
  world.run(() => listener.waiting > 0, 60);
  const server = listener.accept();
  if (isErrno(server)) throw new Error('accept');
  return { client, server };
}
const source = (bytes: Uint8Array, from: number) => ({
  take(into: Uint8Array, start: number, end: number): number {
    const n = Math.min(end - start, bytes.length - from);
    into.set(bytes.subarray(from, from + n), start);
    return n;
  },
});
/** Moves `data` from one end to the other and closes; what arrived. */
function transfer(world: World, from: Connection, to: Connection, data: Uint8Array, seconds: number): Uint8Array {
  const got = new Uint8Array(data.length);
  let sent = 0;
  let received = 0;
  let ended = false;
  const sink = {
    put(bytes: Uint8Array, start: number, end: number): number {
      got.set(bytes.subarray(start, end), received);
      received += end - start;
      return end - start;
    },
  };
  world.run(() => {
    if (sent < data.length) {
      const n = from.write(source(data, sent), data.length - sent);
      if (n > 0) sent += n;
      if (sent === data.length) from.shutdownWrite();
    }
    for (;;) {
      const n = to.read(sink, data.length - received + 1, false);
      if (n <= 0) {
        ended = n === 0;
        break;
      }
    }
    return ended;
  }, seconds);
  expect(received).toBe(data.length);
  return got;
}
function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let x = seed;
  for (let i = 0; i < length; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

test('handshake, both ways, orderly close, TIME_WAIT on the side that closed first', () => {
  const world = new World(new LossyLink(1));
  const { client, server } = open(world);
  expect(client.state).toBe(ESTABLISHED);
  expect(client.mss).toBe(1448);
  const data = pattern(100_000, 1);
  expect(Buffer.compare(transfer(world, client, server, data, 10), data)).toBe(0);
  expect(Buffer.compare(transfer(world, server, client, data, 10), data)).toBe(0);
  world.run(() => server.state === CLOSED, 10);
  expect(client.state).toBe(TIME_WAIT);
  world.run(() => client.state === CLOSED, 61);
  expect([client.error, server.error]).toEqual([0, 0]);
});

test.each([1, 2, 3, 4, 5, 6])('byte-exact over a link that loses, reorders and duplicates (seed %d)', (seed) => {
  const world = new World(new LossyLink(seed, { loss: 0.05, duplicate: 0.03, reorder: 0.1 }));
  const { client, server } = open(world);
  const data = pattern(400_000, seed);
  expect(Buffer.compare(transfer(world, client, server, data, 600), data)).toBe(0);
  expect(client.retransmitted).toBeGreaterThan(0);
});

test.each([7, 8])('byte-exact without SACK and timestamps, Reno (seed %d)', (seed) => {
  const world = new World(new LossyLink(seed, { loss: 0.05, reorder: 0.05, stripOptions: true }));
  const options = new TcpOptions();
  options.congestion = 'reno';
  const { client, server } = open(world, options);
  expect(client.sack).toBe(false);
  const data = pattern(200_000, seed);
  expect(Buffer.compare(transfer(world, client, server, data, 600), data)).toBe(0);
});

test('a closed port refuses; a silent host times out', () => {
  const world = new World(new LossyLink(1));
  const refused = world.a.tcp.connect({ address: B, port: 81 }, null, new TcpOptions(), 0, 0) as Connection;
  world.run(() => refused.state === CLOSED, 5);
  expect(refused.error).toBe(ECONNREFUSED);
  const silent = world.a.tcp.connect({ address: '\x0a\0\0\x63', port: 80 }, null, new TcpOptions(), 0, 0) as Connection;
  world.run(() => silent.state === CLOSED, 300);
  expect(silent.error).toBe(-110);
});

test('a reader that stops closes the window; probes find it open again', () => {
  const world = new World(new LossyLink(3, { loss: 0.1 }));
  const { client, server } = open(world);
  const data = pattern(3_000_000, 9);
  let sent = 0;
  world.run(() => {
    const n = client.write(source(data, sent), data.length - sent);
    if (n > 0) sent += n;
    return client.sndWnd < client.mss && client.inFlight === 0;
  }, 120);
  expect(server.receiving.ring.length).toBeGreaterThan(200_000);
  world.run(() => false, 100);
  const got = new Uint8Array(sent);
  let received = 0;
  world.run(() => {
    server.read({ put: (b, s, e) => (got.set(b.subarray(s, e), received), (received += e - s), e - s) }, sent - received, false);
    return received === sent;
  }, 300);
  expect(Buffer.compare(got, data.subarray(0, sent))).toBe(0);
});

test('keepalive finds out that the other side is gone', () => {
  const link = new LossyLink(1);
  const world = new World(link);
  const options = new TcpOptions();
  Object.assign(options, { keepAlive: true, keepIdle: 10e9, keepInterval: 1e9, keepCount: 3 });
  const { client } = open(world, options);
  world.run(() => false, 60);
  expect(client.state).toBe(ESTABLISHED);
  link.cut = true;
  world.run(() => client.state === CLOSED, 30);
  expect(client.error).toBe(-110);
});

test('both open at once, both close at once', () => {
  const world = new World(new LossyLink(1));
  const ports = [world.a.tcp.ports.bind(bound(A, 1000)), world.b.tcp.ports.bind(bound(B, 2000))] as Binding[];
  const a = world.a.tcp.connect({ address: B, port: 2000 }, ports[0] as Binding, new TcpOptions(), 0, 0) as Connection;
  const b = world.b.tcp.connect({ address: A, port: 1000 }, ports[1] as Binding, new TcpOptions(), 0, 0) as Connection;
  world.run(() => a.state === ESTABLISHED && b.state === ESTABLISHED, 5);
  expect([a.state, b.state]).toEqual([ESTABLISHED, ESTABLISHED]);
  a.shutdownWrite();
  b.shutdownWrite();
  world.run(() => a.state === TIME_WAIT && b.state === TIME_WAIT, 5);
  expect([a.state, b.state]).toEqual([TIME_WAIT, TIME_WAIT]);
});
