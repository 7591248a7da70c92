/** sigaltstack(2): where handlers with SA_ONSTACK run. */
import { EINVAL, ENOMEM, EPERM, type Errno } from '../../abi/errno.ts';
import { MINSIGSTKSZ, SS_AUTODISARM, SS_DISABLE, SS_ONSTACK } from '../../abi/signal.ts';
import type { Task } from './task.ts';

export interface AltStack {
  readonly address: number;
  readonly size: number;
  /** SS_* as set; whether the stack is in use follows from the stack pointer. */
  readonly flags: number;
}
export const NO_ALT_STACK: AltStack = { address: 0, size: 0, flags: SS_DISABLE };

/** With SS_AUTODISARM the stack is disarmed while a handler is on it, so it never counts as in use. */
export function onAltStack(stack: AltStack, sp: number): boolean {
  return (stack.flags & SS_AUTODISARM) === 0 && within(stack, sp);
}
export function within(stack: AltStack, sp: number): boolean {
  return sp > stack.address && sp - stack.address <= stack.size;
}

/** SS_ONSTACK, SS_DISABLE or 0, as sigaltstack(2) reports it. */
export function altStackState(stack: AltStack, sp: number): number {
  if (stack.size === 0) return SS_DISABLE;
  return onAltStack(stack, sp) ? SS_ONSTACK : 0;
}

/** sp: the task's stack pointer. */
export function setAltStack(task: Task, next: AltStack, sp: number): 0 | Errno {
  if (onAltStack(task.altStack, sp)) return EPERM;
  const mode = (next.flags & ~SS_AUTODISARM) >>> 0;
  if (mode !== SS_DISABLE && mode !== SS_ONSTACK && mode !== 0) return EINVAL;
  if (mode === SS_DISABLE) {
    task.altStack = { address: 0, size: 0, flags: next.flags };
    return 0;
  }
  if (next.size < MINSIGSTKSZ) return ENOMEM;
  task.altStack = { ...next };
  return 0;
}
