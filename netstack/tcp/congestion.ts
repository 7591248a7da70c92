/** How much may be underway: CUBIC (RFC 9438) and Reno (RFC 5681), in bytes. */
const CUBIC_BETA = 0.7;
const CUBIC_C = 0.4;
const RENO_BETA = 0.5;
/** RFC 6928. */
const INITIAL_SEGMENTS = 10;

export type CongestionName = 'cubic' | 'reno';

export class Congestion {
  name: CongestionName = 'cubic';
  window: number;
  threshold = Number.POSITIVE_INFINITY;
  private mss: number;
  /** CUBIC: the window before the last loss, and when its curve began (ns; 0: not yet). */
  private peak = 0;
  private epoch = 0;
  private epochWindow = 0;
  private renoWindow = 0;

  constructor(mss: number) {
    this.mss = mss;
    this.window = INITIAL_SEGMENTS * mss;
  }
  setMss(mss: number): void {
    if (this.window === INITIAL_SEGMENTS * this.mss) this.window = INITIAL_SEGMENTS * mss;
    this.mss = mss;
    this.window = Math.max(this.window, 2 * mss);
  }
  get slowStart(): boolean {
    return this.window < this.threshold;
  }

  /** New bytes were acknowledged while the window was what held us. now, rtt: ns. */
  acknowledged(bytes: number, now: number, rtt: number): void {
    if (this.slowStart) this.window += bytes;
    else if (this.name === 'reno') this.window += (this.mss * bytes) / this.window;
    else this.cubic(bytes, now, rtt);
  }
  private cubic(bytes: number, now: number, rtt: number): void {
    if (this.epoch === 0) {
      this.epoch = now;
      this.epochWindow = this.renoWindow = this.window;
      this.peak = Math.max(this.peak, this.window);
    }
    const { mss } = this;
    const k = Math.cbrt((this.peak - this.epochWindow) / mss / CUBIC_C);
    const t = (now - this.epoch + rtt) / 1e9 - k;
    const target = Math.min(Math.max((CUBIC_C * t * t * t + this.peak / mss) * mss, this.window), this.window * 1.5);
    // What Reno would have by now: never less than that (RFC 9438 §4.3).
    const alpha = this.renoWindow < this.peak ? (3 * (1 - CUBIC_BETA)) / (1 + CUBIC_BETA) : 1;
    this.renoWindow += (alpha * mss * bytes) / this.window;
    this.window = Math.max(this.window + ((target - this.window) * bytes) / this.window, this.renoWindow);
  }

  /** Something was lost: a smaller window from now on. */
  lost(underway: number): void {
    const beta = this.name === 'cubic' ? CUBIC_BETA : RENO_BETA;
    const base = this.name === 'cubic' ? this.window : Math.min(this.window, underway);
    // Fast convergence: a peak that was not reached again makes room for others (RFC 9438 §4.7).
    this.peak = this.window < this.peak ? (this.window * (1 + CUBIC_BETA)) / 2 : this.window;
    this.epoch = 0;
    this.threshold = Math.max(base * beta, 2 * this.mss);
    this.window = this.threshold;
  }
  timedOut(): void {
    this.window = this.mss;
    this.epoch = 0;
  }
  /** Nothing was sent for longer than a timeout (RFC 5681 §4.1). */
  idle(): void {
    this.window = Math.min(this.window, INITIAL_SEGMENTS * this.mss);
    this.epoch = 0;
  }
}
