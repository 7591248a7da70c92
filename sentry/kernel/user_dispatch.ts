/**
 * Syscall user dispatch (prctl(2) PR_SET_SYSCALL_USER_DISPATCH): calls from outside one range of code raise SIGSYS in place of being made,
 * while a byte of the program's says so. For programs that run others' code, such as Wine.
 */
import { EFAULT, EINVAL } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { PR_SYS_DISPATCH_OFF, PR_SYS_DISPATCH_ON } from '../../abi/prctl.ts';
import { AUDIT_ARCH_X86_64 } from '../../abi/seccomp.ts';
import { SIGSEGV, SIGSYS, SYS_USER_DISPATCH } from '../../abi/signal.ts';
import { REG } from '../../platforms/platform.ts';
import { exitGroup } from './exit.ts';
import { watchersChanged } from './own_answers.ts';
import { forceSignal } from './signal_send.ts';
import type { Task } from './task.ts';

// What the byte says.
const ALLOW = 0;
const BLOCK = 1;

export interface UserDispatch {
  /** Calls from here are made. */
  readonly start: number;
  readonly end: number;
  /** Address of the byte; 0: none, and all others are dispatched. */
  readonly selector: number;
}

export function setUserDispatch(task: Task, mode: number, offset: number, length: number, selector: number): number {
  if (mode === PR_SYS_DISPATCH_OFF) {
    if (offset !== 0 || length !== 0 || selector !== 0) return EINVAL;
    task.dispatch = null;
  } else if (mode === PR_SYS_DISPATCH_ON) {
    if (offset !== 0 && (length === 0 || offset + length >= 2 ** 64)) return EINVAL;
    if (selector >= TASK_SIZE) return EFAULT;
    task.dispatch = { start: offset, end: offset + length, selector };
  } else {
    return EINVAL;
  }
  watchersChanged(task);
  return 0;
}

/** The task has stopped at a call. True: it is not made, a signal is pending instead, or the process has ended. */
export function dispatched(task: Task, { start, end, selector }: UserDispatch): boolean {
  const ip = task.thread.registers().get(REG.rip);
  if (ip >= start && ip < end) return false;
  if (selector !== 0) {
    const { scratch8 } = task.kernel;
    if (task.thread.space.read(selector, scratch8, 0, 1) !== 1) {
      exitGroup(task.group, SIGSEGV);
      return true;
    }
    if (scratch8[0] === ALLOW) return false;
    if (scratch8[0] !== BLOCK) {
      exitGroup(task.group, SIGSYS);
      return true;
    }
  }
  const { syscallNumber } = task;
  forceSignal(task, { signal: SIGSYS, code: SYS_USER_DISPATCH, callAddress: ip, syscall: syscallNumber, arch: AUDIT_ARCH_X86_64 });
  return true;
}
