/** getdents64(2)'s buffer, read entry by entry without an object for each. */
import type { HostCalls } from './host_calls.ts';

const RECLEN = 16;
const TYPE = 18;
const NAME = 19;

/** Most bytes one getdents64 gives; the smallest entry takes 24. */
export const DIRENTS_ROOM = 65536;
export const SMALLEST_DIRENT = 24;
/** A name of NAME_MAX bytes. */
export const LARGEST_DIRENT = 280;

export class Dirents {
  readonly bytes = new Uint8Array(DIRENTS_ROOM);
  private readonly view = new DataView(this.bytes.buffer);
  private readonly base: number;
  private readonly calls: HostCalls;
  private end = 0;
  private nextAt = 0;
  private at = 0;
  private nameEnd = 0;

  constructor(calls: HostCalls) {
    this.calls = calls;
    this.base = calls.host.addressOf(this.bytes);
  }
  /** Reads more from an open directory, at most `room` bytes. How many, 0 at its end, or an errno. */
  fill(fd: number, room: number): number {
    const n = this.calls.getdents(fd, this.base, Math.min(room, DIRENTS_ROOM));
    this.end = Math.max(n, 0);
    this.nextAt = 0;
    return n;
  }
  /** Goes to the next entry; false: the buffer is used up. */
  next(): boolean {
    this.at = this.nextAt;
    if (this.at + SMALLEST_DIRENT > this.end) return false;
    this.nextAt = this.at + this.view.getUint16(this.at + RECLEN, true);
    this.nameEnd = this.bytes.indexOf(0, this.at + NAME);
    return true;
  }
  get type(): number {
    return this.bytes[this.at + TYPE] as number;
  }
  /** st_ino, 64 bits as two halves. */
  get inoLow(): number {
    return this.view.getUint32(this.at, true);
  }
  get inoHigh(): number {
    return this.view.getUint32(this.at + 4, true);
  }
  get nameLength(): number {
    return this.nameEnd - this.at - NAME;
  }
  get nameBytes(): Uint8Array {
    return this.bytes.subarray(this.at + NAME, this.nameEnd);
  }
}
