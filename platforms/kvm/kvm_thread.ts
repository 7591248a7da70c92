/** A thread whose registers lie in a slot that the addon shares with us. While it runs they are the addon's. */
import { native } from '../../native-addon/native.ts';
import { REG, Registers, type ThreadContext } from '../platform.ts';
import type { KvmPlatform } from './kvm_platform.ts';
import type { KvmSpace } from './kvm_space.ts';
import { S_NUMBER, S_REGISTERS, S_VCPU, SLOT_WORDS, W_SLOTS } from './layout.ts';

const USER_CS = 0x33n;
const USER_SS = 0x2bn;
/** Segment bases must lie below: the processor refuses others. */
const BASE_LIMIT = 0x7fff_ffff_f000n;
/** Index of each argument of a call. */
const ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;
/** struct kvm_xsave */
const MAX_XSTATE = 4096;

export class KvmThread implements ThreadContext {
  data: unknown = null;
  sysno = -1;
  readonly args = new Uint32Array(12);
  readonly space: KvmSpace;
  /** Its number in the addon. */
  readonly index: number;
  /** Its slot's first word. */
  readonly at: number;
  running = false;
  /** Nobody hears of it any more; if it still runs, its last event frees it. */
  dead = false;
  interruptWanted = false;
  private readonly platform: KvmPlatform;
  private regs: Registers;

  constructor(platform: KvmPlatform, space: KvmSpace, index: number) {
    this.platform = platform;
    this.space = space;
    this.index = index;
    this.at = W_SLOTS + index * SLOT_WORDS;
    this.regs = new Registers(platform.buffer, (this.at + S_REGISTERS) * 4);
  }

  /** Reads number and arguments of a call from the slot. */
  takeCall(): void {
    const { u32 } = this.regs;
    this.sysno = this.platform.words[this.at + S_NUMBER] as number;
    if (this.sysno === -1) {
      this.args.fill(0);
      return;
    }
    for (let i = 0; i < 6; i++) {
      const word = (ARGUMENTS[i] as number) * 2;
      this.args[i * 2] = u32[word] as number;
      this.args[i * 2 + 1] = u32[word + 1] as number;
    }
  }
  /** A copy of `other` that has just come to be: same stop, same registers. */
  takeStopOf(other: KvmThread): void {
    this.sysno = other.sysno;
    this.args.set(other.args);
    this.regs.copyFrom(other.regs);
  }

  registers(): Registers {
    return this.regs;
  }
  /** They are where they belong already. The addon lets no flag or address through that an application may not have. */
  setRegisters(): void {
    const { u64 } = this.regs;
    u64[REG.cs] = USER_CS;
    u64[REG.ss] = USER_SS;
    if ((u64[REG.fs_base] as bigint) >= BASE_LIMIT) u64[REG.fs_base] = 0n;
    if ((u64[REG.gs_base] as bigint) >= BASE_LIMIT) u64[REG.gs_base] = 0n;
  }
  xstate(): Uint8Array {
    const image = new Uint8Array(MAX_XSTATE);
    return image.subarray(0, this.dead ? 0 : native.kvmGetXstate(this.index, image)).slice();
  }
  setXstate(image: Uint8Array | null): boolean {
    return !this.dead && native.kvmSetXstate(this.index, image) === 1;
  }

  resumeWithResult(result: number): void {
    this.regs.set(REG.rax, result);
    this.go(0);
  }
  resume(): void {
    this.go(0);
  }
  resumeSingleStep(): void {
    this.go(1);
  }
  private go(step: number): void {
    if (this.dead) return;
    this.running = true;
    this.platform.resumed(this.platform.words[this.at + S_VCPU] as number);
    native.kvmResume(this.index, step);
  }
  interrupt(): void {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    native.kvmInterrupt(this.index);
  }
  cpuTime(): number {
    return this.dead ? 0 : native.kvmCpuTime(this.index);
  }
  exit(): void {
    if (this.dead) return;
    this.space.threads.delete(this);
    if (this.running) native.kvmInterrupt(this.index);
    this.abandon();
  }
  /** Its slot is another's as soon as the addon has no event of it any more. */
  abandon(): void {
    this.dead = true;
    const last = new Registers();
    if (!this.running) {
      last.copyFrom(this.regs);
      this.platform.free(this);
    }
    this.regs = last;
  }
}
