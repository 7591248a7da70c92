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
    const at = this.behind(seq);
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
    const edges: number[] = twice === null ? [] : [twice.start, twice.end];
    const newest = this.blockAround(Math.max(0, this.behind(this.newest) - 1));
    edges.push(newest.start, newest.end);
    for (let at = 0; at < this.beyond.length && edges.length < 2 * most; ) {
      const block = this.blockAround(at);
      if (block.start !== newest.start) edges.push(block.start, block.end);
      at = block.after;
    }
    return edges.slice(0, 2 * most);
  }
  /** Index of the first stretch that begins behind `seq`. */
  private behind(seq: number): number {
    let low = 0;
    let high = this.beyond.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (less(seq, (this.beyond[middle] as Stretch).seq)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
  /** The stretches that touch the one at `index`, as one; `after`: index of the first behind them. */
  private blockAround(index: number): { start: number; end: number; after: number } {
    const { beyond } = this;
    const endOf = (s: Stretch): number => (s.seq + s.bytes.length) >>> 0;
    let first = index;
    while (first > 0 && endOf(beyond[first - 1] as Stretch) === (beyond[first] as Stretch).seq) first--;
    let after = index + 1;
    while (after < beyond.length && endOf(beyond[after - 1] as Stretch) === (beyond[after] as Stretch).seq) after++;
    return { start: (beyond[first] as Stretch).seq, end: endOf(beyond[after - 1] as Stretch), after };
  }
  clear(): void {
    this.ring.clear();
    this.beyond = [];
  }
}
