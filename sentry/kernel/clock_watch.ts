/**
 * Steps of the wall clock (TFD_TIMER_CANCEL_ON_SET of timerfd_create(2)). Nobody in a sandbox sets the host's clock, and the host tells
 * no one: so the two clocks are compared every few seconds, while somebody wants to know.
 */
import type { Kernel } from './kernel.ts';
import type { Timer } from './timer_queue.ts';

const PERIOD = 5_000_000_000;
/** Less than this in one period is the clock being steered (500 ppm at most), not set. ns. */
const STEP = 20_000_000;

export class ClockWatch {
  private readonly kernel: Kernel;
  private readonly listeners = new Set<() => void>();
  private offset = 0;
  private timer: Timer | null = null;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  /** `onStep` is called once for each step from now on. */
  add(onStep: () => void): void {
    this.listeners.add(onStep);
    if (this.timer !== null) return;
    this.offset = this.difference();
    this.schedule();
  }
  /** Safe for one that is not there. */
  remove(onStep: () => void): void {
    this.listeners.delete(onStep);
    if (this.listeners.size > 0 || this.timer === null) return;
    this.kernel.timers.cancel(this.timer);
    this.timer = null;
  }
  private difference(): number {
    return this.kernel.realtime() - this.kernel.now();
  }
  private schedule(): void {
    this.timer = this.kernel.timers.add(this.kernel.now() + PERIOD, () => this.check());
  }
  private check(): void {
    const next = this.difference();
    const stepped = Math.abs(next - this.offset) > STEP;
    this.offset = next;
    this.schedule();
    if (stepped) for (const listener of [...this.listeners]) listener();
  }
}
