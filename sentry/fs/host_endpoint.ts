/** A donated host descriptor that several open files of the sandbox share. */
import type { Host } from '../../lib/host.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { HostQueue, HostStream } from './host_stream.ts';

/** One donated descriptor and the open files over it; closed with the last of them. */
export class HostEndpoint {
  readonly host: Host;
  readonly stream: HostStream;
  readonly queue: HostQueue;
  private users = 0;

  constructor(kernel: Kernel, fd: number) {
    this.host = kernel.host;
    this.stream = new HostStream(kernel.host, fd);
    this.queue = new HostQueue(kernel.poll, fd);
  }
  get open(): boolean {
    return this.users > 0;
  }
  hold(): void {
    this.users++;
  }
  release(): void {
    if (--this.users > 0) return;
    this.queue.unwatch();
    this.stream.restore();
    this.host.close(this.stream.fd);
  }
}
