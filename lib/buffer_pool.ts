/**
 * Large buffers that are used again. Memory outside of the JavaScript heap is dear: each new buffer is zeroed, and its size presses the
 * collector to walk the whole heap. What comes from here holds old bytes.
 */

/** Smaller ones are not worth it; larger ones are rare. Powers of two. */
export const SMALLEST_POOLED = 4096;
const LARGEST = 8 << 20;
const CLASSES = Math.log2(LARGEST / SMALLEST_POOLED) + 1;

export class BufferPool {
  /** Small ones are not worth the exchange here. */
  readonly keepsSmall = false;
  private readonly free: ArrayBuffer[][] = Array.from({ length: CLASSES }, () => []);
  private held = 0;
  private readonly limit: number;

  /** limit: bytes that lie here unused at most. */
  constructor(limit: number) {
    this.limit = limit;
  }
  /** `length` bytes, whatever is in them. */
  take(length: number): Uint8Array {
    if (length > LARGEST) return new Uint8Array(length);
    const size = length <= SMALLEST_POOLED ? SMALLEST_POOLED : 2 ** Math.ceil(Math.log2(length));
    const buffer = this.free[classOf(size)]?.pop();
    if (buffer === undefined) return new Uint8Array(new ArrayBuffer(size), 0, length);
    this.held -= size;
    return new Uint8Array(buffer, 0, length);
  }
  /** Nobody uses the bytes any more. What did not come from a pool is left to the collector. */
  give(bytes: Uint8Array): void {
    const { buffer } = bytes;
    const size = buffer.byteLength;
    if (size < SMALLEST_POOLED || size > LARGEST || (size & (size - 1)) !== 0 || this.held + size > this.limit) return;
    this.held += size;
    this.free[classOf(size)]?.push(buffer as ArrayBuffer);
  }
}

function classOf(size: number): number {
  return 31 - Math.clz32(size) - 12;
}
