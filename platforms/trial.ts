/**
 * A way of placing threads that pays or does not, and nothing says so beforehand: it is tried, and judged by the calls that get done in it.
 */

/** A trial must bring so many times the calls that were made before. */
const WORTH = 1.4;
/** Ticks in which it may show that: the first sees the move, and in any of them somebody else (a compiler's thread) can have the CPU for a slice. */
const TRIAL_TICKS = 4;
/** Later the calls must not fall below this part of what they were before, */
const FLOOR = 0.7;
/** nor below so many a tick: both sides burn their CPUs for nothing then; */
const COOL_CALLS = 100;
/** for so many ticks in a row: one alone says that somebody had a slice, or that the program did something else. */
const SLOW_TICKS = 4;
/** Ticks until the next trial: after one that paid, and after one that did not; doubled by each that failed. */
const SHORT_PAUSE = 4;
const FIRST_PAUSE = 40;
const LONGEST_PAUSE = 4000;
/** Ticks after which what has passed is compared once more: programs change, and code that warms up passes any trial. Doubled each time. */
const FIRST_TERM = 64;

export class Trial {
  private coldUntil = 0;
  private pause = FIRST_PAUSE;
  /** Ticks that the trial still takes; 0: it has passed. */
  private left = 0;
  private before = 0;
  private term = FIRST_TERM;
  private until = 0;
  /** Ticks in a row that were not worth it. */
  private slow = 0;
  /** The last one brought nothing. */
  hasFailed = false;

  isDue(tick: number): boolean {
    return tick >= this.coldUntil;
  }
  /** before: calls in the last tick without. */
  start(before: number): void {
    this.left = TRIAL_TICKS;
    this.before = before;
    this.slow = 0;
  }
  /** Once a tick. False: it ends here. */
  goesOn(calls: number, tick: number): boolean {
    if (this.left > 0) return this.judge(calls, tick);
    this.slow = calls < Math.max(COOL_CALLS, this.before * FLOOR) ? this.slow + 1 : 0;
    if (this.slow < SLOW_TICKS && tick < this.until) return true;
    this.coldUntil = tick + SHORT_PAUSE;
    return false;
  }
  private judge(calls: number, tick: number): boolean {
    if (calls >= this.before * WORTH) {
      this.left = 0;
      this.hasFailed = false;
      this.until = tick + this.term;
      this.term = Math.min(this.term * 2, LONGEST_PAUSE);
      this.pause = FIRST_PAUSE;
      return true;
    }
    if (--this.left > 0) return true;
    this.hasFailed = true;
    this.term = FIRST_TERM;
    this.coldUntil = tick + this.pause;
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    return false;
  }
}
