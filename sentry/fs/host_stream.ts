/**
 * A donated host descriptor that is a stream (pipe, fifo, socket, terminal): transfers that never block the kernel thread, and
 * readiness.
 */
import { EAGAIN, EOPNOTSUPP } from '../../abi/errno.ts';
import { F_GETFL, F_SETFL, O_NONBLOCK } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { type Host, RWF_NOWAIT } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import { type WaitEntry, WaitQueue } from '../kernel/wait.ts';

const POLL = 7;
const PREADV2 = 327;
const PWRITEV2 = 328;
const EPOLLET = 0x8000_0000;

export class HostStream {
  readonly fd: number;
  private readonly host: Host;
  private readonly iov = new BigUint64Array(2);
  private readonly pollfd = new Int32Array(2);
  /** O_NONBLOCK was set by us and the descriptor's file is shared with other programs: put it back at the end. */
  private borrowedFlags = -1;
  private perCall = true;
  /** No more input is wanted: once there is none left, that is the end. */
  inputEnded = false;

  constructor(host: Host, fd: number) {
    this.host = host;
    this.fd = fd;
  }

  /** Up to `count` bytes into `into[0..]`; 0 at the end, EAGAIN if there are none yet. */
  read(into: Uint8Array, count: number): number {
    const tried = this.perCall ? this.transfer(PREADV2, into, count) : EOPNOTSUPP;
    const n = tried === EOPNOTSUPP ? this.host.read(this.fd, into, 0, count) : tried;
    return n === EAGAIN && this.inputEnded ? 0 : n;
  }
  /** EPIPE without a signal: the process ignores SIGPIPE. */
  write(from: Uint8Array, count: number): number {
    const n = this.perCall ? this.transfer(PWRITEV2, from, count) : EOPNOTSUPP;
    return n === EOPNOTSUPP ? this.host.write(this.fd, from, 0, count) : n;
  }

  /** EOPNOTSUPP: this kind of file does not know RWF_NOWAIT; from now on it does not block by its flags. */
  private transfer(call: number, bytes: Uint8Array, count: number): number {
    this.iov[0] = BigInt(this.host.addressOf(bytes));
    this.iov[1] = BigInt(Math.min(count, bytes.length));
    const n = this.host.syscall(call, this.fd, this.iov, 1, -1, -1, RWF_NOWAIT);
    if (n !== EOPNOTSUPP) return n;
    this.perCall = false;
    const flags = this.host.fcntl(this.fd, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK) === 0 && this.host.fcntl(this.fd, F_SETFL, flags | O_NONBLOCK) === 0) {
      this.borrowedFlags = flags;
    }
    return EOPNOTSUPP;
  }

  /** POLL* that hold now. */
  ready(): number {
    this.pollfd[0] = this.fd;
    this.pollfd[1] = POLLIN | POLLOUT | POLLRDHUP;
    if (this.host.syscall(POLL, this.pollfd, 1, 0) <= 0) return 0;
    return widen(((this.pollfd[1] as number) >>> 16) | (this.inputEnded ? POLLIN : 0));
  }

  /** Ends the use of the descriptor; it stays open. */
  restore(): void {
    if (this.borrowedFlags >= 0) this.host.fcntl(this.fd, F_SETFL, this.borrowedFlags);
    this.borrowedFlags = -1;
  }
}

/** poll(2)'s synonyms: guests may ask for either. */
export function widen(events: number): number {
  return events | ((events & (POLLIN | POLLHUP)) !== 0 ? POLLRDNORM : 0) | ((events & POLLOUT) !== 0 ? POLLWRNORM : 0);
}

/**
 * Waiters for a host descriptor. It is watched from the first waiter on, edge-triggered: a waiter has just seen EAGAIN, so the next
 * edge is the one it needs, and nobody's not reading makes the loop spin.
 */
export class HostQueue extends WaitQueue {
  private readonly poll: HostPoll;
  private readonly fd: number;
  private watched = false;

  constructor(poll: HostPoll, fd: number) {
    super();
    this.poll = poll;
    this.fd = fd;
  }
  override add(entry: WaitEntry): void {
    super.add(entry);
    if (this.watched) return;
    this.watched = true;
    const r = this.poll.add(this.fd, (POLLIN | POLLOUT | POLLRDHUP | EPOLLET) >>> 0, (events) => this.notify(widen(events)));
    if (r < 0 && r !== EAGAIN) this.watched = false; // EPERM: always ready, nobody waits for long
  }
  unwatch(): void {
    if (this.watched) this.poll.remove(this.fd);
    this.watched = false;
  }
}
