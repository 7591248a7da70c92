/**
 * ptrace(2): which task traces which, and the stops. A stopped tracee is parked ('ptrace-stop'); its tracer learns of it by wait(2)
 * (wait_child.ts) and lets it go on with a request (sys_ptrace.ts).
 *
 * Interface: `Task.trace` is null for everybody who is not traced, and the kernel loop looks at nothing else then. For tracees it
 * calls `stopAtEntry` before a system call and `returnTraced` on the way back; clone, execve and exit call their hooks.
 */

import { ENOSYS, EPERM, type Errno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import {
  PTRACE_EVENT_CLONE,
  PTRACE_EVENT_EXEC,
  PTRACE_EVENT_EXIT,
  PTRACE_EVENT_FORK,
  PTRACE_EVENT_SECCOMP,
  PTRACE_EVENT_STOP,
  PTRACE_EVENT_VFORK,
  PTRACE_EVENT_VFORK_DONE,
  PTRACE_O_EXITKILL,
  PTRACE_O_SUSPEND_SECCOMP,
  PTRACE_O_TRACECLONE,
  PTRACE_O_TRACEEXEC,
  PTRACE_O_TRACEEXIT,
  PTRACE_O_TRACEFORK,
  PTRACE_O_TRACESECCOMP,
  PTRACE_O_TRACESYSGOOD,
  PTRACE_O_TRACEVFORK,
  PTRACE_O_TRACEVFORKDONE,
} from '../../abi/ptrace.ts';
import { CLONE_THREAD, CLONE_UNTRACED, CLONE_VFORK } from '../../abi/sched.ts';
import { CLD_TRAPPED, SA_NOCLDSTOP, SI_KERNEL, SIG_IGN, SIGCHLD, SIGKILL, SIGSTOP, SIGTRAP } from '../../abi/signal.ts';
import { REG } from '../../platforms/platform.ts';
import { NO_RESULT } from '../syscalls/definition.ts';
import { CAP_SYS_ADMIN, hasCap } from './credentials.ts';
import { exitGroup, exitTask } from './exit.ts';
import { park } from './job_control.ts';
import { watchersChanged } from './own_answers.ts';
import { isKilled } from './signal_delivery.ts';
import { sendToGroup, sendToTask } from './signal_send.ts';
import type { SignalInfo } from './signal_state.ts';
import type { Task } from './task.ts';
import type { WaitStatus } from './thread_group.ts';
import { mayTrace } from './trace_access.ts';

/** How the tracee was last told to go on. */
export type TraceMode = 'cont' | 'syscall' | 'step' | 'sysemu' | 'sysemu-step';
export type StopKind = 'signal' | 'entry' | 'exit' | 'seccomp' | 'event' | 'group';

export interface TraceStop {
  readonly kind: StopKind;
  /** As wait(2) shows it: the signal, 0x80 for TRACESYSGOOD, the event in the next byte. */
  readonly code: number;
  /** PTRACE_GETSIGINFO; null for group stops. */
  info: SignalInfo | null;
  /** wait(2) has told it. */
  reported: boolean;
}

/** The tracee's side of a trace. */
export class Trace {
  readonly tracer: Task;
  readonly seized: boolean;
  /** PTRACE_O_*. */
  options: number;
  mode: TraceMode = 'cont';
  /** Null while it runs. */
  stop: TraceStop | null = null;
  /** PTRACE_GETEVENTMSG. */
  message = 0;
  /** Between the entry and the exit of a system call. */
  inSyscall = false;
  /** An event to stop for before the running system call returns. */
  event = 0;
  /** The system call that it has stopped before will not be made (PTRACE_SYSEMU). */
  emulated = false;
  /** Its filter's question has been put to the tracer: the call is made. */
  seccompPassed = false;
  /** The child for which it waits in vfork(2), if there is one. */
  vforkChild: Task | null = null;
  /** PTRACE_INTERRUPT was asked. */
  interrupt = false;
  /** The signal that the tracer lets through, to act upon without another stop. */
  injected: SignalInfo | null = null;
  /** Stopped on its way out: how it goes on. */
  exiting: { readonly status: WaitStatus; readonly group: boolean } | null = null;
  /** The tracee is gone, its end not yet told. */
  exitStatus: WaitStatus | null = null;

  constructor(tracer: Task, seized: boolean, options: number) {
    this.tracer = tracer;
    this.seized = seized;
    this.options = options;
  }
}

/** PTRACE_O_SUSPEND_SECCOMP is for tracers that may do anything, and that no filter holds. */
export function mayHaveOptions(tracer: Task, options: number): boolean {
  return (options & PTRACE_O_SUSPEND_SECCOMP) === 0 || (tracer.seccomp === null && hasCap(tracer.creds, CAP_SYS_ADMIN));
}
export function suspendsSeccomp({ trace }: Task): boolean {
  return trace !== null && (trace.options & PTRACE_O_SUSPEND_SECCOMP) !== 0;
}

/** EPERM: already traced, one's own process, or not permitted. */
export function attach(tracer: Task, target: Task, seized: boolean, options: number): 0 | Errno {
  if (target.trace !== null || target.group === tracer.group || !mayTrace(tracer, target)) return EPERM;
  link(tracer, target, seized, options);
  if (!seized) sendToTask(target, { signal: SIGSTOP, code: SI_KERNEL });
  return 0;
}

/** PTRACE_TRACEME: the parent's leader traces. */
export function traceMe(task: Task): 0 | Errno {
  const tracer = task.group.parent?.leader;
  if (task.trace !== null || tracer === undefined) return EPERM;
  link(tracer, task, false, 0);
  return 0;
}

function link(tracer: Task, target: Task, seized: boolean, options: number): void {
  target.mm.space.restoreCalls?.();
  target.trace = new Trace(tracer, seized, options);
  watchersChanged(target);
  tracer.tracees ??= new Set();
  tracer.tracees.add(target);
}

/** The tracee goes its own way, from a stop or not; `signal` 0: none. */
export function detach(target: Task, signal: number): void {
  const { trace } = target;
  if (trace === null) return;
  trace.tracer.tracees?.delete(target);
  const info = takesSignal(trace) ? signalToInject(trace, signal) : null;
  target.trace = null;
  target.debug = null;
  watchersChanged(target);
  if (info !== null) target.pending.add(info);
  if (target.parked === 'ptrace-stop' && trace.vforkChild?.vforkParent === target && !isKilled(target)) park(target, 'vfork');
  else target.kernel.unpark(target);
}

/** From a stop. signal: what the tracee gets of it, 0 nothing. */
export function resumeTracee(target: Task, mode: TraceMode, signal: number): void {
  const trace = target.trace as Trace;
  const { stop } = trace;
  if (stop?.kind === 'signal') trace.injected = signalToInject(trace, signal);
  else if (signal !== 0 && takesSignal(trace)) sendToTask(target, { signal, code: SI_KERNEL });
  // A group stop that its tracer ends is over for this process.
  if (stop?.kind === 'group') {
    target.group.stopSignal = 0;
    target.group.stopped = false;
  }
  trace.mode = mode;
  trace.stop = null;
  target.kernel.unpark(target);
}

/** Events and group stops end without a signal, whatever the tracer says. */
function takesSignal({ stop }: Trace): boolean {
  return stop !== null && stop.kind !== 'event' && stop.kind !== 'seccomp' && stop.kind !== 'group';
}

/** The stop's own siginfo if the tracer lets the same signal through, else one that names the tracer. */
function signalToInject({ stop, tracer }: Trace, signal: number): SignalInfo | null {
  if (signal === 0) return null;
  const same = stop?.kind === 'signal' && stop.info?.signal === signal;
  return same ? (stop.info as SignalInfo) : { signal, code: 0, pid: tracer.pid, uid: tracer.creds.uid };
}

// Stops

function stopTracee(task: Task, kind: StopKind, code: number, info: SignalInfo | null): void {
  const trace = task.trace as Trace;
  trace.stop = { kind, code, info, reported: false };
  park(task, 'ptrace-stop');
  const { group } = trace.tracer;
  const action = group.handlers.get(SIGCHLD);
  if (action.handler !== SIG_IGN && (action.flags & SA_NOCLDSTOP) === 0) {
    const pid = task.idIn(group.pidNamespace);
    sendToGroup(group, { signal: SIGCHLD, code: CLD_TRAPPED, pid, uid: task.creds.uid, status: code & 0x7f });
  }
  group.childEvents.notify(POLLIN);
}

function stopForEvent(task: Task, event: number, kind: StopKind = 'event'): void {
  stopTracee(task, kind, SIGTRAP | (event << 8), { signal: SIGTRAP, code: SIGTRAP | (event << 8), pid: task.tid, uid: task.creds.uid });
}

function stopForSyscall(task: Task, kind: 'entry' | 'exit'): void {
  const good = ((task.trace as Trace).options & PTRACE_O_TRACESYSGOOD) !== 0 ? 0x80 : 0;
  stopTracee(task, kind, SIGTRAP | good, { signal: SIGTRAP, code: SIGTRAP | good, pid: task.tid, uid: task.creds.uid });
}

/** Signal-delivery-stop: the tracer decides what becomes of `info`. */
export function stopForSignal(task: Task, info: SignalInfo): void {
  stopTracee(task, 'signal', info.signal, info);
}

/** Instead of parking for a group stop. */
export function stopForGroup(task: Task): void {
  const event = (task.trace as Trace).seized ? PTRACE_EVENT_STOP << 8 : 0;
  stopTracee(task, 'group', task.group.stopSignal | event, null);
}

// Hooks of the kernel loop

/** Before a system call. True: it has stopped there, and `enterAfterStop` goes on. */
export function stopAtEntry(task: Task): boolean {
  const trace = task.trace as Trace;
  trace.inSyscall = true;
  task.tracedCall = task.syscallNumber;
  const emulates = trace.mode === 'sysemu' || trace.mode === 'sysemu-step';
  if (trace.mode !== 'syscall' && !emulates) return false;
  trace.emulated = emulates;
  prepareEntry(task);
  stopForSyscall(task, 'entry');
  return true;
}

/** As a tracer finds a call that is to be made: rax says ENOSYS, which stays if the call is taken away. */
function prepareEntry(task: Task): void {
  const registers = task.thread.registers();
  registers.set(REG.rax, -38);
  task.thread.setRegisters();
  task.stoppedAtEntry = true;
}

/** SECCOMP_RET_TRACE: ENOSYS unless the tracer has asked for it. */
export function stopForSeccomp(task: Task, data: number): number {
  const { trace } = task;
  if (trace === null || (trace.options & PTRACE_O_TRACESECCOMP) === 0) return ENOSYS;
  trace.seccompPassed = true;
  trace.message = data;
  task.tracedCall = task.syscallNumber;
  prepareEntry(task);
  stopForEvent(task, PTRACE_EVENT_SECCOMP, 'seccomp');
  return NO_RESULT;
}

/** Number and arguments as the tracer has left them; false: it has taken the call away (orig_rax -1), rax is its result. */
export function enterAfterStop(task: Task): boolean {
  const registers = task.thread.registers();
  const { u32 } = registers;
  task.syscallNumber = task.tracedCall;
  for (const [i, index] of [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9].entries()) {
    task.thread.args[2 * i] = u32[index * 2] as number;
    task.thread.args[2 * i + 1] = u32[index * 2 + 1] as number;
  }
  const { trace } = task;
  if (trace?.emulated) {
    trace.emulated = false;
    trace.inSyscall = trace.mode === 'syscall';
    return false;
  }
  if (task.syscallNumber < 0) {
    if (trace !== null) trace.seccompPassed = false;
    return false;
  }
  registers.set(REG.rax, task.syscallNumber);
  task.thread.setRegisters();
  return true;
}

/** On the way back to the application: stops that are due, in order. True: it has stopped (or ended); come back with the same result. */
export function stopBeforeReturn(task: Task): boolean {
  const trace = task.trace as Trace;
  if (trace.exiting !== null) {
    const { status, group } = trace.exiting;
    if (group) exitGroup(task.group, status);
    else exitTask(task, status);
    return true;
  }
  if (trace.event !== 0) {
    const { event } = trace;
    trace.event = 0;
    stopForEvent(task, event);
    return true;
  }
  if (trace.vforkChild !== null) {
    if (trace.vforkChild.vforkParent === task) {
      park(task, 'vfork');
      return true;
    }
    trace.vforkChild = null;
    if ((trace.options & PTRACE_O_TRACEVFORKDONE) !== 0) {
      stopForEvent(task, PTRACE_EVENT_VFORK_DONE);
      return true;
    }
  }
  if (trace.inSyscall) {
    trace.inSyscall = false;
    if (trace.mode === 'syscall') {
      stopForSyscall(task, 'exit');
      return true;
    }
  }
  if (trace.interrupt) {
    trace.interrupt = false;
    stopForEvent(task, PTRACE_EVENT_STOP);
    return true;
  }
  return false;
}

/** clone(2) has made `child`: it is traced too where the options say so. */
export function traceClone(task: Task, child: Task, flags: number, exitSignal: number): void {
  const { trace } = task;
  if (trace === null || (flags & CLONE_UNTRACED) !== 0) return;
  const kind =
    (flags & CLONE_VFORK) !== 0
      ? ([PTRACE_O_TRACEVFORK, PTRACE_EVENT_VFORK] as const)
      : (flags & CLONE_THREAD) === 0 && exitSignal === SIGCHLD
        ? ([PTRACE_O_TRACEFORK, PTRACE_EVENT_FORK] as const)
        : ([PTRACE_O_TRACECLONE, PTRACE_EVENT_CLONE] as const);
  if ((trace.options & kind[0]) === 0) return;
  trace.event = kind[1];
  trace.message = child.idIn(trace.tracer.pidNamespace);
  link(trace.tracer, child, trace.seized, trace.options);
  const born = child.trace as unknown as Trace;
  if (trace.seized) born.interrupt = true;
  else child.pending.add({ signal: SIGSTOP, code: SI_KERNEL });
  child.attention = true;
}

/** execve(2) has succeeded: an event, or a SIGTRAP for tracers that have not asked for events. */
export function traceExec(task: Task): void {
  const trace = task.trace as Trace;
  trace.message = task.tid;
  if ((trace.options & PTRACE_O_TRACEEXEC) !== 0) trace.event = PTRACE_EVENT_EXEC;
  else if (!trace.seized) task.pending.add({ signal: SIGTRAP, code: 0, pid: task.tid, uid: task.creds.uid });
  task.attention = true;
}

/** exit(2), exit_group(2): true if the task stops first. */
export function stopBeforeExit(task: Task, status: WaitStatus, group: boolean): boolean {
  const { trace } = task;
  if (trace === null || (trace.options & PTRACE_O_TRACEEXIT) === 0) return false;
  trace.exiting = { status, group };
  trace.message = status;
  stopForEvent(task, PTRACE_EVENT_EXIT);
  return true;
}

/** The task has ended: its tracees are free (or killed), and its tracer is told unless that is the parent, who hears of it anyway. */
export function traceEnded(task: Task, status: WaitStatus): void {
  for (const tracee of task.tracees ?? []) {
    const kill = ((tracee.trace as Trace).options & PTRACE_O_EXITKILL) !== 0;
    if (kill) sendToTask(tracee, { signal: SIGKILL, code: SI_KERNEL });
    detach(tracee, 0);
  }
  task.tracees = null;
  const { trace } = task;
  if (trace === null) return;
  const { tracer } = trace;
  if (task === task.group.leader && task.group.parent === tracer.group) {
    tracer.tracees?.delete(task);
    task.trace = null;
    return;
  }
  trace.stop = null;
  trace.exitStatus = task.group.exiting ?? status;
  tracer.group.childEvents.notify(POLLIN);
}

/** PTRACE_INTERRUPT. */
export function interruptTracee(target: Task): void {
  const trace = target.trace as Trace;
  if (trace.stop !== null) return;
  trace.interrupt = true;
  target.attention = true;
  if (target.state === 'app') target.thread.interrupt();
  else if (target.state === 'blocked') target.blocked?.notify('signal');
}
