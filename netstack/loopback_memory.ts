/**
 * Memory of packets on the loopback, which are used up when they are delivered: a small one is exchanged for the next of its length,
 * as requests and answers of one kind are; a large one goes back to the pool.
 */
import { type BufferPool, SMALLEST_POOLED } from '../lib/buffer_pool.ts';

/** Lengths that are remembered, and bytes of all small packets that lie here. */
const MAX_LENGTHS = 256;
const MAX_BYTES = 1 << 20;

export class LoopbackMemory {
  readonly keepsSmall = true;
  private readonly large: BufferPool;
  private readonly small = new Map<number, Uint8Array[]>();
  private held = 0;
  constructor(large: BufferPool) {
    this.large = large;
  }
  take(length: number): Uint8Array {
    if (length >= SMALLEST_POOLED) return this.large.take(length);
    const bytes = this.small.get(length)?.pop();
    if (bytes === undefined) return new Uint8Array(length);
    this.held -= length;
    return bytes;
  }
  /** Bytes that came from here and that nobody looks at any more. */
  give(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= SMALLEST_POOLED) {
      this.large.give(bytes);
      return;
    }
    const there = this.small.get(length);
    if (this.held + length > MAX_BYTES || (there === undefined && this.small.size >= MAX_LENGTHS)) {
      this.small.clear();
      this.held = 0;
    }
    this.held += length;
    if (there !== undefined && this.small.has(length)) there.push(bytes);
    else this.small.set(length, [bytes]);
  }
}
