/** FUTEX_WAKE_OP (futex(2)): changes the second word, wakes on the first, and on the second if its old value compares. */
import { EFAULT, ENOSYS } from '../../abi/errno.ts';
import {
  FUTEX_OP_ADD,
  FUTEX_OP_ANDN,
  FUTEX_OP_ARG_SHIFT,
  FUTEX_OP_CMP_EQ,
  FUTEX_OP_CMP_GE,
  FUTEX_OP_CMP_GT,
  FUTEX_OP_CMP_LE,
  FUTEX_OP_CMP_LT,
  FUTEX_OP_CMP_NE,
  FUTEX_OP_OR,
  FUTEX_OP_SET,
  FUTEX_OP_XOR,
} from '../../abi/futex.ts';
import { type FutexKey, wakeWaiters } from './futex.ts';
import type { Task } from './task.ts';

export function wakeOp(task: Task, key: FutexKey, key2: FutexKey, count: number, count2: number, uaddr2: number, encoded: number): number {
  const old = task.readU32(uaddr2);
  if (old < 0) return old;
  const operation = (encoded >>> 28) & 7;
  const shift = ((encoded >>> 28) & FUTEX_OP_ARG_SHIFT) !== 0;
  const given = (encoded << 8) >> 20; // 12 bits, signed
  const next = operate(operation, old | 0, shift ? 1 << (given & 31) : given);
  const holds = compare((encoded >>> 24) & 15, old | 0, (encoded << 20) >> 20);
  if (next === null || holds === null) return ENOSYS;
  const exact = change(task, uaddr2, encoded, next);
  if (exact < 0) return exact;
  const woken = wakeWaiters(task, key, Math.max(count, 1));
  // Where another thread changed the word meanwhile, the old value is not known: too many wakes are allowed, too few are not.
  if (woken < 0 || (exact === 1 && !holds)) return woken;
  const more = wakeWaiters(task, key2, Math.max(count2, 1));
  return more < 0 ? more : woken + more;
}

/** 1: nobody came in between; 0: somebody may have; EFAULT. */
function change(task: Task, address: number, encoded: number, next: number): number {
  const { space } = task.thread;
  if (space.changeWord === undefined) return task.writeU32(address, next) === 0 ? 1 : EFAULT;
  const r = space.changeWord(task.thread, address, encoded);
  if (r < 0) return r;
  return task.readU32(address) === next >>> 0 ? 1 : 0;
}

function operate(operation: number, old: number, argument: number): number | null {
  switch (operation) {
    case FUTEX_OP_SET:
      return argument;
    case FUTEX_OP_ADD:
      return (old + argument) | 0;
    case FUTEX_OP_OR:
      return old | argument;
    case FUTEX_OP_ANDN:
      return old & ~argument;
    case FUTEX_OP_XOR:
      return old ^ argument;
    default:
      return null;
  }
}

function compare(comparison: number, old: number, argument: number): boolean | null {
  switch (comparison) {
    case FUTEX_OP_CMP_EQ:
      return old === argument;
    case FUTEX_OP_CMP_NE:
      return old !== argument;
    case FUTEX_OP_CMP_LT:
      return old < argument;
    case FUTEX_OP_CMP_LE:
      return old <= argument;
    case FUTEX_OP_CMP_GT:
      return old > argument;
    case FUTEX_OP_CMP_GE:
      return old >= argument;
    default:
      return null;
  }
}
