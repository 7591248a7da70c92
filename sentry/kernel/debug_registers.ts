/**
 * Debug registers of a tracee (ptrace(2), struct user u_debugreg; Intel SDM vol. 3, 18.2): hardware breakpoints and watchpoints. No platform has
 * the processor's own to give, so a thread with armed ones runs step by step, and the kernel looks after each step. That costs some
 * microseconds an instruction, a fraction of what a debugger's own stepping costs.
 *
 * Deviations: a watchpoint sees a write that changes the value, not one that leaves it; there are none for reads.
 */
import { EINVAL, EIO, type Errno } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { SIGTRAP, TRAP_HWBKPT } from '../../abi/signal.ts';
import { REG } from '../../platforms/platform.ts';
import { forceSignal } from './signal_send.ts';
import type { Task } from './task.ts';

const ADDRESSES = 4;
const STATUS = 6;
const CONTROL = 7;
/** DR6: what is set but for causes; the cause "one step". */
const STATUS_IDLE = 0xffff_0ff0n;
const STATUS_STEP = 1n << 14n;
const STATUS_CAUSES = 0xen | 1n | STATUS_STEP;
/** DR7: local and global enable bits of each register, its kind and its length. */
const ENABLE_BITS = 3n;
const KIND_EXECUTE = 0n;
const KIND_WRITE = 1n;
/** Bytes by length code. */
const LENGTHS = [1, 2, 8, 4];
const NO_VALUE = -1n;

/** One that is armed. */
interface Watch {
  readonly index: number;
  readonly address: number;
  /** 0: stops before the instruction there. */
  readonly length: number;
  value: bigint;
}

export class DebugRegisters {
  private readonly addresses: number[] = new Array(ADDRESSES).fill(0);
  private status = STATUS_IDLE;
  private control = 0n;
  private watches: Watch[] = [];

  get armed(): boolean {
    return this.watches.length > 0;
  }
  get(index: number): bigint {
    if (index < ADDRESSES) return BigInt(this.addresses[index] as number);
    return index === STATUS ? this.status : index === CONTROL ? this.control : 0n;
  }
  /** EIO: no such register; EINVAL: not what the processor could do, or not here. */
  set(index: number, value: bigint): 0 | Errno {
    if (index < ADDRESSES) {
      if (value >= BigInt(TASK_SIZE)) return EINVAL;
      const before = this.addresses[index] as number;
      this.addresses[index] = Number(value);
      const r = this.arm(this.control);
      if (r !== 0) this.addresses[index] = before;
      return r;
    }
    if (index === CONTROL) return this.arm(value);
    if (index !== STATUS) return EIO;
    this.status = value;
    return 0;
  }
  private arm(control: bigint): 0 | Errno {
    const watches: Watch[] = [];
    for (let index = 0; index < ADDRESSES; index++) {
      if (((control >> BigInt(2 * index)) & ENABLE_BITS) === 0n) continue;
      const kind = (control >> BigInt(16 + 4 * index)) & 3n;
      const length = LENGTHS[Number((control >> BigInt(18 + 4 * index)) & 3n)] as number;
      const address = this.addresses[index] as number;
      if (kind !== KIND_EXECUTE && kind !== KIND_WRITE) return EINVAL;
      if (kind === KIND_EXECUTE ? length !== 1 : address % length !== 0) return EINVAL;
      watches.push({ index, address, length: kind === KIND_EXECUTE ? 0 : length, value: NO_VALUE });
    }
    this.watches = watches;
    this.control = control;
    return 0;
  }

  /** The thread is about to run: what was changed up to now was not by an instruction of its own. */
  look(task: Task): void {
    for (const watch of this.watches) if (watch.length > 0) watch.value = valueAt(task, watch);
  }
  /** After an instruction: which registers it has hit, as bits of the status register. */
  private hits(task: Task): bigint {
    let hits = 0n;
    for (const watch of this.watches) {
      if (watch.length === 0) {
        if (task.thread.registers().get(REG.rip) === watch.address) hits |= 1n << BigInt(watch.index);
        continue;
      }
      const value = valueAt(task, watch);
      if (value !== watch.value) hits |= 1n << BigInt(watch.index);
      watch.value = value;
    }
    return hits;
  }
  /** The tracee has made a step. False: of no interest to anybody, and it goes on. */
  stepped(task: Task, address: number): boolean {
    const asked = task.trace?.mode === 'step' || task.trace?.mode === 'sysemu-step';
    const hits = this.hits(task);
    if (hits === 0n && !asked) return false;
    this.status = (this.status & ~STATUS_CAUSES) | hits | (asked ? STATUS_STEP : 0n);
    if (asked) return false;
    forceSignal(task, { signal: SIGTRAP, code: TRAP_HWBKPT, address });
    return true;
  }
}

/** NO_VALUE where nothing is mapped. */
function valueAt(task: Task, { address, length }: Watch): bigint {
  const { scratch8, scratch8View } = task.kernel;
  scratch8.fill(0);
  return task.thread.space.readForced(address, scratch8, 0, length) === length ? scratch8View.getBigUint64(0, true) : NO_VALUE;
}

/** A tracee's registers; they come to be when they are first set. */
export function debugRegister(target: Task, index: number): bigint {
  return target.debug?.get(index) ?? (index === STATUS ? STATUS_IDLE : 0n);
}
export function setDebugRegister(target: Task, index: number, value: bigint): 0 | Errno {
  target.debug ??= new DebugRegisters();
  return target.debug.set(index, value);
}
