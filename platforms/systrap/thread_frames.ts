/** A thread's orders for signal frames, in its slot: the stub carries them out on its way back to the application. */
import type { FrameOrder, FramePeek, SignalFrames } from '../platform.ts';
import {
  F_CR2,
  F_ERR,
  F_HANDLER,
  F_INFO,
  F_MASK,
  F_ON_STACK,
  F_RESTORER,
  F_SIGNAL,
  F_STACK,
  F_STACK_FLAGS,
  F_STACK_SIZE,
  F_TRAPNO,
  getWords,
  P_MASK,
  P_SP,
  P_STACK,
  P_STACK_FLAGS,
  P_STACK_SIZE,
  P_VALID,
  REPLY_FRAME,
  REPLY_UNWIND,
  setWords,
  W_FRAME,
  W_PEEK,
} from './layout.ts';
import type { SlotWindow } from './slot_window.ts';

export const REPLY_FRAMES = REPLY_FRAME | REPLY_UNWIND;

/** The thread's side. */
export interface OrderTaker {
  /** Word of its slot in the window. */
  readonly at: number;
  /** REPLY_* that its next reply carries. */
  flags: number;
  /** Has the stub apply the flags now; false if a frame was broken. */
  applyFlags(): boolean;
}

export class ThreadFrames implements SignalFrames {
  private readonly thread: OrderTaker;
  private readonly window: SlotWindow;

  constructor(thread: OrderTaker, window: SlotWindow) {
    this.thread = thread;
    this.window = window;
  }

  get pending(): boolean {
    return (this.thread.flags & REPLY_FRAMES) !== 0;
  }
  push(order: FrameOrder): void {
    const { words, bytes, u64 } = this.window;
    const w = this.thread.at + W_FRAME;
    const { altStack } = order;
    setWords(words, w + F_HANDLER, order.handler);
    setWords(words, w + F_RESTORER, order.restorer);
    u64[(w + F_MASK) / 2] = order.mask;
    setWords(words, w + F_STACK, altStack.address);
    words[w + F_STACK_FLAGS] = altStack.flags;
    setWords(words, w + F_STACK_SIZE, altStack.size);
    words[w + F_SIGNAL] = order.signal;
    words[w + F_ON_STACK] = order.onAltStack ? 1 : 0;
    setWords(words, w + F_ERR, order.err);
    setWords(words, w + F_TRAPNO, order.trapno);
    setWords(words, w + F_CR2, order.cr2);
    bytes.set(order.info, (w + F_INFO) * 4);
    this.thread.flags |= REPLY_FRAME;
  }
  peek(): FramePeek | null {
    const { words, u64 } = this.window;
    const w = this.thread.at + W_PEEK;
    if (words[w + P_VALID] !== 1) return null;
    return {
      mask: u64[(w + P_MASK) / 2] as bigint,
      altStack: {
        address: getWords(words, w + P_STACK),
        flags: (words[w + P_STACK_FLAGS] as number) >>> 0,
        size: getWords(words, w + P_STACK_SIZE),
      },
      sp: getWords(words, w + P_SP),
    };
  }
  pop(): void {
    this.thread.flags |= REPLY_UNWIND;
  }
  settle(): boolean {
    return !this.pending || this.thread.applyFlags();
  }
}
