/**
 * What has been typed and not been read. Bytes before `lineEnd` belong to complete lines; those behind it are the line that is
 * being edited. Positions only grow; a position's byte is at position mod SIZE.
 */
import type { Sink } from '../vfs/io.ts';

const SIZE = 4096;
const MASK = SIZE - 1;

const PLAIN = 0;
/** The last byte of a line. */
const LINE = 1;
/** Stands for the end-of-file character: ends a line and is not read. */
const END_OF_FILE = 2;

export class InputBuffer {
  private readonly bytes = new Uint8Array(SIZE);
  private readonly marks = new Uint8Array(SIZE);
  head = 0;
  tail = 0;
  lineEnd = 0;

  get count(): number {
    return this.head - this.tail;
  }
  get room(): number {
    return SIZE - this.count;
  }
  get hasLine(): boolean {
    return this.lineEnd !== this.tail;
  }
  /** Bytes that a canonical reader can get. */
  get lineBytes(): number {
    let n = 0;
    for (let at = this.tail; at < this.lineEnd; at++) if (this.marks[at & MASK] !== END_OF_FILE) n++;
    return n;
  }
  /** Nothing has been typed since the last complete line. */
  get lineIsEmpty(): boolean {
    return this.head === this.lineEnd;
  }

  at(position: number): number {
    return this.bytes[position & MASK] as number;
  }

  /** A full buffer loses its newest byte: an overlong line can still be ended. */
  put(c: number): void {
    if (this.room === 0) this.head--;
    this.bytes[this.head & MASK] = c;
    this.marks[this.head & MASK] = PLAIN;
    this.head++;
  }

  /** The line is complete; `c` is its last byte, or null for end of file. */
  endLine(c: number | null): void {
    this.put(c ?? 0);
    this.marks[(this.head - 1) & MASK] = c === null ? END_OF_FILE : LINE;
    this.lineEnd = this.head;
  }

  /** Into non-canonical mode all is plain; back into canonical mode what is there counts as a line. */
  changeMode(canonical: boolean): void {
    this.marks.fill(PLAIN);
    this.lineEnd = canonical ? this.head : this.tail;
  }

  clear(): void {
    this.head = this.tail = this.lineEnd = 0;
  }

  /** Up to `limit` bytes of whatever is there; how many, or an errno of the sink. */
  readRaw(dst: Sink, limit: number): number {
    let total = 0;
    while (total < limit && this.count > 0) {
      const start = this.tail & MASK;
      const n = Math.min(limit - total, this.count, SIZE - start);
      const put = dst.put(this.bytes, start, start + n);
      if (put < 0) return total > 0 ? total : put;
      this.tail += put;
      total += put;
      if (put < n) break;
    }
    // lineEnd stays within [tail, head] whatever the mode.
    if (this.lineEnd < this.tail) this.lineEnd = this.tail;
    return total;
  }

  /** Up to the end of the first line or `limit`; 0 for an end of file. Call only if hasLine. */
  readLine(dst: Sink, limit: number): number {
    let total = 0;
    while (this.hasLine) {
      const start = this.tail & MASK;
      const most = Math.min(this.lineEnd - this.tail, SIZE - start);
      let n = 0;
      while (n < most && this.marks[start + n] === PLAIN) n++;
      const mark = n < most ? (this.marks[start + n] as number) : PLAIN;
      const want = Math.min(n + (mark === LINE ? 1 : 0), limit - total);
      const put = want === 0 ? 0 : dst.put(this.bytes, start, start + want);
      if (put < 0) return total > 0 ? total : put;
      this.tail += put;
      total += put;
      if (put < want) return total;
      if (mark === END_OF_FILE && put === n) {
        this.tail++; // also behind a read that took exactly the line: no empty read follows
        return total;
      }
      if (total === limit || (mark === LINE && put === n + 1)) return total;
    }
    return total;
  }
}
