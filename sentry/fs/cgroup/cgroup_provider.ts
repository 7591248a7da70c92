/** What cgroup files tell of a container. Boot supplies the limits, from the container's resources; use is what the kernel knows. */

import type { CgroupLimits } from '../../kernel/cgroup_limits.ts';
import type { Container } from '../../kernel/container.ts';
import { groupCpuTimes } from '../../kernel/cpu_time.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';

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
  private peak = 0;

  constructor(container: Container) {
    this.container = container;
  }
  limits(): CgroupLimits {
    return this.container.limits;
  }
  memoryCurrent(): number {
    const seen = new Set<MemoryMap>();
    let total = this.container.memory.held;
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
    return this.container.oomKills;
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
