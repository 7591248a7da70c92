/** wait4(2), waitid(2): a parent learns of its children. */
import { ECHILD, ERESTARTSYS } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { __WALL, __WCLONE, WCONTINUED, WEXITED, WNOHANG, WNOWAIT, WSTOPPED } from '../../abi/sched.ts';
import { CLD_CONTINUED, CLD_EXITED, CLD_KILLED, CLD_STOPPED, CLD_TRAPPED, SIGCHLD, SIGCONT } from '../../abi/signal.ts';
import { childInfo, reap } from './exit.ts';
import type { Trace } from './ptrace.ts';
import type { Task } from './task.ts';
import { noUsage, type ThreadGroup, type Usage, type WaitStatus } from './thread_group.ts';
import { type Wait, type Wake, waitFor } from './wait.ts';

/** What was found. */
export interface ChildEvent {
  /** In the caller's pid namespace. */
  readonly pid: number;
  readonly uid: number;
  /** As wait4(2) gives it. */
  readonly status: WaitStatus;
  /** As waitid(2) gives it: CLD_* and si_status. */
  readonly code: number;
  readonly siStatus: number;
  readonly usage: Usage;
}

export interface WaitRequest {
  /** id: number of the child, or of a single thread that the caller traces, in the caller's pid namespace. */
  readonly matches: (child: ThreadGroup, id: number) => boolean;
  readonly options: number;
}

/** The first event among the children that match; null for WNOHANG without one; ECHILD, ERESTARTSYS. */
export function* waitForChild(task: Task, request: WaitRequest): Generator<Wait, ChildEvent | null | number, Wake> {
  for (;;) {
    let any = false;
    for (const child of task.group.children) {
      if (!eligible(child, request.options) || !request.matches(child, child.idIn(task.pidNamespace))) continue;
      any = true;
      const event = eventOf(task, child, request.options);
      if (event !== null) return event;
    }
    for (const tracee of traceesOf(task)) {
      if (!request.matches(tracee.group, tracee.idIn(task.pidNamespace))) continue;
      any = true;
      const event = traceeEvent(task, tracee, request.options);
      if (event !== null) return event;
    }
    if (!any) return ECHILD;
    if ((request.options & WNOHANG) !== 0) return null;
    const wake = yield waitFor(task.group.childEvents, POLLIN);
    if (wake === 'signal') return ERESTARTSYS;
  }
}

/** __WCLONE: only children that do not send SIGCHLD; default: only those that do. */
function eligible(child: ThreadGroup, options: number): boolean {
  if ((options & __WALL) !== 0) return true;
  return (child.exitSignal !== SIGCHLD) === ((options & __WCLONE) !== 0);
}

/** What the threads of the caller's process trace. */
function traceesOf(task: Task): readonly Task[] {
  const { tasks } = task.group;
  return tasks.some((thread) => thread.tracees !== null) ? tasks.flatMap((thread) => [...(thread.tracees ?? [])]) : NOBODY;
}
const NOBODY: readonly Task[] = [];

/** A stop, told once whatever the options say; or the end of a thread that is no child of the caller's. */
function traceeEvent(task: Task, tracee: Task, options: number): ChildEvent | null {
  const trace = tracee.trace as Trace;
  const keep = (options & WNOWAIT) !== 0;
  const base = { pid: tracee.idIn(task.pidNamespace), uid: task.creds.namespace.uids.shown(tracee.creds.uid), usage: noUsage() };
  const { stop, exitStatus } = trace;
  if (exitStatus !== null && (options & WEXITED) !== 0) {
    if (!keep) trace.tracer.tracees?.delete(tracee);
    const signal = exitStatus & 0x7f;
    const siStatus = signal === 0 ? (exitStatus >> 8) & 0xff : signal;
    return { ...base, status: exitStatus, code: signal === 0 ? CLD_EXITED : CLD_KILLED, siStatus };
  }
  if (stop === null || stop.reported) return null;
  if (!keep) stop.reported = true;
  return { ...base, status: 0x7f | (stop.code << 8), code: CLD_TRAPPED, siStatus: stop.code };
}

function eventOf(task: Task, child: ThreadGroup, options: number): ChildEvent | null {
  const ns = task.pidNamespace;
  const keep = (options & WNOWAIT) !== 0;
  const base = { pid: child.idIn(ns), uid: task.creds.namespace.uids.shown(child.leader.creds.uid) };
  if (child.zombie && !child.untold && (options & WEXITED) !== 0) {
    const info = childInfo(child, task);
    const event = { ...base, status: child.exiting ?? 0, code: info.code, siStatus: info.status, usage: total(child) };
    if (!keep) reap(child);
    return event;
  }
  // A tracer that is the parent hears of every thread's stop instead.
  if (child.leader.trace?.tracer.group === task.group) return null;
  if (child.stopReport === 'stopped' && (options & WSTOPPED) !== 0) {
    if (!keep) child.stopReport = 'none';
    return { ...base, status: 0x7f | (child.stopSignal << 8), code: CLD_STOPPED, siStatus: child.stopSignal, usage: noUsage() };
  }
  if (child.stopReport === 'continued' && (options & WCONTINUED) !== 0) {
    if (!keep) child.stopReport = 'none';
    return { ...base, status: 0xffff, code: CLD_CONTINUED, siStatus: SIGCONT, usage: noUsage() };
  }
  return null;
}

/** Times of a dead child with those of the children that it reaped. */
function total(child: ThreadGroup): Usage {
  const usage = { ...child.dead };
  usage.userTime += child.reapedChildren.userTime;
  usage.systemTime += child.reapedChildren.systemTime;
  usage.minorFaults += child.reapedChildren.minorFaults;
  usage.maxResident = Math.max(usage.maxResident, child.reapedChildren.maxResident);
  return usage;
}
