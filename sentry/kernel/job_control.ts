/**
 * Group stop (signal(7)): a stop signal's default action parks every thread of the process; SIGCONT lets them go on.
 *
 * Interface: `beginStop` decides; each thread then parks itself in deliverPending (`parkForStop`); the last one completes the stop
 * and tells the parent. A thread that waits in vfork counts as parked. `stopAfterExit` is for exit: a thread that leaves may have
 * been the last one.
 */
import { POLLIN } from '../../abi/poll.ts';
import { CLD_CONTINUED, CLD_STOPPED, SA_NOCLDSTOP, SIG_IGN, SIGCHLD, SIGCONT } from '../../abi/signal.ts';
import { clockTicks } from './cpu_time.ts';
import { stopForGroup } from './ptrace.ts';
import { sendToGroup } from './signal_send.ts';
import type { Parked, Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** The process is to stop because of `signal`. The caller is one of its threads, in the kernel; it parks itself next. */
export function beginStop(group: ThreadGroup, signal: number): void {
  if (group.stopSignal === 0) group.stopSignal = signal;
  for (const task of group.tasks) {
    if (task.state === 'app') task.thread.interrupt();
    else if (task.state === 'blocked') task.blocked?.notify('signal');
    task.attention = true;
  }
}

/** The task leaves the run queue until Kernel.unpark. */
export function park(task: Task, why: Parked): void {
  task.state = 'parked';
  task.parked = why;
}

export function parkForStop(task: Task): void {
  if (task.trace === null) park(task, 'group-stop');
  else stopForGroup(task);
  completeStop(task.group);
}

/** A thread of `group` has left. */
export function stopAfterExit(group: ThreadGroup): void {
  if (group.stopSignal !== 0 && !group.stopped && !group.zombie) completeStop(group);
}

function completeStop(group: ThreadGroup): void {
  if (group.stopped) return;
  for (const task of group.tasks) if (task.state !== 'dead' && task.parked === null) return;
  group.stopped = true;
  group.stopReport = 'stopped';
  notifyParent(group, CLD_STOPPED, group.stopSignal);
}

/** SIGCONT was sent (or the process is being killed, `report` false): everybody runs on. */
export function continueGroup(group: ThreadGroup, report: boolean): void {
  if (group.stopSignal === 0) return;
  const wasStopped = group.stopped;
  group.stopSignal = 0;
  group.stopped = false;
  for (const task of group.tasks) if (task.parked === 'group-stop') task.kernel.unpark(task);
  if (!report) {
    group.stopReport = 'none';
    return;
  }
  if (!wasStopped) return;
  group.stopReport = 'continued';
  notifyParent(group, CLD_CONTINUED, SIGCONT);
}

function notifyParent(group: ThreadGroup, code: number, status: number): void {
  const { parent } = group;
  if (parent === null) return;
  const action = parent.handlers.get(SIGCHLD);
  if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0) {
    const { utime, stime } = clockTicks(group);
    sendToGroup(parent, {
      signal: SIGCHLD,
      code,
      pid: group.idIn(parent.pidNamespace),
      uid: parent.leader.creds.namespace.uids.shown(group.leader.creds.uid),
      status,
      utime,
      stime,
    });
  }
  parent.childEvents.notify(POLLIN);
}
