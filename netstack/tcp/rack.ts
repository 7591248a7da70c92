/** Loss found by time (RACK) and a probe for losses at the end of a flight (TLP): RFC 8985. */
import type { Connection } from './connection.ts';
import type { Segment } from './segment.ts';
import type { Sent } from './sent_log.ts';
import { distance, less, lessEqual } from './sequence.ts';

/** Recoveries that a widened reordering window outlasts. */
const PERSIST = 16;
/** Least round trip of the last five minutes counts, ns. */
const MIN_RTT_LIFE = 300e9;
/** The longest that a peer delays an acknowledgement of one segment, and the least time a probe waits, ns. */
const WORST_DELAYED_ACK = 200e6;
const LEAST_PROBE = 2e6;

export class Rack {
  /** The piece that left last among those that have arrived: when, its end, and how long it took. */
  at = 0;
  end = 0;
  rtt = 0;
  minRtt = Number.POSITIVE_INFINITY;
  private minRttAt = 0;
  reorderingSeen = false;
  reordered = 0;
  private multiplier = 1;
  private persist = PERSIST;
  /** Number behind which the next duplicate report counts again. */
  private round = 0;
  private inRound = false;
  /** Highest number that has arrived. */
  highest = 0;
  /** A probe is out: what acknowledges it, and whether it repeated something. */
  probeEnd = 0;
  probeOut = false;
  probeRepeated = false;

  start(seq: number): void {
    this.highest = this.end = seq;
  }

  /** `piece` has arrived, as `s` tells. */
  delivered(c: Connection, piece: Sent, s: Segment, now: number): void {
    const rtt = now - piece.at;
    if (piece.retransmitted) {
      // Which of the two was it? Without a clear answer it says nothing.
      if (s.hasTimestamps && c.timestamps && less(s.echo, c.clockAt(piece.at))) return;
      if (rtt < this.minRtt) return;
    } else if (less(piece.end, this.highest)) {
      this.reorderingSeen = true;
      this.reordered++;
    }
    if (less(this.highest, piece.end)) this.highest = piece.end;
    if (rtt <= this.minRtt || now - this.minRttAt > MIN_RTT_LIFE) {
      this.minRtt = rtt;
      this.minRttAt = now;
    }
    if (!after(piece.at, piece.end, this.at, this.end)) return;
    this.at = piece.at;
    this.end = piece.end;
    this.rtt = rtt;
  }
  /** The other side got something twice: the network reorders more than was thought. */
  duplicateReported(c: Connection): void {
    if (this.inRound && less(c.sndUna, this.round)) return;
    this.inRound = true;
    this.round = c.sndNxt;
    this.multiplier = Math.min(this.multiplier + 1, 255);
    this.persist = PERSIST;
  }
  recovered(): void {
    if (--this.persist > 0) return;
    this.persist = PERSIST;
    this.multiplier = 1;
  }
  /** How long a piece may be late, ns. */
  private patience(c: Connection): number {
    if (!this.reorderingSeen && (c.recovery !== 'open' || c.sent.sackedBytes >= 3 * c.mss)) return 0;
    return Number.isFinite(this.minRtt) ? Math.min((this.multiplier * this.minRtt) / 4, c.roundTrip.smoothed) : 0;
  }
  /** Marks what is lost. How long until more would be (ns), 0: nothing is in doubt. */
  detect(c: Connection, now: number): number {
    if (this.at === 0) return 0;
    const limit = this.rtt + this.patience(c);
    let wait = 0;
    for (let i = 0; i < c.sent.length; i++) {
      const piece = c.sent.at(i);
      if (piece.sacked || piece.lost || !after(this.at, this.end, piece.at, piece.end)) continue;
      const remaining = piece.at + limit - now;
      if (remaining <= 0) c.sent.lose(piece);
      else wait = Math.max(wait, remaining);
    }
    return wait;
  }
  /** After a timeout: the first piece, and every other that should have been heard of (RFC 8985 §6.3). */
  timedOut(c: Connection, now: number): void {
    const limit = this.rtt + this.patience(c);
    for (let i = 0; i < c.sent.length; i++) {
      const piece = c.sent.at(i);
      if (i === 0 || piece.at + limit <= now) c.sent.lose(piece);
    }
  }

  /** How long to wait for an acknowledgement before a probe goes out, ns. */
  probeDelay(c: Connection): number {
    const { smoothed } = c.roundTrip;
    if (smoothed === 0) return 1e9;
    return 2 * smoothed + (c.inFlight <= c.mss ? WORST_DELAYED_ACK : LEAST_PROBE);
  }
  /** An acknowledgement after a probe. True: the probe has repaired a loss, to which the window must answer. */
  probeAnswered(c: Connection, s: Segment, duplicate: boolean): boolean {
    if (!this.probeOut || less(s.ack, this.probeEnd)) return false;
    const { probeRepeated } = this;
    if (!probeRepeated || duplicate) {
      this.probeOut = false;
      return false;
    }
    if (s.ack === this.probeEnd && lessEqual(s.ack, c.sndUna)) {
      this.probeOut = false; // a second acknowledgement of the same: both copies have arrived
      return false;
    }
    if (s.ack === this.probeEnd) return false;
    this.probeOut = false;
    return true;
  }
}

/** Did the first leave after the second? Among those of one moment the higher number did. */
function after(at: number, end: number, otherAt: number, otherEnd: number): boolean {
  return at > otherAt || (at === otherAt && distance(end, otherEnd) > 0);
}
