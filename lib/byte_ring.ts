/** A queue of bytes in one ring buffer, which grows with use. Its owner bounds what goes in. */
import type { BufferPool } from './buffer_pool.ts';

/** Gives bytes in order: fills into[start..end); how many, or a negative errno if none for a fault. */
export interface ByteGiver {
  take(into: Uint8Array, start: number, end: number): number;
}
/** Takes bytes[start..end) in order; how many, or a negative errno if none for a fault. */
export interface ByteTaker {
  put(bytes: Uint8Array, start: number, end: number): number;
}

const EMPTY = new Uint8Array(0);
const MIN_SIZE = 4096;

export class ByteRing {
  private buffer: Uint8Array = EMPTY;
  private head = 0;
  private count = 0;
  private readonly pool: BufferPool | null;

  /** pool: where its memory comes from and goes to. */
  constructor(pool: BufferPool | null = null) {
    this.pool = pool;
  }

  get length(): number {
    return this.count;
  }

  /** Appends up to `length` bytes from `source`: how many it gave, or its errno if none. */
  fill(source: ByteGiver, length: number): number {
    this.reserve(length);
    let total = 0;
    while (total < length) {
      const tail = (this.head + this.count) % this.buffer.length;
      const step = Math.min(length - total, this.buffer.length - tail);
      const n = source.take(this.buffer, tail, tail + step);
      if (n < 0) return total > 0 ? total : n;
      this.count += n;
      total += n;
      if (n < step) break;
    }
    return total;
  }
  append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.reserve(bytes.length);
    const tail = (this.head + this.count) % this.buffer.length;
    const first = Math.min(bytes.length, this.buffer.length - tail);
    this.buffer.set(bytes.subarray(0, first), tail);
    this.buffer.set(bytes.subarray(first), 0);
    this.count += bytes.length;
  }

  /** Hands up to `length` bytes, from `offset` on, to `target` and leaves them here: how many it took, or its errno if none. */
  peek(target: ByteTaker, length: number, offset = 0): number {
    const limit = Math.min(length, this.count - offset);
    let total = 0;
    while (total < limit) {
      const at = (this.head + offset + total) % this.buffer.length;
      const step = Math.min(limit - total, this.buffer.length - at);
      const n = target.put(this.buffer, at, at + step);
      if (n < 0) return total > 0 ? total : n;
      total += n;
      if (n < step) break;
    }
    return total;
  }
  /** offset: below `length`. */
  byteAt(offset: number): number {
    return this.buffer[(this.head + offset) % this.buffer.length] as number;
  }
  /** Copies `length` bytes from `offset` on, which must be there, to into[at..). */
  copy(into: Uint8Array, at: number, length: number, offset: number): void {
    const from = (this.head + offset) % this.buffer.length;
    const first = Math.min(length, this.buffer.length - from);
    into.set(this.buffer.subarray(from, from + first), at);
    if (first < length) into.set(this.buffer.subarray(0, length - first), at + first);
  }
  /** peek, then drop what was taken. */
  drain(target: ByteTaker, length: number): number {
    const n = this.peek(target, length);
    if (n > 0) this.drop(n);
    return n;
  }
  /** n: at most `length`. */
  drop(n: number): void {
    this.count -= n;
    this.head = this.count === 0 ? 0 : (this.head + n) % this.buffer.length;
  }

  /** Takes the last `n` bytes back out. */
  dropTail(n: number): void {
    this.count -= n;
  }

  /** Copies to a buffer of about `size` bytes, at least what is needed: gives memory back after a large transfer. */
  resize(size: number): void {
    const wanted = Math.max(size, this.count);
    const buffer = this.pool === null ? new Uint8Array(wanted) : this.pool.take(wanted);
    const first = Math.min(this.count, this.buffer.length - this.head);
    buffer.set(this.buffer.subarray(this.head, this.head + first));
    buffer.set(this.buffer.subarray(0, this.count - first), first);
    this.pool?.give(this.buffer);
    this.buffer = buffer;
    this.head = 0;
  }
  /** Forgets everything and its memory. */
  clear(): void {
    this.pool?.give(this.buffer);
    this.buffer = EMPTY;
    this.head = this.count = 0;
  }
  private reserve(extra: number): void {
    const needed = this.count + extra;
    if (needed <= this.buffer.length) return;
    let size = Math.max(this.buffer.length, MIN_SIZE);
    while (size < needed) size *= 2;
    this.resize(size);
  }
}
