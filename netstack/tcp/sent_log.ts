/** What was sent and is not acknowledged, piece by piece: when each left and what is known of it (RFC 8985 §5.2, RFC 6675 §3). */
import { add, distance, less, lessEqual } from './sequence.ts';

export interface Sent {
  start: number;
  /** A FIN counts as one. */
  end: number;
  /** When it left last, ns. */
  at: number;
  retransmitted: boolean;
  /** The other side has said that it holds it. */
  sacked: boolean;
  /** Believed to be lost, and not sent again since. */
  lost: boolean;
}
/** Pieces that are kept apart; what is sent beyond them is counted to the last one. */
const MAX_PIECES = 8192;
/** Spent pieces that wait to be used again. */
const MAX_SPARE = 64;

/** In the order of their numbers, without gaps: from the first unacknowledged number to the next one to send. */
export class SentLog {
  sackedBytes = 0;
  lostBytes = 0;
  private pieces: Sent[] = [];
  private head = 0;
  private readonly spare: Sent[] = [];

  get length(): number {
    return this.pieces.length - this.head;
  }
  get first(): Sent | null {
    return this.pieces[this.head] ?? null;
  }
  get last(): Sent | null {
    return this.length === 0 ? null : (this.pieces[this.pieces.length - 1] as Sent);
  }
  at(index: number): Sent {
    return this.pieces[this.head + index] as Sent;
  }
  clear(): void {
    this.pieces = [];
    this.head = this.sackedBytes = this.lostBytes = 0;
  }

  append(start: number, end: number, now: number): void {
    const { last } = this;
    if (last !== null && this.length >= MAX_PIECES && !last.sacked && !last.lost) {
      last.end = end;
      last.at = now;
      return;
    }
    this.pieces.push(this.make(start, end, now));
  }
  private make(start: number, end: number, now: number): Sent {
    const piece = this.spare.pop();
    if (piece === undefined) return { start, end, at: now, retransmitted: false, sacked: false, lost: false };
    piece.start = start;
    piece.end = end;
    piece.at = now;
    piece.retransmitted = piece.sacked = piece.lost = false;
    return piece;
  }
  /** Takes the first piece out: it is acknowledged. */
  shift(): void {
    const piece = this.pieces[this.head] as Sent;
    if (piece.sacked) this.sackedBytes -= distance(piece.end, piece.start);
    if (piece.lost) this.lostBytes -= distance(piece.end, piece.start);
    if (this.spare.length < MAX_SPARE) this.spare.push(piece);
    if (this.head === 0 && this.pieces.length === 1) {
      this.pieces.pop();
      return;
    }
    this.head++;
    if (this.head === this.pieces.length) {
      this.pieces.length = 0;
      this.head = 0;
    } else if (this.head >= 1024) {
      this.pieces = this.pieces.slice(this.head);
      this.head = 0;
    }
  }
  /** Cuts the piece at `index` in two at `seq`, which lies inside of it. */
  split(index: number, seq: number): void {
    const piece = this.at(index);
    const rest = this.make(seq, piece.end, piece.at);
    rest.retransmitted = piece.retransmitted;
    rest.sacked = piece.sacked;
    rest.lost = piece.lost;
    piece.end = seq;
    this.pieces.splice(this.head + index + 1, 0, rest);
  }

  sack(piece: Sent): void {
    if (piece.lost) this.recover(piece);
    piece.sacked = true;
    this.sackedBytes += distance(piece.end, piece.start);
  }
  lose(piece: Sent): void {
    if (piece.lost || piece.sacked) return;
    piece.lost = true;
    this.lostBytes += distance(piece.end, piece.start);
  }
  /** It is no longer believed to be lost. */
  recover(piece: Sent): void {
    piece.lost = false;
    this.lostBytes -= distance(piece.end, piece.start);
  }
  loseAll(): void {
    for (let i = 0; i < this.length; i++) this.lose(this.at(i));
  }
  /** The other side may have dropped what it said it holds. */
  forgetSacks(): void {
    for (let i = 0; i < this.length; i++) this.at(i).sacked = false;
    this.sackedBytes = 0;
  }

  /** Index of the piece that holds `seq`, or of the first one behind it. */
  find(seq: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (lessEqual(this.at(middle).end, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
  /** Index of the first piece that is to be sent again, or -1. */
  firstLost(): number {
    if (this.lostBytes === 0) return -1;
    for (let i = 0; i < this.length; i++) if (this.at(i).lost) return i;
    return -1;
  }
  /** Shortens the piece at `index` to `length` numbers at most; the rest becomes a piece of its own. */
  limit(index: number, length: number): Sent {
    const piece = this.at(index);
    const cut = add(piece.start, length);
    if (less(cut, piece.end)) this.split(index, cut);
    return piece;
  }
}
