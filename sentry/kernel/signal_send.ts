/**
 * Sending signals: to a thread, to a process, to a process group; who may; and what sending alone already does (SIGCONT continues,
 * ignored signals vanish). Delivery is in signal_delivery.ts.
 *
 * Interface: these may be called for any task in any state, also from timers and host events. They wake, they never run the target.
 */
import { EAGAIN, EPERM, type Errno, ESRCH } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SI_TIMER, SI_USER, SIG_DFL, SIG_IGN, SIGCONT, SIGKILL, SIGRTMIN } from '../../abi/signal.ts';
import { CAP_KILL, hasCapIn } from './credentials.ts';
import { endAtOnce } from './exit.ts';
import { continueGroup } from './job_control.ts';
import { RLIMIT_SIGPENDING } from './rlimits.ts';
import type { ProcessGroup } from './session.ts';
import { CONTINUE_SIGNAL, defaultAction, inSet, KERNEL_ONLY, STOP_SIGNALS } from './signal_actions.ts';
import { DEFAULT_ACTION, type PendingSignals, type SignalInfo, type SignalSet, UNBLOCKABLE } from './signal_state.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** Real-time signals that may wait in one queue, whatever RLIMIT_SIGPENDING says: each is an object of ours. */
const MAX_QUEUED = 65_536;

/** To one thread. EAGAIN: RLIMIT_SIGPENDING is reached. A dead target takes nothing. */
export function sendToTask(task: Task, info: SignalInfo): 0 | Errno {
  if (task.state === 'dead') return 0;
  const r = enqueue(task.group, task, task.pending, info);
  if (r === true && (wants(task, info.signal) || info.signal === SIGKILL)) wake(task, info.signal === SIGKILL);
  return typeof r === 'boolean' ? 0 : r;
}

/** To the process: any thread that does not block it takes it. */
export function sendToGroup(group: ThreadGroup, info: SignalInfo): 0 | Errno {
  if (group.zombie) {
    if (info.signal === SIGKILL) endAtOnce(group);
    return 0;
  }
  const r = enqueue(group, group.tasks[0] ?? group.leader, group.pending, info);
  if (r === true) wakeOne(group, info.signal);
  return typeof r === 'boolean' ? 0 : r;
}

/** To every process of the group, as the kernel itself does (terminals, orphaned groups): no permission is asked for. */
export function sendToProcessGroup(group: ProcessGroup, info: SignalInfo): void {
  for (const member of [...group.members]) sendToGroup(member, info);
}

/**
 * A signal that the thread has raised itself and cannot escape (fault, broken stack): what is blocked or ignored kills. The task is
 * in the kernel; deliverPending follows.
 */
export function forceSignal(task: Task, info: SignalInfo): void {
  const { handlers } = task.group;
  const blocked = inSet(task.signalMask, info.signal);
  const action = handlers.get(info.signal);
  if (blocked || action.handler === SIG_IGN) handlers.set(info.signal, { ...action, handler: SIG_DFL });
  if (blocked) setSignalMask(task, task.signalMask & ~(1n << BigInt(info.signal - 1)));
  task.pending.add({ ...info, forced: true });
  task.attention = true;
}

/** As forceSignal, and no handler can catch it either. */
export function forceFatal(task: Task, signal: number): void {
  task.group.handlers.set(signal, DEFAULT_ACTION);
  forceSignal(task, { signal, code: 0x80 });
}

/** sigprocmask(2) and all who change the mask: SIGKILL and SIGSTOP stay free, what becomes deliverable is noticed. */
export function setSignalMask(task: Task, mask: SignalSet): void {
  const next = mask & ~UNBLOCKABLE;
  const newlyBlocked = next & ~task.signalMask;
  task.signalMask = next;
  if (((task.pending.set | task.group.pending.set) & ~next) !== 0n) task.attention = true;
  if (newlyBlocked !== 0n) retargetShared(task, newlyBlocked);
}

/** The task will not take these signals of the process (it blocks them, it exits): somebody else should. */
export function retargetShared(task: Task, signals: SignalSet): void {
  const left = task.group.pending.set & signals;
  if (left === 0n) return;
  for (const other of task.group.tasks) {
    if (other === task || other.state === 'dead' || (left & ~other.signalMask) === 0n) continue;
    if (other.parked !== 'group-stop') wake(other, false);
  }
}

/** kill(2)'s rule. */
export function maySignal(sender: Task, target: ThreadGroup, signal: number): 0 | Errno {
  const mine = sender.creds;
  const theirs = target.leader.creds;
  if (sender.group === target || mine.euid === theirs.suid || mine.euid === theirs.uid) return 0;
  if (mine.uid === theirs.suid || mine.uid === theirs.uid || hasCapIn(mine, CAP_KILL, theirs.namespace)) return 0;
  return signal === SIGCONT && sender.group.group.session === target.group.session ? 0 : EPERM;
}

/** What kill(2), tkill(2) and their like tell the receiver of the sender. */
export function userSignal(sender: Task, target: ThreadGroup, signal: number, code: number = SI_USER): SignalInfo {
  return { signal, code, pid: sender.group.idIn(target.pidNamespace), uid: target.leader.creds.namespace.uids.shown(sender.creds.uid) };
}

/** kill(2) of one process; signal 0 only asks. */
export function killGroup(sender: Task, target: ThreadGroup, signal: number): 0 | Errno {
  const allowed = maySignal(sender, target, signal);
  if (allowed !== 0 || signal === 0) return allowed;
  return sendToGroup(target, userSignal(sender, target, signal));
}

/** kill(2) of a process group: succeeds if one could be signalled. */
export function killProcessGroup(sender: Task, group: ProcessGroup, signal: number): 0 | Errno {
  let result: 0 | Errno = ESRCH;
  let any = false;
  for (const member of [...group.members]) {
    const r = killGroup(sender, member, signal);
    if (r === 0) any = true;
    else result = r;
  }
  return any ? 0 : result;
}

/** The first process of its pid namespace: signals from inside reach it only if it has a handler (pid_namespaces(7)). */
export function isNamespaceInit(group: ThreadGroup): boolean {
  return group.leader.tid === 1;
}

/** True: queued. False: nothing to wake for (ignored, or pending already). */
function enqueue(group: ThreadGroup, target: Task, queue: PendingSignals, info: SignalInfo): boolean | Errno {
  if (group.exiting !== null) return false;
  stopOrContinue(group, info.signal);
  if (isIgnored(group, target, info)) return false;
  if (info.signal >= SIGRTMIN && info.code !== SI_TIMER && queue.count >= Math.min(group.limits.soft(RLIMIT_SIGPENDING), MAX_QUEUED)) {
    // kill(2) of a real-time signal must work once even then.
    if (info.code !== SI_USER) return EAGAIN;
    if (inSet(queue.set, info.signal)) return false;
  }
  if (!queue.add(info)) return false;
  group.signalEvents.notify(POLLIN);
  return true;
}

/** Stop signals and SIGCONT cancel each other; SIGCONT continues whether or not it is ignored or blocked. */
function stopOrContinue(group: ThreadGroup, signal: number): void {
  if (inSet(STOP_SIGNALS, signal)) discardEverywhere(group, CONTINUE_SIGNAL);
  else if (signal === SIGCONT) {
    discardEverywhere(group, STOP_SIGNALS);
    continueGroup(group, true);
  }
}

function discardEverywhere(group: ThreadGroup, signals: SignalSet): void {
  group.pending.discard(signals);
  for (const task of group.tasks) task.pending.discard(signals);
}

function isIgnored(group: ThreadGroup, target: Task, info: SignalInfo): boolean {
  // A tracer sees even what its tracee ignores.
  if (inSet(target.signalMask, info.signal) || (target.trace !== null && info.signal !== SIGKILL)) return false;
  const { handler } = group.handlers.get(info.signal);
  if (handler !== SIG_DFL) return handler === SIG_IGN;
  // Senders that the namespace does not see (its ancestors, the kernel) have no pid there.
  const fromOutside = (info.pid ?? 0) === 0;
  if (isNamespaceInit(group) && !(fromOutside && inSet(KERNEL_ONLY, info.signal))) return true;
  return defaultAction(info.signal) === 'ignore';
}

function wants(task: Task, signal: number): boolean {
  return task.state !== 'dead' && !inSet(task.signalMask, signal) && task.parked !== 'group-stop' && task.parked !== 'ptrace-stop';
}

/** The leader if it can, or one that has nothing else to attend to, or anyone who can. */
function wakeOne(group: ThreadGroup, signal: number): void {
  if (signal === SIGKILL) {
    const target = group.tasks.find((task) => task.state !== 'dead');
    if (target !== undefined) wake(target, true);
    return;
  }
  let chosen: Task | null = wants(group.leader, signal) ? group.leader : null;
  if (chosen === null || chosen.attention) {
    for (const task of group.tasks) {
      if (!wants(task, signal)) continue;
      chosen ??= task;
      if (task.attention) continue;
      chosen = task;
      break;
    }
  }
  if (chosen !== null) wake(chosen, false);
}

/** Makes the task look at its signals soon. fatal: also out of stops, vfork's wait and a pause. */
function wake(task: Task, fatal: boolean): void {
  task.attention = true;
  if (task.state === 'app') task.thread.interrupt();
  else if (task.state === 'blocked') task.blocked?.notify('signal');
  else if (task.state === 'parked' && fatal) task.kernel.unpark(task);
}
