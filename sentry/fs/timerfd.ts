/**
 * timerfd_create(2): expirations of a timer, as a file. A periodic timer fires once and goes on when somebody looks: what expired in
 * between is counted then, so that a timer nobody reads costs nothing.
 */
import { EAGAIN, ECANCELED, EFAULT, EINVAL } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import { type Clock, deadlineOf, readClock } from '../kernel/clocks.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { Timer } from '../kernel/timer_queue.ts';
import { WaitQueue } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';

/** A wall-clock time is a number that is exact to 256 ns; less than this is no step of the clock. ns. */
const CLOCK_GRAIN = 1000;

const TFD_TIMER_CANCEL_ON_SET = 2;

/** ns. */
export interface TimerSetting {
  readonly interval: number;
  /** Until the next expiration; 0: disarmed. */
  readonly value: number;
}

export class TimerFile extends FileImpl {
  override readonly queue = new WaitQueue();
  private readonly kernel: Kernel;
  private readonly clock: Clock;
  private readonly clockId: number;
  /** Next expiration on the clock; 0: disarmed. */
  private expiry = 0;
  private interval = 0;
  /** Expirations that nobody has read. */
  private ticks = 0;
  /** `expiry` has passed and been counted; a periodic timer is not armed again yet. */
  private expired = false;
  private timer: Timer | null = null;
  /** TFD_TIMER_* as given, for fdinfo. */
  private flags = 0;
  /** The wall clock was set since (TFD_TIMER_CANCEL_ON_SET). */
  private cancelled = false;
  private readonly onStep = (): void => {
    this.cancelled = true;
    this.queue.notify(POLLIN | POLLRDNORM);
  };

  constructor(kernel: Kernel, clock: Clock, clockId: number) {
    super();
    this.kernel = kernel;
    this.clock = clock;
    this.clockId = clockId;
  }

  /** timerfd_settime(2); the previous setting. */
  set(setting: TimerSetting, absolute: boolean, flags: number): TimerSetting {
    const old = this.get();
    this.stop();
    this.ticks = 0;
    this.expired = false;
    this.cancelled = false;
    this.flags = flags;
    this.interval = setting.interval;
    this.expiry = setting.value === 0 ? 0 : absolute ? setting.value : readClock(this.kernel, this.clock) + setting.value;
    if (this.expiry !== 0) this.schedule();
    if (absolute && this.clock.kind === 'realtime' && (flags & TFD_TIMER_CANCEL_ON_SET) !== 0) this.kernel.clockWatch.add(this.onStep);
    else this.kernel.clockWatch.remove(this.onStep);
    return old;
  }
  /** timerfd_gettime(2). */
  get(): TimerSetting {
    this.catchUp();
    const value = this.expiry === 0 || this.expired ? 0 : Math.max(1, this.expiry - readClock(this.kernel, this.clock));
    return { interval: this.interval, value };
  }

  private schedule(): void {
    const at = deadlineOf(this.kernel, this.clock, this.expiry);
    if (Number.isFinite(at)) this.timer = this.kernel.timers.add(at, () => this.fire());
  }
  private fire(): void {
    this.timer = null;
    // The wall clock may have been set back since the deadline was computed.
    if (this.expiry - readClock(this.kernel, this.clock) > CLOCK_GRAIN) {
      this.schedule();
      return;
    }
    this.expired = true;
    this.ticks++;
    this.queue.notify(POLLIN | POLLRDNORM);
  }
  private stop(): void {
    if (this.timer !== null) this.kernel.timers.cancel(this.timer);
    this.timer = null;
  }
  /** Counts what a periodic timer has missed since it fired, and arms it again. */
  private catchUp(): void {
    if (!this.expired || this.interval === 0) return;
    const missed = Math.max(0, Math.floor((readClock(this.kernel, this.clock) - this.expiry) / this.interval));
    this.ticks += missed;
    this.expiry += (missed + 1) * this.interval;
    this.expired = false;
    this.schedule();
  }

  override read(dst: Sink, _file: FileDescription, _task: Task): number {
    if (dst.remaining < 8) return EINVAL;
    if (this.cancelled) {
      this.cancelled = false;
      this.ticks = 0;
      return ECANCELED;
    }
    if (this.ticks === 0) return EAGAIN;
    this.catchUp();
    const { scratch8, scratch8View } = this.kernel;
    scratch8View.setBigUint64(0, BigInt(this.ticks), true);
    this.ticks = 0;
    return dst.put(scratch8, 0, 8) === 8 ? 8 : EFAULT;
  }
  override seek(): number {
    return 0; // allowed, without effect
  }
  override poll(_file: FileDescription): number {
    return this.ticks > 0 || this.cancelled ? POLLIN : 0;
  }
  override release(): void {
    this.stop();
    this.kernel.clockWatch.remove(this.onStep);
  }
  override describe(): string {
    const { value, interval } = this.get();
    const pair = (ns: number): string => `(${Math.floor(ns / 1e9)}, ${Math.floor(ns % 1e9)})`;
    const head = `clockid: ${this.clockId}\nticks: ${this.ticks}\nsettime flags: 0${this.flags.toString(8)}\n`;
    return `${head}it_value: ${pair(value)}\nit_interval: ${pair(interval)}\n`;
  }
}

/** flags: O_NONBLOCK or 0. */
export function makeTimerFile(kernel: Kernel, clock: Clock, clockId: number, flags: number): FileDescription {
  const path = kernel.anonymous.path('anon_inode:[timerfd]', 0o600);
  return new FileDescription(new TimerFile(kernel, clock, clockId), O_RDWR | flags, path);
}
