/** What the other side has beyond the acknowledged (RFC 2018), what counts as lost and what as underway (RFC 6675). */
import { distance, later, less, lessEqual } from './sequence.ts';

interface Range {
  start: number;
  end: number;
}
/** Holes that we keep track of; a peer that reports more gets its oldest view. */
const MAX_RANGES = 256;

export class Scoreboard {
  /** Apart from each other, in order. */
  private ranges: Range[] = [];
  sackedBytes = 0;

  get empty(): boolean {
    return this.ranges.length === 0;
  }
  clear(): void {
    this.ranges.length = 0;
    this.sackedBytes = 0;
  }
  /** Did it tell anything new? */
  add(start: number, end: number): boolean {
    if (this.ranges.some((r) => lessEqual(r.start, start) && lessEqual(end, r.end))) return false;
    let from = start;
    let to = end;
    const kept: Range[] = [];
    for (const r of this.ranges) {
      if (less(r.end, from) || less(to, r.start)) kept.push(r);
      else {
        if (less(r.start, from)) from = r.start;
        to = later(to, r.end);
      }
    }
    if (kept.length >= MAX_RANGES) return false;
    kept.push({ start: from, end: to });
    kept.sort((a, b) => distance(a.start, b.start));
    this.ranges = kept;
    this.count();
    return true;
  }
  /** Everything below `una` is acknowledged. */
  advance(una: number): void {
    if (this.ranges.length === 0) return;
    const kept = this.ranges.filter((r) => less(una, r.end));
    for (const r of kept) r.start = later(r.start, una);
    this.ranges = kept;
    this.count();
  }
  private count(): void {
    this.sackedBytes = 0;
    for (const r of this.ranges) this.sackedBytes += distance(r.end, r.start);
  }

  /** What is not held below it counts as lost: more than two segments' worth above it has arrived. */
  lostEdge(una: number, mss: number): number {
    let above = 0;
    for (let i = this.ranges.length - 1; i >= 0; i--) {
      const r = this.ranges[i] as Range;
      above += distance(r.end, r.start);
      if (above > 2 * mss || this.ranges.length - i >= 3) return later(r.start, una);
    }
    return una;
  }
  /** Bytes of [start, end) that the other side does not hold. */
  missing(start: number, end: number): number {
    if (!less(start, end)) return 0;
    let n = distance(end, start);
    for (const r of this.ranges) {
      const from = later(r.start, start);
      const to = less(r.end, end) ? r.end : end;
      if (less(from, to)) n -= distance(to, from);
    }
    return n;
  }
  /** The first stretch at or after `from` that the other side does not hold, up to `limit`; length 0: none. */
  hole(from: number, limit: number): { seq: number; length: number } {
    let at = from;
    for (const r of this.ranges) {
      if (less(at, r.start)) return { seq: at, length: Math.max(0, Math.min(distance(r.start, at), distance(limit, at))) };
      at = later(at, r.end);
    }
    return { seq: at, length: Math.max(0, distance(limit, at)) };
  }
}
