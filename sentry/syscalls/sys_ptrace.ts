/** ptrace(2): the requests of a tracer. Who traces whom and the stops are in kernel/ptrace.ts. */
import { EFAULT, EINVAL, EIO, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import { ARCH_GET_FS, ARCH_GET_GS, ARCH_SET_FS, ARCH_SET_GS } from '../../abi/prctl.ts';
import * as P from '../../abi/ptrace.ts';
import { RSEQ_SIZE } from '../../abi/rseq.ts';
import { AUDIT_ARCH_X86_64 } from '../../abi/seccomp.ts';
import { NSIG, SIGKILL } from '../../abi/signal.ts';
import { FXSAVE_SIZE, SIGINFO_SIZE } from '../../abi/signal_frame.ts';
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { REG } from '../../platforms/platform.ts';
import { debugRegister, setDebugRegister } from '../kernel/debug_registers.ts';
import {
  attach,
  detach,
  interruptTracee,
  mayHaveOptions,
  resumeTracee,
  type Trace,
  type TraceMode,
  type TraceStop,
  traceMe,
} from '../kernel/ptrace.ts';
import { encodeSignalInfo, rawSignalInfo } from '../kernel/signal_info.ts';
import { sendToTask, setSignalMask } from '../kernel/signal_send.ts';
import type { Task } from '../kernel/task.ts';
import { addr, int, size, syscall } from './definition.ts';

/** Flags that a tracer may set: as rt_sigreturn(2). */
const SETTABLE_FLAGS = 0x50dd5n;
const USER_CS = 0x33n;
const USER_DS = 0x2bn;

function ptrace(task: Task, request: number, pid: number, address: number, data: number): number {
  if (request === P.PTRACE_TRACEME) return traceMe(task);
  const target = task.pidNamespace.tasks.get(pid);
  if (target === undefined || target.state === 'dead') return ESRCH;
  if (request === P.PTRACE_ATTACH) return attach(task, target, false, 0);
  if (request === P.PTRACE_SEIZE) {
    if (address !== 0) return EIO;
    if ((data & ~P.PTRACE_O_KNOWN) !== 0) return EINVAL;
    return mayHaveOptions(task, data) ? attach(task, target, true, data) : EPERM;
  }
  const { trace } = target;
  if (trace === null || trace.tracer.group !== task.group) return ESRCH;
  if (request === P.PTRACE_INTERRUPT) {
    if (!trace.seized) return EIO;
    interruptTracee(target);
    return 0;
  }
  if (request === P.PTRACE_KILL) {
    sendToTask(target, { signal: SIGKILL, code: 0x80 });
    return 0;
  }
  return trace.stop === null ? ESRCH : ofStopped(task, target, trace, trace.stop, request, address, data);
}

function ofStopped(task: Task, target: Task, trace: Trace, stop: TraceStop, request: number, address: number, data: number): number {
  switch (request) {
    case P.PTRACE_CONT:
      return resume(target, 'cont', data);
    case P.PTRACE_SYSCALL:
      return resume(target, 'syscall', data);
    case P.PTRACE_SINGLESTEP:
      return resume(target, 'step', data);
    case P.PTRACE_SYSEMU:
      return resume(target, 'sysemu', data);
    case P.PTRACE_SYSEMU_SINGLESTEP:
      return resume(target, 'sysemu-step', data);
    case P.PTRACE_PEEKSIGINFO:
      return peekSignals(task, target, address, data);
    case P.PTRACE_LISTEN:
      return trace.seized ? 0 : EIO;
    case P.PTRACE_DETACH:
      if (data > NSIG) return EIO;
      detach(target, data);
      return 0;
    case P.PTRACE_SETOPTIONS:
      if ((data & ~P.PTRACE_O_KNOWN) !== 0) return EINVAL;
      if (!mayHaveOptions(task, data)) return EPERM;
      trace.options = data;
      return 0;
    case P.PTRACE_GETEVENTMSG:
      return writeWord(task, data, trace.message);
    case P.PTRACE_GETSIGINFO:
      return stop.info === null ? EINVAL : task.copyOut(data, encodeSignalInfo(stop.info));
    case P.PTRACE_SETSIGINFO:
      return setSignalInfo(task, stop, data);
    case P.PTRACE_GETSIGMASK:
      task.kernel.scratch8View.setBigUint64(0, target.signalMask, true);
      return address === 8 ? task.copyOut(data, task.kernel.scratch8) : EINVAL;
    case P.PTRACE_SETSIGMASK: {
      if (address !== 8) return EINVAL;
      if (task.copyIn(data, task.kernel.scratch8) !== 0) return EFAULT;
      setSignalMask(target, task.kernel.scratch8View.getBigUint64(0, true));
      return 0;
    }
    case P.PTRACE_GET_RSEQ_CONFIGURATION:
      return rseqConfiguration(task, target, address, data);
    case P.PTRACE_GET_SYSCALL_INFO:
      return syscallInfo(task, target, stop, address, data);
    default:
      return memoryOrRegisters(task, target, request, address, data);
  }
}

function resume(target: Task, mode: TraceMode, signal: number): number {
  if (signal > NSIG) return EIO;
  resumeTracee(target, mode, signal);
  return 0;
}

/** Most signals that one PTRACE_PEEKSIGINFO tells. */
const PEEK_MAX = 512;

/** struct ptrace_peeksiginfo_args: u64 off, u32 flags, s32 nr. How many were told. */
function peekSignals(task: Task, target: Task, address: number, data: number): number {
  const raw = task.readBytes(address, 16);
  if (isErrno(raw)) return raw;
  const view = new DataView((raw as Uint8Array).buffer);
  const count = view.getInt32(12, true);
  const flags = view.getUint32(8, true);
  if (count < 0 || (flags & ~P.PTRACE_PEEKSIGINFO_SHARED) !== 0) return EINVAL;
  const from = getLen64(view, 0);
  const queue = flags === 0 ? target.pending : target.group.pending;
  const wanted = [...queue.all()].slice(from, from + Math.min(count, PEEK_MAX));
  for (const [i, info] of wanted.entries()) {
    const r = task.copyOut(data + i * SIGINFO_SIZE, encodeSignalInfo(info));
    if (r !== 0) return i === 0 ? r : i;
  }
  return wanted.length;
}

function memoryOrRegisters(task: Task, target: Task, request: number, address: number, data: number): number {
  switch (request) {
    case P.PTRACE_PEEKTEXT:
    case P.PTRACE_PEEKDATA:
      if (target.thread.space.readForced(address, task.kernel.scratch8, 0, 8) !== 8) return EIO;
      return task.copyOut(data, task.kernel.scratch8);
    case P.PTRACE_POKETEXT:
    case P.PTRACE_POKEDATA:
      task.kernel.scratch8View.setBigUint64(0, dataWord(task), true);
      return target.thread.space.writeForced(address, task.kernel.scratch8, 0, 8) === 8 ? 0 : EIO;
    case P.PTRACE_PEEKUSER:
      return peekUser(task, target, address, data);
    case P.PTRACE_POKEUSER:
      return pokeUser(target, address, dataWord(task));
    case P.PTRACE_GETREGS:
      return task.copyOut(data, registerBytes(target));
    case P.PTRACE_SETREGS: {
      const raw = task.readBytes(data, P.USER_REGS_SIZE);
      return isErrno(raw) ? raw : setRegisters(target, raw as Uint8Array);
    }
    case P.PTRACE_GETFPREGS:
      return task.copyOut(data, target.thread.xstate().subarray(0, FXSAVE_SIZE));
    case P.PTRACE_SETFPREGS: {
      const raw = task.readBytes(data, FXSAVE_SIZE);
      return isErrno(raw) ? raw : setFxsave(target, raw as Uint8Array);
    }
    case P.PTRACE_ARCH_PRCTL:
      return archPrctl(task, target, data, address);
    case P.PTRACE_GETREGSET:
    case P.PTRACE_SETREGSET:
      return registerSet(task, target, request === P.PTRACE_SETREGSET, address, data);
    default:
      return EIO;
  }
}

/** The fourth argument, bit for bit. */
function dataWord(task: Task): bigint {
  const { args } = task.thread;
  return BigInt(args[6] as number) | (BigInt(args[7] as number) << 32n);
}

function writeWord(task: Task, address: number, value: number): number {
  setLen64(task.kernel.scratch8View, 0, value);
  return task.copyOut(address, task.kernel.scratch8);
}

function setSignalInfo(task: Task, stop: TraceStop, address: number): number {
  if (stop.info === null) return EINVAL;
  const raw = task.readBytes(address, SIGINFO_SIZE);
  if (isErrno(raw)) return raw;
  stop.info = rawSignalInfo(new DataView((raw as Uint8Array).buffer).getInt32(0, true), raw as Uint8Array);
  return 0;
}

// Registers

function registerWords(target: Task): BigUint64Array {
  const words = target.thread.registers().u64.slice();
  words[REG.orig_rax] = BigInt.asUintN(64, BigInt(target.tracedCall));
  return words;
}
function registerBytes(target: Task): Uint8Array {
  return new Uint8Array(registerWords(target).buffer, 0, P.USER_REGS_SIZE);
}

function isUserAddress(word: bigint): boolean {
  return word < BigInt(TASK_SIZE);
}

/** EIO where a register cannot hold it; selectors and system flags stay as they are. */
function setRegisters(target: Task, raw: Uint8Array): number {
  const words = new BigUint64Array(raw.buffer, raw.byteOffset, raw.length >> 3);
  const next = registerWords(target);
  for (const [index, word] of words.entries()) if (!setWord(next, index, word)) return EIO;
  store(target, next);
  return 0;
}

/** A tracer that takes the call away (orig_rax -1) also takes its restart away. */
function store(target: Task, words: BigUint64Array): void {
  const registers = target.thread.registers();
  const kept = registers.u64[REG.orig_rax] as bigint;
  target.tracedCall = Number(BigInt.asIntN(32, words[REG.orig_rax] as bigint));
  if (target.tracedCall < 0) target.interrupted = 0;
  registers.u64.set(words);
  registers.u64[REG.orig_rax] = kept;
  target.thread.setRegisters();
}

function setWord(registers: BigUint64Array, index: number, word: bigint): boolean {
  switch (index) {
    case REG.cs:
      return word === USER_CS;
    case REG.ss:
      return word === USER_DS || word === 0n;
    case REG.ds:
    case REG.es:
    case REG.fs:
    case REG.gs:
      return (word & 0xffffn) === (registers[index] as bigint);
    case REG.fs_base:
    case REG.gs_base:
      if (!isUserAddress(word)) return false;
      registers[index] = word;
      return true;
    case REG.eflags:
      registers[index] = ((registers[index] as bigint) & ~SETTABLE_FLAGS) | (word & SETTABLE_FLAGS);
      return true;
    default:
      registers[index] = word;
      return true;
  }
}

/** Index of a debug register in struct user; -1 for what lies before. */
function debugIndex(offset: number): number {
  return offset < P.USER_DEBUGREG_OFFSET ? -1 : (offset - P.USER_DEBUGREG_OFFSET) / 8;
}

/** struct user: registers, then nothing that exists here but debug registers. */
function peekUser(task: Task, target: Task, offset: number, data: number): number {
  if (offset % 8 !== 0 || offset >= P.USER_SIZE) return EIO;
  const { scratch8, scratch8View } = task.kernel;
  const debug = debugIndex(offset);
  const other = debug >= 0 ? debugRegister(target, debug) : 0n;
  scratch8View.setBigUint64(0, offset < P.USER_REGS_SIZE ? (registerWords(target)[offset / 8] as bigint) : other, true);
  return task.copyOut(data, scratch8);
}

function pokeUser(target: Task, offset: number, word: bigint): number {
  if (offset % 8 !== 0 || offset >= P.USER_SIZE) return EIO;
  const debug = debugIndex(offset);
  if (debug >= 0) return setDebugRegister(target, debug, word);
  if (offset >= P.USER_REGS_SIZE) return EIO;
  const words = registerWords(target);
  if (!setWord(words, offset / 8, word)) return EIO;
  store(target, words);
  return 0;
}

/** arch_prctl(2) of the tracee: the bases of fs and gs. */
function archPrctl(task: Task, target: Task, code: number, address: number): number {
  const index = code === ARCH_GET_FS || code === ARCH_SET_FS ? REG.fs_base : REG.gs_base;
  if (code === ARCH_GET_FS || code === ARCH_GET_GS) return writeWord(task, address, target.thread.registers().get(index));
  if (code !== ARCH_SET_FS && code !== ARCH_SET_GS) return EINVAL;
  const words = registerWords(target);
  if (!setWord(words, index, BigInt(address))) return EPERM;
  store(target, words);
  return 0;
}

function setFxsave(target: Task, part: Uint8Array): number {
  const image = target.thread.xstate();
  image.set(part.subarray(0, FXSAVE_SIZE));
  image[FXSAVE_SIZE] = (image[FXSAVE_SIZE] as number) | 3; // x87 and SSE are present now
  return target.thread.setXstate(image) ? 0 : EINVAL;
}

/** PTRACE_GETREGSET, PTRACE_SETREGSET: address is the kind, data a struct iovec whose length is updated. */
function registerSet(task: Task, target: Task, write: boolean, kind: number, iovec: number): number {
  const raw = task.readBytes(iovec, 16);
  if (isErrno(raw)) return raw;
  const view = new DataView((raw as Uint8Array).buffer);
  const base = getLen64(view, 0);
  const whole = wholeSet(target, kind);
  if (isErrno(whole)) return whole;
  const length = Math.min(getLen64(view, 8), (whole as Uint8Array).length);
  if (write) {
    const given = task.readBytes(base, length);
    if (isErrno(given)) return given;
    const r = writeSet(target, kind, whole as Uint8Array, given as Uint8Array);
    if (r !== 0) return r;
  } else if (task.copyOut(base, (whole as Uint8Array).subarray(0, length)) !== 0) return EFAULT;
  return writeWord(task, iovec + 8, length);
}

function wholeSet(target: Task, kind: number): Uint8Array | Errno {
  if (kind === P.NT_PRSTATUS) return registerBytes(target);
  if (kind === P.NT_PRFPREG) return target.thread.xstate().subarray(0, FXSAVE_SIZE);
  return kind === P.NT_X86_XSTATE ? target.thread.xstate() : EINVAL;
}

function writeSet(target: Task, kind: number, whole: Uint8Array, given: Uint8Array): number {
  if (kind === P.NT_PRSTATUS) return setRegisters(target, given.slice(0, given.length & ~7));
  whole.set(given);
  if (kind === P.NT_PRFPREG) return setFxsave(target, whole);
  return target.thread.setXstate(whole) ? 0 : EINVAL;
}

/** struct ptrace_syscall_info; the result is its length, what fits into `length` is written. */
function syscallInfo(task: Task, target: Task, stop: TraceStop, length: number, address: number): number {
  const out = new Uint8Array(88);
  const view = new DataView(out.buffer);
  const registers = target.thread.registers();
  view.setUint32(4, AUDIT_ARCH_X86_64, true);
  setLen64(view, 8, registers.get(REG.rip));
  setLen64(view, 16, registers.get(REG.rsp));
  let size = 24;
  if (stop.kind === 'entry' || stop.kind === 'seccomp') {
    out[0] = stop.kind === 'entry' ? P.PTRACE_SYSCALL_INFO_ENTRY : P.PTRACE_SYSCALL_INFO_SECCOMP;
    const words = registerWords(target);
    const order = [REG.orig_rax, REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9];
    for (const [i, index] of order.entries()) view.setBigUint64(24 + 8 * i, words[index] as bigint, true);
    size = 80;
    if (stop.kind === 'seccomp') {
      view.setUint32(80, target.trace?.message ?? 0, true);
      size = 84;
    }
  } else if (stop.kind === 'exit') {
    out[0] = P.PTRACE_SYSCALL_INFO_EXIT;
    const value = BigInt.asIntN(64, registers.u64[REG.rax] as bigint);
    view.setBigInt64(24, value, true);
    out[32] = value < 0n && value >= -4095n ? 1 : 0;
    size = 33;
  }
  return task.copyOut(address, out.subarray(0, Math.min(length, size))) === 0 ? size : EFAULT;
}

/** struct ptrace_rseq_configuration: u64 address, u32 size, u32 signature, u32 flags, u32 pad. */
const RSEQ_CONFIGURATION_SIZE = 24;
function rseqConfiguration(task: Task, target: Task, length: number, address: number): number {
  const out = new Uint8Array(RSEQ_CONFIGURATION_SIZE);
  const view = new DataView(out.buffer);
  const area = target.rseq;
  setLen64(view, 0, area?.address ?? 0);
  view.setUint32(8, area === null ? 0 : RSEQ_SIZE, true);
  view.setUint32(12, area?.signature ?? 0, true);
  return task.copyOut(address, out.subarray(0, Math.min(length, out.length))) === 0 ? out.length : EFAULT;
}

export const PTRACE_CALLS = {
  ptrace: syscall({
    x64: 101,
    man: 'ptrace(2)',
    args: [int, int, addr, size],
    run: ptrace,
    partial: 'no hardware watchpoints for reads, no PTRACE_SINGLEBLOCK',
  }),
};
