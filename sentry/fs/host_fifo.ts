/** A fifo on a volume that the host and the container share (--host-fifo=open). */
import { EAGAIN } from '../../abi/errno.ts';
import { POLLHUP } from '../../abi/poll.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';
import { HostEndpoint } from './host_endpoint.ts';
import { StreamFile } from './stream_file.ts';

class HostFifo extends StreamFile {
  private readonly end: HostEndpoint;
  constructor(endpoint: HostEndpoint) {
    super(endpoint);
    this.end = endpoint;
  }
  /** No bytes before anybody has written is no end: open(2) would have waited for the writer. */
  override read(dst: Sink, file: FileDescription, task: Task): number {
    const n = super.read(dst, file, task);
    return n === 0 && dst.remaining > 0 && (this.end.stream.ready() & POLLHUP) === 0 ? EAGAIN : n;
  }
}

/** Takes the descriptor over. */
export function hostFifo(kernel: Kernel, fd: number): FileImpl {
  return new HostFifo(new HostEndpoint(kernel, fd));
}
