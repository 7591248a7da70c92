/** Host descriptors that the kernel thread watches (control socket, stdio, packet sockets), level-triggered. */
import { EINTR } from '../abi/errno.ts';
import type { Host } from '../lib/host.ts';

const EPOLL_WAIT = 232;
const EVENT_SIZE = 12; // packed struct epoll_event on x86-64
const MAX_EVENTS = 64;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;

export type HostFdHandler = (events: number) => void;
/** A handler that throws so many times in a row is not called again: level-triggered, it would be for ever. */
const MAX_FAILURES = 8;

export class HostPoll {
  /** The epoll descriptor itself: a platform may put it into a wait of its own. */
  readonly fd: number;
  private readonly host: Host;
  private readonly handlers = new Map<number, HostFdHandler>();
  /** Throws in a row, by descriptor. */
  private readonly failures = new Map<number, number>();
  /** Told of what a handler throws; without it the exception leaves `wait`. */
  onBroken: ((what: string, error: unknown) => void) | null = null;
  private readonly events = new DataView(new ArrayBuffer(EVENT_SIZE * MAX_EVENTS));

  constructor(host: Host) {
    this.host = host;
    this.fd = host.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
  }

  /** events: EPOLL* bits (they equal POLL*). 0, or an errno (EEXIST, EPERM for regular files). */
  add(fd: number, events: number, handler: HostFdHandler): number {
    const r = this.host.epollCtl(this.fd, EPOLL_CTL_ADD, fd, events);
    if (r === 0) this.handlers.set(fd, handler);
    return r;
  }
  modify(fd: number, events: number): number {
    return this.host.epollCtl(this.fd, EPOLL_CTL_MOD, fd, events);
  }
  /** Before the descriptor is closed. */
  remove(fd: number): void {
    this.failures.delete(fd);
    if (this.handlers.delete(fd)) this.host.epollCtl(this.fd, EPOLL_CTL_DEL, fd, 0);
  }

  /** Sleeps up to timeoutMs (-1: no limit) and calls the handlers of what is ready. How many were; 0 after EINTR too. */
  wait(timeoutMs: number): number {
    const n = this.host.syscall(EPOLL_WAIT, this.fd, this.events, MAX_EVENTS, timeoutMs);
    if (n === EINTR) return 0;
    if (n < 0) throw new Error(`epoll_wait: errno ${-n}`);
    for (let i = 0; i < n; i++) {
      const fd = this.events.getInt32(i * EVENT_SIZE + 4, true);
      // A handler that ran before may have removed this one.
      const handler = this.handlers.get(fd);
      if (handler !== undefined) this.run(fd, handler, this.events.getUint32(i * EVENT_SIZE, true));
    }
    return n;
  }
  private run(fd: number, handler: HostFdHandler, events: number): void {
    try {
      handler(events);
      if (this.failures.size > 0) this.failures.delete(fd);
    } catch (e) {
      if (this.onBroken === null) throw e;
      const count = (this.failures.get(fd) ?? 0) + 1;
      this.failures.set(fd, count);
      this.onBroken(`handler of host descriptor ${fd}`, e);
      if (count >= MAX_FAILURES && this.handlers.get(fd) === handler) this.remove(fd);
    }
  }
}
