/**
 * A timer on one of the clocks, once or again and again. On system clocks the kernel's timer queue fires it. CPU-time clocks advance in
 * host threads that report nothing: those are read when they can have got there at the earliest, and seldom while they stand still.
 */
import { type Clock, deadlineOf, isCpuClock, readClock } from './clocks.ts';
import type { Kernel } from './kernel.ts';
import type { Timer } from './timer_queue.ts';

/**
 * The shortest time between two expirations that are acted upon, what expires in between is counted; and for each timer that repeats, so that
 * however many there are the kernel's thread has most of its time for others. ns.
 */
const MIN_PERIOD = 50_000;
const MIN_PERIOD_PER_TIMER = 20_000;
/** Between two readings of a CPU clock, ns: while it runs, and at most while it does not. */
const MIN_CPU_WAIT = 1_000_000;
const MAX_CPU_WAIT = 100_000_000;

export class ClockTimer {
  readonly clock: Clock;
  private readonly kernel: Kernel;
  /** How often it expired since it was last called: at least 1. */
  private readonly onExpire: (times: number) => void;
  /** On `clock`; 0 = disarmed. */
  private expiry = 0;
  /** ns; 0 = once. */
  private period = 0;
  private timer: Timer | null = null;
  private lastReading = -1;
  private idleWait = MIN_CPU_WAIT;

  constructor(kernel: Kernel, clock: Clock, onExpire: (times: number) => void) {
    this.kernel = kernel;
    this.clock = clock;
    this.onExpire = onExpire;
  }

  get armed(): boolean {
    return this.expiry !== 0;
  }
  get interval(): number {
    return this.period;
  }
  /** ns until it expires, at least 1; 0 if it is disarmed. */
  remaining(): number {
    return this.armed ? Math.max(1, this.expiry - readClock(this.kernel, this.clock)) : 0;
  }

  /** First after `delay` ns, then every `interval`. A delay of 0 disarms. */
  start(delay: number, interval: number): void {
    this.startAt(delay === 0 ? 0 : readClock(this.kernel, this.clock) + delay, interval);
  }
  /** First at `expiry` on the clock, at once if that has passed; 0 disarms. */
  startAt(expiry: number, interval: number): void {
    this.stop();
    if (expiry === 0) return;
    this.expiry = expiry;
    this.period = interval;
    if (interval !== 0) this.kernel.repeatingTimers++;
    this.schedule();
  }
  stop(): void {
    if (this.timer !== null) this.kernel.timers.cancel(this.timer);
    if (this.period !== 0) this.kernel.repeatingTimers--;
    this.timer = null;
    this.expiry = 0;
    this.period = 0;
  }

  /** wait: ns that pass at least. */
  private schedule(wait = 1): void {
    const at = isCpuClock(this.clock) ? this.kernel.now() + this.cpuWait() : deadlineOf(this.kernel, this.clock, this.expiry);
    if (Number.isFinite(at)) this.timer = this.kernel.timers.add(Math.max(at, this.kernel.now() + wait), () => this.check());
  }

  /** Every thread of a process adds to its clock; a clock that stood still is looked at less and less often. */
  private cpuWait(): number {
    const { clock } = this;
    const now = readClock(this.kernel, clock);
    this.idleWait = now === this.lastReading ? Math.min(this.idleWait * 2, MAX_CPU_WAIT) : MIN_CPU_WAIT;
    this.lastReading = now;
    const threads = clock.kind === 'process' || clock.kind === 'user' ? Math.max(1, clock.group.tasks.length) : 1;
    return Math.max(this.idleWait, (this.expiry - now) / threads);
  }

  private check(): void {
    this.timer = null;
    if (!this.armed) return;
    const now = readClock(this.kernel, this.clock);
    if (now < this.expiry) {
      this.schedule();
      return;
    }
    let times = 1;
    if (this.period === 0) this.expiry = 0;
    else {
      times += Math.floor((now - this.expiry) / this.period);
      this.expiry += times * this.period;
      this.schedule(Math.max(MIN_PERIOD, MIN_PERIOD_PER_TIMER * this.kernel.repeatingTimers));
    }
    this.onExpire(times);
  }
}
