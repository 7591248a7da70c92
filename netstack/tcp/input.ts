/** Segments that arrive for a connection (RFC 9293 §3.10.7, RFC 5961, RFC 7323). */
import { ECONNREFUSED, ECONNRESET, EPIPE } from '../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { takeAck } from './acknowledge.ts';
import * as C from './connection.ts';
import { refuseSegment, sendAck, sendReset, sendSyn, transmit } from './output.ts';
import { ACK, CWR, ECE, FIN, RST, type Segment, SYN, URG } from './segment.ts';
import { add, distance, later, less, lessEqual } from './sequence.ts';
import { findUrgentByte, takeUrgentPointer } from './urgent.ts';

type Connection = C.Connection;
/** Challenge acknowledgements a second (RFC 5961 §7). */
const CHALLENGE_LIMIT = 10;
/** A timestamp older than this says nothing any more (RFC 7323 §5.5). */
const TIMESTAMP_LIFE = 24 * 24 * 3600e9;

export function takeSegment(c: Connection, s: Segment): void {
  if (c.state === C.SYN_SENT) takeInSynSent(c, s);
  else if (c.state !== C.CLOSED) takeSynchronized(c, s);
}

function takeInSynSent(c: Connection, s: Segment): void {
  const hasAck = (s.flags & ACK) !== 0;
  c.segmentsIn++;
  if (hasAck && (lessEqual(s.ack, c.iss) || less(c.sndNxt, s.ack))) {
    refuseSegment(c.stack, s);
    return;
  }
  if ((s.flags & RST) !== 0) {
    if (hasAck) c.fail(ECONNREFUSED);
    return;
  }
  if ((s.flags & SYN) === 0) return;
  takeSynOptions(c, s);
  c.ecn = c.askedEcn && (s.flags & (ECE | CWR)) === (hasAck ? ECE : ECE | CWR);
  if (!hasAck) {
    // Both sides opened at once (RFC 9293 §3.5).
    c.state = C.SYN_RECEIVED;
    c.retries = 0;
    sendSyn(c);
    return;
  }
  establish(c, s);
  sendAck(c);
  transmit(c);
}

/** What the other side's SYN tells. */
export function takeSynOptions(c: Connection, s: Segment): void {
  c.irs = s.seq;
  c.rcvNxt = add(s.seq, 1);
  c.rcvEdge = add(c.rcvNxt, Math.min(c.receiveCapacity, 0xffff));
  c.peerMss = s.mss > 0 ? s.mss : c.remote.length === 4 ? 536 : 1220;
  const { settings } = c.stack;
  c.sack = s.sackPermitted && settings.selectiveAcks;
  c.timestamps = s.hasTimestamps && settings.timestamps;
  if (s.windowScale >= 0 && settings.windowScaling) {
    c.sendScale = s.windowScale;
    c.receiveScale = C.WINDOW_SCALE;
  } else c.sendScale = c.receiveScale = 0;
  if (c.timestamps) {
    c.recentTimestamp = s.timestamp;
    c.recentAt = c.now;
  }
  // The window of a SYN is never scaled.
  c.sndWnd = c.largestWindow = s.window;
  c.sndWl1 = s.seq;
  c.sndWl2 = s.ack;
  c.updateMss();
}
/** Our SYN was acknowledged. */
export function establish(c: Connection, s: Segment): void {
  c.sndUna = c.slowedUntil = c.smallEnd = s.ack;
  c.state = c.finQueued ? C.FIN_WAIT_1 : C.ESTABLISHED;
  if (c.timedAt > 0 && c.retries === 0) c.roundTrip.sample(c.now - c.timedAt);
  c.timedAt = 0;
  c.timers.progress();
  c.timers.heard();
  const { listener } = c;
  if (listener !== null) listener.established(c);
  c.notify(POLLOUT | POLLWRNORM);
}

function takeSynchronized(c: Connection, s: Segment): void {
  c.segmentsIn++;
  if (c.state === C.SYN_RECEIVED && s.seq === c.irs && (s.flags & (SYN | ACK | RST)) === (SYN | ACK)) {
    // The answer of one who opened at the same time: its SYN is known.
    s.flags &= ~SYN;
    s.seq = add(s.seq, 1);
  }
  const length = s.end - s.start + ((s.flags & FIN) !== 0 ? 1 : 0) + ((s.flags & SYN) !== 0 ? 1 : 0);
  if (isOld(c, s) && (s.flags & RST) === 0) {
    c.stack.counters.tcpExt.PAWSEstab++;
    c.timers.heard();
    noteRepeated(c, s);
    sendAck(c);
    return;
  }
  if (!acceptable(c, s.seq, length)) {
    takeUnacceptable(c, s);
    return;
  }
  if ((s.flags & RST) !== 0) {
    if (s.seq === c.rcvNxt) takeReset(c);
    else challenge(c);
    return;
  }
  if ((s.flags & SYN) !== 0) {
    challenge(c);
    return;
  }
  if ((s.flags & ACK) === 0) return;
  if (c.state === C.SYN_RECEIVED && !leaveSynReceived(c, s)) return;
  noteTimestamp(c, s);
  c.timers.heard();
  if (c.ecn) noteMarks(c, s);
  if (!takeAck(c, s)) return;
  if ((s.flags & URG) !== 0) takeUrgentPointer(c, s);
  takePayload(c, s);
  transmit(c);
}
/** RFC 3168 §6.1.3: a mark is told until the sender says that it has slowed down. */
function noteMarks(c: Connection, s: Segment): void {
  if ((s.flags & CWR) !== 0) c.markSeen = false;
  if ((s.packet.tos & 3) !== 3) return;
  c.deliveredMarked++;
  if (!c.markSeen) c.quickAcks = Math.max(c.quickAcks, 2);
  c.markSeen = true;
}
/** Payload that is there already is told in the next acknowledgement. */
function noteRepeated(c: Connection, s: Segment): void {
  const end = add(s.seq, s.end - s.start);
  if (c.sack && s.end > s.start && less(s.seq, c.rcvNxt)) c.receiving.noteDuplicate(s.seq, less(c.rcvNxt, end) ? c.rcvNxt : end);
}
/** Outside of the window: a keepalive probe, a duplicate, a probe of our window. */
function takeUnacceptable(c: Connection, s: Segment): void {
  if ((s.flags & RST) !== 0) return;
  if (c.state === C.SYN_RECEIVED) {
    if ((s.flags & SYN) !== 0 && s.seq === c.irs) sendSyn(c);
    else sendAck(c);
    return;
  }
  c.timers.heard();
  noteRepeated(c, s);
  if (c.state === C.TIME_WAIT) c.timers.startTimeWait();
  else if ((s.flags & ACK) !== 0) takeAck(c, s);
  if (c.state !== C.CLOSED) sendAck(c);
}

function leaveSynReceived(c: Connection, s: Segment): boolean {
  if (lessEqual(s.ack, c.sndUna) || less(c.sndNxt, s.ack)) {
    refuseSegment(c.stack, s);
    return false;
  }
  if (c.listener !== null && !c.listener.mayEstablish(c, s)) return false;
  c.sndWnd = s.window << c.sendScale;
  c.largestWindow = Math.max(c.largestWindow, c.sndWnd);
  c.sndWl1 = s.seq;
  c.sndWl2 = s.ack;
  establish(c, s);
  return c.state !== C.CLOSED;
}
function takeReset(c: Connection): void {
  if (c.state === C.SYN_RECEIVED) c.stack.counters.tcp.AttemptFails++;
  else if (c.state === C.ESTABLISHED || c.state === C.CLOSE_WAIT) c.stack.counters.tcp.EstabResets++;
  if (c.state === C.TIME_WAIT || c.state === C.LAST_ACK || c.state === C.CLOSING) c.fail(0);
  else c.fail(c.state === C.CLOSE_WAIT ? EPIPE : c.state === C.SYN_RECEIVED ? ECONNREFUSED : ECONNRESET);
}
/** RFC 5961: whoever guesses numbers gets an acknowledgement, which only the true peer can use. */
export function challenge(c: Connection): void {
  c.stack.counters.tcpExt.TCPChallengeACK++;
  const second = Math.floor(c.now / 1e9);
  if (second !== c.challengeSecond) {
    c.challengeSecond = second;
    c.challenges = 0;
  }
  if (c.challenges++ < CHALLENGE_LIMIT) sendAck(c);
}

/** PAWS (RFC 7323 §5). */
function isOld(c: Connection, s: Segment): boolean {
  if (!c.timestamps || !s.hasTimestamps) return false;
  return less(s.timestamp, c.recentTimestamp) && c.now - c.recentAt < TIMESTAMP_LIFE;
}
function noteTimestamp(c: Connection, s: Segment): void {
  if (!c.timestamps || !s.hasTimestamps || less(c.rcvNxt, s.seq) || less(s.timestamp, c.recentTimestamp)) return;
  c.recentTimestamp = s.timestamp;
  c.recentAt = c.now;
}
/** RFC 9293 §3.10.7.4, first: some part of it lies in the window. */
function acceptable(c: Connection, seq: number, length: number): boolean {
  const window = Math.max(0, distance(c.rcvEdge, c.rcvNxt));
  const offset = distance(seq, c.rcvNxt);
  if (length === 0) return window === 0 ? offset === 0 : offset >= 0 && offset <= window;
  return offset < window && offset + length > 0 ? true : offset === 0 && window === 0 && length === 0;
}

function takePayload(c: Connection, s: Segment): void {
  const { state } = c;
  const receives = state === C.ESTABLISHED || state === C.FIN_WAIT_1 || state === C.FIN_WAIT_2;
  let length = s.end - s.start;
  if (!receives) {
    if (state === C.TIME_WAIT && (s.flags & FIN) !== 0) {
      c.timers.startTimeWait();
      sendAck(c);
    }
    return;
  }
  if (length > 0 && c.orphan && less(c.rcvNxt, add(s.seq, length))) {
    // Nobody will read it (RFC 9293 §3.6.1).
    c.stack.counters.tcpExt.TCPAbortOnData++;
    sendReset(c);
    c.fail(0);
    return;
  }
  const finAt = (s.flags & FIN) !== 0 ? add(s.seq, length) : null;
  const before = c.rcvNxt;
  if (length > 0) {
    // What lies before the window and behind it is cut off.
    c.dataSegmentsIn++;
    const skip = Math.max(0, distance(c.rcvNxt, s.seq));
    if (skip > 0) noteRepeated(c, s);
    const over = Math.max(0, distance(add(s.seq, length), c.rcvEdge));
    length -= skip + over;
    if (length > 0) {
      const from = s.start + skip;
      if (s.seq !== c.rcvNxt && skip === 0) {
        c.outOfOrder++;
        c.stack.counters.tcpExt.TCPOFOQueue++;
      }
      c.rcvNxt = c.receiving.add(c.rcvNxt, add(s.seq, skip), s.packet.bytes.subarray(from, from + length));
    }
  }
  if (finAt !== null) c.earlyFin = finAt;
  const gained = distance(c.rcvNxt, before);
  c.bytesReceived += gained;
  c.rcvEdge = later(c.rcvEdge, c.rcvNxt);
  if (c.earlyFin !== null && c.earlyFin === c.rcvNxt) takeFin(c);
  else if (s.end > s.start) acknowledgeSoon(c, gained, gained !== length || c.receiving.hasGap);
  else if (finAt !== null) sendAck(c);
  if (gained === 0) return;
  if (c.urgent !== null) findUrgentByte(c);
  c.notify(POLLIN | POLLRDNORM);
}
/** Every second full segment at once, others a little later; out of order at once (RFC 5681 §4.2). */
function acknowledgeSoon(c: Connection, gained: number, outOfOrder: boolean): void {
  c.unackedBytes += gained;
  const full = Math.min(c.peerMss, c.mss);
  if (outOfOrder || gained === 0 || c.unackedBytes >= 2 * full || c.quickAcks > 0 || c.options.quickAck) sendAck(c);
  else c.timers.delayAck();
}
function takeFin(c: Connection): void {
  c.earlyFin = null;
  c.rcvNxt = add(c.rcvNxt, 1);
  c.rcvEdge = later(c.rcvEdge, c.rcvNxt);
  c.finReceived = true;
  if (c.state === C.ESTABLISHED) c.state = C.CLOSE_WAIT;
  else if (c.state === C.FIN_WAIT_1) c.state = C.CLOSING;
  else if (c.state === C.FIN_WAIT_2) enterTimeWait(c);
  sendAck(c);
  c.notify(POLLIN | POLLRDNORM | POLLRDHUP);
}
export function enterTimeWait(c: Connection): void {
  c.stack.counters.tcpExt.TW++;
  c.state = C.TIME_WAIT;
  c.sending.clear();
  c.sendBase = c.sndNxt;
  c.timers.startTimeWait();
  c.stack.tcp.enteredTimeWait(c);
  c.rest();
  c.notify(POLLOUT | POLLWRNORM);
}
