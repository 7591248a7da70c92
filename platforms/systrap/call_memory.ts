/**
 * Memory that a thread's system call names, while the thread is stopped at it: the stub has copied what is small and read
 * (native-addon/stub/arguments.c), and puts what is written into its place when the thread goes on: what is small from the slot, what is large from the
 * process's room (call_room.ts). Everything else is read and written in the process, at once.
 *
 * The slot is the application's to write: places and lengths are taken from it once a call and checked, bytes are copied out at each read.
 * What it says there it could as well have written to the memory itself.
 */
import { EFAULT, type Errno } from '../../abi/errno.ts';
import {
  DATA_SIZE,
  getWords,
  IN_ROOM,
  M_LENGTH,
  M_OFFSET,
  PIECE_WORDS,
  PIECES_GATHERED,
  REPLY_WRITE,
  ROOM_SIZE,
  setWords,
  W_DATA,
  W_GATHERED,
  W_MEMORY,
  W_OWN_ROOM,
  W_WRITTEN,
} from './layout.ts';

/** The process's memory, and who is told of writes that wait. */
export interface ProcessMemory {
  read(address: number, into: Uint8Array, offset: number, count: number): number;
  write(address: number, from: Uint8Array, offset: number, count: number): number;
  /** As write, and nothing that waits is done before. */
  writeNow(address: number, from: Uint8Array, offset: number, count: number): number;
  /** This thread's writes wait; until `written`, `complete` must be called before anybody else looks at the memory. */
  writing(memory: CallMemory): void;
  written(memory: CallMemory): void;
  /** Where the room is, in `room.window`, for what this thread is to find at an address; -1: there is none. */
  takeRoom(memory: CallMemory, address: number, count: number): number;
  mayWriteLate(address: number, count: number): boolean;
  readonly room: { readonly window: MemoryView; readonly place: number; take(memory: CallMemory): number };
  /** More than one thread uses it. */
  readonly threaded: boolean;
}
/** Bytes, and the address of the first in our own memory. */
export interface MemoryView {
  readonly bytes: Uint8Array;
  readonly address: number;
}
export interface SlotViews extends MemoryView {
  readonly words: Int32Array;
}

interface Piece {
  address: number;
  length: number;
  /** Of its bytes in the slot's data, or in the rooms. */
  offset: number;
  inRoom: boolean;
  /** Written so far: from `low` to `high`; none if high is 0. */
  low: number;
  high: number;
}
const piece = (): Piece => ({ address: 0, length: 0, offset: 0, inRoom: false, low: 0, high: 0 });
/** Below it bytes are copied one by one: a view to copy from costs more. */
const FEW = 32;
/** Less is not worth room. */
const LEAST_LARGE = 512;

export class CallMemory {
  private readonly process: ProcessMemory;
  private readonly slot: SlotViews;
  /** The slot's first word. */
  private readonly at: number;
  /** Two to read, two to write. */
  private readonly pieces: readonly [Piece, Piece, Piece, Piece] = [piece(), piece(), piece(), piece()];
  /** `pieces` are of this call. */
  private known = false;
  /** What was copied is as old as the call, and nothing has been written since. */
  private fresh = false;
  /** The thread is stopped at a call. */
  private open = false;
  private waiting = false;
  private broken = false;
  /** What is large: where it is to go, how much there is, where it begins in the rooms. */
  private largeAddress = 0;
  private large = 0;
  private roomAt = 0;
  /** Where `room` has sent a host call: a piece, or null: the room. */
  private promised: Piece | null = null;
  /** The room is this thread's: from the first byte on until it has stopped again. */
  usesRoom = false;

  constructor(process: ProcessMemory, slot: SlotViews, at: number) {
    this.process = process;
    this.slot = slot;
    this.at = at;
  }

  /** The thread has stopped at a system call. */
  begin(): void {
    this.known = false;
    this.fresh = true;
    this.open = true;
    this.broken = false;
    this.usesRoom = false;
  }
  /**
   * The call has been looked at; maybe it waits now. Others may have changed on purpose what it reads; if there are other threads, they may
   * take away what it writes, and it must learn of that before it takes the data from where they are.
   */
  settle(threaded: boolean): void {
    this.fresh = false;
    if (!threaded || !this.open) return;
    this.complete();
    this.open = false;
  }

  read(address: number, into: Uint8Array, offset: number, count: number): number {
    if (this.fresh) {
      if (!this.known) this.learn();
      const [first, second] = this.pieces;
      if (holds(first, address, count)) return this.copy(first, address, into, offset, count);
      if (holds(second, address, count)) return this.copy(second, address, into, offset, count);
    }
    if (count > DATA_SIZE) this.process.room.take(this); // a process that writes much has use for it, too
    return this.process.read(address, into, offset, count);
  }
  /** See ThreadMemory. */
  given(address: number, count: number): number {
    if (!this.fresh) return 0;
    if (!this.known) this.learn();
    const [piece] = this.pieces;
    return piece.inRoom && holds(piece, address, count) ? this.process.room.window.address + piece.offset + (address - piece.address) : 0;
  }
  write(address: number, from: Uint8Array, offset: number, count: number): number {
    if (this.open) {
      if (!this.known) this.learn();
      this.fresh = false;
      const [, , first, second] = this.pieces;
      if (holds(first, address, count) && this.put(first, address - first.address, from, offset, count)) return count;
      if (this.large === 0 && holds(second, address, count) && this.put(second, address - second.address, from, offset, count))
        return count;
      if (count >= LEAST_LARGE && this.putLarge(address, from, offset, count)) return count;
    }
    return this.process.write(address, from, offset, count);
  }
  /** See ThreadMemory. */
  room(address: number, count: number): number {
    if (!this.open) return 0;
    if (!this.known) this.learn();
    const [, , piece] = this.pieces;
    if (piece.high === 0 && piece.address === address && holds(piece, address, count)) {
      this.promised = piece;
      return this.slot.address + (this.at + W_DATA) * 4 + piece.offset;
    }
    this.promised = null;
    const at = this.reserve(address, count);
    return at < 0 ? 0 : this.process.room.window.address + at;
  }
  filled(count: number): void {
    this.fresh = false;
    const { promised } = this;
    if (promised === null) this.large += count;
    else {
      promised.low = 0;
      promised.high = count;
    }
    if (count > 0) this.wait();
  }
  /** What waits is written now. */
  complete(): void {
    this.usesRoom = false;
    if (!this.waiting) return;
    this.waiting = false;
    this.process.written(this);
    const { bytes } = this.slot;
    for (let i = 2; i < PIECES_GATHERED; i++) {
      const { address, offset, low, high } = this.pieces[i] as Piece;
      if (high === 0) continue;
      const count = high - low;
      const n = this.process.writeNow(address + low, bytes, (this.at + W_DATA) * 4 + offset + low, count);
      if (n !== count) this.broken = true;
      (this.pieces[i] as Piece).high = 0;
    }
    if (
      this.large > 0 &&
      this.process.writeNow(this.largeAddress, this.process.room.window.bytes, this.roomAt, this.large) !== this.large
    ) {
      this.broken = true;
    }
    this.large = 0;
  }
  /** The thread goes on: what its reply has to say. */
  end(): number {
    this.slot.words[this.at + W_OWN_ROOM] = this.process.room.place >= 0 && !this.process.threaded ? 1 : 0;
    this.open = false;
    this.fresh = false;
    if (!this.waiting) return 0;
    this.waiting = false;
    this.process.written(this);
    const { words } = this.slot;
    for (let i = 2; i < PIECES_GATHERED; i++) {
      const { address, offset, low, high } = this.pieces[i] as Piece;
      const w = this.at + W_WRITTEN + (i - 2) * PIECE_WORDS;
      words[w + M_LENGTH] = high - (high === 0 ? 0 : low);
      setWords(words, w, address + low);
      words[w + M_OFFSET] = offset + low;
    }
    if (this.large > 0) this.tellLarge();
    return REPLY_WRITE;
  }
  /** EFAULT if memory that could be written at the call could not be any more. */
  get failure(): 0 | Errno {
    return this.broken ? EFAULT : 0;
  }

  /** In the place of a piece that has nothing to be written. */
  private tellLarge(): void {
    const { words } = this.slot;
    const w = this.at + W_WRITTEN + (words[this.at + W_WRITTEN + M_LENGTH] === 0 ? 0 : PIECE_WORDS);
    words[w + M_LENGTH] = this.large;
    setWords(words, w, this.largeAddress);
    words[w + M_OFFSET] = IN_ROOM;
    this.large = 0;
  }
  /** Where in the rooms the next large bytes go; -1: nowhere. */
  private reserve(address: number, count: number): number {
    if (this.large === 0) {
      const [, , first, second] = this.pieces;
      if (count > ROOM_SIZE || (first.high > 0 && second.high > 0)) return -1;
      this.roomAt = this.process.takeRoom(this, address, count);
      this.largeAddress = address;
      return this.roomAt;
    }
    const next = address === this.largeAddress + this.large && this.large + count <= ROOM_SIZE;
    return next && this.process.mayWriteLate(address, count) ? this.roomAt + this.large : -1;
  }
  private putLarge(address: number, from: Uint8Array, offset: number, count: number): boolean {
    const at = this.reserve(address, count);
    if (at < 0) return false;
    this.process.room.window.bytes.set(from.subarray(offset, offset + count), at);
    this.large += count;
    this.wait();
    return true;
  }
  private wait(): void {
    if (this.large > 0) this.usesRoom = true;
    if (this.waiting) return;
    this.waiting = true;
    this.process.writing(this);
  }

  private learn(): void {
    this.known = true;
    const { words } = this.slot;
    const there = words[this.at + W_GATHERED] === 1;
    let offset = 0;
    for (let i = 0, w = this.at + W_MEMORY; i < PIECES_GATHERED; i++, w += PIECE_WORDS) {
      const piece = this.pieces[i] as Piece;
      const length = there ? (words[w + M_LENGTH] as number) >>> 0 : 0;
      piece.length = length <= DATA_SIZE - offset ? length : 0;
      piece.address = getWords(words, w);
      piece.offset = offset;
      piece.high = 0;
      piece.inRoom = i === 0 && there && words[w + M_OFFSET] === IN_ROOM && length <= ROOM_SIZE && !this.process.threaded;
      if (piece.inRoom) {
        piece.offset = this.process.room.place;
        piece.length = piece.offset < 0 ? 0 : length;
        continue;
      }
      offset = Math.min(offset + ((piece.length + 7) & ~7), DATA_SIZE);
    }
  }
  private copy(piece: Piece, address: number, into: Uint8Array, offset: number, count: number): number {
    const { bytes } = piece.inRoom ? this.process.room.window : this.slot;
    const start = (piece.inRoom ? 0 : (this.at + W_DATA) * 4) + piece.offset + (address - piece.address);
    if (count > FEW) into.set(bytes.subarray(start, start + count), offset);
    else for (let i = 0; i < count; i++) into[offset + i] = bytes[start + i] as number;
    return count;
  }
  /** False if it does not go on where the last one ended. */
  private put(piece: Piece, at: number, from: Uint8Array, offset: number, count: number): boolean {
    if (piece.high === 0) piece.low = at;
    else if (at < piece.low || at > piece.high) return false;
    const { bytes } = this.slot;
    const start = (this.at + W_DATA) * 4 + piece.offset + at;
    if (count > FEW) bytes.set(from.subarray(offset, offset + count), start);
    else for (let i = 0; i < count; i++) bytes[start + i] = from[offset + i] as number;
    piece.high = Math.max(piece.high, at + count);
    this.wait();
    return true;
  }
}

function holds(piece: Piece, address: number, count: number): boolean {
  return count > 0 && address >= piece.address && address + count <= piece.address + piece.length;
}
