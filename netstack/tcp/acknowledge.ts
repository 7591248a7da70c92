/** What an acknowledgement tells the sender: progress, loss, congestion, a new window (RFC 5681, RFC 6582, RFC 6675, RFC 8985, RFC 3168). */
import { POLLOUT, POLLWRNORM } from '../../abi/poll.ts';
import * as C from './connection.ts';
import { challenge, enterTimeWait } from './input.ts';
import { sendAck } from './output.ts';
import { ECE, FIN, type Segment } from './segment.ts';
import { add, distance, later, less, lessEqual } from './sequence.ts';

type Connection = C.Connection;
const DUPLICATE_LIMIT = 3;

/** False: the segment goes no further. */
export function takeAck(c: Connection, s: Segment): boolean {
  if (less(c.sndNxt, s.ack)) {
    sendAck(c);
    return false;
  }
  // An acknowledgement from before anything that could still be underway is a guess (RFC 5961 §5).
  if (distance(c.sndUna, s.ack) > c.largestWindow) {
    challenge(c);
    return false;
  }
  const { now } = c;
  c.ackRtt = 0;
  const duplicate = c.sack && s.sack !== null && reportsDuplicate(c, s, s.sack);
  const news = takeSack(c, s, now);
  const acked = distance(s.ack, c.sndUna);
  const windowBefore = c.sndWnd;
  if (acked >= 0) takeWindow(c, s);
  if (c.rack.probeOut && c.rack.probeAnswered(c, s, duplicate)) c.congestion.lost(c.inFlight);
  if (acked > 0) advance(c, s, acked, now);
  else if (acked === 0) {
    const isDuplicate = c.inFlight > 0 && s.end === s.start && (s.flags & FIN) === 0 && c.sndWnd === windowBefore;
    if (news || (isDuplicate && !c.sack)) c.duplicateAcks++;
  }
  if (c.ecn && (s.flags & ECE) !== 0) slowDown(c);
  if (acked > 0 || news || c.duplicateAcks > 0) judgeLoss(c, now);
  return finAcknowledged(c);
}

function takeWindow(c: Connection, s: Segment): void {
  if (!less(c.sndWl1, s.seq) && !(c.sndWl1 === s.seq && lessEqual(c.sndWl2, s.ack))) return;
  const before = c.sndWnd;
  c.sndWnd = s.window * 2 ** c.sendScale;
  c.largestWindow = Math.max(c.largestWindow, c.sndWnd);
  c.sndWl1 = s.seq;
  c.sndWl2 = s.ack;
  if (before === 0 && c.sndWnd > 0) c.roundTrip.progress();
}
/** RFC 2883: the first block lies below the acknowledgement, or inside of the second. */
function reportsDuplicate(c: Connection, s: Segment, edges: readonly number[]): boolean {
  const [start, end, nextStart, nextEnd] = edges as [number, number, number | undefined, number | undefined];
  const inside = nextStart !== undefined && nextEnd !== undefined && lessEqual(nextStart, start) && lessEqual(end, nextEnd);
  if (!less(start, end) || !(inside || lessEqual(end, s.ack))) return false;
  c.duplicatesReported++;
  c.rack.duplicateReported(c);
  return true;
}
/** Blocks that lie between the acknowledged and the sent. */
function takeSack(c: Connection, s: Segment, now: number): boolean {
  if (!c.sack || s.sack === null) return false;
  let news = false;
  const base = later(c.sndUna, s.ack);
  for (let i = 0; i < s.sack.length; i += 2) {
    const start = s.sack[i] as number;
    const end = s.sack[i + 1] as number;
    if (less(start, base) || !less(start, end) || less(c.sndNxt, end)) continue;
    if (holdBlock(c, s, start, end, now)) news = true;
  }
  return news;
}
/** Did it tell anything new? */
function holdBlock(c: Connection, s: Segment, start: number, end: number, now: number): boolean {
  const { sent } = c;
  let news = false;
  for (let i = sent.find(start); i < sent.length; i++) {
    let piece = sent.at(i);
    if (!less(piece.start, end)) break;
    if (piece.sacked) continue;
    if (less(piece.start, start)) {
      sent.split(i++, start);
      piece = sent.at(i);
    }
    if (less(end, piece.end)) sent.split(i, end);
    sent.sack(piece);
    delivered(c, s, piece, now);
    news = true;
  }
  return news;
}
function delivered(c: Connection, s: Segment, piece: ReturnType<typeof c.sent.at>, now: number): void {
  if (!piece.retransmitted) c.ackRtt = Math.max(1, now - piece.at);
  c.rack.delivered(c, piece, s, now);
  c.delivered += distance(piece.end, piece.start);
}

function advance(c: Connection, s: Segment, acked: number, now: number): void {
  const wasLimited = c.windowLimited || c.inFlight * 2 > c.congestion.window;
  const data = Math.min(Math.max(0, distance(s.ack, c.sendBase)), c.sending.length);
  c.sending.drop(data);
  c.sendBase = add(c.sendBase, data);
  c.sndUna = s.ack;
  c.bytesAcked += data;
  if (less(c.smallEnd, c.sndUna)) c.smallEnd = c.sndUna;
  retire(c, s, now);
  measure(c, s, now);
  c.roundTrip.progress();
  if (c.recovery === 'open') {
    c.duplicateAcks = 0;
    if (wasLimited) c.congestion.acknowledged(acked, now, c.roundTrip.smoothed);
    c.windowLimited = false;
  } else recover(c, acked, now);
  c.timers.progress();
  if (c.sending.length === 0) c.sending.clear();
  c.growSending();
  if (data > 0 && c.writable) c.notify(POLLOUT | POLLWRNORM);
}
/** Takes what is acknowledged out of the log. */
function retire(c: Connection, s: Segment, now: number): void {
  const { sent, sndUna } = c;
  for (let piece = sent.first; piece !== null && less(piece.start, sndUna); piece = sent.first) {
    if (less(sndUna, piece.end)) sent.split(0, sndUna);
    if (!piece.sacked) delivered(c, s, piece, now);
    sent.shift();
  }
}
function measure(c: Connection, s: Segment, now: number): void {
  if (c.ackRtt > 0) c.roundTrip.sample(c.ackRtt);
  else if (c.timestamps && s.hasTimestamps && s.echo !== 0) {
    const ms = distance(c.clockAt(now), s.echo);
    if (ms >= 0 && ms < 120_000) c.roundTrip.sample(Math.max(ms, 1) * 1e6);
  }
}
/** During recovery: its end, or a part of what was lost has arrived. */
function recover(c: Connection, acked: number, now: number): void {
  if (lessEqual(c.recoverPoint, c.sndUna)) {
    if (c.recovery === 'fast') c.rack.recovered();
    c.recovery = 'open';
    c.duplicateAcks = 0;
    return;
  }
  if (c.recovery === 'loss') {
    if (c.congestion.slowStart) c.congestion.acknowledged(Math.min(acked, c.mss), now, c.roundTrip.smoothed);
    return;
  }
  if (c.sack) return;
  // NewReno: the next hole begins here; what has left the network makes room (RFC 6582 §3.2).
  c.duplicateAcks = Math.max(0, c.duplicateAcks - Math.floor(acked / c.mss));
  if (c.sent.length > 0) c.sent.lose(c.sent.limit(0, c.mss));
}
function judgeLoss(c: Connection, now: number): void {
  if (c.inFlight === 0) return;
  if (c.sack) {
    // In order so far, and nothing sent again: there is nothing to doubt.
    if (c.recovery === 'open' && c.sent.sackedBytes === 0) return;
    c.timers.doubt(c.rack.detect(c, now));
  } else if (c.recovery === 'open' && c.duplicateAcks >= DUPLICATE_LIMIT) c.sent.lose(c.sent.limit(0, c.mss));
  if (c.recovery === 'open' && c.sent.lostBytes > 0) enterRecovery(c);
}
export function enterRecovery(c: Connection): void {
  c.recovery = 'fast';
  c.recoverPoint = c.sndNxt;
  if (less(c.slowedUntil, c.sndUna) || c.slowedUntil === c.sndUna) c.congestion.lost(c.inFlight);
  c.slowedUntil = c.sndNxt;
  c.timers.fastRetransmit();
}
/** The other side saw a packet marked on a congested way: once a round trip that counts like a loss. */
function slowDown(c: Connection): void {
  if (c.recovery !== 'open' || less(c.sndUna, c.slowedUntil)) return;
  c.congestion.lost(c.inFlight);
  c.slowedUntil = c.sndNxt;
  c.tellSlowed = true;
}

/** The states after our FIN was acknowledged. */
function finAcknowledged(c: Connection): boolean {
  if (!c.finSent || less(c.sndUna, c.sndNxt)) return true;
  if (c.state === C.FIN_WAIT_1) {
    c.state = C.FIN_WAIT_2;
    if (c.orphan) {
      c.timers.startFinWait();
      c.notify(POLLOUT);
    }
  } else if (c.state === C.CLOSING) enterTimeWait(c);
  else if (c.state === C.LAST_ACK) {
    c.fail(0);
    return false;
  }
  return true;
}
