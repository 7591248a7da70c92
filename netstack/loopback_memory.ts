/**
 * Memory of packets on the loopback, which are used up when they are delivered: a small one is exchanged for the next of its length,
 * as requests and answers of one kind are; a large one goes back to the pool.
 */
import { type BufferPool, SMALLEST_POOLED } from '../lib/buffer_pool.ts';

/** Lengths that are remembered, and packets of each. */
const MAX_LENGTHS = 256;
const MAX_EACH = 32;

export class LoopbackMemory {
  readonly keepsSmall = true;
  private readonly large: BufferPool;
  private readonly small = new Map<number, Uint8Array[]>();
  constructor(large: BufferPool) {
    this.large = large;
  }
  take(length: number): Uint8Array {
    if (length >= SMALLEST_POOLED) return this.large.take(length);
    return this.small.get(length)?.pop() ?? new Uint8Array(length);
  }
  /** Bytes that came from here and that nobody looks at any more. */
  give(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= SMALLEST_POOLED) {
      this.large.give(bytes);
      return;
    }
    const there = this.small.get(length);
    if (there !== undefined) {
      if (there.length < MAX_EACH) there.push(bytes);
      return;
    }
    if (this.small.size >= MAX_LENGTHS) this.small.clear();
    this.small.set(length, [bytes]);
  }
}
