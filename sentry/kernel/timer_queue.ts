/** Timers of the kernel: a binary heap by deadline. No clock of its own: the loop asks for the next deadline and fires what is due. */

import type { BrokenHandler } from './contain.ts';

/** Timers that fire before others have their turn. */
const FIRED_AT_ONCE = 256;

export interface Timer {
  /** Kernel monotonic time, ns. */
  readonly deadline: number;
  /** Position in the heap; -1 once fired or cancelled. */
  index: number;
  readonly fire: () => void;
  /** Called when `fire` has thrown: who waits for it must not wait for ever. */
  readonly broken: ((error: unknown) => void) | undefined;
}

export class TimerQueue {
  private readonly heap: Timer[] = [];
  private readonly onBroken: BrokenHandler;

  constructor(onBroken: BrokenHandler) {
    this.onBroken = onBroken;
  }

  /** fire runs once, on the kernel thread, at or after `deadline`. */
  add(deadline: number, fire: () => void, broken?: (error: unknown) => void): Timer {
    const timer: Timer = { deadline, index: this.heap.length, fire, broken };
    this.heap.push(timer);
    this.up(timer.index);
    return timer;
  }

  /** Safe for one that has fired. */
  cancel(timer: Timer): void {
    const at = timer.index;
    if (at < 0) return;
    timer.index = -1;
    const last = this.heap.pop() as Timer;
    if (last === timer) return;
    this.heap[at] = last;
    last.index = at;
    this.up(at);
    this.down(last.index);
  }

  /** Infinity if there is none. */
  get next(): number {
    return this.heap[0]?.deadline ?? Number.POSITIVE_INFINITY;
  }

  /** At most FIRED_AT_ONCE: if more are due, `next` has passed already. */
  fireDue(now: number): void {
    let left = FIRED_AT_ONCE;
    for (let timer = this.heap[0]; timer !== undefined && timer.deadline <= now && left-- > 0; timer = this.heap[0]) {
      this.cancel(timer);
      try {
        timer.fire();
      } catch (e) {
        this.fail(timer, e);
      }
    }
  }
  private fail(timer: Timer, error: unknown): void {
    this.onBroken('timer', error);
    try {
      timer.broken?.(error);
    } catch (e) {
      this.onBroken('timer', e);
    }
  }

  private up(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.at(parent).deadline <= this.at(at).deadline) return;
      this.swap(at, parent);
      at = parent;
    }
  }
  private down(start: number): void {
    let at = start;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < this.heap.length && this.at(child).deadline < this.at(least).deadline) least = child;
      }
      if (least === at) return;
      this.swap(at, least);
      at = least;
    }
  }
  private at(i: number): Timer {
    return this.heap[i] as Timer;
  }
  private swap(a: number, b: number): void {
    const x = this.at(a);
    const y = this.at(b);
    this.heap[a] = y;
    this.heap[b] = x;
    y.index = a;
    x.index = b;
  }
}
