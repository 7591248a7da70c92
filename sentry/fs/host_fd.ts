/** A descriptor of a host file that several open files, mappings and transfers under way share. */
import type { Host } from '../../lib/host.ts';

export class HostFd {
  readonly fd: number;
  /** Does the host's filesystem know RWF_NOWAIT? Assumed until it says no. */
  noWaitRead = true;
  noWaitWrite = true;
  /** It lives in memory, and its filesystem does not know RWF_NOWAIT: reading never waits anyway. */
  inMemory = false;
  /** Kernel time until which writes are left to the worker: the last one took long. */
  slowUntil = 0;
  /** Asked before the descriptor is closed: what has to be done afterwards. */
  closing: (() => (() => void) | null) | null = null;
  private users = 1;
  private readonly host: Host;

  /** Takes the descriptor over. */
  constructor(host: Host, fd: number) {
    this.host = host;
    this.fd = fd;
  }
  hold(): this {
    this.users++;
    return this;
  }
  release(): void {
    if (--this.users > 0) return;
    const closed = this.closing?.();
    this.host.close(this.fd);
    closed?.();
  }
}
