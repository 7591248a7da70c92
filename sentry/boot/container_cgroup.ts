/** The cgroup of a further container of a pod: its processes join it, and its memory limit covers what the Sentry holds for it. */
import { errnoName, isErrno } from '../../abi/errno.ts';
import { INTERNAL, StatusError } from '../../lib/ttrpc/status.ts';
import type { Container } from '../kernel/container.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { MemoryLimit } from '../kernel/memory_limit.ts';

export interface ContainerCgroupFiles {
  /** cgroup.procs, one a hierarchy; none: the container's processes stay in the cgroup of the sandbox. */
  readonly procs: readonly number[];
  /** memory.stat; -1: its memory is not counted. */
  readonly memoryStat: number;
}

/** Owns the descriptors. @throws StatusError if the processes cannot be put there. */
export class ContainerCgroup {
  private readonly container: Container;
  private readonly limit: MemoryLimit;

  constructor(kernel: Kernel, container: Container, files: ContainerCgroupFiles) {
    this.container = container;
    try {
      if (files.procs.length > 0) join(kernel, container, files.procs);
    } finally {
      // From here on nobody in the sandbox can change who is where.
      for (const fd of files.procs) kernel.host.close(fd);
    }
    this.limit = new MemoryLimit(kernel, container, files.memoryStat);
  }

  /** The container's limits are others now. */
  changed(): void {
    this.limit.check();
  }

  /** No process of the container will be started any more. */
  leave(): void {
    this.limit.stop();
    this.container.spaces?.release();
  }
}

function join(kernel: Kernel, container: Container, procs: readonly number[]): void {
  const source = kernel.platform.newSpaceSource?.();
  if (source === undefined) return; // no host processes
  if (isErrno(source)) throw new StatusError(INTERNAL, `cannot make a host process for the container's cgroup: ${errnoName(source)}`);
  container.spaces = source;
  const pid = Buffer.from(String(source.pid));
  for (const fd of procs) {
    const r = kernel.host.write(fd, pid);
    if (r >= 0) continue;
    source.release();
    throw new StatusError(INTERNAL, `cannot put the container's processes into its cgroup: ${errnoName(r)}`);
  }
}
