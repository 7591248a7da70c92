/** The host's control groups that bound the sandbox's memory, through their own files, which runsc has opened for us. */
import type { Host } from '../../lib/host.ts';
import type { MemoryGroup } from '../kernel/memory_guard.ts';

/** Descriptors of a group's files: memory.max, memory.current and memory.stat, or what version 1 calls so. */
export interface MemoryGroupFds {
  readonly limit: number;
  readonly usage: number;
  readonly stat: number;
}

/** Version 1 words "no limit" as a huge number. */
const HUGE = 2 ** 62;
/** Pages of files that the host forgets or writes elsewhere when memory is short; version 1 counts those of groups below under "total_". */
const RECLAIMABLE = /^(?:total_)?(?:in)?active_file (\d+)$/;

export class HostMemoryGroup implements MemoryGroup {
  private readonly host: Host;
  private readonly fds: MemoryGroupFds;
  private readonly bytes = new Uint8Array(8192);

  constructor(host: Host, fds: MemoryGroupFds) {
    this.host = host;
    this.fds = fds;
  }
  limit(): number {
    const value = Number(this.read(this.fds.limit).trim());
    return Number.isNaN(value) || value > HUGE || value === 0 ? Number.POSITIVE_INFINITY : value;
  }
  used(): number {
    const rows = this.read(this.fds.stat).split('\n');
    const total = rows.some((row) => row.startsWith('total_'));
    let reclaimable = 0;
    for (const row of rows) {
      const [, value] = RECLAIMABLE.exec(row) ?? [];
      if (value !== undefined && row.startsWith('total_') === total) reclaimable += Number(value);
    }
    return Math.max(0, Number(this.read(this.fds.usage).trim()) - reclaimable);
  }
  private read(fd: number): string {
    const n = this.host.pread(fd, this.bytes, 0, this.bytes.length, 0);
    return n > 0 ? Buffer.from(this.bytes.buffer, 0, n).toString('latin1') : '';
  }
}
