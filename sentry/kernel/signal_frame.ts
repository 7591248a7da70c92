/**
 * Signal frames on the application's stack, as Linux lays them out on x86-64: struct rt_sigframe at the new stack pointer, above it, at a
 * 64-byte boundary, the XSAVE image with its marks. Everything read back in `popSignalFrame` was in the application's hands.
 */
import { TASK_SIZE } from '../../abi/mman.ts';
import {
  FP_XSTATE_MAGIC1,
  FP_XSTATE_MAGIC2,
  SA_ONSTACK,
  SA_RESTORER,
  SS_AUTODISARM,
  UC_FP_XSTATE,
  UC_SIGCONTEXT_SS,
  UC_STRICT_RESTORE_SS,
} from '../../abi/signal.ts';
import {
  FPX_SW_BYTES_OFFSET,
  FpxSwBytes,
  FXSAVE_SIZE,
  RtSigframe,
  UContext,
  XSAVE_HEADER_OFFSET,
  XSAVE_MIN_SIZE,
} from '../../abi/signal_frame.ts';
import type { Infer } from '../../abi/struct.ts';
import { REG, type Registers, type SignalFrames } from '../../platforms/platform.ts';
import { altStackState, NO_ALT_STACK, onAltStack, setAltStack, within } from './alt_stack.ts';
import { encodeSignalInfo } from './signal_info.ts';
import { setSignalMask } from './signal_send.ts';
import type { SignalAction, SignalInfo, SignalSet } from './signal_state.ts';
import type { Task } from './task.ts';
import { PAGE_FAULT } from './trap.ts';

/** Below the stack pointer leaf functions keep data without saying so (System V ABI). */
const RED_ZONE = 128;
const USER_CS = 0x33n;
const USER_DS = 0x2bn;
const DF = 0x400n;
const TF = 0x100n;
const RF = 0x10000n;
/** What a frame may set: AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF. */
const RESTORABLE_FLAGS = 0x50dd5n;
const XFEATURE_FPSSE = 3n;
const XFEATURE_TILES = 3n << 17n;
/** Where the tile registers begin in the standard format; behind it they are all there is. */
const TILES_OFFSET = 2752;

type Context = Infer<typeof UContext>;

/**
 * False: the stack cannot hold it. `saved`: the mask that rt_sigreturn brings back. Where threads build their frames themselves, failure
 * comes later, as Kernel.brokenFrame.
 */
export function pushSignalFrame(task: Task, info: SignalInfo, action: SignalAction, saved: SignalSet): boolean {
  if ((action.flags & SA_RESTORER) === 0) return false;
  const { frames } = task.thread;
  if (frames !== undefined) {
    orderFrame(task, frames, info, action, saved);
    return true;
  }
  return writeFrame(task, info, action, saved);
}

function orderFrame(task: Task, frames: SignalFrames, info: SignalInfo, action: SignalAction, mask: SignalSet): void {
  const { altStack } = task;
  const { err, trapno, cr2 } = trapOf(info);
  task.frame = { signal: info.signal, mask: task.signalMask, savedMask: task.savedMask, altStack };
  frames.push({
    signal: info.signal,
    handler: action.handler,
    restorer: action.restorer,
    info: encodeSignalInfo(info),
    mask,
    onAltStack: (action.flags & SA_ONSTACK) !== 0,
    altStack,
    err,
    trapno,
    cr2,
  });
  if ((altStack.flags & SS_AUTODISARM) !== 0) task.altStack = { ...NO_ALT_STACK };
}

/** What was ordered could not be done: as if it had not been tried. The signal whose frame it was; 0: rt_sigreturn's. */
export function undoFrame(task: Task): number {
  const { frame } = task;
  task.frame = null;
  if (frame === null) return 0;
  task.altStack = frame.altStack;
  if (frame.signal === 0) return 0;
  task.savedMask = frame.savedMask;
  setSignalMask(task, frame.mask);
  return frame.signal;
}

function writeFrame(task: Task, info: SignalInfo, action: SignalAction, saved: SignalSet): boolean {
  const { thread } = task;
  const registers = thread.registers();
  const image = frameImage(task);
  const sp = registers.get(REG.rsp);
  const entering = (action.flags & SA_ONSTACK) !== 0 && altStackState(task.altStack, sp) === 0;
  const nested = onAltStack(task.altStack, sp);
  const top = entering ? task.altStack.address + task.altStack.size : sp - RED_ZONE;
  const fpstate = Math.floor((top - image.length - 4) / 64) * 64;
  const frame = Math.floor((fpstate - RtSigframe.size) / 16) * 16 - 8;
  if ((entering || nested) && !within(task.altStack, frame)) return false;
  if (frame < task.kernel.platform.minAddress || top > TASK_SIZE) return false;

  const bytes = new Uint8Array(fpstate + image.length + 4 - frame);
  const view = new DataView(bytes.buffer);
  RtSigframe.write(view, 0, {
    pretcode: action.restorer,
    uc: contextOf(task, registers, info, fpstate, saved),
    info: encodeSignalInfo(info),
  });
  bytes.set(image, fpstate - frame);
  view.setUint32(fpstate - frame + image.length, FP_XSTATE_MAGIC2, true);
  if (thread.space.write(frame, bytes, 0, bytes.length) !== bytes.length) return false;

  if ((task.altStack.flags & SS_AUTODISARM) !== 0) task.altStack = { ...NO_ALT_STACK };
  enterHandler(registers, info.signal, action.handler, frame);
  thread.setRegisters();
  thread.setXstate(null);
  return true;
}

function enterHandler(registers: Registers, signal: number, handler: number, frame: number): void {
  registers.set(REG.rdi, signal);
  registers.set(REG.rsi, frame + RtSigframe.offsets.info);
  registers.set(REG.rdx, frame + RtSigframe.offsets.uc);
  registers.set(REG.rax, 0);
  registers.set(REG.rip, handler);
  registers.set(REG.rsp, frame);
  registers.u64[REG.cs] = USER_CS;
  registers.u64[REG.ss] = USER_DS;
  registers.u64[REG.eflags] = (registers.u64[REG.eflags] as bigint) & ~(DF | TF | RF);
  registers.set(REG.orig_rax, -1);
}

/** The thread's XSAVE image with the marks of a signal frame; tile registers only while they are in use. */
function frameImage(task: Task): Uint8Array {
  let image = task.thread.xstate();
  task.kernel.xstateSize = image.length;
  const full = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const present = full.getBigUint64(XSAVE_HEADER_OFFSET, true) | XFEATURE_FPSSE;
  // ptrace's image names the enabled components in the first software word.
  let features = full.getBigUint64(FPX_SW_BYTES_OFFSET, true) | present;
  if ((features & XFEATURE_TILES) !== 0n && (present & XFEATURE_TILES) === 0n && image.length > TILES_OFFSET) {
    features &= ~XFEATURE_TILES;
    image = image.subarray(0, TILES_OFFSET);
  }
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  view.setBigUint64(XSAVE_HEADER_OFFSET, present, true);
  FpxSwBytes.write(view, FPX_SW_BYTES_OFFSET, {
    magic1: FP_XSTATE_MAGIC1,
    extended_size: image.length + 4,
    xfeatures: features,
    xstate_size: image.length,
  });
  return image;
}

function contextOf(task: Task, r: Registers, info: SignalInfo, fpstate: number, saved: SignalSet): Context {
  const at = (index: number): bigint => r.u64[index] as bigint;
  const { err, trapno, cr2 } = trapOf(info);
  return {
    uc_flags: BigInt(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS),
    uc_link: 0n,
    uc_stack: { ss_sp: task.altStack.address, ss_flags: task.altStack.flags, ss_size: task.altStack.size },
    uc_mcontext: {
      r8: at(REG.r8),
      r9: at(REG.r9),
      r10: at(REG.r10),
      r11: at(REG.r11),
      r12: at(REG.r12),
      r13: at(REG.r13),
      r14: at(REG.r14),
      r15: at(REG.r15),
      rdi: at(REG.rdi),
      rsi: at(REG.rsi),
      rbp: at(REG.rbp),
      rbx: at(REG.rbx),
      rdx: at(REG.rdx),
      rax: at(REG.rax),
      rcx: at(REG.rcx),
      rsp: at(REG.rsp),
      rip: at(REG.rip),
      eflags: at(REG.eflags),
      cs: Number(at(REG.cs)),
      gs: 0,
      fs: 0,
      ss: Number(at(REG.ss)),
      err: BigInt(err),
      trapno: BigInt(trapno),
      cr2: BigInt(cr2),
      oldmask: saved,
      fpstate,
    },
    uc_sigmask: saved,
  };
}

/** err, trapno, cr2 of a fault. */
function trapOf({ trap, address = 0 }: SignalInfo): { err: number; trapno: number; cr2: number } {
  if (trap === undefined) return { err: 0, trapno: 0, cr2: 0 };
  return { err: trap.error, trapno: trap.vector, cr2: trap.vector === PAGE_FAULT ? address : 0 };
}

/** rt_sigreturn(2): false if the frame is broken; the caller raises SIGSEGV. */
export function popSignalFrame(task: Task): boolean {
  const { thread } = task;
  // A tracer may have changed registers since the frame was looked at.
  const peek = task.trace === null ? thread.frames?.peek() : undefined;
  if (peek) {
    task.frame = { signal: 0, mask: 0n, savedMask: null, altStack: task.altStack };
    setSignalMask(task, peek.mask);
    setAltStack(task, peek.altStack, peek.sp);
    thread.frames?.pop();
    return true;
  }
  const registers = thread.registers();
  // The handler's return took pretcode off.
  const uc = registers.get(REG.rsp) - 8 + RtSigframe.offsets.uc;
  const raw = uc > 0 && uc < TASK_SIZE ? task.readBytes(uc, UContext.size) : -1;
  if (typeof raw === 'number') return false;
  const context = UContext.decode(raw);
  const { uc_mcontext: mc } = context;
  setSignalMask(task, context.uc_sigmask);
  // Only 64-bit code runs here; other selectors would fault on the way out.
  if ((mc.cs | 3) !== Number(USER_CS) || (mc.rip >= 1n << 47n && mc.rip < 0xffff_8000_0000_0000n)) return false;
  if (!restoreXstate(task, mc.fpstate)) return false;
  restoreRegisters(registers, mc);
  thread.setRegisters();
  const { ss_sp, ss_flags, ss_size } = context.uc_stack;
  setAltStack(task, { address: ss_sp, size: ss_size, flags: ss_flags }, registers.get(REG.rsp));
  return true;
}

function restoreRegisters(registers: Registers, mc: Context['uc_mcontext']): void {
  const { u64 } = registers;
  u64[REG.r8] = mc.r8;
  u64[REG.r9] = mc.r9;
  u64[REG.r10] = mc.r10;
  u64[REG.r11] = mc.r11;
  u64[REG.r12] = mc.r12;
  u64[REG.r13] = mc.r13;
  u64[REG.r14] = mc.r14;
  u64[REG.r15] = mc.r15;
  u64[REG.rdi] = mc.rdi;
  u64[REG.rsi] = mc.rsi;
  u64[REG.rbp] = mc.rbp;
  u64[REG.rbx] = mc.rbx;
  u64[REG.rdx] = mc.rdx;
  u64[REG.rax] = mc.rax;
  u64[REG.rcx] = mc.rcx;
  u64[REG.rsp] = mc.rsp;
  u64[REG.rip] = mc.rip;
  u64[REG.cs] = USER_CS;
  u64[REG.ss] = USER_DS;
  u64[REG.eflags] = ((u64[REG.eflags] as bigint) & ~RESTORABLE_FLAGS) | (mc.eflags & RESTORABLE_FLAGS);
  registers.set(REG.orig_rax, -1);
}

/** The floating-point state behind `address`: an XSAVE image if the marks are right, else the FXSAVE part alone. 0 = initial. */
function restoreXstate(task: Task, address: number): boolean {
  const { thread } = task;
  if (address === 0) return thread.setXstate(null);
  if (address % 64 !== 0 || address > TASK_SIZE) return false;
  if (task.kernel.xstateSize === 0) task.kernel.xstateSize = thread.xstate().length;
  const image = new Uint8Array(task.kernel.xstateSize);
  const view = new DataView(image.buffer);
  if (thread.space.read(address, image, 0, FXSAVE_SIZE) !== FXSAVE_SIZE) return false;
  const sw = FpxSwBytes.read(view, FPX_SW_BYTES_OFFSET);
  image.fill(0, FPX_SW_BYTES_OFFSET, FXSAVE_SIZE);
  if (!hasExtendedState(task, address, sw, image.length)) {
    view.setBigUint64(XSAVE_HEADER_OFFSET, XFEATURE_FPSSE, true);
    return thread.setXstate(image);
  }
  const rest = sw.xstate_size - FXSAVE_SIZE;
  if (thread.space.read(address + FXSAVE_SIZE, image, FXSAVE_SIZE, rest) !== rest) return false;
  view.setBigUint64(XSAVE_HEADER_OFFSET, view.getBigUint64(XSAVE_HEADER_OFFSET, true) & sw.xfeatures, true);
  return thread.setXstate(image);
}

function hasExtendedState(task: Task, address: number, sw: Infer<typeof FpxSwBytes>, capacity: number): boolean {
  if (sw.magic1 !== FP_XSTATE_MAGIC1 || sw.xstate_size < XSAVE_MIN_SIZE || sw.xstate_size > capacity) return false;
  if (sw.extended_size < sw.xstate_size + 4) return false;
  return task.readU32(address + sw.xstate_size) === FP_XSTATE_MAGIC2;
}
