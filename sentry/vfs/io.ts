/**
 * The two ends of a transfer. read(2) moves from a file into a Sink, write(2) from a Source into a file; whether the other side is
 * user memory (readv's ranges), a kernel buffer (sendfile, the loader) or a pipe is not the file's concern.
 */
import { EFAULT } from '../../abi/errno.ts';
import type { ThreadMemory } from '../../platforms/platform.ts';

/** Takes bytes in order. */
export interface Sink {
  /** Bytes that still fit. */
  readonly remaining: number;
  /** Moves bytes[start..end) in; how many it took (less than asked: end of space, or a fault part of the way), or EFAULT if none for a fault. */
  put(bytes: Uint8Array, start?: number, end?: number): number;
  /**
   * Place in the Sentry's own memory (an address) to which a host call may bring the next `count` bytes itself; 0: there is none, and `put` serves.
   * `filled` says how many have come, before anything else is done.
   */
  room?(count: number): number;
  filled?(count: number): void;
}

/** Gives bytes in order. */
export interface Source {
  readonly remaining: number;
  /** The bytes come out of a pipe: what vmsplice(2) put there its owner may have changed since, which a copy does not show. */
  readonly spliced?: boolean;
  /** Fills into[start..end); how many, or EFAULT. */
  take(into: Uint8Array, start?: number, end?: number): number;
  /** Address in the Sentry's own memory of the next `count` bytes, for a host call; 0: `take` serves. `skip` says how many it has taken. */
  given?(count: number): number;
  skip?(count: number): void;
}

/** A kernel buffer as either end. */
export class BufferIo implements Sink, Source {
  private at = 0;
  private readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  get remaining(): number {
    return this.bytes.length - this.at;
  }
  get moved(): number {
    return this.at;
  }
  put(from: Uint8Array, start = 0, end = from.length): number {
    const n = Math.min(end - start, this.remaining);
    this.bytes.set(from.subarray(start, start + n), this.at);
    this.at += n;
    return n;
  }
  take(into: Uint8Array, start = 0, end = into.length): number {
    const n = Math.min(end - start, this.remaining);
    into.set(this.bytes.subarray(this.at, this.at + n), start);
    this.at += n;
    return n;
  }
}

/** A source that ends early: RLIMIT_FSIZE, or a filesystem's size, cuts a write that crosses it. */
export class LimitedSource implements Source {
  private readonly source: Source;
  private left: number;
  constructor(source: Source, left: number) {
    this.source = source;
    this.left = left;
  }
  get remaining(): number {
    return Math.min(this.left, this.source.remaining);
  }
  take(into: Uint8Array, start = 0, end = into.length): number {
    const n = this.source.take(into, start, Math.min(end, start + this.left));
    if (n > 0) this.left -= n;
    return n;
  }
}

/** Takes no more than `left` bytes. */
export class LimitedSink implements Sink {
  private readonly sink: Sink;
  private left: number;
  constructor(sink: Sink, left: number) {
    this.sink = sink;
    this.left = left;
  }
  get remaining(): number {
    return Math.min(this.left, this.sink.remaining);
  }
  put(bytes: Uint8Array, start = 0, end = bytes.length): number {
    const n = this.sink.put(bytes, start, Math.min(end, start + this.left));
    if (n > 0) this.left -= n;
    return n;
  }
}

/** User memory reads and writes, as AddressSpace gives them. */
export type UserMemory = ThreadMemory;

/** Ranges of user memory, in order (an iovec list). Addresses and lengths were range-checked when it was made. */
export class UserBuffer implements Sink, Source {
  private readonly memory: UserMemory;
  private readonly ranges: readonly { readonly address: number; readonly length: number }[];
  private index = 0;
  private within = 0;
  private left = 0;

  constructor(memory: UserMemory, ranges: readonly { readonly address: number; readonly length: number }[]) {
    this.memory = memory;
    this.ranges = ranges;
    for (const r of ranges) this.left += r.length;
  }

  get remaining(): number {
    return this.left;
  }

  // put and take are one loop twice: without a closure between them a transfer makes no objects.
  put(bytes: Uint8Array, start = 0, end = bytes.length): number {
    let at = start;
    while (at < end && this.left > 0) {
      const range = this.current();
      const count = Math.min(range.length - this.within, end - at);
      const n = this.memory.write(range.address + this.within, bytes, at, count);
      if (n < 0) return at > start ? at - start : EFAULT;
      at += n;
      this.within += n;
      this.left -= n;
      if (n < count) break;
    }
    return at - start;
  }
  take(into: Uint8Array, start = 0, end = into.length): number {
    let at = start;
    while (at < end && this.left > 0) {
      const range = this.current();
      const count = Math.min(range.length - this.within, end - at);
      const n = this.memory.read(range.address + this.within, into, at, count);
      if (n < 0) return at > start ? at - start : EFAULT;
      at += n;
      this.within += n;
      this.left -= n;
      if (n < count) break;
    }
    return at - start;
  }
  room(count: number): number {
    if (this.left === 0 || this.memory.room === undefined) return 0;
    const range = this.current();
    return range.length - this.within < count ? 0 : this.memory.room(range.address + this.within, count);
  }
  given(count: number): number {
    if (this.left === 0 || this.memory.given === undefined) return 0;
    const range = this.current();
    return range.length - this.within < count ? 0 : this.memory.given(range.address + this.within, count);
  }
  filled(count: number): void {
    this.memory.filled?.(count);
    this.skip(count);
  }
  /** Moves on without touching memory (a host call wrote there itself). */
  skip(count: number): void {
    for (let left = Math.min(count, this.left); left > 0; ) {
      const n = Math.min(this.current().length - this.within, left);
      this.within += n;
      this.left -= n;
      left -= n;
    }
  }
  /** Address of the next byte and how many follow it in the same range. */
  next(): { readonly address: number; readonly length: number } {
    if (this.left === 0) return { address: 0, length: 0 };
    const range = this.current();
    return { address: range.address + this.within, length: range.length - this.within };
  }
  /** The range that holds the next byte; there is one while `left` is not 0. */
  private current(): { readonly address: number; readonly length: number } {
    let range = this.ranges[this.index] as { address: number; length: number };
    while (range.length === this.within) {
      this.within = 0;
      range = this.ranges[++this.index] as { address: number; length: number };
    }
    return range;
  }
}
