/**
 * How tasks end. Everything here happens at once, on the kernel thread, whatever the task was doing: there is no state in which a
 * task cannot be killed.
 *
 * exitTask ends one thread. The last thread of a process makes it a zombie; its parent is told and reaps it (wait.ts), unless it
 * has said that it does not care. Processes without a parent (a container's first, what exec started) are reaped at once: who
 * started them watches ThreadGroup.exitEvents.
 */
import { POLLIN } from '../../abi/poll.ts';
import { CLD_DUMPED, CLD_EXITED, CLD_KILLED, SA_NOCLDWAIT, SI_USER, SIG_IGN, SIGCHLD, SIGKILL } from '../../abi/signal.ts';
import { contain } from './contain.ts';
import { clearChildTid } from './futex.ts';
import { exitRobustList } from './futex_lock.ts';
import { stopAfterExit } from './job_control.ts';
import { leaveNamespaces } from './namespace_end.ts';
import type { PidNamespace } from './pid_namespace.ts';
import { traceEnded } from './ptrace.ts';
import { leaveRseq } from './rseq.ts';
import { leaveFilters } from './seccomp.ts';
import { exitJobControl, leaveGroup } from './session.ts';
import { retargetShared, sendToGroup, sendToTask } from './signal_send.ts';
import { ALL_SIGNALS } from './signal_state.ts';
import type { Task } from './task.ts';
import type { ThreadGroup, WaitStatus } from './thread_group.ts';

/** Bit of a wait status: it dumped core. */
const CORE_DUMPED = 0x80;

/** exit_group(2), and the end by a fatal signal: every thread of the process ends. The first status counts. */
export function exitGroup(group: ThreadGroup, status: WaitStatus): void {
  group.exiting ??= status;
  for (const task of group.tasks.slice()) exitTask(task, group.exiting);
}

/** One thread ends; `status` as wait(2) encodes it, if this turns out to be the process's last. Safe for one that is dead. */
export function exitTask(task: Task, status: WaitStatus): void {
  if (task.state === 'dead') return;
  const { group } = task;
  // Every step is taken, whatever becomes of the others.
  const step = (what: string, run: () => void): void => contain(task.kernel.log, `${what} of thread ${task.tid} of ${task.name}`, run);
  step('waiting call', () => task.blocked?.abandon());
  task.blocked = null;
  task.state = 'dead';
  task.parked = null;
  task.exitCode = status;
  for (const hook of task.exitHooks) step('exit hook', () => hook(task));
  step('tracing', () => traceEnded(task, status));
  step('sequences', () => leaveRseq(task));
  step('robust list', () => exitRobustList(task));
  step('thread number', () => clearChildTid(task));
  step('CPU time', () => {
    group.dead.userTime += task.thread.cpuTime();
    group.dead.systemTime += task.systemTime;
  });
  const { seccomp } = task;
  if (seccomp !== null) step('seccomp', () => leaveFilters(seccomp));
  releaseResources(task, step);
  step('namespaces', () => leaveNamespaces(task, task.namespaces, null));
  group.tasks.splice(group.tasks.indexOf(task), 1);
  if (group.tasks.length === 0) {
    processExited(group, group.exiting ?? group.leader.exitCode);
    return;
  }
  group.container.taskCount--; // the last one counts until it is reaped
  if (task !== group.leader) forgetIds(task);
  if (group.exiting !== null) return;
  retargetShared(task, ALL_SIGNALS);
  stopAfterExit(group);
}

/** What the thread holds. The address space goes with its last user. */
function releaseResources(task: Task, step: (what: string, run: () => void) => void): void {
  step('vfork', () => releaseVforkParent(task));
  step('descriptors', () => task.fds.release((file) => step('close', () => task.kernel.closeFile(task, file))));
  step('directories', () => task.fs.release());
  step('memory', () => {
    if (!task.mm.release()) task.thread.exit();
  });
}

/** The parent of vfork(2) may go on: the child has its own memory now, or none. */
export function releaseVforkParent(task: Task): void {
  const parent = task.vforkParent;
  task.vforkParent = null;
  if (parent !== null && parent.parked === 'vfork') task.kernel.unpark(parent);
}

function forgetIds(task: Task): void {
  for (let ns: PidNamespace | null = task.group.pidNamespace; ns !== null; ns = ns.parent) {
    if (ns.tasks.get(task.idIn(ns)) === task) ns.tasks.delete(task.idIn(ns));
  }
}

function processExited(group: ThreadGroup, status: WaitStatus): void {
  const { container, pidNamespace } = group;
  group.exiting = status;
  group.zombie = true;
  group.timers.cancelAll();
  const children = [...group.children];
  reparentChildren(group);
  exitJobControl(group, children);
  if (group.leader.tid === 1) {
    pidNamespace.dead = true;
    killAll([...pidNamespace.tasks.values()].map((task) => task.group));
  }
  if (container.init === group) {
    container.exitStatus = status;
    killAll([...container.processes]);
  }
  // Who was killed waits for nobody; nor do those whom the outside waits for.
  group.untold = group.awaitedAnswers > 0 && status !== SIGKILL && group.parent !== null && group.leader.tid !== 1;
  if (!group.untold) tellEnd(group);
}

function tellEnd(group: ThreadGroup): void {
  const { container } = group;
  group.untold = false;
  notifyParent(group);
  group.exitEvents.notify(POLLIN);
  if (container.init === group) container.exitEvents.notify(POLLIN);
}

/**
 * For a process that is about to end: its parent is told once the returned function has been called. What the process has written is
 * where it belongs by then, and who waits for the process may look at it.
 */
export function delayEnd(group: ThreadGroup): () => void {
  group.awaitedAnswers++;
  return () => {
    if (--group.awaitedAnswers === 0 && group.untold) tellEnd(group);
  };
}

/** SIGKILL for a zombie that waits for answers: it does not get them. */
export function endAtOnce(group: ThreadGroup): void {
  if (group.untold) tellEnd(group);
}

function killAll(groups: Iterable<ThreadGroup>): void {
  for (const group of groups) if (!group.zombie) exitGroup(group, SIGKILL);
}

/** Children go to the nearest ancestor that is a subreaper, else to the pid namespace's first process. */
function reparentChildren(group: ThreadGroup): void {
  if (group.children.size === 0) return;
  const reaper = findReaper(group);
  for (const child of group.children) {
    group.children.delete(child);
    child.parent = reaper;
    child.exitSignal = SIGCHLD; // what clone(2) asked for was for the first parent: it could kill the reaper
    reaper?.children.add(child);
    for (const task of child.tasks) {
      if (task.parentDeathSignal !== 0)
        sendToTask(task, {
          signal: task.parentDeathSignal,
          code: SI_USER,
          pid: group.idIn(child.pidNamespace),
          uid: task.creds.namespace.uids.shown(group.leader.creds.uid),
        });
    }
    if (child.zombie && !child.untold) notifyParent(child);
  }
}

function findReaper(group: ThreadGroup): ThreadGroup | null {
  for (let up = group.parent; up !== null; up = up.parent) {
    if (up.subreaper && !up.zombie && up.pidNamespace === group.pidNamespace) return up;
  }
  const init = group.pidNamespace.tasks.get(1)?.group;
  return init === undefined || init === group || init.zombie ? null : init;
}

/** SIGCHLD (or what clone(2) asked for) to the parent; reaps at once where nobody will. */
function notifyParent(group: ThreadGroup): void {
  const { parent } = group;
  if (parent === null) {
    reap(group);
    return;
  }
  const action = parent.handlers.get(SIGCHLD);
  const unwanted = group.exitSignal === SIGCHLD && (action.handler === SIG_IGN || (action.flags & SA_NOCLDWAIT) !== 0);
  if (group.exitSignal !== 0) sendToGroup(parent, { signal: group.exitSignal, ...childInfo(group, parent.leader) });
  if (unwanted) reap(group);
  parent.childEvents.notify(POLLIN);
}

/** The SIGCHLD fields of a dead child (sigaction(2)): times in clock ticks of 10 ms. */
export function childInfo(
  group: ThreadGroup,
  viewer: Task,
): { code: number; pid: number; uid: number; status: number; utime: number; stime: number } {
  const status = group.exiting ?? 0;
  const signal = status & 0x7f;
  return {
    code: signal === 0 ? CLD_EXITED : (status & CORE_DUMPED) !== 0 ? CLD_DUMPED : CLD_KILLED,
    pid: group.idIn(viewer.pidNamespace),
    uid: viewer.creds.namespace.uids.shown(group.leader.creds.uid),
    status: signal === 0 ? (status >> 8) & 0xff : signal,
    utime: Math.floor(group.dead.userTime / 1e7),
    stime: Math.floor(group.dead.systemTime / 1e7),
  };
}

/** The zombie is gone: its number is free, its times are the parent's. */
export function reap(group: ThreadGroup): void {
  if (group.reaped) return;
  group.reaped = true;
  group.container.taskCount--;
  const { parent } = group;
  if (parent !== null) {
    parent.children.delete(group);
    for (const from of [group.dead, group.reapedChildren]) {
      parent.reapedChildren.userTime += from.userTime;
      parent.reapedChildren.systemTime += from.systemTime;
      parent.reapedChildren.minorFaults += from.minorFaults;
      parent.reapedChildren.maxResident = Math.max(parent.reapedChildren.maxResident, from.maxResident);
    }
  }
  forgetIds(group.leader);
  leaveGroup(group);
  group.container.processes.delete(group);
}
