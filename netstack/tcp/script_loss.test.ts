/** Segment by segment: what is sent again, and when. */
import { ETIMEDOUT } from '../../abi/errno.ts';
import { Wire, write } from '../testing/wire.ts';
import { CLOSED, type Connection, TcpOptions } from './connection.ts';

const MODERN = '<mss 1000,sackOK>';
/** A connection with a round trip of 100 ms on the clock. */
function warm(options = MODERN, tcp = new TcpOptions()): { w: Wire; c: Connection } {
  const w = new Wire();
  const c = w.accept(w.listen(5, tcp), options, 65_535, 100);
  write(c, 1000);
  w.run(100);
  w.send('. 1:1(0) ack 1001 win 65535');
  expect(w.out()).toEqual(['P. 1:1001(1000) ack 1']);
  return { w, c };
}

test('a timeout: the first segment again, the window back to one, waits doubled', () => {
  const { w, c } = warm('<mss 1000>');
  write(c, 3000);
  expect(w.out()).toHaveLength(3);
  w.run(250);
  expect([w.out(), c.congestion.window]).toEqual([['. 1001:2001(1000) ack 1'], 1000]);
  w.run(499);
  expect(w.out()).toEqual([]);
  w.run(1);
  expect(w.out()).toEqual(['. 1001:2001(1000) ack 1']);
  w.send('. 1:1(0) ack 2001 win 65535');
  expect(w.out()).toEqual(['. 2001:3001(1000) ack 1', 'P. 3001:4001(1000) ack 1']);
  w.send('. 1:1(0) ack 4001 win 65535');
  expect([c.inFlight, c.recovery]).toEqual([0, 'open']);
});

test('nobody answers: it ends with ETIMEDOUT after tcp_retries2', () => {
  const { w, c } = warm();
  w.settings.set('net/ipv4/tcp_retries2', '8');
  write(c, 10);
  w.run(3_600_000);
  expect([c.state, c.error, w.out().length]).toEqual([CLOSED, ETIMEDOUT, 10]);
});

test('TCP_USER_TIMEOUT ends it by time', () => {
  const options = new TcpOptions();
  options.userTimeout = 3e9;
  const { w, c } = warm(MODERN, options);
  write(c, 10);
  w.run(2900);
  expect(c.state).not.toBe(CLOSED);
  w.run(3000);
  expect([c.state, c.error]).toEqual([CLOSED, ETIMEDOUT]);
});

test('three duplicate acknowledgements without SACK: fast retransmission, partial ones repair one hole each', () => {
  const { w, c } = warm('<mss 1000>');
  write(c, 8000);
  expect(w.out()).toHaveLength(8);
  for (let i = 0; i < 2; i++) w.send('. 1:1(0) ack 1001 win 65535');
  expect(w.out()).toEqual([]);
  w.send('. 1:1(0) ack 1001 win 65535');
  expect(w.out()).toEqual(['. 1001:2001(1000) ack 1']);
  w.send('. 1:1(0) ack 4001 win 65535');
  expect(w.out()).toEqual(['. 4001:5001(1000) ack 1']);
  w.send('. 1:1(0) ack 9001 win 65535');
  expect([w.out(), c.recovery]).toEqual([[], 'open']);
  expect(c.congestion.window).toBeLessThan(11_000);
});

test('SACK: exactly the holes are sent again, and the window shrinks once', () => {
  const { w, c } = warm();
  write(c, 9000);
  expect(w.out()).toHaveLength(9);
  const before = c.congestion.window;
  w.run(100);
  // 1, 3 and 5 are missing.
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:3001>');
  w.send('. 1:1(0) ack 1001 win 65535 <sack 4001:5001,sack 2001:3001>');
  expect(w.out()).toEqual([]);
  w.send('. 1:1(0) ack 1001 win 65535 <sack 6001:10001,sack 4001:5001,sack 2001:3001>');
  expect(w.out()).toEqual(['. 1001:2001(1000) ack 1', '. 3001:4001(1000) ack 1', '. 5001:6001(1000) ack 1']);
  expect(c.congestion.window).toBeCloseTo(before * 0.7);
  w.run(100);
  w.send('. 1:1(0) ack 10001 win 65535');
  expect([w.out(), c.recovery, c.retransmitted]).toEqual([[], 'open', 3]);
});

test('RACK: a retransmission that is lost, too, is found without a timeout', () => {
  const { w, c } = warm();
  write(c, 8000);
  w.out();
  w.run(100);
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:6001>');
  expect(w.out()).toEqual(['. 1001:2001(1000) ack 1']);
  write(c, 3000);
  expect(w.out()).toEqual(['. 9001:10001(1000) ack 1', '. 10001:11001(1000) ack 1', 'P. 11001:12001(1000) ack 1']);
  w.run(100);
  // What left after the second try has arrived, the second try has not.
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:10001>');
  expect(w.out()).toEqual(['. 1001:2001(1000) ack 1']);
  expect(c.retransmitted).toBe(2);
});

test('RACK: one that is only late is not sent again', () => {
  const { w, c } = warm();
  write(c, 2000);
  w.out();
  w.run(100);
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:3001>');
  w.run(20); // a quarter of the round trip is what may be late
  w.send('. 1:1(0) ack 3001 win 65535');
  expect([w.out(), c.retransmitted]).toEqual([[], 0]);
  expect(c.rack.reorderingSeen).toBe(true);
  write(c, 2000);
  w.out();
  w.run(100);
  w.send('. 1:1(0) ack 3001 win 65535 <sack 4001:5001>');
  w.run(24);
  expect(w.out()).toEqual([]);
  w.run(2);
  expect(w.out()).toEqual(['. 3001:4001(1000) ack 1']);
});

test('TLP: the end of a flight is probed after two round trips, once', () => {
  const { w, c } = warm();
  write(c, 3000);
  w.out();
  w.run(201);
  expect(w.out()).toEqual([]);
  w.run(1);
  expect(w.out()).toEqual(['P. 3001:4001(1000) ack 1']);
  w.run(101);
  expect(w.out()).toEqual([]);
  const before = c.congestion.window;
  // The probe shows what is missing.
  w.send('. 1:1(0) ack 2001 win 65535 <sack 3001:4001>');
  expect(w.out()).toEqual(['. 2001:3001(1000) ack 1']);
  expect(c.congestion.window).toBeLessThan(before);
});

test('TLP: something new is better than a repetition', () => {
  const { w, c } = warm();
  c.congestion.window = 2000;
  write(c, 4000);
  expect(w.out()).toHaveLength(2);
  w.run(210);
  expect(w.out()).toEqual(['. 3001:4001(1000) ack 1']);
});

test('TLP: the last segment was lost and the probe has repaired it: the window answers', () => {
  const { w, c } = warm();
  write(c, 2000);
  w.out();
  const before = c.congestion.window;
  w.run(205);
  expect(w.out()).toEqual(['P. 2001:3001(1000) ack 1']);
  w.send('. 1:1(0) ack 3001 win 65535');
  write(c, 1000);
  w.send('. 1:1(0) ack 4001 win 65535');
  expect(c.congestion.window).toBeLessThan(before);
});

test('TLP: a report that the probe came twice means that nothing was lost', () => {
  const { w, c } = warm();
  write(c, 2000);
  w.out();
  const before = c.congestion.window;
  w.run(205);
  w.out();
  w.send('. 1:1(0) ack 3001 win 65535 <sack 2001:3001>');
  expect([c.congestion.window >= before, c.duplicatesReported, c.rack.probeOut]).toEqual([true, 1, false]);
});

test('what came twice is reported (RFC 2883), what lies beyond a gap, too', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), MODERN);
  w.send('P. 1:11(10) ack 1 win 1000');
  w.out();
  w.send('P. 1:11(10) ack 1 win 1000');
  expect(w.out()).toEqual(['. 1:1(0) ack 11 <sack 1:11>']);
  w.send('P. 31:41(10) ack 1 win 1000');
  w.send('P. 51:61(10) ack 1 win 1000');
  expect(w.out()).toEqual(['. 1:1(0) ack 11 <sack 31:41>', '. 1:1(0) ack 11 <sack 51:61,sack 31:41>']);
  w.send('P. 11:31(20) ack 1 win 1000');
  expect(w.out()).toEqual(['. 1:1(0) ack 41 <sack 51:61>']);
  w.send('P. 41:51(10) ack 1 win 1000');
  expect([w.out(), c.receiving.ring.length]).toEqual([['. 1:1(0) ack 61'], 60]);
});

test('a peer that takes back what it said it holds gets everything again', () => {
  const { w, c } = warm();
  write(c, 4000);
  w.out();
  w.run(100);
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:5001>');
  w.out();
  w.run(4000);
  w.out();
  w.send('. 1:1(0) ack 2001 win 65535');
  expect(w.out()[0]).toMatch(/^\. 2001:3001/);
  w.send('. 1:1(0) ack 5001 win 65535');
  expect([c.inFlight, c.sent.length, c.sent.sackedBytes, c.sent.lostBytes]).toEqual([0, 0, 0, 0]);
});

test('Reno halves, CUBIC keeps seven tenths', () => {
  const reno = new TcpOptions();
  reno.congestion = 'reno';
  const { w, c } = warm(MODERN, reno);
  write(c, 8000);
  w.run(100);
  w.send('. 1:1(0) ack 1001 win 65535 <sack 2001:9001>');
  expect(c.congestion.threshold).toBe(4000);
});
