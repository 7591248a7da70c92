/** Limits of a container, as cgroup v2 words them; null: none ("max"). Boot sets them from the resources of the specification. */
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
