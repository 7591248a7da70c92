/** What a thread may answer and set itself, in its slot (native-addon/stub/alone.c): lent, read and taken back from here. */
import type { FrameStack, ThreadOwn } from '../platform.ts';
import {
  ALONE_WORDS,
  getWords,
  KEEPS_ADDRESSES,
  KEEPS_END,
  MASK_LENT,
  setWords,
  W_ALONE,
  W_CLEAR_TID,
  W_CLEARED,
  W_KEEPS,
  W_KNOWN,
  W_KNOWN_PID,
  W_KNOWN_TID,
  W_MASK,
  W_MASK_STACK,
  W_ROBUST_LIST,
} from './layout.ts';
import type { SlotWindow } from './slot_window.ts';

export interface SlotOwner {
  /** Word of its slot in the window. */
  readonly at: number;
  /** Its slot may be another's. */
  readonly dead: boolean;
  /** The process's first thread: it does not end before the process. */
  readonly isFirst: boolean;
}

export class SystrapOwn implements ThreadOwn {
  private readonly thread: SlotOwner;
  private readonly window: SlotWindow;

  /** Nothing is lent. */
  constructor(thread: SlotOwner, window: SlotWindow) {
    this.thread = thread;
    this.window = window;
    window.words.fill(0, thread.at + W_ALONE, thread.at + W_ALONE + ALONE_WORDS);
  }

  tellNumbers(numbers: { readonly pid: number; readonly tid: number } | null): void {
    const { at, dead } = this.thread;
    const { words } = this.window;
    if (dead) return;
    words[at + W_KNOWN_PID] = numbers?.pid ?? 0;
    words[at + W_KNOWN_TID] = numbers?.tid ?? 0;
    Atomics.store(words, at + W_KNOWN, numbers === null ? 0 : 1);
  }

  lendMask(mask: bigint, altStack: FrameStack): void {
    const { at, dead } = this.thread;
    const { words, u64 } = this.window;
    if (dead) return;
    setWords(words, at + W_MASK_STACK, altStack.address);
    words[at + W_MASK_STACK + 2] = altStack.flags;
    setWords(words, at + W_MASK_STACK + 4, altStack.size);
    Atomics.store(u64, (at + W_MASK) / 2, mask | MASK_LENT);
  }
  recallMask(): bigint | null {
    return this.thread.dead ? null : lent(Atomics.exchange(this.window.u64, (this.thread.at + W_MASK) / 2, 0n));
  }
  get mask(): bigint | null {
    return this.thread.dead ? null : lent(Atomics.load(this.window.u64, (this.thread.at + W_MASK) / 2));
  }

  set keeps(keeps: boolean) {
    if (!this.thread.dead)
      Atomics.store(this.window.words, this.thread.at + W_KEEPS, keeps ? KEEPS_ADDRESSES | (this.thread.isFirst ? 0 : KEEPS_END) : 0);
  }
  get cleared(): boolean {
    return !this.thread.dead && this.window.words[this.thread.at + W_CLEARED] === 1;
  }
  get robustList(): number {
    return this.address(W_ROBUST_LIST);
  }
  set robustList(address: number) {
    this.setAddress(W_ROBUST_LIST, address);
  }
  get clearChildTid(): number {
    return this.address(W_CLEAR_TID);
  }
  set clearChildTid(address: number) {
    this.setAddress(W_CLEAR_TID, address);
  }
  private address(word: number): number {
    return this.thread.dead ? 0 : getWords(this.window.words, this.thread.at + word);
  }
  private setAddress(word: number, address: number): void {
    if (!this.thread.dead) setWords(this.window.words, this.thread.at + word, address);
  }
}

function lent(word: bigint): bigint | null {
  return (word & MASK_LENT) === 0n ? null : word & ~MASK_LENT;
}
