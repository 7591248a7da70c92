/**
 * One end of a connection whose other end is a host socket on a volume: bytes go to and fro between our inner socket, which is the peer of the
 * container's, and the host's. Bytes alone: descriptors do not pass in either direction, and credentials are those of the container's process.
 */
import { EAGAIN } from '../../../abi/errno.ts';
import { POLLIN, POLLOUT, POLLRDHUP } from '../../../abi/poll.ts';
import { SHUT_WR, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { WaitEntry } from '../../kernel/wait.ts';
import { BufferIo } from '../../vfs/io.ts';
import { IncomingMessage } from '../socket.ts';
import { UnixStream } from './unix_stream.ts';

const SHUTDOWN = 48;
const EPOLLET = 0x8000_0000;
const CHUNK = 65536;

export class HostConnection {
  readonly inner: UnixStream;
  private readonly kernel: Kernel;
  private readonly task: Task;
  private readonly fd: number;
  private readonly watcher: WaitEntry;
  /** Read from the host and not yet taken by the container, and the reverse. */
  private inward: Uint8Array | null = null;
  private outward: Uint8Array | null = null;
  private inputEnded = false;
  private outputEnded = false;
  private pumping = false;
  private ended = false;

  /** Takes the descriptor over, which does not block. `task`: whose connection it is. */
  constructor(kernel: Kernel, task: Task, fd: number) {
    this.kernel = kernel;
    this.task = task;
    this.fd = fd;
    this.inner = new UnixStream(kernel, task.namespaces.net, SOCK_STREAM);
    this.watcher = { events: POLLIN | POLLOUT | POLLRDHUP, wake: () => this.pump() };
  }

  /** The inner socket has its peer. */
  start(): void {
    this.inner.queue.add(this.watcher);
    this.kernel.poll.add(this.fd, (POLLIN | POLLOUT | POLLRDHUP | EPOLLET) >>> 0, () => this.pump());
    this.pump();
  }

  /** Moves what can be moved; whatever stops it wakes it again. */
  private pump(): void {
    if (this.pumping || this.ended) return;
    this.pumping = true;
    while (this.moveIn() || this.moveOut());
    this.pumping = false;
    if (this.inputEnded && this.outputEnded) this.end();
  }

  private moveIn(): boolean {
    if (this.inputEnded) return false;
    if (this.inward === null) {
      const buffer = new Uint8Array(CHUNK);
      const n = this.kernel.host.read(this.fd, buffer);
      if (n === EAGAIN) return false;
      if (n <= 0) {
        this.inputEnded = true;
        this.inner.shutdown(this.task, SHUT_WR);
        return true;
      }
      this.inward = buffer.subarray(0, n);
    }
    const sent = this.inner.send(this.task, { data: new BufferIo(this.inward), name: null, control: null, flags: 0 });
    if (sent === EAGAIN) return false;
    if (sent < 0) {
      // The container has closed or does not listen any more: what the host says is lost, as it would be there.
      this.inputEnded = true;
      this.inward = null;
      return true;
    }
    this.inward = sent < this.inward.length ? this.inward.subarray(sent) : null;
    return true;
  }

  private moveOut(): boolean {
    if (this.outputEnded) return false;
    if (this.outward === null) {
      const buffer = new Uint8Array(CHUNK);
      const n = this.inner.receive(this.task, new BufferIo(buffer), new IncomingMessage(0, false));
      if (n === EAGAIN) return false;
      if (n <= 0) return this.endOutput();
      this.outward = buffer.subarray(0, n);
    }
    const sent = this.kernel.host.write(this.fd, this.outward);
    if (sent === EAGAIN) return false;
    if (sent < 0) return this.endOutput();
    this.outward = sent < this.outward.length ? this.outward.subarray(sent) : null;
    return true;
  }
  private endOutput(): boolean {
    this.outputEnded = true;
    this.outward = null;
    this.kernel.host.syscall(SHUTDOWN, this.fd, SHUT_WR);
    return true;
  }

  private end(): void {
    this.ended = true;
    this.inner.queue.remove(this.watcher);
    this.kernel.poll.remove(this.fd);
    this.kernel.host.close(this.fd);
    this.inner.close();
  }
}

/** Connections from the host to a socket that the container listens on. */
export class HostListener {
  private readonly kernel: Kernel;
  private readonly fd: number;

  /** Takes the bound descriptor over. `admit`: a connection's inner end joins the container's backlog; false: it is not wanted. */
  constructor(kernel: Kernel, task: Task, fd: number, admit: (client: UnixStream) => boolean) {
    this.kernel = kernel;
    this.fd = fd;
    kernel.poll.add(fd, POLLIN, () => {
      const connection = kernel.host.syscall(ACCEPT4, fd, null, null, SOCK_NONBLOCK_CLOEXEC);
      if (connection < 0) return;
      const bridge = new HostConnection(kernel, task, connection);
      if (admit(bridge.inner)) bridge.start();
      else {
        kernel.host.close(connection);
        bridge.inner.close();
      }
    });
  }
  listen(backlog: number): number {
    return this.kernel.host.syscall(LISTEN, this.fd, backlog);
  }
  close(): void {
    this.kernel.poll.remove(this.fd);
    this.kernel.host.close(this.fd);
  }
}
const LISTEN = 50;
const ACCEPT4 = 288;
const SOCK_NONBLOCK_CLOEXEC = 0o2004000;
