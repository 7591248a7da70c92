/**
 * Reading and writing of message bodies. Neither end throws: a Reader that runs past its end, or a Writer past its buffer, sets
 * `bad`, answers zeros, and is asked once at the end.
 */
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { type ByteString, byteString } from '../byte_string.ts';

export class Reader {
  bad = false;
  private bytes: Uint8Array;
  private view: DataView;
  private at = 0;
  private end = 0;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = start;
    this.end = end;
  }

  /** Looks at another range of the same buffer. */
  reset(start: number, end: number): void {
    this.at = start;
    this.end = end;
    this.bad = false;
  }
  /** Every byte was read, and no more. */
  get complete(): boolean {
    return !this.bad && this.at === this.end;
  }
  get remaining(): number {
    return this.end - this.at;
  }

  u8(): number {
    const at = this.take(1);
    return at < 0 ? 0 : (this.bytes[at] as number);
  }
  u16(): number {
    const at = this.take(2);
    return at < 0 ? 0 : this.view.getUint16(at, true);
  }
  u32(): number {
    const at = this.take(4);
    return at < 0 ? 0 : this.view.getUint32(at, true);
  }
  /** Exact below 2^53. */
  u64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : getLen64(this.view, at);
  }
  /** Signed; exact within ±2^53. */
  i64(): number {
    const at = this.take(8);
    return at < 0 ? 0 : this.view.getInt32(at + 4, true) * 0x1_0000_0000 + this.view.getUint32(at, true);
  }
  /** At most `max` bytes; longer is bad. */
  string(max: number): ByteString {
    const length = this.u16();
    if (length > max) this.bad = true;
    const at = this.take(length);
    return at < 0 ? '' : byteString(this.bytes, at, at + length);
  }
  /** 32-bit length and bytes: a view, valid until the next message. */
  data(max: number): Uint8Array {
    const length = this.u32();
    if (length > max) this.bad = true;
    return this.raw(length);
  }
  /** `length` bytes as they are: a view. */
  raw(length: number): Uint8Array {
    const at = this.take(length);
    return at < 0 ? this.bytes.subarray(0, 0) : this.bytes.subarray(at, at + length);
  }

  private take(count: number): number {
    const at = this.at;
    if (this.bad || count > this.end - at) {
      this.bad = true;
      return -1;
    }
    this.at = at + count;
    return at;
  }
}

export class Writer {
  bad = false;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the next byte goes; below `limit`. */
  at = 0;
  /** Messages end before it: the negotiated msize. */
  limit: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.limit = bytes.length;
  }

  reset(at = 0): void {
    this.at = at;
    this.bad = false;
  }
  get room(): number {
    return this.limit - this.at;
  }

  u8(value: number): void {
    const at = this.take(1);
    if (at >= 0) this.bytes[at] = value;
  }
  u16(value: number): void {
    const at = this.take(2);
    if (at >= 0) this.view.setUint16(at, value, true);
  }
  u32(value: number): void {
    const at = this.take(4);
    if (at >= 0) this.view.setUint32(at, value, true);
  }
  /** Two's complement for negative values. */
  u64(value: number): void {
    const at = this.take(8);
    if (at >= 0) setLen64(this.view, at, value);
  }
  string(text: ByteString): void {
    this.u16(text.length);
    if (text.length > 0xffff) this.bad = true;
    const at = this.take(text.length);
    // Short names are the rule: a loop is cheaper than a Buffer for each.
    if (at >= 0) for (let i = 0; i < text.length; i++) this.bytes[at + i] = text.charCodeAt(i);
  }
  data(bytes: Uint8Array): void {
    this.u32(bytes.length);
    this.raw(bytes);
  }
  raw(bytes: Uint8Array): void {
    const at = this.take(bytes.length);
    if (at >= 0) this.bytes.set(bytes, at);
  }
  /** Reserves `count` bytes: their position, or -1 if they do not fit. */
  take(count: number): number {
    const at = this.at;
    if (this.bad || count > this.limit - at) {
      this.bad = true;
      return -1;
    }
    this.at = at + count;
    return at;
  }
}
