/** A process: what its threads share whatever clone(2) flags made them. */

import type { Container } from './container.ts';
import type { PidNamespace } from './pid_namespace.ts';
import type { ProcessTimers } from './process_timers.ts';
import type { ResourceLimits } from './rlimits.ts';
import type { ProcessGroup } from './session.ts';
import type { PendingSignals, SignalHandlers } from './signal_state.ts';
import type { Task } from './task.ts';
import { WaitQueue } from './wait.ts';

/** How a process ended, as wait(2) encodes it: exit code << 8, or signal | 0x80 if it dumped core. */
export type WaitStatus = number;

/** CPU times in ns and counters of the dead members, for getrusage(2) and times(2). */
export interface Usage {
  userTime: number;
  systemTime: number;
  minorFaults: number;
  maxResident: number;
  voluntarySwitches: number;
  involuntarySwitches: number;
}

export function noUsage(): Usage {
  return { userTime: 0, systemTime: 0, minorFaults: 0, maxResident: 0, voluntarySwitches: 0, involuntarySwitches: 0 };
}

export class ThreadGroup {
  /** The task whose tid is the process's pid; execve(2) from another thread makes that one the leader. */
  leader: Task;
  readonly tasks: Task[] = [];
  readonly pidNamespace: PidNamespace;
  readonly container: Container;
  parent: ThreadGroup | null = null;
  readonly children = new Set<ThreadGroup>();
  group: ProcessGroup;
  handlers: SignalHandlers;
  /** Signals sent to the process as a whole. */
  readonly pending: PendingSignals;
  limits: ResourceLimits;
  timers: ProcessTimers;
  /** Signal for the parent at exit; SIGCHLD after execve. 0 = none. */
  exitSignal: number;
  /** Set once exit_group or a fatal signal has been decided; the threads then leave one by one. */
  exiting: WaitStatus | null = null;
  /** All threads are gone; waits to be reaped. */
  zombie = false;
  reaped = false;
  /** Answers about its files that its parent hears of the end only after (exit.ts, delayEnd). */
  awaitedAnswers = 0;
  /** A zombie that nobody has been told of yet. */
  untold = false;
  /** Job control: 0, or the signal of the stop that is under way or complete. */
  stopSignal = 0;
  stopped = false;
  /** What wait4 with WUNTRACED/WCONTINUED has not reported yet. */
  stopReport: 'none' | 'stopped' | 'continued' = 'none';
  /** Parents in wait4 sleep here; so do pidfd pollers of this process (POLLIN at exit). */
  readonly childEvents = new WaitQueue();
  readonly exitEvents = new WaitQueue();
  /** POLLIN whenever a signal has been queued for the process or one of its threads: sigtimedwait, signalfd. */
  readonly signalEvents = new WaitQueue();
  /** prctl(2) PR_SET_CHILD_SUBREAPER. */
  subreaper = false;
  hasExeced = false;
  readonly dead: Usage = noUsage();
  readonly reapedChildren: Usage = noUsage();
  /** /proc/PID/io: bytes and calls of read(2) and write(2) and their like. */
  readonly io = { rchar: 0, wchar: 0, syscr: 0, syscw: 0 };
  /** Its thread that writes a core file; the others stop where they are. POLLIN as each has. */
  dumper: Task | null = null;
  readonly dumpEvents = new WaitQueue();
  /** oom_score_adj, dumpable and the like live with their users; start time for /proc/PID/stat, kernel monotonic ns. */
  readonly startTime: number;
  oomScoreAdj = 0;
  /** /proc/PID/loginuid; all ones: not set. */
  loginUid = 0xffff_ffff;

  constructor(init: {
    leader: Task;
    pidNamespace: PidNamespace;
    container: Container;
    group: ProcessGroup;
    handlers: SignalHandlers;
    pending: PendingSignals;
    limits: ResourceLimits;
    timers: ProcessTimers;
    exitSignal: number;
    startTime: number;
  }) {
    this.leader = init.leader;
    this.pidNamespace = init.pidNamespace;
    this.container = init.container;
    this.group = init.group;
    this.handlers = init.handlers;
    this.pending = init.pending;
    this.limits = init.limits;
    this.timers = init.timers;
    this.exitSignal = init.exitSignal;
    this.startTime = init.startTime;
    this.timers.attach(this);
  }

  /** /proc/PID/oom_score_adj: the host's killer of processes goes by it, too. */
  setOomScoreAdj(value: number): void {
    this.oomScoreAdj = value;
    if (!this.zombie) this.leader.mm.space.setOomScore?.(value);
  }

  /** getpid(2) as seen in `ns`; 0 where it is not visible. */
  idIn(ns: PidNamespace): number {
    return this.leader.idIn(ns);
  }
}
