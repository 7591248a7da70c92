/** Timers that belong to a process: setitimer(2), alarm(2), timer_create(2), RLIMIT_CPU. */
import { SI_KERNEL, SI_TIMER, SIGALRM, SIGKILL, SIGPROF, SIGVTALRM, SIGXCPU } from '../../abi/signal.ts';
import { ClockTimer } from './clock_timer.ts';
import { type Clock, MONOTONIC } from './clocks.ts';
import { groupCpuTime } from './cpu_time.ts';
import type { Kernel } from './kernel.ts';
import { RLIMIT_CPU } from './rlimits.ts';
import { sendToGroup, sendToTask } from './signal_send.ts';
import type { SignalInfo } from './signal_state.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** getitimer(2): real time, time in the application, CPU time. */
export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

const SECOND = 1_000_000_000;

/** What a POSIX timer does when it expires (sigevent(3type)). signal 0: nothing. thread null: the process gets it. */
export interface Notification {
  readonly signal: number;
  readonly value: bigint;
  readonly thread: Task | null;
}

type TimerInfo = { -readonly [K in keyof SignalInfo]: SignalInfo[K] };

export class PosixTimer {
  readonly timer: ClockTimer;
  private readonly id: number;
  private readonly clockId: number;
  private readonly group: ThreadGroup;
  private readonly notification: Notification;
  /** The signal sent last; while it waits, further expirations are counted in it. */
  private sent: TimerInfo | null = null;

  constructor(kernel: Kernel, group: ThreadGroup, id: number, clock: Clock, clockId: number, notification: Notification) {
    this.id = id;
    this.clockId = clockId;
    this.group = group;
    this.notification = notification;
    this.timer = new ClockTimer(kernel, clock, (times) => this.expired(times));
  }

  /** timer_getoverrun(2): expirations that the last signal stands for, beyond its own. */
  get overrun(): number {
    return this.sent?.overrun ?? 0;
  }

  /** As /proc/PID/timers words it. */
  describe(): string {
    const { signal, value, thread } = this.notification;
    const target = thread === null ? `pid.${this.group.leader.tid}` : `tid.${thread.tid}`;
    const how = signal === 0 ? 'none' : 'signal';
    return `signal: ${signal}/${value.toString(16).padStart(16, '0')}\nnotify: ${how}/${target}\nClockID: ${this.clockId}\n`;
  }

  private expired(times: number): void {
    const { signal, value, thread } = this.notification;
    if (signal === 0) return;
    const { sent } = this;
    const queue = thread?.pending ?? this.group.pending;
    if (sent !== null && queue.holds(sent)) {
      sent.overrun = Math.min((sent.overrun ?? 0) + times, 0x7fff_ffff);
      return;
    }
    const info: TimerInfo = { signal, code: SI_TIMER, timerId: this.id, overrun: Math.min(times - 1, 0x7fff_ffff), value };
    this.sent = info;
    if (thread === null) sendToGroup(this.group, info);
    else sendToTask(thread, info);
  }
}

export class ProcessTimers {
  readonly kernel: Kernel;
  readonly posix = new Map<number, PosixTimer>();
  private group: ThreadGroup | null = null;
  private readonly intervals: (ClockTimer | null)[] = [null, null, null];
  private cpuLimit: ClockTimer | null = null;
  private nextId = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  /** Once, by the process that they belong to. */
  attach(group: ThreadGroup): void {
    this.group = group;
    this.limitChanged();
  }

  /** which: ITIMER_*. */
  interval(which: number): ClockTimer {
    return (this.intervals[which] ??= this.makeInterval(which));
  }
  private makeInterval(which: number): ClockTimer {
    const group = this.group as ThreadGroup;
    const signal = which === ITIMER_REAL ? SIGALRM : which === ITIMER_VIRTUAL ? SIGVTALRM : SIGPROF;
    const clock: Clock =
      which === ITIMER_REAL ? MONOTONIC : which === ITIMER_VIRTUAL ? { kind: 'user', group } : { kind: 'process', group };
    return new ClockTimer(this.kernel, clock, () => sendToGroup(group, { signal, code: SI_KERNEL }));
  }

  /** timer_create(2). `notify` gets the id, which is the default value of the signal. */
  create(clock: Clock, clockId: number, notify: (id: number) => Notification): number {
    const id = this.nextId++;
    this.posix.set(id, new PosixTimer(this.kernel, this.group as ThreadGroup, id, clock, clockId, notify(id)));
    return id;
  }
  /** False if there is none. */
  delete(id: number): boolean {
    this.posix.get(id)?.timer.stop();
    return this.posix.delete(id);
  }
  /** execve(2) deletes POSIX timers and keeps interval timers. */
  deletePosixTimers(): void {
    for (const id of [...this.posix.keys()]) this.delete(id);
  }

  /** RLIMIT_CPU has been set or inherited: SIGXCPU at the soft limit and every second after it, SIGKILL at the hard one. */
  limitChanged(): void {
    const group = this.group as ThreadGroup;
    this.cpuLimit?.stop();
    const { soft } = group.limits.get(RLIMIT_CPU);
    if (!Number.isFinite(soft)) return;
    this.cpuLimit ??= new ClockTimer(this.kernel, { kind: 'process', group }, () => this.cpuLimitReached(group));
    this.cpuLimit.startAt(Math.max(soft * SECOND, 1), SECOND);
  }
  private cpuLimitReached(group: ThreadGroup): void {
    const { hard } = group.limits.get(RLIMIT_CPU);
    sendToGroup(group, { signal: groupCpuTime(group) >= hard * SECOND ? SIGKILL : SIGXCPU, code: SI_KERNEL });
  }

  /** The process has exited: nothing may fire any more. */
  cancelAll(): void {
    for (const timer of this.intervals) timer?.stop();
    this.cpuLimit?.stop();
    this.deletePosixTimers();
  }
}
