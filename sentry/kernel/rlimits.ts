/** getrlimit(2): soft and hard limits of a process. */
export const RLIMIT_CPU = 0;
export const RLIMIT_FSIZE = 1;
export const RLIMIT_DATA = 2;
export const RLIMIT_STACK = 3;
export const RLIMIT_CORE = 4;
export const RLIMIT_RSS = 5;
export const RLIMIT_NPROC = 6;
export const RLIMIT_NOFILE = 7;
export const RLIMIT_MEMLOCK = 8;
export const RLIMIT_AS = 9;
export const RLIMIT_LOCKS = 10;
export const RLIMIT_SIGPENDING = 11;
export const RLIMIT_MSGQUEUE = 12;
export const RLIMIT_NICE = 13;
export const RLIMIT_RTPRIO = 14;
export const RLIMIT_RTTIME = 15;
export const RLIM_NLIMITS = 16;
export const RLIM_INFINITY = Number.POSITIVE_INFINITY;

export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

/** Linux's defaults for init (include/asm-generic/resource.h as documented in getrlimit(2)), with Docker's NOFILE. */
const DEFAULTS: Readonly<Record<number, Limit>> = {
  [RLIMIT_STACK]: { soft: 8 << 20, hard: RLIM_INFINITY },
  [RLIMIT_CORE]: { soft: 0, hard: RLIM_INFINITY },
  [RLIMIT_NPROC]: { soft: 65536, hard: 65536 },
  [RLIMIT_NOFILE]: { soft: 1024, hard: 1_048_576 },
  [RLIMIT_MEMLOCK]: { soft: 8 << 20, hard: 8 << 20 },
  [RLIMIT_SIGPENDING]: { soft: 65536, hard: 65536 },
  [RLIMIT_MSGQUEUE]: { soft: 819200, hard: 819200 },
  [RLIMIT_NICE]: { soft: 0, hard: 0 },
  [RLIMIT_RTPRIO]: { soft: 0, hard: 0 },
};

export class ResourceLimits {
  private readonly limits: Limit[];
  constructor(from?: ResourceLimits) {
    this.limits = from
      ? from.limits.slice()
      : Array.from({ length: RLIM_NLIMITS }, (_, i) => DEFAULTS[i] ?? { soft: RLIM_INFINITY, hard: RLIM_INFINITY });
  }
  get(resource: number): Limit {
    return this.limits[resource] as Limit;
  }
  set(resource: number, limit: Limit): void {
    this.limits[resource] = limit;
  }
  soft(resource: number): number {
    return (this.limits[resource] as Limit).soft;
  }
}
