/** A log of JSON lines in a file of the host, with an end: an application must not fill the host's disk. */
import type { Kernel } from '../../../kernel/kernel.ts';

const MAX_BYTES = 64 << 20;

export class JsonLines {
  private readonly kernel: Kernel;
  private readonly fd: number;
  private written = 0;

  /** fd: opened for appending; ours. */
  constructor(kernel: Kernel, fd: number) {
    this.kernel = kernel;
    this.fd = fd;
  }
  add(value: object): void {
    if (this.written > MAX_BYTES) return;
    const time = new Date(this.kernel.realtime() / 1e6).toISOString();
    const line = `${JSON.stringify({ time, ...value })}\n`;
    this.written += line.length;
    const full = this.written > MAX_BYTES ? `${JSON.stringify({ time, end: 'the log is full' })}\n` : line;
    this.kernel.host.write(this.fd, Buffer.from(full));
  }
}
