/** A log of JSON lines in a file of the host, written in pieces and with an end: an application must not fill the host's disk. */
import type { Kernel } from '../../../kernel/kernel.ts';

const MAX_BYTES = 64 << 20;
/** ns between a line and the write that takes it along. */
const DELAY = 50e6;
const MAX_BUFFERED = 65_536;

export class JsonLines {
  private readonly kernel: Kernel;
  private readonly fd: number;
  private waiting = '';
  private written = 0;
  private scheduled = false;

  /** fd: opened for appending; ours. */
  constructor(kernel: Kernel, fd: number) {
    this.kernel = kernel;
    this.fd = fd;
    kernel.atExit.push(() => this.flush());
  }
  add(value: object): void {
    if (this.written > MAX_BYTES) return;
    const time = new Date(this.kernel.realtime() / 1e6).toISOString();
    const line = `${JSON.stringify({ time, ...value })}\n`;
    this.written += line.length;
    this.waiting += this.written > MAX_BYTES ? `${JSON.stringify({ time, end: 'the log is full' })}\n` : line;
    if (this.waiting.length >= MAX_BUFFERED) this.flush();
    else if (!this.scheduled) {
      this.scheduled = true;
      this.kernel.timers.add(this.kernel.now() + DELAY, () => {
        this.scheduled = false;
        this.flush();
      });
    }
  }
  flush(): void {
    if (this.waiting === '') return;
    this.kernel.host.write(this.fd, Buffer.from(this.waiting));
    this.waiting = '';
  }
}
