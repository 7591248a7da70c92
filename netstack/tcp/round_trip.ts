/** The retransmission timeout (RFC 6298), ns. */
const INITIAL = 1e9;
const LEAST = 200e6;
const MOST = 120e9;
const GRANULARITY = 1e6;

export class RoundTrip {
  smoothed = 0;
  variance = 0;
  private base = INITIAL;
  private shift = 0;

  get timeout(): number {
    return Math.min(this.base * 2 ** this.shift, MOST);
  }
  get backedOff(): boolean {
    return this.shift > 0;
  }
  sample(rtt: number): void {
    if (this.smoothed === 0) {
      this.smoothed = Math.max(rtt, 1);
      this.variance = rtt / 2;
    } else {
      this.variance = 0.75 * this.variance + 0.25 * Math.abs(this.smoothed - rtt);
      this.smoothed = 0.875 * this.smoothed + 0.125 * rtt;
    }
    this.base = Math.min(Math.max(this.smoothed + Math.max(GRANULARITY, 4 * this.variance), LEAST), MOST);
    this.shift = 0;
  }
  backOff(): void {
    if (this.timeout < MOST) this.shift++;
  }
  /** Something new was acknowledged. */
  progress(): void {
    this.shift = 0;
  }
}
