/**
 * Signals on the way back to the application (signal(7)): what is pending is taken, default actions happen, handlers get their
 * frames, an interrupted system call is restarted or fails with EINTR.
 *
 * Interface, for the kernel loop: `task.syscallResult` holds the result of the call that the task returns from, or null after a fault,
 * an interrupt, a stop. deliverPending says how the task goes on:
 *   run     registers are set; resume the thread
 *   parked  state and `parked` are set; somebody will unpark it
 *   dead    the process has ended
 */

import { EINTR, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTNOINTR, ERESTARTSYS } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SA_NODEFER, SA_RESETHAND, SA_RESTART, SIG_DFL, SIG_IGN, SIGKILL, SIGSEGV, SIGSTOP } from '../../abi/signal.ts';
import { REG, type Registers } from '../../platforms/platform.ts';
import { dieWithCore, dumpsCore } from './core_dump.ts';
import { exitGroup, exitTask } from './exit.ts';
import { beginStop, park, parkForStop } from './job_control.ts';
import { lendMask } from './own_answers.ts';
import { stopBeforeExit, stopForSignal, type Trace } from './ptrace.ts';
import { isOrphaned } from './session.ts';
import { defaultAction, inSet, KERNEL_ONLY } from './signal_actions.ts';
import { pushSignalFrame, undoFrame } from './signal_frame.ts';
import { forceFatal, forceSignal, isNamespaceInit, setSignalMask } from './signal_send.ts';
import { type SignalAction, type SignalInfo, type SignalSet, signalBit } from './signal_state.ts';
import type { RunState, Task } from './task.ts';

export type Delivery = 'run' | 'parked' | 'dead';

const RESTART_SYSCALL = 219;
/** Length of the syscall instruction. */
const SYSCALL_LENGTH = 2;
const KILL_BIT = signalBit(SIGKILL);

/** The system call has ended: its result into the registers; a restart code is decided on when the rest is known. */
export function endSyscall(task: Task, result: number): void {
  task.syscallResult = null;
  task.interrupted = result <= ERESTARTSYS && result >= ERESTART_RESTARTBLOCK ? result : 0;
  if (task.interrupted === 0 && task.thread.setResult !== undefined) {
    task.thread.setResult(result);
    return;
  }
  task.thread.registers().set(REG.rax, result);
  task.thread.setRegisters();
}

/** SIGKILL waits: no stop comes first. */
export function isKilled(task: Task): boolean {
  return ((task.pending.set | task.group.pending.set) & KILL_BIT) !== 0n;
}

/** Whether deliverPending would do more than let the task run. */
export function isAwaited(task: Task): boolean {
  const { group, trace } = task;
  if (((task.pending.set | group.pending.set) & ~task.signalMask) !== 0n) return true;
  if (group.exiting !== null || group.dumper !== null || group.stopSignal !== 0 || group.container.paused) return true;
  return trace !== null && (trace.injected !== null || trace.interrupt);
}

export function deliverPending(task: Task): Delivery {
  const { group } = task;
  task.state = 'kernel';
  task.attention = false;
  if (task.syscallResult !== null) endSyscall(task, task.syscallResult);
  for (;;) {
    // On its way out: its tracer looks first, or it writes its core.
    if ((task.state as RunState) === 'parked' || (task.state as RunState) === 'blocked') return 'parked';
    if (group.exiting !== null) exitTask(task, group.exiting);
    if ((task.state as RunState) === 'dead') return 'dead';
    if (!isKilled(task)) {
      if (group.dumper !== null) {
        park(task, 'core');
        group.dumpEvents.notify(POLLIN);
        return 'parked';
      }
      if (group.stopSignal !== 0) {
        parkForStop(task);
        return 'parked';
      }
      if (task.trace !== null && takeInjected(task, task.trace)) continue;
      if (group.container.paused) {
        park(task, 'paused');
        return 'parked';
      }
    }
    const info = takeSignal(task, ~task.signalMask);
    if (info === null) {
      if (finish(task)) return 'run';
    } else if (task.trace !== null && info.signal !== SIGKILL) {
      stopForSignal(task, info);
      return 'parked';
    } else act(task, info);
  }
}

/** What the tracer has let through: acted upon without another stop. */
function takeInjected(task: Task, trace: Trace): boolean {
  const info = trace.injected;
  if (info === null) return false;
  trace.injected = null;
  if (inSet(task.signalMask, info.signal)) task.pending.add(info);
  else act(task, info);
  return true;
}

/** The next pending signal of the thread, or else of the process. */
export function takeSignal(task: Task, allowed: SignalSet): SignalInfo | null {
  if (((task.pending.set | task.group.pending.set) & allowed) === 0n) return null;
  return task.pending.take(allowed) ?? task.group.pending.take(allowed);
}

function act(task: Task, info: SignalInfo): void {
  const { group } = task;
  const action = group.handlers.get(info.signal);
  if (info.signal !== SIGKILL && action.handler === SIG_IGN) return;
  task.kernel.strace?.signal(task, info);
  if (action.handler !== SIG_DFL) {
    runHandler(task, info, action);
    return;
  }
  const what = defaultAction(info.signal);
  if (what === 'ignore') return;
  if (isNamespaceInit(group) && info.forced !== true && !inSet(KERNEL_ONLY, info.signal)) return;
  if (what === 'stop') {
    // A stop from the terminal that nobody could undo does not happen.
    if (info.signal === SIGSTOP || !isOrphaned(group.group)) beginStop(group, info.signal);
    return;
  }
  if (task.trace !== null && info.signal !== SIGKILL && stopBeforeExit(task, info.signal, true)) return;
  if (what === 'core' && dumpsCore(task)) dieWithCore(task, info);
  else exitGroup(group, info.signal);
}

function runHandler(task: Task, info: SignalInfo, action: SignalAction): void {
  const { signal } = info;
  const { frames } = task.thread;
  if (frames?.pending && !frames.settle()) {
    task.pending.add(info);
    frameFailed(task);
    return;
  }
  if ((action.flags & SA_RESETHAND) !== 0) task.group.handlers.set(signal, { ...action, handler: SIG_DFL });
  task.restart = null;
  decideRestart(task, action);
  const saved = task.savedMask ?? task.signalMask;
  if (!pushSignalFrame(task, info, action, saved)) {
    refuseFrame(task, signal);
    return;
  }
  task.savedMask = null;
  const own = (action.flags & SA_NODEFER) !== 0 ? 0n : signalBit(signal);
  setSignalMask(task, task.signalMask | action.mask | own);
}

/** No room for `signal`'s frame (sigaction(2)): SIGSEGV, which has no second chance. 0: the frame that rt_sigreturn found is broken. */
function refuseFrame(task: Task, signal: number): void {
  if (signal === SIGSEGV) forceFatal(task, SIGSEGV);
  else forceSignal(task, { signal: SIGSEGV, code: 0x80 });
}
/** The thread could not do what was ordered last. deliverPending follows. */
export function frameFailed(task: Task): void {
  refuseFrame(task, undoFrame(task));
}

/** Nothing more to deliver. False if the mask that comes back frees another signal. */
function finish(task: Task): boolean {
  decideRestart(task, null);
  const { savedMask } = task;
  if (savedMask !== null) {
    task.savedMask = null;
    setSignalMask(task, savedMask);
    if (((task.pending.set | task.group.pending.set) & ~task.signalMask) !== 0n) return false;
  }
  task.attention = false;
  lendMask(task);
  return true;
}

/** signal(7), "Interruption of system calls and library functions by signal handlers". action: of the handler that will run. */
function decideRestart(task: Task, action: SignalAction | null): void {
  const code = task.interrupted;
  if (code === 0) return;
  task.interrupted = 0;
  const registers = task.thread.registers();
  if (restarts(code, action)) restart(registers, code === ERESTART_RESTARTBLOCK ? RESTART_SYSCALL : task.syscallNumber);
  else registers.set(REG.rax, EINTR);
  task.thread.setRegisters();
}

function restarts(code: number, action: SignalAction | null): boolean {
  if (action === null || code === ERESTARTNOINTR) return true;
  if (code === ERESTARTNOHAND || code === ERESTART_RESTARTBLOCK) return false;
  return (action.flags & SA_RESTART) !== 0;
}

function restart(registers: Registers, number: number): void {
  registers.set(REG.rax, number);
  registers.set(REG.rip, registers.get(REG.rip) - SYSCALL_LENGTH);
}
