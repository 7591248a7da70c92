/** Joins a stream socket of the host with a TCP connection of the sandbox: bytes both ways, ends both ways, and what waits is bounded. */
import { EAGAIN, ECONNRESET, EINTR } from '../../../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../../../abi/poll.ts';
import { SHUT_WR } from '../../../../abi/socket.ts';
import type { Connection } from '../../../../netstack/tcp/connection.ts';
import type { Kernel } from '../../../kernel/kernel.ts';

// Host system calls, x86-64.
const NR_sendto = 44;
const NR_shutdown = 48;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const CHUNK = 32_768;
/** Transfers in one turn, so that one stream does not hold up the others. */
const TURN = 8;

export class StreamBridge {
  private readonly kernel: Kernel;
  private readonly fd: number;
  private readonly connection: Connection;
  private readonly done: () => void;
  /** From the host, not yet taken by the connection: bytes[from..to). */
  private readonly inward = new Uint8Array(CHUNK);
  private inFrom = 0;
  private inTo = 0;
  private readonly outward = new Uint8Array(CHUNK);
  private outFrom = 0;
  private outTo = 0;
  private hostEnded = false;
  private guestEnded = false;
  private watched = -1;
  private closed = false;

  /** fd: non-blocking; ours. The connection may still be in the making. `done`: both are closed. */
  constructor(kernel: Kernel, fd: number, connection: Connection, done: () => void = () => {}) {
    this.kernel = kernel;
    this.fd = fd;
    this.connection = connection;
    this.done = done;
    connection.notify = () => this.pump();
    this.watch(0);
    this.pump();
  }

  private watch(events: number): void {
    if (this.watched === events) return;
    if (this.watched < 0) this.kernel.poll.add(this.fd, events, () => this.pump());
    else this.kernel.poll.modify(this.fd, events);
    this.watched = events;
  }

  private pump(): void {
    if (this.closed) return;
    const { connection: c } = this;
    const opening = !c.established && c.state !== 7;
    for (let turn = 0; turn < TURN; turn++) if (!(this.moveIn(opening) || this.moveOut())) break;
    if (this.closed) return;
    if (c.state === 7 && !this.hasOutward) {
      // It ended: by an error, or with everything said.
      this.close(c.error !== 0);
      return;
    }
    if (this.hostEnded && this.guestEnded && this.inFrom === this.inTo && !this.hasOutward) {
      this.close(false);
      return;
    }
    const wantsIn = !opening && !this.hostEnded && this.inFrom === this.inTo;
    this.watch((wantsIn ? POLLIN : 0) | (this.outFrom < this.outTo ? POLLOUT : 0));
    c.stack.deliver();
  }
  private get hasOutward(): boolean {
    return this.outFrom < this.outTo || this.connection.receiving.ring.length > 0;
  }

  /** True if something moved. */
  private moveIn(opening: boolean): boolean {
    if (opening) return false;
    if (this.inFrom === this.inTo && !this.hostEnded) {
      const n = this.kernel.host.read(this.fd, this.inward);
      if (n === EAGAIN || n === EINTR) return false;
      if (n <= 0) {
        this.hostEnded = true;
        if (n < 0) this.close(true);
        else this.connection.shutdownWrite();
        return false;
      }
      this.inFrom = 0;
      this.inTo = n;
    }
    if (this.inFrom === this.inTo) return false;
    const give = {
      take: (into: Uint8Array, start: number, end: number): number => {
        const n = Math.min(end - start, this.inTo - this.inFrom);
        into.set(this.inward.subarray(this.inFrom, this.inFrom + n), start);
        this.inFrom += n;
        return n;
      },
    };
    const n = this.connection.write(give, this.inTo - this.inFrom);
    if (n < 0 && n !== EAGAIN) this.close(n === ECONNRESET);
    this.connection.stack.deliver();
    return n > 0;
  }
  private moveOut(): boolean {
    if (this.closed || this.guestEnded) return false;
    if (this.outFrom === this.outTo) {
      let to = 0;
      const target = {
        put: (bytes: Uint8Array, start: number, end: number): number => {
          this.outward.set(bytes.subarray(start, end), to);
          to += end - start;
          return end - start;
        },
      };
      const n = this.connection.read(target, CHUNK, false);
      if (n === 0) {
        this.guestEnded = true;
        this.kernel.host.syscall(NR_shutdown, this.fd, SHUT_WR);
      }
      if (n <= 0) return false;
      this.outFrom = 0;
      this.outTo = to;
    }
    const piece = this.outward.subarray(this.outFrom, this.outTo);
    const n = this.kernel.host.syscall(NR_sendto, this.fd, piece, piece.length, MSG_DONTWAIT | MSG_NOSIGNAL, null, 0);
    if (n === EAGAIN || n === EINTR) return false;
    if (n < 0) {
      this.close(true);
      return false;
    }
    this.outFrom += n;
    return true;
  }

  private close(abort: boolean): void {
    if (this.closed) return;
    this.closed = true;
    this.kernel.poll.remove(this.fd);
    this.kernel.host.close(this.fd);
    this.connection.close(abort);
    this.connection.stack.deliver();
    this.done();
  }
}
