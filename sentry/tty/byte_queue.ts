/** Bytes in order, in a ring that grows by doubling up to what is asked of it. The owner enforces its own cap by `length`. */
export class ByteQueue {
  private ring = new Uint8Array(0);
  private head = 0;
  private count = 0;

  get length(): number {
    return this.count;
  }

  push(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const n = end - start;
    if (n <= 0) return;
    this.reserve(n);
    const at = (this.head + this.count) & (this.ring.length - 1);
    const first = Math.min(n, this.ring.length - at);
    this.ring.set(bytes.subarray(start, start + first), at);
    this.ring.set(bytes.subarray(start + first, end), 0);
    this.count += n;
  }

  pushByte(byte: number): void {
    this.reserve(1);
    this.ring[(this.head + this.count) & (this.ring.length - 1)] = byte;
    this.count++;
  }

  /** The longest run of bytes that lies in one piece; valid until the next push. */
  front(): Uint8Array {
    return this.ring.subarray(this.head, Math.min(this.head + this.count, this.ring.length));
  }

  /** Drops `n` bytes from the front; at most `length`. */
  drop(n: number): void {
    this.head = this.ring.length === 0 ? 0 : (this.head + n) & (this.ring.length - 1);
    this.count -= n;
    if (this.count === 0) this.head = 0;
  }

  clear(): void {
    this.head = 0;
    this.count = 0;
  }

  private reserve(n: number): void {
    if (this.count + n <= this.ring.length) return;
    let size = Math.max(1024, this.ring.length);
    while (size < this.count + n) size *= 2;
    const grown = new Uint8Array(size);
    const first = this.front();
    grown.set(first, 0);
    grown.set(this.ring.subarray(0, this.count - first.length), first.length);
    this.ring = grown;
    this.head = 0;
  }
}
