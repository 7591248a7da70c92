/** Host sockets for the sandbox, from the process that may open them (native-addon/src/sockets.c): asked for in order, answered in order. */
import { EAGAIN, ECONNRESET, EINTR, type Errno } from '../../../../abi/errno.ts';
import { POLLIN } from '../../../../abi/poll.ts';
import type { Host } from '../../../../lib/host.ts';
import type { HostPoll } from '../../../../platforms/host_poll.ts';

export const LOOPBACK_LISTENER = 1;
export const NAME_SERVER_UDP = 2;
export const NAME_SERVER_TCP = 3;
const MSG_DONTWAIT = 0x40;
/** Requests that are not answered yet. */
const MAX_PENDING = 256;

/** A descriptor, which is the taker's, or an errno. */
type Take = (fd: number) => void;

export class HostSockets {
  private readonly host: Host;
  private readonly poll: HostPoll;
  private readonly fd: number;
  private readonly pending: Take[] = [];
  private readonly answer = new Uint8Array(8);
  private gone = false;

  /** fd: the conversation; ours. */
  constructor(host: Host, poll: HostPoll, fd: number) {
    this.host = host;
    this.poll = poll;
    this.fd = fd;
    poll.add(fd, POLLIN, () => this.receive());
  }

  open(kind: number, family: 4 | 6, port: number, take: Take): void {
    if (this.gone || this.pending.length >= MAX_PENDING) {
      take(ECONNRESET);
      return;
    }
    const n = this.host.sendWithFds(this.fd, Uint8Array.of(kind, family, port >>> 8, port & 0xff), [], MSG_DONTWAIT);
    if (n < 0) take(n);
    else this.pending.push(take);
  }
  private receive(): void {
    const { count, fds } = this.host.receiveWithFds(this.fd, this.answer, MSG_DONTWAIT);
    if (count === EAGAIN || count === EINTR) return;
    if (count <= 0) {
      this.end();
      return;
    }
    const error = new DataView(this.answer.buffer).getInt32(0, true);
    this.pending.shift()?.(error === 0 && fds[0] !== undefined ? fds[0] : ((-error || ECONNRESET) as Errno));
  }
  private end(): void {
    this.gone = true;
    this.poll.remove(this.fd);
    this.host.close(this.fd);
    for (const take of this.pending.splice(0)) take(ECONNRESET);
  }
}
