/** What an acknowledgement tells the sender: progress, loss, a new window (RFC 5681, RFC 6582, RFC 6675). */
import { POLLOUT, POLLWRNORM } from '../../abi/poll.ts';
import * as C from './connection.ts';
import { enterTimeWait } from './input.ts';
import { sendAck } from './output.ts';
import { FIN, type Segment } from './segment.ts';
import { add, distance, later, less, lessEqual } from './sequence.ts';

type Connection = C.Connection;
const DUPLICATE_LIMIT = 3;

/** False: the segment goes no further. */
export function takeAck(c: Connection, s: Segment): boolean {
  if (less(c.sndNxt, s.ack)) {
    sendAck(c);
    return false;
  }
  const news = takeSack(c, s);
  const acked = distance(s.ack, c.sndUna);
  const windowBefore = c.sndWnd;
  if (acked >= 0) takeWindow(c, s);
  if (acked > 0) advance(c, s, acked);
  else if (acked === 0) {
    const isDuplicate = c.inFlight > 0 && s.end === s.start && (s.flags & FIN) === 0 && c.sndWnd === windowBefore;
    if (news || (isDuplicate && !c.sack)) c.duplicateAcks++;
  }
  judgeLoss(c);
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
/** Blocks that lie between the acknowledged and the sent. */
function takeSack(c: Connection, s: Segment): boolean {
  if (!c.sack || s.sack === null) return false;
  let news = false;
  for (let i = 0; i < s.sack.length; i += 2) {
    const start = s.sack[i] as number;
    const end = s.sack[i + 1] as number;
    const base = later(c.sndUna, s.ack);
    if (less(start, base) || !less(start, end) || less(c.sndNxt, end)) continue;
    if (c.scoreboard.add(start, end)) news = true;
  }
  return news;
}

function advance(c: Connection, s: Segment, acked: number): void {
  const wasLimited = c.windowLimited || c.inFlight * 2 > c.congestion.window;
  const data = Math.min(Math.max(0, distance(s.ack, c.sendBase)), c.sending.length);
  c.sending.drop(data);
  c.sendBase = add(c.sendBase, data);
  c.sndUna = s.ack;
  c.bytesAcked += data;
  c.highRetransmit = later(c.highRetransmit, c.sndUna);
  if (less(c.smallEnd, c.sndUna)) c.smallEnd = c.sndUna;
  c.scoreboard.advance(s.ack);
  measure(c, s);
  c.roundTrip.progress();
  if (c.recovery === 'open') {
    c.duplicateAcks = 0;
    if (wasLimited) c.congestion.acknowledged(acked, c.now, c.roundTrip.smoothed);
    c.windowLimited = false;
  } else recover(c, acked);
  c.timers.progress();
  if (c.sending.length === 0) c.sending.clear();
  c.growSending();
  if (data > 0 && c.writable) c.notify(POLLOUT | POLLWRNORM);
}
function measure(c: Connection, s: Segment): void {
  if (c.timedAt > 0 && lessEqual(c.timedEnd, s.ack)) {
    c.roundTrip.sample(c.now - c.timedAt);
    c.timedAt = 0;
  } else if (c.timedAt === 0 && c.timestamps && s.hasTimestamps && s.echo !== 0) {
    const ms = distance(c.clock, s.echo);
    if (ms >= 0 && ms < 120_000) c.roundTrip.sample(Math.max(ms, 1) * 1e6);
  }
}
/** During recovery: its end, or a part of what was lost has arrived. */
function recover(c: Connection, acked: number): void {
  if (lessEqual(c.recoverPoint, c.sndUna)) {
    c.recovery = 'open';
    c.duplicateAcks = 0;
    return;
  }
  if (c.recovery === 'loss') {
    if (c.congestion.slowStart) c.congestion.acknowledged(Math.min(acked, c.mss), c.now, c.roundTrip.smoothed);
    return;
  }
  if (c.sack) return;
  // NewReno: the next hole begins here; what has left the network makes room (RFC 6582 §3.2).
  c.duplicateAcks = Math.max(0, c.duplicateAcks - Math.floor(acked / c.mss));
  c.highRetransmit = c.sndUna;
}
function judgeLoss(c: Connection): void {
  if (c.recovery !== 'open' || c.inFlight === 0) return;
  const lost = c.sack
    ? c.duplicateAcks >= DUPLICATE_LIMIT || less(c.sndUna, c.scoreboard.lostEdge(c.sndUna, c.mss))
    : c.duplicateAcks >= DUPLICATE_LIMIT;
  if (!lost) return;
  c.recovery = 'fast';
  c.recoverPoint = c.sndNxt;
  c.highRetransmit = c.sndUna;
  c.congestion.lost(c.inFlight);
  c.timers.fastRetransmit();
}

/** The states after our FIN was acknowledged. */
function finAcknowledged(c: Connection): boolean {
  if (!c.finSent || less(c.sndUna, c.sndNxt)) return true;
  if (c.state === C.FIN_WAIT_1) {
    c.state = C.FIN_WAIT_2;
    if (c.orphan) c.timers.startFinWait();
  } else if (c.state === C.CLOSING) enterTimeWait(c);
  else if (c.state === C.LAST_ACK) {
    c.fail(0);
    return false;
  }
  return true;
}
