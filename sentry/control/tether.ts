/**
 * A tether ties a guest process to a host process (the small waiter that `runsc exec` leaves behind): a SOCK_SEQPACKET pair, one end here.
 *
 *   host → sandbox   u32 kind, u32 a, u32 b (little-endian): 1 = signal a; 2 = window size a rows, b columns
 *   sandbox → host   u32 exit code; the last thing, then the socket closes
 *
 * The host's end closed before: the process is killed.
 */
import { EAGAIN, EINTR } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import type { Host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';

const KIND_SIGNAL = 1;
const KIND_RESIZE = 2;
const MESSAGE_SIZE = 12;
const MSG_DONTWAIT = 0x40;

export interface TetherEvents {
  signal(number: number): void;
  resize(rows: number, columns: number): void;
  /** The host process is gone. */
  lost(): void;
}

export class Tether {
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly fd: number;
  private readonly events: TetherEvents;
  private readonly message = new Uint8Array(MESSAGE_SIZE + 4);
  private closed = false;

  /** Owns fd. */
  constructor(host: Host, poll: HostPoll, fd: number, events: TetherEvents) {
    this.host = host;
    this.poll = poll;
    this.fd = fd;
    this.events = events;
    poll.add(fd, POLLIN, () => this.receive());
  }

  /** The process has ended. */
  finish(exitCode: number): void {
    if (this.closed) return;
    this.host.sendWithFds(this.fd, new Uint8Array(Uint32Array.of(exitCode).buffer), [], MSG_DONTWAIT);
    this.close();
  }

  private receive(): void {
    const { count, fds } = this.host.receiveWithFds(this.fd, this.message, MSG_DONTWAIT);
    for (const fd of fds) this.host.close(fd);
    if (count === EAGAIN || count === EINTR) return;
    if (count <= 0) {
      this.close();
      this.events.lost();
      return;
    }
    if (count !== MESSAGE_SIZE) return;
    const view = new DataView(this.message.buffer);
    const [kind, a, b] = [view.getUint32(0, true), view.getUint32(4, true), view.getUint32(8, true)];
    if (kind === KIND_SIGNAL) this.events.signal(a);
    else if (kind === KIND_RESIZE) this.events.resize(a, b);
  }

  private close(): void {
    if (this.closed) return;
    this.closed = true;
    this.poll.remove(this.fd);
    this.host.close(this.fd);
  }
}
