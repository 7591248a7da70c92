/**
 * All slots of the sandbox in one view: slot w begins at word w * SLOT_WORDS. A free place shows zeros. Slots are shared with
 * applications: read each value once, believe none.
 */
import { ENOMEM, type Errno } from '../../abi/errno.ts';
import type { Host } from '../../lib/host.ts';
import { native } from '../../native-addon/native.ts';
import { SLOT_WORDS } from './layout.ts';

/** Most threads of a sandbox, and most spaces with more than one. */
const MOST_THREADS = 8192;
const MOST_COUNTS = 4096;
const WINDOW_SLOTS = MOST_THREADS + MOST_COUNTS;

export class SlotWindow {
  readonly words: Int32Array<ArrayBuffer>;
  readonly u64: BigUint64Array<ArrayBuffer>;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly buffer: ArrayBuffer;
  /** Of its first byte, in our own memory. */
  readonly address: number;
  private readonly free: number[] = [];
  private used = 0;

  constructor() {
    const window = native.slotWindow(WINDOW_SLOTS);
    if (typeof window === 'number') throw new Error(`systrap: slot window: errno ${-window}`);
    this.buffer = window;
    this.words = new Int32Array(window);
    this.u64 = new BigUint64Array(window);
    this.bytes = new Uint8Array(window);
    this.address = native.addressOf(window);
  }
  /** Shows page `page` of the memfd. The slot's place. */
  map(fd: number, page: number): number | Errno {
    const place = this.free.pop() ?? this.used;
    if (place >= WINDOW_SLOTS) return ENOMEM;
    const r = native.slotMap(this.buffer, place, fd, page, 1);
    if (place === this.used) this.used++;
    if (r < 0) {
      this.free.push(place);
      return r as Errno;
    }
    return place;
  }
  unmap(place: number): void {
    if (native.slotMap(this.buffer, place, -1, 0, 1) === 0) this.free.push(place);
  }
  /** Fills `count` words from `at` with random bits; what they are. */
  randomize(host: Host, at: number, count: number): Int32Array {
    const random = new Int32Array(count);
    host.getrandom(new Uint8Array(random.buffer));
    this.words.set(random, at);
    return random;
  }
  wordOf(place: number): number {
    return place * SLOT_WORDS;
  }
}
