/** Memory of a fake process: a plain buffer. */
import { EFAULT } from '../../abi/errno.ts';

/** First address; below it and beyond the end everything faults. */
export const USER_BASE = 0x10000;

/** [USER_BASE, USER_BASE + size). */
export class FakeMemory {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  private next = 0;
  constructor(size = 1 << 20) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }
  /** A fresh range, 16-byte aligned, with a copy of `content` (or so many zeros); its address. */
  place(content: Uint8Array | number): number {
    const at = this.next;
    const length = typeof content === 'number' ? content : content.length;
    this.next = (at + length + 15) & ~15;
    if (this.next > this.bytes.length) throw new Error('fake memory is full');
    if (typeof content !== 'number') this.bytes.set(content, at);
    return USER_BASE + at;
  }
  /** How much is placed; `reset` to it frees what came after. */
  mark(): number {
    return this.next;
  }
  reset(mark: number): void {
    this.next = mark;
  }
  slice(address: number, length: number): Uint8Array {
    return this.bytes.slice(address - USER_BASE, address - USER_BASE + length);
  }
  u32(address: number): number {
    return this.view.getUint32(address - USER_BASE, true);
  }
  i32(address: number): number {
    return this.view.getInt32(address - USER_BASE, true);
  }
  u64(address: number): bigint {
    return this.view.getBigUint64(address - USER_BASE, true);
  }
  read(address: number, into: Uint8Array, offset: number, count: number): number {
    const n = this.available(address, count);
    if (n > 0) into.set(this.bytes.subarray(address - USER_BASE, address - USER_BASE + n), offset);
    return n;
  }
  write(address: number, from: Uint8Array, offset: number, count: number): number {
    const n = this.available(address, count);
    if (n > 0) this.bytes.set(from.subarray(offset, offset + n), address - USER_BASE);
    return n;
  }
  /** AddressSpace.release. */
  release(): void {}
  private available(address: number, count: number): number {
    if (count === 0) return 0;
    const at = address - USER_BASE;
    return at < 0 || at >= this.bytes.length ? EFAULT : Math.min(count, this.bytes.length - at);
  }
}
