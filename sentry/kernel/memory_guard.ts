/**
 * Keeps the sandbox within its memory where applications' memory is the Sentry's own: the host would end the Sentry, and with it everything. When
 * what the platform may give is used up, the largest process ends by SIGKILL, as the host's own killer would end it elsewhere. Limits of
 * further containers are memory_limit.ts's.
 */
import type { PlatformMemory } from '../../platforms/platform.ts';
import type { Kernel } from './kernel.ts';
import { endLargest } from './memory_kill.ts';

/** A control group of the host that the sandbox is in. Bytes. */
export interface MemoryGroup {
  /** Infinity: none. */
  limit(): number;
  /** What the host cannot get back by writing it elsewhere or forgetting it. */
  used(): number;
}

const MIB = 1 << 20;
/** Shares of a limit: what stays for the Sentry and the gofer until the next look; what is given page by page. At most so much. */
const RESERVED = 1 / 16;
const RESERVED_MAX = 16 * MIB;
const ZONE = 1 / 16;
const ZONE_MAX = 32 * MIB;
/** Less is not worth another look: somebody has to go. */
const LEAST = MIB;
/** Memory that the Sentry holds (files in memory, pipes): so much more is worth a look. */
const GROWTH = 4 * MIB;

export class MemoryGuard {
  private readonly kernel: Kernel;
  private readonly memory: PlatformMemory;
  private readonly groups: readonly MemoryGroup[];

  constructor(kernel: Kernel, memory: PlatformMemory, groups: readonly MemoryGroup[]) {
    this.kernel = kernel;
    this.memory = memory;
    this.groups = groups;
    const { memoryHeld, timers } = kernel;
    // Not at once: the growth is in the middle of a call.
    memoryHeld.onMark = () => {
      memoryHeld.mark = Number.POSITIVE_INFINITY;
      timers.add(kernel.now(), () => this.settle());
    };
  }

  /** Counts anew, and gives what there is: at the start, when limits change, and when the platform has nothing left. */
  settle(): void {
    const { kernel, memory } = this;
    const { memoryHeld } = kernel;
    const limit = Math.min(...this.groups.map((group) => group.limit()));
    if (limit === Number.POSITIVE_INFINITY) {
      memoryHeld.mark = limit;
      memory.grant(limit, 0);
      return;
    }
    let promised = memory.trim();
    // One at a time: if that is not enough, the next page that is wanted asks again. The reserve bears it.
    if (this.headroom() < LEAST && endLargest(kernel, kernel.containers.values(), limit, 'the sandbox has no memory left'))
      promised = memory.trim();
    memory.grant(Math.max(LEAST, this.headroom() - promised), Math.min(ZONE_MAX, limit * ZONE));
    memoryHeld.mark = memoryHeld.held + GROWTH;
  }

  private headroom(): number {
    let least = Number.POSITIVE_INFINITY;
    for (const group of this.groups) {
      const limit = group.limit();
      least = Math.min(least, limit - group.used() - Math.min(RESERVED_MAX, limit * RESERVED));
    }
    return least;
  }
}
