/** Segment by segment: how connections end. */
import { ECONNRESET, EPIPE } from '../../abi/errno.ts';
import { read, Wire, write } from '../testing/wire.ts';
import * as C from './connection.ts';

const open = (w: Wire): C.Connection => w.accept(w.listen(), '<mss 1000>');

test('we close first: FIN_WAIT_1, FIN_WAIT_2, TIME_WAIT for a minute, in which a FIN is acknowledged again', () => {
  const w = new Wire();
  const c = open(w);
  c.shutdownWrite();
  expect([w.out(), c.state]).toEqual([['F. 1:1(0) ack 1'], C.FIN_WAIT_1]);
  w.send('. 1:1(0) ack 2 win 1000');
  expect(c.state).toBe(C.FIN_WAIT_2);
  w.send('P. 1:11(10) ack 2 win 1000');
  expect(read(c, 10)).toHaveLength(10);
  w.out();
  w.send('F. 11:11(0) ack 2 win 1000');
  expect([w.out(), c.state]).toEqual([['. 2:2(0) ack 12'], C.TIME_WAIT]);
  w.run(59_000);
  w.send('F. 11:11(0) ack 2 win 1000');
  expect(w.out()).toEqual(['. 2:2(0) ack 12']);
  w.run(59_000);
  expect(c.state).toBe(C.TIME_WAIT);
  w.run(2000);
  expect(c.state).toBe(C.CLOSED);
});

test('they close first: CLOSE_WAIT, LAST_ACK, gone', () => {
  const w = new Wire();
  const c = open(w);
  w.send('FP. 1:11(10) ack 1 win 1000');
  expect([w.out(), c.state]).toEqual([['. 1:1(0) ack 12'], C.CLOSE_WAIT]);
  expect([read(c, 20), read(c, 20)]).toEqual([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], []]);
  write(c, 5);
  c.shutdownWrite();
  expect([w.out(), c.state]).toEqual([['P. 1:6(5) ack 12', 'F. 6:6(0) ack 12'], C.LAST_ACK]);
  w.send('. 12:12(0) ack 7 win 1000');
  expect(c.state).toBe(C.CLOSED);
});

test('both close at once: CLOSING, then TIME_WAIT', () => {
  const w = new Wire();
  const c = open(w);
  c.shutdownWrite();
  w.out();
  w.send('F. 1:1(0) ack 1 win 1000');
  expect([w.out(), c.state]).toEqual([['. 2:2(0) ack 2'], C.CLOSING]);
  w.send('. 2:2(0) ack 2 win 1000');
  expect(c.state).toBe(C.TIME_WAIT);
});

test('a FIN that came early waits for what is missing', () => {
  const w = new Wire();
  const c = open(w);
  w.send('F. 11:21(10) ack 1 win 1000');
  expect(c.state).toBe(C.ESTABLISHED);
  w.send('. 1:11(10) ack 1 win 1000');
  expect([c.state, c.receiving.ring.length]).toEqual([C.CLOSE_WAIT, 20]);
});

test('a lost FIN is sent again with what was before it', () => {
  const w = new Wire();
  const c = open(w);
  write(c, 1500);
  c.shutdownWrite();
  expect(w.out()).toEqual(['. 1:1001(1000) ack 1', 'P. 1001:1501(500) ack 1', 'F. 1501:1501(0) ack 1']);
  w.run(300);
  expect(w.out()).toEqual(['. 1:1001(1000) ack 1']);
  w.send('. 1:1(0) ack 1001 win 1000');
  expect(w.out()).toEqual(['P. 1001:1501(500) ack 1', 'F. 1501:1501(0) ack 1']);
});

test('closed with bytes unread, or with a linger of zero: a reset', () => {
  const w = new Wire();
  const c = open(w);
  w.send('P. 1:11(10) ack 1 win 1000');
  w.out();
  c.close(false);
  expect([w.out(), c.state]).toEqual([['R. 1:1(0) ack 11'], C.CLOSED]);
  const other = new Wire();
  const d = open(other);
  d.close(true);
  expect([other.out(), d.state]).toEqual([['R. 1:1(0) ack 1'], C.CLOSED]);
});

test('data for a connection that nobody holds any more: a reset', () => {
  const w = new Wire();
  const c = open(w);
  c.close(false);
  w.out();
  w.send('. 1:1(0) ack 2 win 1000');
  w.send('P. 1:11(10) ack 2 win 1000');
  expect([w.out(), c.state]).toEqual([['R. 2:2(0) ack 1'], C.CLOSED]);
});

test('FIN_WAIT_2 without an owner ends after a minute', () => {
  const w = new Wire();
  const c = open(w);
  c.close(false);
  w.send('. 1:1(0) ack 2 win 1000');
  w.run(59_000);
  expect(c.state).toBe(C.FIN_WAIT_2);
  w.run(2000);
  expect(c.state).toBe(C.CLOSED);
});

test('a reset ends reads with an error, and writes with another where the peer had closed', () => {
  const w = new Wire();
  const c = open(w);
  w.send('R. 1:1(0) ack 1');
  expect([read(c, 1), read(c, 1)]).toEqual([ECONNRESET, []]);
  expect(write(c, 1)).toBe(EPIPE);
  const other = new Wire();
  const d = open(other);
  other.send('F. 1:1(0) ack 1 win 1000');
  other.send('R. 2:2(0) ack 1');
  expect(d.error).toBe(EPIPE);
});

test('a new connection takes the place of one in TIME_WAIT when its numbers are newer', () => {
  const w = new Wire();
  const listener = w.listen();
  const c = w.accept(listener, '<mss 1000>');
  c.close(false);
  w.send('F. 1:1(0) ack 2 win 1000');
  expect(c.state).toBe(C.TIME_WAIT);
  w.out();
  w.send('S -500:-500(0) win 1000 <mss 1000>');
  expect(w.out()).toEqual(['. 2:2(0) ack 2']);
  w.from(4000).send('S 5000:5000(0) win 1000 <mss 1000>');
  expect([w.out(), c.state]).toEqual([['S. 0:0(0) ack 5001 <mss 1460>'], C.CLOSED]);
});

test('in TIME_WAIT without an owner little is kept, and the other side is still answered', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1460,sackOK>');
  const before = c.congestion;
  c.close(false);
  w.send('. 1:1(0) ack 2');
  w.send('F. 1:1(0) ack 2');
  expect(c.state).toBe(C.TIME_WAIT);
  expect(c.congestion).not.toBe(before);
  w.out();
  w.send('F. 1:1(0) ack 2');
  expect(w.out()).toEqual(['. 2:2(0) ack 2']);
  // What came twice is nobody else's business.
  w.send('P. 1:1(0) ack 2');
  const other = w.from(4001).accept(w.listenAgain(), '<mss 1460,sackOK>');
  expect([other.receiving.hasDuplicate, other.sent.length]).toEqual([false, 0]);
  w.run(61_000);
  expect([...w.stack.tcp.all()]).toEqual([other]);
});
