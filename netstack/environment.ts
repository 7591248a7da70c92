/** What a stack needs from outside: time, timers, randomness. */

/** Ends a timer that has not fired; safe for one that has. */
export type CancelTimer = () => void;

export interface Environment {
  /** Monotonic, ns. */
  now(): number;
  /** fire runs once, at or after `deadline` (ns). */
  startTimer(deadline: number, fire: () => void): CancelTimer;
  /** Uniform in [0, limit). */
  random(limit: number): number;
  /** What has been written to a knob of /proc/sys, by its path below it; absent: nothing. */
  setting?(path: string): string | undefined;
}

/**
 * A deadline that moves often. Moving it later costs nothing: the timer below fires at the old time, sees that it is early and sleeps on.
 */
export class MovableTimer {
  /** ns; Infinity: not set. */
  deadline = Number.POSITIVE_INFINITY;
  private armedFor = Number.POSITIVE_INFINITY;
  private cancel: CancelTimer | null = null;
  private readonly environment: Environment;
  private readonly fire: () => void;

  constructor(environment: Environment, fire: () => void) {
    this.environment = environment;
    this.fire = fire;
  }
  get isSet(): boolean {
    return this.deadline !== Number.POSITIVE_INFINITY;
  }
  set(deadline: number): void {
    this.deadline = deadline;
    if (this.armedFor <= deadline) return;
    this.cancel?.();
    this.arm(deadline);
  }
  clear(): void {
    this.deadline = Number.POSITIVE_INFINITY;
  }
  /** clear, and forget the timer below, too: for objects that end. */
  stop(): void {
    this.clear();
    this.cancel?.();
    this.cancel = null;
    this.armedFor = Number.POSITIVE_INFINITY;
  }
  private arm(deadline: number): void {
    this.armedFor = deadline;
    this.cancel = this.environment.startTimer(deadline, () => this.due());
  }
  private due(): void {
    this.cancel = null;
    this.armedFor = Number.POSITIVE_INFINITY;
    const { deadline } = this;
    if (deadline === Number.POSITIVE_INFINITY) return;
    if (this.environment.now() < deadline) {
      this.arm(deadline);
      return;
    }
    this.clear();
    this.fire();
  }
}
