/** A stream of the host's (pipe, fifo, terminal) as an open file. */
import { EAGAIN, ENOTTY, EPIPE, ERESTARTSYS, isErrno } from '../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { FIONREAD, KernelTermios, TCGETS, TIOCGWINSZ, Winsize } from '../../abi/termios.ts';
import { sendBrokenPipe } from '../kernel/broken_pipe.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { type FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { HostEndpoint } from './host_endpoint.ts';
import type { HostQueue } from './host_stream.ts';

/** Bytes moved by one host call. */
const CHUNK = 65536;

export class StreamFile extends FileImpl {
  private readonly endpoint: HostEndpoint;
  override readonly queue: HostQueue;

  constructor(endpoint: HostEndpoint) {
    super();
    this.endpoint = endpoint;
    this.queue = endpoint.queue;
    endpoint.hold();
  }
  override read(dst: Sink, _file: FileDescription, task: Task): number {
    if (dst.remaining === 0) return 0;
    const scratch = task.kernel.ioScratch;
    const n = this.endpoint.stream.read(scratch, Math.min(dst.remaining, CHUNK));
    return n > 0 ? dst.put(scratch, 0, n) : n;
  }
  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    const held: Held = { bytes: null };
    const n = this.writeNow(src, held, task);
    if (isErrno(n)) return n === EPIPE ? sendBrokenPipe(task) : n;
    if (held.bytes === null && src.remaining === 0) return n;
    // What was taken from the caller's memory and not from us: it is given back by not being counted.
    if (file.nonblocking) return n > 0 ? n : EAGAIN;
    return this.writeRest(src, held, task, n);
  }
  private writeNow(src: Source, held: Held, task: Task): number {
    let total = 0;
    while (held.bytes !== null || src.remaining > 0) {
      if (held.bytes === null) {
        const n = src.take(task.kernel.ioScratch, 0, Math.min(CHUNK, src.remaining));
        if (n <= 0) return total > 0 ? total : n;
        held.bytes = task.kernel.ioScratch.subarray(0, n);
      }
      const n = this.endpoint.stream.write(held.bytes, held.bytes.length);
      if (n < 0 && n !== EAGAIN) return total > 0 ? total : n;
      total += Math.max(0, n);
      if (n < held.bytes.length) {
        held.bytes = held.bytes.slice(Math.max(0, n)); // the scratch buffer is everybody's
        break;
      }
      held.bytes = null;
    }
    return total;
  }
  private *writeRest(src: Source, held: Held, task: Task, already: number): Blocking {
    let total = already;
    for (;;) {
      const wake = yield waitFor(this.queue, POLLOUT | POLLWRNORM);
      const n = this.writeNow(src, held, task);
      if (isErrno(n)) return total > 0 ? total : n === EPIPE ? sendBrokenPipe(task) : n;
      total += n;
      if (held.bytes === null && src.remaining === 0) return total;
      if (wake === 'signal') return total > 0 ? total : ERESTARTSYS;
    }
  }
  override poll(): number {
    return this.endpoint.stream.ready();
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    // Data only: nothing that the guest asks may change the host's terminal.
    const size = command === FIONREAD ? 4 : command === TCGETS ? KernelTermios.size : command === TIOCGWINSZ ? Winsize.size : 0;
    if (size === 0) return ENOTTY;
    const answer = new Uint8Array(size);
    const r = this.endpoint.host.ioctl(this.endpoint.stream.fd, command, answer);
    return r < 0 ? r : task.copyOut(argument, answer);
  }
  endInput(): void {
    this.endpoint.stream.inputEnded = true;
    this.queue.notify(POLLIN | POLLRDNORM);
  }
  override release(): void {
    this.endpoint.release();
  }
}

/** Bytes that were taken from the writer and not yet by the host. */
interface Held {
  bytes: Uint8Array | null;
}
