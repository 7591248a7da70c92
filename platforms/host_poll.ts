/** Host descriptors that the kernel thread watches (control socket, stdio, packet sockets), level-triggered unless they say EPOLLET. */
import type { Host } from '../lib/host.ts';

const EVENT_SIZE = 12; // packed struct epoll_event on x86-64
const MAX_EVENTS = 64;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
const EPOLL_CTL_MOD = 3;
const EPOLLIN_EPOLLET = 0x8000_0001;
const TIMERFD_CREATE = 283;
const TIMERFD_SETTIME = 286;
const CLOCK_MONOTONIC = 1;
const TFD_CLOEXEC_NONBLOCK = 0o2004000;
const TFD_TIMER_ABSTIME = 1;
const NS_PER_S = 1e9;

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

  private readonly timerFd: number;
  /** When the timer fires next; Infinity: it is not set. */
  private armedFor = Number.POSITIVE_INFINITY;
  /** struct itimerspec */
  private readonly timerValue = new Uint32Array(8);

  constructor(host: Host) {
    this.host = host;
    this.fd = host.epollCreate();
    if (this.fd < 0) throw new Error(`epoll_create1: errno ${-this.fd}`);
    this.timerFd = host.syscall(TIMERFD_CREATE, CLOCK_MONOTONIC, TFD_CLOEXEC_NONBLOCK);
    if (this.timerFd < 0) throw new Error(`timerfd_create: errno ${-this.timerFd}`);
    this.add(this.timerFd, EPOLLIN_EPOLLET, () => {
      this.armedFor = Number.POSITIVE_INFINITY;
    });
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

  /** Sleeps up to timeoutMs (-1: no limit) and calls the handlers of what is ready. How many were. */
  wait(timeoutMs: number): number {
    return this.waitNs(timeoutMs < 0 ? -1 : timeoutMs * 1e6);
  }
  /**
   * Sleeps until `deadline` (CLOCK_MONOTONIC ns; 0: not at all; Infinity) or an event, or for no reason. A timeout of the wait's own would be
   * set up and torn down each time, 0.5 µs: a timer that fires too early now and then is cheaper.
   */
  waitUntil(deadline: number): number {
    if (deadline === 0) return this.waitNs(0);
    if (deadline < this.armedFor) this.arm(deadline);
    return this.waitNs(-1);
  }
  private arm(deadline: number): void {
    const at = Math.max(deadline, 1); // 0 would stop it
    const seconds = Math.floor(at / NS_PER_S);
    this.timerValue[4] = seconds;
    this.timerValue[5] = Math.floor(seconds / 0x1_0000_0000);
    this.timerValue[6] = at - seconds * NS_PER_S;
    this.host.syscall(TIMERFD_SETTIME, this.timerFd, TFD_TIMER_ABSTIME, this.timerValue, null);
    this.armedFor = deadline;
  }
  private waitNs(timeout: number): number {
    const n = this.host.pollWait(this.fd, this.events, timeout);
    if (n < 0) throw new Error(`epoll_pwait2: errno ${-n}`);
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
