/** What has arrived: bytes in order, and stretches beyond a gap. */
import type { BufferPool } from '../../lib/buffer_pool.ts';
import { ByteRing } from '../../lib/byte_ring.ts';
import { distance, less, lessEqual } from './sequence.ts';

interface Stretch {
  seq: number;
  bytes: Uint8Array;
}
/** Stretches beyond gaps. */
const MAX_STRETCHES = 1024;

export class ReceiveQueue {
  readonly ring: ByteRing;
  /** In order, apart from each other or touching. */
  private beyond: Stretch[] = [];
  private newest = 0;
  /** Something that came twice, told once (RFC 2883). */
  private twice: { start: number; end: number } | null = null;

  constructor(pool: BufferPool | null = null) {
    this.ring = new ByteRing(pool);
  }
  get hasGap(): boolean {
    return this.beyond.length > 0;
  }
  get hasDuplicate(): boolean {
    return this.twice !== null;
  }
  noteDuplicate(start: number, end: number): void {
    this.twice = { start, end };
  }
  /** Takes bytes at `seq` (at or after `next`), in the window. The new next sequence number. */
  add(next: number, seq: number, bytes: Uint8Array): number {
    if (seq !== next) {
      this.keep(seq, bytes.slice());
      return next;
    }
    this.ring.append(bytes);
    return this.beyond.length === 0 ? (next + bytes.length) >>> 0 : this.join((next + bytes.length) >>> 0);
  }
  private join(from: number): number {
    let next = from;
    while (this.beyond.length > 0) {
      const first = this.beyond[0] as Stretch;
      if (less(next, first.seq)) break;
      const skip = distance(next, first.seq);
      if (skip < first.bytes.length) {
        this.ring.append(first.bytes.subarray(skip));
        next = (next + first.bytes.length - skip) >>> 0;
      }
      this.beyond.shift();
    }
    return next;
  }
  private keep(seq: number, bytes: Uint8Array): void {
    this.newest = seq;
    let at = this.beyond.findIndex((s) => less(seq, s.seq));
    if (at < 0) at = this.beyond.length;
    const before = this.beyond[at - 1];
    let start = seq;
    let end = (seq + bytes.length) >>> 0;
    if (before !== undefined) {
      const beforeEnd = (before.seq + before.bytes.length) >>> 0;
      if (lessEqual(end, beforeEnd)) {
        this.noteDuplicate(seq, end);
        return;
      }
      if (less(start, beforeEnd)) start = beforeEnd;
    }
    // Swallow those that lie inside; cut before one that reaches further.
    while (at < this.beyond.length) {
      const after = this.beyond[at] as Stretch;
      if (lessEqual(end, after.seq)) break;
      if (less(end, (after.seq + after.bytes.length) >>> 0)) {
        end = after.seq;
        break;
      }
      this.beyond.splice(at, 1);
    }
    if (!less(start, end) || this.beyond.length >= MAX_STRETCHES) return;
    this.beyond.splice(at, 0, { seq: start, bytes: bytes.subarray(distance(start, seq), distance(end, seq)) });
  }

  /** Edges for the selective acknowledgement: what came twice, then the block with the newest arrival; null: nothing to tell. */
  blocks(most: number): number[] | null {
    const { twice } = this;
    this.twice = null;
    if (this.beyond.length === 0) return twice === null ? null : [twice.start, twice.end];
    const joined: { start: number; end: number }[] = [];
    for (const s of this.beyond) {
      const end = (s.seq + s.bytes.length) >>> 0;
      const last = joined.at(-1);
      if (last !== undefined && last.end === s.seq) last.end = end;
      else joined.push({ start: s.seq, end });
    }
    const at = joined.findIndex((b) => lessEqual(b.start, this.newest) && less(this.newest, b.end));
    if (at > 0) joined.unshift(...joined.splice(at, 1));
    if (twice !== null) joined.unshift(twice);
    return joined.slice(0, most).flatMap((b) => [b.start, b.end]);
  }
  clear(): void {
    this.ring.clear();
    this.beyond = [];
  }
}
