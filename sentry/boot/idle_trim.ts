/**
 * Gives memory back when the sandbox has become idle: what its start, or a busy time, has left in V8's heap and the C library's. Once for
 * each such time, so that an idle sandbox stays asleep.
 */
import type { Kernel } from '../kernel/kernel.ts';

/** ns of rest before it is worth the 10 to 20 ms that a collection takes. */
const REST = 1e9;
/** Rounds of the kernel's loop in that time that are still rest. */
const QUIET_ROUNDS = 50;
/** Rounds after which there may be something to give back again. */
const BUSY_ROUNDS = 20_000;

export class IdleTrim {
  private readonly kernel: Kernel;
  private readonly trim: () => void;
  private roundsBefore = 0;

  constructor(kernel: Kernel, trim: () => void) {
    this.kernel = kernel;
    this.trim = trim;
    this.watch();
  }

  private watch(): void {
    this.roundsBefore = this.kernel.rounds;
    this.kernel.timers.add(this.kernel.now() + REST, () => this.look());
  }
  private look(): void {
    const { kernel } = this;
    if (kernel.rounds - this.roundsBefore > QUIET_ROUNDS) {
      this.watch();
      return;
    }
    this.trim();
    kernel.atRound(kernel.rounds + BUSY_ROUNDS, () => this.watch());
  }
}
