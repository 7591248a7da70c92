/**
 * The memory limit of one container of a pod, as far as the host's cgroup cannot see it: what its processes use there and what the Sentry holds
 * for it count together. Above the limit its largest process is ended, as the host does it for the processes' own part.
 */
import type { Container } from './container.ts';
import type { Kernel } from './kernel.ts';
import { endLargest, livingProcesses, residentOf } from './memory_kill.ts';
import type { Timer } from './timer_queue.ts';

/** The Sentry's part is looked at when it has grown by so many bytes, or by this share of the limit. */
const LEAST_GROWTH = 1 << 20;
const GROWTH_SHARE = 1 / 64;
/** With more than this share held, the processes' part is looked at from time to time, as it grows unseen. */
const WATCHED_SHARE = 1 / 16;
const WATCH_INTERVAL = 1e9;
/** How long one that was ended may take to give its memory back, ns. */
const DYING = 100e6;
/** memory.stat of cgroups: what cannot be taken back, by the names of version 1 (first two) and 2. */
const FIXED_MEMORY: ReadonlySet<string> = new Set(['rss', 'shmem', 'anon', 'kernel']);

export class MemoryLimit {
  private readonly kernel: Kernel;
  private readonly container: Container;
  private readonly statFd: number;
  private readonly bytes = new Uint8Array(4096);
  private timer: Timer | null = null;
  private stopped = false;

  /** `statFd`: memory.stat of the container's cgroup, ours from then on; -1: there is none. */
  constructor(kernel: Kernel, container: Container, statFd: number) {
    this.kernel = kernel;
    this.container = container;
    this.statFd = statFd;
    // Not at once: the growth is in the middle of a call.
    container.memory.onMark = () => {
      container.memory.mark = Number.POSITIVE_INFINITY;
      this.checkIn(0);
    };
    this.check();
  }

  /** Call after a change of the limit. */
  check(): void {
    const { container, kernel } = this;
    const { memory, limits } = container;
    memory.mark = Number.POSITIVE_INFINITY;
    if (this.timer !== null) kernel.timers.cancel(this.timer);
    this.timer = null;
    if (this.stopped || limits.memory === null) return;
    const used = memory.held < LEAST_GROWTH && container.spaces !== null ? 0 : memory.held + this.processes();
    if (used > limits.memory) {
      endLargest(kernel, [container], limits.memory, `${used} bytes of ${limits.memory} are in use`);
      this.checkIn(DYING);
      return;
    }
    memory.mark = Math.max(memory.held, LEAST_GROWTH) + Math.max(LEAST_GROWTH, limits.memory * GROWTH_SHARE);
    if (container.spaces === null || memory.held > limits.memory * WATCHED_SHARE) this.checkIn(WATCH_INTERVAL);
  }

  stop(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.check();
    if (this.statFd >= 0) this.kernel.host.close(this.statFd);
  }

  private checkIn(ns: number): void {
    const { timers } = this.kernel;
    if (this.timer !== null) timers.cancel(this.timer);
    this.timer = timers.add(this.kernel.now() + ns, () => this.check());
  }

  /** Bytes of the host's cgroup, and of applications that are no processes of the host's. */
  private processes(): number {
    const n = this.statFd < 0 ? 0 : this.kernel.host.pread(this.statFd, this.bytes, 0, this.bytes.length, 0);
    let total = fixedMemory(Buffer.from(this.bytes.buffer, 0, Math.max(0, n)).toString('latin1'));
    if (this.container.spaces === null) for (const group of livingProcesses(this.container)) total += residentOf(group);
    return total;
  }
}

/** Of lines "key bytes". */
export function fixedMemory(stat: string): number {
  let total = 0;
  for (const line of stat.split('\n')) {
    const [key, value] = line.split(' ');
    if (FIXED_MEMORY.has(key as string)) total += Number(value) || 0;
  }
  return total;
}
