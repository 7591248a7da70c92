/** Segment by segment: the size of segments, congestion marks, urgent data. */
import { EAGAIN, EINVAL } from '../../abi/errno.ts';
import { POLLPRI } from '../../abi/poll.ts';
import { read, Wire, write } from '../testing/wire.ts';
import { type Connection, TcpOptions } from './connection.ts';
import { atMark, readUrgent } from './urgent.ts';

test('segments are as long as the peer, the path and TCP_MAXSEG allow', () => {
  const w = new Wire({}, 1400);
  expect(w.accept(w.listen(), '<mss 9000>').mss).toBe(1360);
  const options = new TcpOptions();
  options.maxSegment = 700;
  const small = new Wire();
  const listener = small.listen(5, options);
  small.send('S 0:0(0) win 1000 <mss 1460>');
  expect(small.out()).toEqual(['S. 0:0(0) ack 1 <mss 700>']);
  small.send('. 1:1(0) ack 1 win 1000');
  expect((listener.accept() as Connection).mss).toBe(700);
});

test('path MTU discovery: a router says what fits, and what was too long goes again at once in that size', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1460>');
  write(c, 2920);
  const [first] = w.packets() as [Uint8Array];
  w.icmp(3, 4, 1200, first);
  expect(c.mss).toBe(1160);
  expect(w.out()).toEqual(['. 1:1161(1160) ack 1', '. 1161:1461(300) ack 1', '. 1461:2621(1160) ack 1', 'P. 2621:2921(300) ack 1']);
  // One about a number that is not underway is not believed, nor one that is absurdly small.
  const stale = first.slice();
  stale.fill(0, 24, 28);
  w.icmp(3, 4, 600, stale);
  w.icmp(3, 4, 68, first);
  expect(c.mss).toBe(552 - 40);
  // It is tried again after ten minutes.
  w.run(700_000);
  expect(w.stack.mtuTo(c.route, c.remote)).toBe(1500);
});

test('a port that is unreachable, says a router, ends an attempt and no connection', () => {
  const w = new Wire();
  const c = w.connect();
  const [syn] = w.packets() as [Uint8Array];
  w.icmp(3, 1, 0, syn);
  expect(c.error).toBe(0);
  w.icmp(3, 3, 0, syn);
  expect(c.error).not.toBe(0);
  const open = new Wire();
  const established = open.accept(open.listen());
  write(established, 10);
  const [data] = open.packets() as [Uint8Array];
  open.icmp(3, 3, 0, data);
  expect(established.error).toBe(0);
});

test('ECN, asked for: only new data is markable; a mark is told until the sender has answered', () => {
  const w = new Wire();
  const listener = w.listen();
  w.send('SEW 0:0(0) win 10000 <mss 1000,sackOK>');
  expect(w.out()).toEqual(['S.E 0:0(0) ack 1 <mss 1460,sackOK>']);
  w.send('. 1:1(0) ack 1 win 10000');
  const c = listener.accept() as Connection;
  write(c, 3000);
  expect(w.out()).toEqual(['. 1:1001(1000) ack 1 ECT', '. 1001:2001(1000) ack 1 ECT', 'P. 2001:3001(1000) ack 1 ECT']);
  const before = c.congestion.window;
  w.send('.E 1:1(0) ack 1001 win 10000');
  w.send('.E 1:1(0) ack 2001 win 10000');
  expect(c.congestion.window).toBeCloseTo(before * 0.7, -3);
  write(c, 1000);
  write(c, 1000);
  expect(w.out()).toEqual(['P.W 3001:4001(1000) ack 1 ECT', 'P. 4001:5001(1000) ack 1 ECT']);
  w.send('P. 1:11(10) ack 5001 win 10000 CE');
  expect(w.out()).toEqual(['.E 5001:5001(0) ack 11']);
  w.send('P. 11:21(10) ack 5001 win 10000');
  w.run(40);
  expect(w.out()).toEqual(['.E 5001:5001(0) ack 21']);
  w.send('P.W 21:31(10) ack 5001 win 10000');
  w.run(40);
  expect(w.out()).toEqual(['. 5001:5001(0) ack 31']);
});

test('ECN: ours is asked for with tcp_ecn=1 only, and given up on the second try', () => {
  const w = new Wire({ 'net/ipv4/tcp_ecn': '1' });
  const c = w.connect();
  expect(w.out()[0]).toMatch(/^SEW /);
  w.run(1000);
  expect(w.out()[0]).toMatch(/^S /);
  w.send('S. 0:0(0) ack 1 win 1000 <mss 1000>');
  expect(c.ecn).toBe(false);
  const never = new Wire({ 'net/ipv4/tcp_ecn': '0' });
  never.listen();
  never.send('SEW 0:0(0) win 10000 <mss 1000>');
  expect(never.out()[0]).toMatch(/^S\. /);
});

test('an urgent byte is announced, taken out of the stream, and ends the read before it', () => {
  const w = new Wire();
  const c = w.accept(w.listen());
  let announced = 0;
  c.onUrgent = () => announced++;
  w.send('.U 1:6(5) ack 1 win 1000 urg 10'); // the byte 10, which is not here yet
  expect([announced, c.poll() & POLLPRI, readUrgent(c, false)]).toEqual([1, 0, EAGAIN]);
  w.send('P.U 6:16(10) ack 1 win 1000 urg 5');
  expect([announced, c.poll() & POLLPRI]).toEqual([1, POLLPRI]);
  expect(read(c, 100)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect([atMark(c), readUrgent(c, true), readUrgent(c, false), readUrgent(c, false)]).toEqual([true, 10, 10, EINVAL]);
  expect(read(c, 100)).toEqual([11, 12, 13, 14, 15]);
  expect(atMark(c)).toBe(false);
});

test('inline, the urgent byte stays where it is', () => {
  const w = new Wire();
  const options = new TcpOptions();
  options.urgentInline = true;
  const c = w.accept(w.listen(5, options));
  w.send('P.U 1:11(10) ack 1 win 1000 urg 5');
  expect([read(c, 100), atMark(c), readUrgent(c, false)]).toEqual([[1, 2, 3, 4], true, EINVAL]);
  expect(read(c, 100)).toEqual([5, 6, 7, 8, 9, 10]);
});

test('an urgent byte of ours: the pointer tells the byte behind it until it is acknowledged', () => {
  const w = new Wire();
  const c = w.accept(w.listen());
  c.options.noDelay = true;
  c.write({ take: (_into, start, end) => end - start }, 3, true);
  expect(w.out()).toEqual(['P.U 1:4(3) ack 1 urg 3']);
  write(c, 3);
  expect(w.out()).toEqual(['P. 4:7(3) ack 1']);
  w.run(1300);
  expect(w.out()[0]).toBe('.U 1:4(3) ack 1 urg 3');
});
