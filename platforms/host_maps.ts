/** What is mapped in a host process, from its procfs `maps` (proc_pid_maps(5)). */
import type { Host } from '../lib/host.ts';

export interface HostMapping {
  readonly start: number;
  readonly end: number;
  readonly name: string;
}

/** procFd: a directory of procfs that shows the process. @throws Error if it does not. */
export function readHostMaps(host: Host, procFd: number, pid: number): HostMapping[] {
  const fd = host.openat(procFd, `${pid}/maps`, 0o2000000 /* O_RDONLY | O_CLOEXEC */);
  if (fd < 0) throw new Error(`procfs: cannot open ${pid}/maps: errno ${-fd}`);
  const chunk = new Uint8Array(16384);
  let text = '';
  for (;;) {
    const n = host.read(fd, chunk);
    if (n <= 0) break;
    text += Buffer.from(chunk.subarray(0, n)).toString('latin1');
  }
  host.close(fd);
  const mappings: HostMapping[] = [];
  for (const line of text.split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)$/.exec(line);
    if (m) mappings.push({ start: Number.parseInt(m[1] as string, 16), end: Number.parseInt(m[2] as string, 16), name: m[3] as string });
  }
  return mappings;
}
