/** What cgroup files tell of a container. Boot supplies the limits, from the container's resources; use is what the kernel knows. */

import type { Container } from '../../kernel/container.ts';
import { groupCpuTimes } from '../../kernel/cpu_time.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';

/** Limits of a container; null: none ("max"). */
export interface CgroupLimits {
  /** Bytes. */
  readonly memory: number | null;
  /** Bytes of swap alone, as cgroup v2 counts them. */
  readonly swap: number | null;
  /** µs of processor time in each period of so many µs. */
  readonly cpuQuota: number | null;
  readonly cpuPeriod: number;
  /** cpu.weight, 1 to 10000. */
  readonly cpuWeight: number;
  readonly pids: number | null;
}

export const NO_LIMITS: CgroupLimits = { memory: null, swap: null, cpuQuota: null, cpuPeriod: 100_000, cpuWeight: 100, pids: null };

export interface CgroupProvider {
  limits(): CgroupLimits;
  /** Bytes in use now, and the most there have been. */
  memoryCurrent(): number;
  memoryPeak(): number;
  /** How often the OOM killer struck. */
  oomKills(): number;
  /** µs. */
  cpuUsage(): { readonly user: number; readonly system: number };
}

/** From the kernel's own accounts. */
export class ContainerCgroup implements CgroupProvider {
  private readonly container: Container;
  private readonly containerLimits: CgroupLimits;
  private peak = 0;

  constructor(container: Container, limits: CgroupLimits = NO_LIMITS) {
    this.container = container;
    this.containerLimits = limits;
  }
  limits(): CgroupLimits {
    return this.containerLimits;
  }
  memoryCurrent(): number {
    const seen = new Set<MemoryMap>();
    let total = 0;
    for (const { leader } of this.container.processes) {
      if (leader.state === 'dead' || seen.has(leader.mm)) continue;
      seen.add(leader.mm);
      total += leader.mm.space.resident().total;
    }
    this.peak = Math.max(this.peak, total);
    return total;
  }
  memoryPeak(): number {
    return Math.max(this.memoryCurrent(), this.peak);
  }
  oomKills(): number {
    return 0;
  }
  cpuUsage(): { user: number; system: number } {
    let user = 0;
    let system = 0;
    for (const process of this.container.processes) {
      const own = groupCpuTimes(process);
      user += own.user + process.reapedChildren.userTime;
      system += own.system + process.reapedChildren.systemTime;
    }
    return { user: Math.floor(user / 1000), system: Math.floor(system / 1000) };
  }
}
