import { TIME_WAIT } from './tcp/connection.ts';
import { PacketFuzz } from './testing/packet_fuzz.ts';
import { Wire } from './testing/wire.ts';

test.each([1, 2, 3, 4])('packets that nobody would send change nothing but counters (seed %d)', (seed) => {
  const fuzz = new PacketFuzz(seed);
  for (let i = 0; i < 2000; i++) fuzz.step();
  const { connections, timers, flows, neighbours, routes } = fuzz.footprint;
  expect(connections).toBeLessThan(300);
  expect(timers).toBeLessThan(5000);
  expect(flows).toBeLessThanOrEqual(2 * 16_384);
  expect(neighbours).toBeLessThanOrEqual(1024);
  expect(routes).toBeLessThan(32);
});

test('a flood of SYNs keeps as much as the backlog says, and a client that means it still comes through', () => {
  const w = new Wire();
  const listener = w.listen(128);
  for (let port = 1; port <= 5000; port++) w.from(port).send('S 0:0(0) win 1000 <mss 1460>');
  expect([...w.stack.tcp.all()].length).toBeLessThanOrEqual(128);
  w.packets();
  w.from(30_000).send('S 0:0(0) win 1000 <mss 1460>');
  w.out();
  w.send('P. 1:11(10) ack 1 win 1000');
  expect(listener.waiting).toBe(1);
});

test('three thousand idle connections cost memory, and no time', () => {
  const w = new Wire();
  const listener = w.listen(4096);
  const held = [];
  for (let port = 10_000; port < 13_000; port++) held.push(w.from(port).accept(listener, '<mss 1460>', 1000));
  w.run(1000);
  w.packets();
  const before = w.armed;
  w.run(3_600_000);
  expect([w.packets().length, w.armed]).toEqual([0, before]);
  expect(before).toBeLessThan(100);
  for (const c of held) c.close(true);
  expect([...w.stack.tcp.all()].filter((c) => c.state !== TIME_WAIT)).toEqual([]);
});

test('a sender to a slow reader fills one buffer and no more', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1460,wscale 7>', 1000);
  for (let seq = 1; seq < 6_000_000; seq += 1460) w.send(`. ${seq}:${seq + 1460}(1460) ack 1 win 1000`);
  expect(c.receiving.ring.length).toBeLessThanOrEqual(c.receiveCapacity);
  // And pieces beyond a gap are bounded, too.
  const d = w.from(4001).accept(w.listenAgain(), '<mss 1460,sackOK,wscale 7>', 1000);
  for (let seq = 3; seq < 6000; seq += 2) w.send(`. ${seq}:${seq + 1}(1) ack 1 win 1000`);
  expect([d.receiving.ring.length, (d.receiving.blocks(4) ?? []).length]).toEqual([0, 8]);
});
