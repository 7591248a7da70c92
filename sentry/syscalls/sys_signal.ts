/** Handlers, masks, waiting for signals, returning from handlers (signal(7)). Sending is in sys_kill.ts. */

import { EAGAIN, EFAULT, EINTR, EINVAL, ERESTARTNOHAND, isErrno } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import {
  NSIG,
  SA_EXPOSE_TAGBITS,
  SA_NOCLDSTOP,
  SA_NOCLDWAIT,
  SA_NODEFER,
  SA_ONSTACK,
  SA_RESETHAND,
  SA_RESTART,
  SA_RESTORER,
  SA_SIGINFO,
  SIG_BLOCK,
  SIG_DFL,
  SIG_IGN,
  SIG_SETMASK,
  SIG_UNBLOCK,
  SIGSEGV,
  SS_AUTODISARM,
} from '../../abi/signal.ts';
import { KernelSigaction, StackT } from '../../abi/signal_frame.ts';
import { REG } from '../../platforms/platform.ts';
import { altStackState, setAltStack } from '../kernel/alt_stack.ts';
import { lendMask } from '../kernel/own_answers.ts';
import { defaultAction, inSet, KERNEL_ONLY } from '../kernel/signal_actions.ts';
import { takeSignal } from '../kernel/signal_delivery.ts';
import { popSignalFrame } from '../kernel/signal_frame.ts';
import { encodeSignalInfo } from '../kernel/signal_info.ts';
import { forceSignal, setSignalMask } from '../kernel/signal_send.ts';
import { type SignalAction, type SignalInfo, type SignalSet, signalBit, UNBLOCKABLE } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult, Wait } from '../kernel/wait.ts';
import { addr, int, NO_RESULT, size, syscall } from './definition.ts';
import { deadlineAfter } from './sys_poll.ts';
import { readSignalMask } from './user_signal_mask.ts';
import { readTimespec } from './user_time.ts';

const SIGSET_SIZE = 8;
/** Flags that are kept; others read back as 0, so that a program can ask what exists. */
const KNOWN_FLAGS =
  (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND | SA_RESTORER | SA_EXPOSE_TAGBITS) >>> 0;

function rt_sigaction(task: Task, signal: number, act: number, oldAct: number, setSize: number): number {
  if (setSize !== SIGSET_SIZE || signal < 1 || signal > NSIG) return EINVAL;
  if (act !== 0 && inSet(KERNEL_ONLY, signal)) return EINVAL;
  const { handlers } = task.group;
  const old = handlers.get(signal);
  if (act !== 0) {
    const raw = task.readBytes(act, KernelSigaction.size);
    if (isErrno(raw)) return raw;
    const { handler, sa_flags, restorer, mask } = KernelSigaction.decode(raw as Uint8Array);
    const kept = (Number(sa_flags & 0xffff_ffffn) & KNOWN_FLAGS) >>> 0;
    const action = { handler, flags: kept, restorer, mask: mask & ~UNBLOCKABLE };
    handlers.set(signal, action);
    if (ignores(action, signal)) dropPending(task, signalBit(signal));
  }
  return oldAct === 0 ? 0 : task.copyOut(oldAct, encodeAction(old));
}

function encodeAction({ handler, flags, restorer, mask }: SignalAction): Uint8Array {
  return KernelSigaction.encode({ handler, sa_flags: BigInt(flags), restorer, mask });
}

function ignores(action: SignalAction, signal: number): boolean {
  return action.handler === SIG_IGN || (action.handler === SIG_DFL && defaultAction(signal) === 'ignore');
}

/** A signal that has become ignored is no longer pending, blocked or not (sigaction(2), POSIX). */
function dropPending(task: Task, signals: SignalSet): void {
  task.group.pending.discard(signals);
  for (const thread of task.group.tasks) thread.pending.discard(signals);
}

function writeSet(task: Task, address: number, set: SignalSet): number {
  task.kernel.scratch8View.setBigUint64(0, set, true);
  return task.userMemory.write(address, task.kernel.scratch8, 0, 8) === 8 ? 0 : EFAULT;
}

function rt_sigprocmask(task: Task, how: number, set: number, oldSet: number, setSize: number): number {
  if (setSize !== SIGSET_SIZE) return EINVAL;
  const old = task.signalMask;
  const given = readSignalMask(task, set, setSize);
  if (isErrno(given)) return given;
  if (given !== null) {
    if (how === SIG_BLOCK) setSignalMask(task, old | given);
    else if (how === SIG_UNBLOCK) setSignalMask(task, old & ~given);
    else if (how === SIG_SETMASK) setSignalMask(task, given);
    else return EINVAL;
  }
  lendMask(task);
  return oldSet === 0 ? 0 : writeSet(task, oldSet, old);
}

function rt_sigpending(task: Task, set: number, setSize: number): number {
  if (setSize > SIGSET_SIZE) return EINVAL;
  task.kernel.scratch8View.setBigUint64(0, (task.pending.set | task.group.pending.set) & task.signalMask, true);
  return task.userMemory.write(set, task.kernel.scratch8, 0, setSize) === setSize ? 0 : EFAULT;
}

function rt_sigtimedwait(task: Task, set: number, info: number, timeout: number, setSize: number): SyscallResult {
  if (setSize !== SIGSET_SIZE) return EINVAL;
  const wanted = readSignalMask(task, set, setSize);
  if (wanted === null) return EFAULT;
  if (isErrno(wanted)) return wanted;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const allowed = wanted & ~UNBLOCKABLE;
  const found = takeSignal(task, allowed);
  if (found !== null) return tellSignal(task, found, info);
  return ns === 0 ? EAGAIN : awaitSignal(task, allowed, info, deadlineAfter(task, ns));
}

function* awaitSignal(task: Task, allowed: SignalSet, info: number, deadline: number): Blocking {
  const on = [{ queue: task.group.signalEvents, events: POLLIN }];
  const wait: Wait = Number.isFinite(deadline) ? { on, deadline } : { on };
  for (;;) {
    const wake = yield wait;
    const found = takeSignal(task, allowed);
    if (found !== null) return tellSignal(task, found, info);
    if (wake === 'timeout') return EAGAIN;
    if (wake === 'signal') return EINTR;
  }
}

function tellSignal(task: Task, found: SignalInfo, info: number): number {
  if (info !== 0 && task.copyOut(info, encodeSignalInfo(found)) !== 0) return EFAULT;
  return found.signal;
}

function rt_sigsuspend(task: Task, set: number, setSize: number): SyscallResult {
  if (setSize !== SIGSET_SIZE) return EINVAL;
  const mask = readSignalMask(task, set, setSize);
  if (mask === null) return EFAULT;
  if (isErrno(mask)) return mask;
  task.savedMask = task.signalMask;
  setSignalMask(task, mask);
  return untilSignal();
}

function* untilSignal(): Blocking {
  for (;;) {
    const wake = yield { on: [] };
    if (wake === 'signal') return ERESTARTNOHAND;
  }
}

function rt_sigreturn(task: Task): number {
  if (!popSignalFrame(task)) forceSignal(task, { signal: SIGSEGV, code: 0x80 });
  task.kernel.returnToUser(task, null);
  return NO_RESULT;
}

function restart_syscall(task: Task): SyscallResult {
  const { restart } = task;
  task.restart = null;
  return restart === null ? EINTR : restart();
}

function sigaltstack(task: Task, stack: number, oldStack: number): number {
  const sp = task.thread.registers().get(REG.rsp);
  const old = task.altStack;
  if (stack !== 0) {
    const raw = task.readBytes(stack, StackT.size);
    if (isErrno(raw)) return raw;
    const { ss_sp, ss_flags, ss_size } = StackT.decode(raw as Uint8Array);
    void task.signalMask; // recalled: what was lent with another stack
    const r = setAltStack(task, { address: ss_sp, size: ss_size, flags: ss_flags }, sp);
    if (r !== 0) return r;
    lendMask(task);
  }
  if (oldStack === 0) return 0;
  const ss_flags = (altStackState(old, sp) | (old.flags & SS_AUTODISARM)) >>> 0;
  return task.copyOut(oldStack, StackT.encode({ ss_sp: old.address, ss_flags, ss_size: old.size }));
}

export const SIGNAL_CALLS = {
  rt_sigaction: syscall({ x64: 13, man: 'sigaction(2)', args: [int, addr, addr, size], run: rt_sigaction }),
  rt_sigprocmask: syscall({ x64: 14, man: 'sigprocmask(2)', args: [int, addr, addr, size], run: rt_sigprocmask }),
  rt_sigreturn: syscall({ x64: 15, man: 'sigreturn(2)', args: [], run: rt_sigreturn }),
  pause: syscall({ x64: 34, man: 'pause(2)', args: [], run: untilSignal }),
  rt_sigpending: syscall({ x64: 127, man: 'sigpending(2)', args: [addr, size], run: rt_sigpending }),
  rt_sigtimedwait: syscall({ x64: 128, man: 'sigtimedwait(2)', args: [addr, addr, addr, size], run: rt_sigtimedwait }),
  rt_sigsuspend: syscall({ x64: 130, man: 'sigsuspend(2)', args: [addr, size], run: rt_sigsuspend }),
  sigaltstack: syscall({ x64: 131, man: 'sigaltstack(2)', args: [addr, addr], run: sigaltstack }),
  restart_syscall: syscall({ x64: 219, man: 'restart_syscall(2)', args: [], run: restart_syscall }),
};
