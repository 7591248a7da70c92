/** A fifo on a volume that the host and the container share (--host-fifo=open). */
import { EAGAIN, ENXIO, ERESTARTSYS, type Errno } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { POLLHUP } from '../../abi/poll.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { type Wait, WaitQueue, type Wake, waitFor } from '../kernel/wait.ts';
import type { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';
import { HostEndpoint } from './host_endpoint.ts';
import { StreamFile } from './host_stdio.ts';

/** How often a writer looks whether there is a reader: the host tells nobody. */
const LOOK_NS = 50e6;

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

/** Opens for writing, waiting for a reader. `open`: ENXIO while there is none. */
export function* openWaiting(kernel: Kernel, flags: number, open: () => FileImpl | Errno): Generator<Wait, FileImpl | Errno, Wake> {
  const nobody = new WaitQueue();
  for (;;) {
    const impl = open();
    if (impl !== ENXIO || (flags & O_NONBLOCK) !== 0) return impl;
    const wake = yield waitFor(nobody, 0, kernel.now() + LOOK_NS);
    if (wake === 'signal') return ERESTARTSYS;
  }
}
