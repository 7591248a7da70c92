/** Segment by segment: windows, small segments, acknowledgements that are put off. */
import { read, Wire, write } from '../testing/wire.ts';
import { TcpOptions } from './connection.ts';

test('nothing goes beyond the window; zero is probed, with growing waits, and opens again', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1000>', 2000);
  write(c, 5000);
  expect(w.out()).toEqual(['. 1:1001(1000) ack 1', '. 1001:2001(1000) ack 1']);
  w.send('. 1:1(0) ack 2001 win 0');
  expect(w.out()).toEqual([]);
  w.run(1000);
  const probes = w.out();
  expect([...new Set(probes)]).toEqual(['. 2000:2000(0) ack 1']);
  expect(probes.length).toBeGreaterThan(0);
  w.send('. 1:1(0) ack 2001 win 0');
  w.run(60_000);
  expect(w.out().length).toBeLessThan(12);
  w.send('. 1:1(0) ack 2001 win 3000');
  expect(w.out()).toEqual(['. 2001:3001(1000) ack 1', '. 3001:4001(1000) ack 1', 'P. 4001:5001(1000) ack 1']);
});

test('a window that shrinks to the left is not believed to be sent again', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1000>', 4000);
  write(c, 6000);
  w.out();
  w.send('. 1:1(0) ack 1001 win 1000');
  expect(w.out()).toEqual([]);
  w.send('. 1:1(0) ack 4001 win 4000');
  expect(w.out()).toEqual(['. 4001:5001(1000) ack 1', 'P. 5001:6001(1000) ack 1']);
  expect(c.retransmitted).toBe(0);
});

test('what lies beyond our own window is cut off', () => {
  const w = new Wire();
  const options = new TcpOptions();
  options.receiveBuffer = 4096;
  const c = w.withWindows().accept(w.listen(5, options));
  w.send('. 1:1461(1460) ack 1 win 1000');
  w.send('. 1461:2921(1460) ack 1 win 1000');
  w.send('. 2921:4381(1460) ack 1 win 1000');
  expect(w.out().at(-1)).toBe('. 1:1(0) ack 4097 win 0');
  expect(c.receiving.ring.length).toBe(4096);
  w.send('. 4097:5000(903) ack 1 win 1000');
  expect([w.out(), c.receiving.ring.length]).toEqual([['. 1:1(0) ack 4097 win 0'], 4096]);
  // A little room is not worth telling.
  read(c, 100);
  expect(w.out()).toEqual([]);
  read(c, 3900);
  expect(w.out()).toEqual(['. 1:1(0) ack 4097 win 4000']);
});

test('Nagle: one small segment underway, unless TCP_NODELAY', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1000>');
  write(c, 10);
  write(c, 10);
  write(c, 10);
  expect(w.out()).toEqual(['P. 1:11(10) ack 1']);
  w.send('. 1:1(0) ack 11 win 1000');
  expect(w.out()).toEqual(['P. 11:31(20) ack 1']);
  c.options.noDelay = true;
  write(c, 10);
  expect(w.out()).toEqual(['P. 31:41(10) ack 1']);
});

test('TCP_CORK holds what does not fill a segment for a fifth of a second', () => {
  const w = new Wire();
  const options = new TcpOptions();
  options.cork = true;
  const c = w.accept(w.listen(5, options), '<mss 1000>');
  write(c, 1500);
  expect(w.out()).toEqual(['. 1:1001(1000) ack 1']);
  w.run(199);
  expect(w.out().filter((line) => line.includes('1001:'))).toEqual([]);
  w.run(1);
  expect(w.out()).toContain('P. 1001:1501(500) ack 1');
});

test('acknowledgements: the first at once, later every second segment or after 40 ms', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1000>');
  write(c, 1); // an exchange, not a stream: no more at once
  w.send('. 1:1(0) ack 2 win 1000');
  w.out();
  w.send('P. 1:101(100) ack 2 win 1000');
  expect(w.out()).toEqual([]);
  w.run(40);
  expect(w.out()).toEqual(['. 2:2(0) ack 101']);
  w.send('. 101:1101(1000) ack 2 win 1000');
  expect(w.out()).toEqual([]);
  w.send('. 1101:2101(1000) ack 2 win 1000');
  expect(w.out()).toEqual(['. 2:2(0) ack 2101']);
  c.options.quickAck = true;
  w.send('P. 2101:2111(10) ack 2 win 1000');
  expect(w.out()).toEqual(['. 2:2(0) ack 2111']);
});

test('a reader that keeps up gets a larger buffer; SO_RCVBUF ends that', () => {
  for (const fixed of [0, 65_536]) {
    const w = new Wire();
    const options = new TcpOptions();
    options.receiveBuffer = fixed;
    const c = w.accept(w.listen(5, options), '<mss 1460,wscale 7>');
    const before = c.receiveCapacity;
    for (let seq = 1; seq < 1_000_000; seq += 1460) {
      w.send(`. ${seq}:${seq + 1460}(1460) ack 1 win 1000`);
      read(c, 1460);
    }
    expect(c.receiveCapacity > before).toBe(fixed === 0);
  }
});

test('TCP_NOTSENT_LOWAT: writable only while little waits to be sent', () => {
  const w = new Wire();
  const options = new TcpOptions();
  options.unsentLimit = 4000;
  const c = w.accept(w.listen(5, options), '<mss 1000>', 10_000);
  write(c, 12_000);
  expect(c.writable).toBe(true);
  write(c, 3000);
  expect(c.writable).toBe(false);
  w.send('. 1:1(0) ack 10001 win 10000');
  expect(c.writable).toBe(true);
});
