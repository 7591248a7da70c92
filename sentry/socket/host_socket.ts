/**
 * A stream socket of the host that stands for standard input or output: what `docker`, systemd and Node give a program in place of a pipe.
 * In the sandbox it is an unnamed, connected AF_UNIX socket, whatever it is outside: addresses of the host are not the guest's to see.
 */
import { EAGAIN, EINVAL, EOPNOTSUPP, EPIPE } from '../../abi/errno.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDNORM } from '../../abi/poll.ts';
import { AF_UNIX, MSG_PEEK, SHUT_RD, SHUT_RDWR, SHUT_WR, SOCK_STREAM } from '../../abi/socket.ts';
import type { HostEndpoint } from '../fs/host_endpoint.ts';
import type { HostQueue } from '../fs/host_stream.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';
import { type IncomingMessage, type OutgoingMessage, Socket } from './socket.ts';

/** Bytes moved by one host call: what a writable socket of the host takes whole. */
const CHUNK = 32_768;
const SHUTDOWN = 48;
/** struct sockaddr_un with no name. */
const UNNAMED = Uint8Array.of(AF_UNIX, 0);

export class HostSocket extends Socket {
  override readonly queue: HostQueue;
  private readonly endpoint: HostEndpoint;
  /** Taken from a sender, refused by the host because another program filled the socket just then: they go first. */
  private held: Uint8Array | null = null;
  private ended = false;
  private closedFor = 0;

  constructor(kernel: Kernel, endpoint: HostEndpoint) {
    super(kernel, AF_UNIX, SOCK_STREAM, 0);
    this.endpoint = endpoint;
    this.queue = endpoint.queue;
    endpoint.hold();
  }
  override get isStream(): boolean {
    return true;
  }
  override get endOfInput(): boolean {
    return this.ended;
  }

  send(task: Task, message: OutgoingMessage): number {
    const { stream } = this.endpoint;
    if ((this.closedFor & POLLOUT) !== 0) return EPIPE;
    const { data } = message;
    let sent = 0;
    while (data.remaining > 0) {
      const ready = this.sendHeld() ? stream.ready() : 0;
      if ((ready & (POLLOUT | POLLHUP)) === 0) return sent > 0 ? sent : EAGAIN;
      const taken = data.take(task.kernel.ioScratch, 0, Math.min(CHUNK, data.remaining));
      if (taken <= 0) return sent > 0 ? sent : taken;
      const n = stream.write(task.kernel.ioScratch, taken);
      if (n < 0 && n !== EAGAIN) return sent > 0 ? sent : n;
      sent += taken;
      if (n < taken) this.held = task.kernel.ioScratch.slice(Math.max(n, 0), taken);
    }
    return sent;
  }
  /** False: bytes still wait. */
  private sendHeld(): boolean {
    if (this.held === null) return true;
    const n = this.endpoint.stream.write(this.held, this.held.length);
    if (n > 0) this.held = this.held.subarray(n);
    if (this.held.length === 0 || (n < 0 && n !== EAGAIN)) this.held = null;
    return this.held === null;
  }

  receive(task: Task, dst: Sink, message: IncomingMessage): number {
    // What a read takes from the host cannot be given back: refused rather than lost.
    if ((message.flags & MSG_PEEK) !== 0) return EOPNOTSUPP;
    if ((this.closedFor & POLLIN) !== 0) return 0;
    const scratch = task.kernel.ioScratch;
    const n = this.endpoint.stream.read(scratch, Math.min(dst.remaining, CHUNK));
    if (n === 0) this.ended = true;
    return n > 0 ? dst.put(scratch, 0, n) : n;
  }

  override shutdown(_task: Task, how: number): number {
    if (how !== SHUT_RD && how !== SHUT_WR && how !== SHUT_RDWR) return EINVAL;
    if (how !== SHUT_RD) this.sendHeld();
    this.closedFor |= how === SHUT_RD ? POLLIN : how === SHUT_WR ? POLLOUT : POLLIN | POLLOUT;
    const r = this.endpoint.host.syscall(SHUTDOWN, this.endpoint.stream.fd, how);
    this.queue.notify(POLLIN | POLLOUT | POLLRDNORM);
    return r;
  }
  name(): Uint8Array {
    return UNNAMED;
  }
  override peerName(): Uint8Array {
    return UNNAMED;
  }
  override poll(_file: FileDescription): number {
    return this.endpoint.stream.ready();
  }
  endInput(): void {
    this.endpoint.stream.inputEnded = true;
    this.queue.notify(POLLIN | POLLRDNORM);
  }
  override release(): void {
    this.sendHeld();
    this.endpoint.release();
  }
}
