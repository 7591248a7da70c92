/** Segment by segment: how connections begin, and who must not disturb them. */
import { ECONNREFUSED, ECONNRESET, isErrno } from '../../abi/errno.ts';
import { Wire, write } from '../testing/wire.ts';
import { CLOSED, type Connection, ESTABLISHED, SYN_RECEIVED, TcpOptions } from './connection.ts';

test('a listener answers with what it has of the options that it was offered', () => {
  const w = new Wire();
  const listener = w.listen();
  w.send('S 0:0(0) win 32792 <mss 1000,sackOK,ts 100 0,wscale 7>');
  expect(w.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460,wscale 8,sackOK,ts 0 100>']);
  w.send('. 1:1(0) ack 1 win 257 <ts 110 0>');
  const c = listener.accept() as Connection;
  expect([c.state, c.mss, c.sndWnd]).toEqual([ESTABLISHED, 988, 257 * 128]);
  const plain = w.from(4001);
  plain.send('S 0:0(0) win 1000');
  expect(plain.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460>']);
  plain.send('. 1:1(0) ack 1 win 1000');
  expect([(listener.accept() as Connection).mss, listener.waiting]).toEqual([536, 0]);
});

test('a SYN is repeated with doubled waits; so is its answer', () => {
  const w = new Wire();
  const c = w.connect();
  expect(w.out()).toEqual(['S 0:0(0) <mss 1460,wscale 8,sackOK,ts 0 0>']);
  w.run(999);
  expect(w.out()).toEqual([]);
  w.run(1);
  expect(w.out()).toHaveLength(1);
  w.run(1999);
  expect(w.out()).toEqual([]);
  w.run(1);
  expect(w.out()).toHaveLength(1);
  w.send('S. 0:0(0) ack 1 win 1000 <mss 1460>');
  expect([w.out(), c.state]).toEqual([['. 1:1(0) ack 1'], ESTABLISHED]);
  const server = new Wire();
  server.listen();
  server.send('S 0:0(0) win 1000 <mss 1460>');
  server.run(1000);
  expect(server.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460>', 'S. 0:0(0) ack 1 <mss 1460>']);
});

test('a SYN that comes again is answered again; a new one with an old number is not a new connection', () => {
  const w = new Wire();
  const listener = w.listen();
  w.send('S 0:0(0) win 1000 <mss 1460>');
  w.out();
  w.send('S 0:0(0) win 1000 <mss 1460>');
  expect(w.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460>']);
  w.send('. 1:1(0) ack 1 win 1000');
  expect(listener.waiting).toBe(1);
  w.send('S 5000:5000(0) win 1000 <mss 1460>');
  expect(w.out()).toEqual(['. 1:1(0) ack 1']); // a challenge (RFC 5961 §4)
});

test('answers to what belongs to nothing: reset, never to a reset', () => {
  const w = new Wire();
  w.send('S 0:0(0) win 1000');
  expect(w.out()).toEqual(['R. 0:0(0) ack 1']);
  w.send('. 5:15(10) ack 7 win 1000');
  expect(w.out()).toEqual(['R 7:7(0)']);
  w.send('R 5:5(0)');
  w.send('R. 5:5(0) ack 7');
  expect(w.out()).toEqual([]);
});

test('while a connection is being made: wrong acknowledgements are reset, only a right reset refuses', () => {
  const w = new Wire();
  const c = w.connect();
  w.out();
  w.send('S. 0:0(0) ack 99 win 1000');
  expect(w.out()).toEqual(['R 99:99(0)']);
  w.send('R 0:0(0)');
  w.send('R. 0:0(0) ack 99');
  expect(c.state).not.toBe(CLOSED);
  w.send('R. 0:0(0) ack 1');
  expect([c.state, c.error]).toEqual([CLOSED, ECONNREFUSED]);
});

test('both ask at once', () => {
  const w = new Wire();
  const c = w.connect();
  w.out();
  w.send('S 0:0(0) win 1000 <mss 1000>');
  expect([w.out(), c.state]).toEqual([['S. 0:0(0) ack 1 <mss 1460>'], SYN_RECEIVED]);
  w.send('S. 0:0(0) ack 1 win 1000 <mss 1000>');
  expect(c.state).toBe(ESTABLISHED);
});

test('more SYNs than the backlog: cookies, and only they need no memory', () => {
  const w = new Wire();
  const listener = w.listen(2);
  for (const port of [5000, 5001]) w.from(port).send('S 0:0(0) win 1000 <mss 1400,sackOK,ts 7 0,wscale 6>');
  expect(w.out()).toHaveLength(2);
  const before = [...w.stack.tcp.all()].length;
  w.from(5002).send('S 0:0(0) win 1000 <mss 1400,sackOK,ts 7 0,wscale 6>');
  const [answer] = w.out();
  expect(answer).toMatch(/^S\. 0:0\(0\) ack 1 <mss 1460,wscale 8,sackOK,ts 0 7>$/);
  expect([...w.stack.tcp.all()]).toHaveLength(before);
  w.send('. 1:1(0) ack 2 win 1000 <ts 8 0>'); // not what was told
  expect(w.out()).toEqual(['R 2:2(0)']);
  w.run(30_000);
  w.packets();
  w.send('P. 1:11(10) ack 1 win 500 <ts 8 0>');
  const c = listener.accept() as Connection;
  expect([c.state, c.mss, c.sack, c.sndWnd, c.receiving.ring.length]).toEqual([ESTABLISHED, 1288, true, 500 * 64, 10]);
  expect(w.stack.counters.tcpExt).toMatchObject({ SyncookiesSent: 1, SyncookiesRecv: 1, SyncookiesFailed: 1 });
  expect(write(c, 100)).toBe(100);
});

test('a cookie is good for a minute or two', () => {
  const w = new Wire({ 'net/ipv4/tcp_syncookies': '2' });
  const listener = w.listen();
  w.send('S 0:0(0) win 1000 <mss 1460>');
  expect(w.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460>']);
  w.run(180_000);
  w.send('. 1:1(0) ack 1 win 1000');
  expect([w.out(), listener.waiting]).toEqual([['R 1:1(0)'], 0]);
});

test('a full queue of those that wait: no answer, and none is lost', () => {
  const w = new Wire();
  const listener = w.listen(0);
  w.send('S 0:0(0) win 1000 <mss 1460>');
  w.out();
  w.send('. 1:1(0) ack 1 win 1000');
  expect(listener.waiting).toBe(1);
  w.from(4001).send('S 0:0(0) win 1000 <mss 1460>');
  expect([w.out(), w.stack.counters.tcpExt.ListenOverflows]).toEqual([[], 1]);
  listener.accept();
  w.send('S 0:0(0) win 1000 <mss 1460>');
  expect(w.out()).toHaveLength(1);
});

test('TCP_DEFER_ACCEPT: handed out with the first data, or when patience ends', () => {
  const options = new TcpOptions();
  options.deferAccept = 2;
  const w = new Wire();
  const listener = w.listen(5, options);
  w.send('S 0:0(0) win 1000 <mss 1460>');
  w.out();
  w.send('. 1:1(0) ack 1 win 1000');
  expect(listener.waiting).toBe(0);
  w.send('P. 1:6(5) ack 1 win 1000');
  expect((listener.accept() as Connection).receiving.ring.length).toBe(5);
  w.from(4001).send('S 0:0(0) win 1000 <mss 1460>');
  w.out();
  w.send('. 1:1(0) ack 1 win 1000');
  w.run(3000);
  expect(w.out()).toEqual(['S. 0:0(0) ack 1 <mss 1460>']);
  w.send('. 1:1(0) ack 1 win 1000');
  expect(isErrno(listener.accept() as Connection)).toBe(false);
});

test('resets: only the exact number counts, others in the window are challenged, ten times a second', () => {
  const w = new Wire();
  const c = w.accept(w.listen());
  w.send('R 0:0(0)');
  expect([w.out(), c.state]).toEqual([[], ESTABLISHED]);
  w.send('R 500:500(0)');
  expect([w.out(), c.state]).toEqual([['. 1:1(0) ack 1'], ESTABLISHED]);
  for (let i = 0; i < 50; i++) w.send('R 500:500(0)');
  expect(w.out()).toHaveLength(9);
  w.send('R 1:1(0)');
  expect([c.state, c.error]).toEqual([CLOSED, ECONNRESET]);
});

test('acknowledgements of what was never sent, or long ago, are guesses', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1460>', 1000);
  w.send('P. 1:11(10) ack 5 win 1000');
  expect([w.out(), c.receiving.ring.length]).toEqual([['. 1:1(0) ack 1'], 0]);
  w.send('P. 1:11(10) ack -5000 win 1000');
  expect([w.out(), c.receiving.ring.length]).toEqual([['. 1:1(0) ack 1'], 0]);
  w.send('P. 1:11(10) ack 1 win 1000');
  expect(c.receiving.ring.length).toBe(10);
});

test('PAWS: a segment with an old timestamp is acknowledged and dropped', () => {
  const w = new Wire();
  const c = w.accept(w.listen(), '<mss 1460,sackOK,ts 1000 0>');
  w.send('P. 1:11(10) ack 1 win 1000 <ts 2000 0>');
  expect(w.out()).toEqual(['. 1:1(0) ack 11 <ts 0 2000>']);
  w.send('P. 11:21(10) ack 1 win 1000 <ts 1500 0>');
  expect([w.out(), c.receiving.ring.length]).toEqual([['. 1:1(0) ack 11 <ts 0 2000>'], 10]);
  w.send('P. 11:21(10) ack 1 win 1000 <ts 2000 0>');
  expect(c.receiving.ring.length).toBe(20);
});
