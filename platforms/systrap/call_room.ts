/**
 * Room in a process's memfd for large results of its calls: the Sentry, or the host's read(2) for it, fills them in here, and the stub copies them to
 * their place as the thread goes on. That is one copy in its own page tables, where process_vm_writev looks every page up.
 */
import { native } from '../../native-addon/native.ts';
import type { CallMemory } from './call_memory.ts';
import { FIRST_ROOM_SLOT, ROOM_SIZE, ROOM_SLOTS } from './layout.ts';

/** Processes of a sandbox that have room at a time: each may fill its pages. */
const MOST_ROOMS = 32;
/** Large results of a process before it gets room: most processes soon end. */
const FIRST_RESULTS = 4;

/** All rooms in one view. What is in them is the applications' to write as well: nothing is read from here but to be given to the same process. */
export class RoomWindow {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Of its first byte, in our own memory. */
  readonly address: number;
  private readonly buffer: ArrayBuffer;
  private readonly free = Array.from({ length: MOST_ROOMS }, (_, i) => i);

  constructor() {
    const window = native.slotWindow(MOST_ROOMS * ROOM_SLOTS);
    if (typeof window === 'number') throw new Error(`systrap: rooms: errno ${-window}`);
    this.buffer = window;
    this.bytes = new Uint8Array(window);
    this.address = native.addressOf(window);
  }
  /** Shows the room of a memfd: its first byte's place in `bytes`, or -1. */
  map(memfd: number): number {
    const place = this.free.pop();
    if (place === undefined) return -1;
    if (native.slotMap(this.buffer, place * ROOM_SLOTS, memfd, FIRST_ROOM_SLOT, ROOM_SLOTS) === 0) return place * ROOM_SIZE;
    this.free.push(place);
    return -1;
  }
  unmap(at: number): void {
    const place = at / ROOM_SIZE;
    if (native.slotMap(this.buffer, place * ROOM_SLOTS, -1, 0, ROOM_SLOTS) === 0) this.free.push(place);
  }
}

/** The room of one process: one thread's at a time, until it stops again and so has taken out what was in there. */
export class CallRoom {
  readonly window: RoomWindow;
  private readonly memfd: number;
  private at = -1;
  private results = 0;
  private owner: CallMemory | null = null;

  constructor(window: RoomWindow, memfd: number) {
    this.window = window;
    this.memfd = memfd;
  }
  /** Its place in the window for results of a call, -1: there is none now. */
  take(owner: CallMemory): number {
    if (this.owner !== null && this.owner !== owner && this.owner.usesRoom) return -1;
    if (this.at < 0) {
      if (++this.results < FIRST_RESULTS) return -1;
      this.at = this.window.map(this.memfd);
      this.results = 0;
    }
    this.owner = owner;
    return this.at;
  }
  /** Where it is in the window, -1: there is none. */
  get place(): number {
    return this.at;
  }
  release(): void {
    if (this.at >= 0) this.window.unmap(this.at);
    this.at = -1;
    this.owner = null;
  }
}
