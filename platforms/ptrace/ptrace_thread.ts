/** A traced thread. */

import { ENOMEM } from '../../abi/errno.ts';
import { RSEQ_FLAG_UNREGISTER, RSEQ_SIZE } from '../../abi/rseq.ts';
import { native } from '../../native-addon/native.ts';
import type { ThreadPlacement } from '../cpu_placement.ts';
import { REG, Registers, type RseqArea, type ThreadContext } from '../platform.ts';
import { inject, injectClone, THREAD_LOST } from './injection.ts';
import type { PtracePlatform } from './ptrace_platform.ts';
import type { PtraceSpace } from './ptrace_space.ts';
import { HOST_CALL, PTRACE_CONT, PTRACE_SYSEMU, PTRACE_SYSEMU_SINGLESTEP } from './requests.ts';
import { ARG_WORDS, STOP_ARGS, STOP_CODE, STOP_NUMBER } from './stops.ts';
import { clearXstate } from './tracer.ts';

/** Selectors of 64-bit user code and data: the application never runs in another mode after the Sentry touched its registers. */
const USER_CS = 0x33n;
const USER_DS = 0x2bn;
const NO_CALL = 0xffff_ffff_ffff_ffffn;
/** Segment bases must lie below; the host refuses others. */
const BASE_LIMIT = 0x7fff_ffff_f000n;

export class PtraceThread implements ThreadContext {
  data: unknown = null;
  sysno = -1;
  readonly args = new Uint32Array(ARG_WORDS);
  readonly tid: number;
  readonly space: PtraceSpace;
  running = false;
  /** Gone, or to go at its next stop: nobody hears of it any more. */
  dead = false;
  /** interrupt() was called and no stop has been reported since. */
  interruptWanted = false;
  nice = 0;
  readonly placement: ThreadPlacement;
  private readonly platform: PtracePlatform;
  private readonly regs = new Registers();
  private registersValid = false;
  /** At a system-call stop the host's rax is -ENOSYS; the number is in `numberLow` and `numberHigh` until rax is set. */
  private atCall = false;
  private numberLow = 0;
  private numberHigh = 0;
  rseqArea: RseqArea | null = null;

  constructor(platform: PtracePlatform, space: PtraceSpace, tid: number, parent: PtraceThread | null) {
    this.platform = platform;
    this.space = space;
    this.tid = tid;
    this.placement = platform.placement.started(parent);
  }

  /** It stopped. */
  stopped(): void {
    this.running = false;
    this.registersValid = false;
    this.atCall = false;
  }
  /** It stopped at a system call, which `stops` describes from word `at` on. */
  stoppedAtCall(stops: Uint32Array, at: number): void {
    this.stopped();
    this.interruptWanted = false;
    this.atCall = true;
    this.numberLow = stops[at + STOP_NUMBER] as number;
    this.numberHigh = stops[at + STOP_NUMBER + 1] as number;
    const native64 = stops[at + STOP_CODE] === 1;
    this.sysno = native64 ? this.numberLow | 0 : -1;
    for (let i = 0; i < ARG_WORDS; i++) this.args[i] = native64 ? (stops[at + STOP_ARGS + i] as number) : 0;
  }
  /** A clone of `other` that just came to be: same registers, same stop. */
  takeStopOf(other: PtraceThread): void {
    this.atCall = other.atCall;
    this.sysno = other.sysno;
    this.numberLow = other.numberLow;
    this.numberHigh = other.numberHigh;
    this.args.set(other.args);
  }

  registers(): Registers {
    if (this.registersValid) return this.regs;
    const u64 = this.regs.u64;
    if (this.platform.tracer.getRegisters(this.tid, u64) < 0) u64.fill(0n); // killed; its end is reported by wait
    if (this.atCall) {
      this.regs.u32[REG.rax * 2] = this.numberLow;
      this.regs.u32[REG.rax * 2 + 1] = this.numberHigh;
    }
    this.registersValid = true;
    return this.regs;
  }
  setRegisters(): void {
    const u64 = this.regs.u64;
    u64[REG.cs] = USER_CS;
    u64[REG.ss] = USER_DS;
    // Not in a host call: the host must not restart anything when this thread goes on.
    u64[REG.orig_rax] = NO_CALL;
    u64[REG.eflags] = (u64[REG.eflags] as bigint) | 0x200n; // interrupts on, as always in user code
    if ((u64[REG.fs_base] as bigint) >= BASE_LIMIT) u64[REG.fs_base] = 0n;
    if ((u64[REG.gs_base] as bigint) >= BASE_LIMIT) u64[REG.gs_base] = 0n;
    u64[REG.ds] = u64[REG.es] = u64[REG.fs] = u64[REG.gs] = 0n;
    this.atCall = false;
    this.platform.tracer.setRegisters(this.tid, u64);
  }
  xstate(): Uint8Array {
    return this.platform.tracer.getXstate(this.tid);
  }
  setXstate(image: Uint8Array | null): boolean {
    if (image !== null) return this.platform.tracer.setXstate(this.tid, image) === 0;
    const initial = this.xstate();
    if (initial.length === 0) return false;
    clearXstate(initial);
    return this.platform.tracer.setXstate(this.tid, initial) === 0;
  }

  resumeWithResult(result: number): void {
    this.go(PTRACE_SYSEMU, 1, result);
  }
  resume(): void {
    this.settleNumber();
    this.go(PTRACE_SYSEMU, 0, 0);
  }
  resumeSingleStep(): void {
    this.settleNumber();
    this.go(PTRACE_SYSEMU_SINGLESTEP, 0, 0);
  }
  /** Gives the host's rax what registers() shows. */
  private settleNumber(): void {
    if (!this.atCall) return;
    this.registers();
    this.setRegisters();
  }
  private go(request: number, setResult: number, result: number): void {
    if (this.dead) return;
    this.running = true;
    this.platform.placement.resumed();
    // An error means that it was killed: `exited` follows.
    native.ptraceResume(this.tid, request, setResult, result);
  }
  interrupt(): void {
    if (!this.running || this.dead) return;
    this.interruptWanted = true;
    this.platform.tracer.interrupt(this.tid);
  }
  schedule(cpus: readonly number[] | null, nice: number): void {
    if (this.dead) return;
    this.platform.scheduling.set(this, cpus, nice);
  }
  processor(): number {
    return this.platform.scheduling.processor(this);
  }
  cpuTime(): number {
    return this.platform.threadCpuTime(this);
  }
  exit(): void {
    if (this.dead) return;
    this.dead = true;
    this.space.threads.delete(this);
    if (this.running) this.platform.tracer.interrupt(this.tid);
    else this.leave();
  }
  setRseq(address: number, signature: number): void {
    this.rseqArea = { address, signature };
    this.call(HOST_CALL.rseq, address, RSEQ_SIZE, 0, signature);
  }
  /** A process forked from `other`'s: the host has copied its registration. */
  inheritRseq(other: PtraceThread): void {
    this.rseqArea = other.rseqArea;
  }
  dropRseq(): number {
    const area = this.rseqArea;
    if (area === null || this.running) return 0;
    this.rseqArea = null;
    return this.call(HOST_CALL.rseq, area.address, RSEQ_SIZE, RSEQ_FLAG_UNREGISTER, area.signature);
  }
  /** The stopped thread makes its last call. */
  leave(): void {
    const regs = this.registers();
    this.platform.exitGate(regs);
    this.setRegisters();
    native.ptraceResume(this.tid, PTRACE_CONT, 0, 0);
  }

  /** An injected call. Undefined behaviour unless stopped. */
  call(nr: number, a0 = 0, a1 = 0, a2 = 0, a3 = 0, a4 = 0, a5 = 0): number {
    if (!this.platform.scheduling.bound(this)) return this.checked(inject(this.tid, nr, a0, a1, a2, a3, a4, a5));
    this.platform.scheduling.hurry(this);
    const r = inject(this.tid, nr, a0, a1, a2, a3, a4, a5);
    this.platform.scheduling.relax(this);
    return this.checked(r);
  }
  clone(flags: number): number {
    if (!this.platform.scheduling.bound(this)) return this.checked(injectClone(this.tid, flags));
    this.platform.scheduling.hurry(this);
    const r = injectClone(this.tid, flags);
    this.platform.scheduling.relax(this);
    return this.checked(r);
  }
  /** Turns THREAD_LOST into an errno and a report. */
  checked(result: number): number {
    if (result !== THREAD_LOST) return result;
    this.platform.lose(this, 'lost during a host call');
    return ENOMEM; // the usual reason
  }
}
