/**
 * Filters that applications install over themselves (seccomp(2)). They hold for what reaches the kernel; calls that the platform
 * answers beside it (clocks in the vDSO) are not seen, as on Linux.
 */

import { BPF_ABS, BPF_B, BPF_H, BPF_IND, BPF_LD, BPF_LDX, BPF_MAXINSNS, BPF_MSH, BPF_W, SockFilter } from '../../abi/bpf.ts';
import { EACCES, EBUSY, EINVAL, ENOMEM, ENOSYS, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import {
  AUDIT_ARCH_X86_64,
  SECCOMP_DATA_ARCH,
  SECCOMP_DATA_ARGS,
  SECCOMP_DATA_IP,
  SECCOMP_DATA_NR,
  SECCOMP_DATA_SIZE,
  SECCOMP_FILTER_FLAG_LOG,
  SECCOMP_FILTER_FLAG_NEW_LISTENER,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW,
  SECCOMP_FILTER_FLAG_TSYNC,
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
  SECCOMP_MODE_FILTER,
  SECCOMP_MODE_STRICT,
  SECCOMP_RET_ACTION_FULL,
  SECCOMP_RET_ALLOW,
  SECCOMP_RET_DATA,
  SECCOMP_RET_ERRNO,
  SECCOMP_RET_KILL_THREAD,
  SECCOMP_RET_LOG,
  SECCOMP_RET_TRACE,
  SECCOMP_RET_TRAP,
  SECCOMP_RET_USER_NOTIF,
} from '../../abi/seccomp.ts';
import { SIGKILL, SIGSYS, SYS_SECCOMP } from '../../abi/signal.ts';
import { getLen64 } from '../../abi/struct.ts';
import { type BpfData, type BpfProgram, decodeBpf, isValidBpf, runBpf } from '../../lib/bpf.ts';
import { REG, type ThreadContext } from '../../platforms/platform.ts';
import { CAP_SYS_ADMIN, hasOwnCap } from './credentials.ts';
import { exitGroup, exitTask } from './exit.ts';
import { watchersChanged } from './own_answers.ts';
import { stopForSeccomp } from './ptrace.ts';
import { SeccompListener } from './seccomp_listener.ts';
import { forceSignal } from './signal_send.ts';
import type { Task } from './task.ts';
import type { SyscallResult } from './wait.ts';

/** Instructions of all filters of a task together, four more for each. */
const MAX_INSNS_PER_PATH = 32_768;
/** System calls whose verdict is computed when a filter is installed, where number and architecture decide alone. */
const CACHED_CALLS = 512;
const STRICT_CALLS: readonly number[] = [0 /* read */, 1 /* write */, 15 /* rt_sigreturn */, 60 /* exit */];
/** sock_fprog: length, padding, pointer. */
const SOCK_FPROG_SIZE = 16;
const MAX_ERRNO = 4095;

/** One filter and those before it: they all run, the strictest verdict counts. */
export class SeccompFilter {
  readonly program: BpfProgram;
  readonly previous: SeccompFilter | null;
  /** SECCOMP_FILTER_FLAG_NEW_LISTENER: who is asked. */
  readonly listener: SeccompListener | null;
  /** The chain has one somewhere: only one may be. */
  readonly hasListener: boolean;
  /** 1 where the whole chain allows the call whatever its arguments are. */
  private readonly allowed = new Uint8Array(CACHED_CALLS);

  constructor(program: BpfProgram, previous: SeccompFilter | null, listener: SeccompListener | null = null) {
    this.listener = listener;
    this.hasListener = listener !== null || previous?.hasListener === true;
    this.program = program;
    this.previous = previous;
    const probe = new ProbeData();
    for (let nr = 0; nr < CACHED_CALLS; nr++) {
      if (previous !== null && !previous.allows(nr)) continue;
      probe.start(nr);
      if (runBpf(program, probe) === SECCOMP_RET_ALLOW && !probe.lookedFurther) this.allowed[nr] = 1;
    }
  }

  allows(nr: number): boolean {
    return this.allowed[nr] === 1;
  }
  get pathLength(): number {
    return this.program.length + 4 + (this.previous?.pathLength ?? 0);
  }
  /** True if `other` is this filter or came after it. */
  isAncestorOf(other: SeccompFilter | null): boolean {
    for (let f = other; f !== null; f = f.previous) if (f === this) return true;
    return false;
  }
  /** The strictest verdict of the chain, and who gave it. */
  evaluate(data: BpfData): { readonly verdict: number; readonly by: SeccompFilter } {
    let verdict = SECCOMP_RET_ALLOW;
    let by: SeccompFilter = this;
    for (let f: SeccompFilter | null = this; f !== null; f = f.previous) {
      const next = runBpf(f.program, data);
      // As signed numbers the actions are in the order of their strictness.
      if ((next & SECCOMP_RET_ACTION_FULL) < (verdict & SECCOMP_RET_ACTION_FULL)) {
        verdict = next;
        by = f;
      }
    }
    return { verdict, by };
  }
}

export interface SeccompState {
  readonly mode: typeof SECCOMP_MODE_STRICT | typeof SECCOMP_MODE_FILTER;
  readonly filter: SeccompFilter | null;
}

/** struct seccomp_data of the call that a thread has stopped at. Filters load aligned words only. */
class CallData implements BpfData {
  readonly length = SECCOMP_DATA_SIZE;
  private readonly task: Task;
  private readonly thread: ThreadContext;
  constructor(task: Task) {
    this.task = task;
    this.thread = task.thread;
  }
  load(offset: number): number {
    if (offset >= SECCOMP_DATA_ARGS) return this.thread.args[(offset - SECCOMP_DATA_ARGS) >> 2] as number;
    if (offset === SECCOMP_DATA_NR) return this.task.syscallNumber >>> 0;
    if (offset === SECCOMP_DATA_ARCH) return AUDIT_ARCH_X86_64;
    return this.thread.registers().u32[REG.rip * 2 + ((offset - SECCOMP_DATA_IP) >> 2)] as number;
  }
}

/** Number and architecture alone; notices when a program wants more. */
class ProbeData implements BpfData {
  readonly length = SECCOMP_DATA_SIZE;
  lookedFurther = false;
  private nr = 0;
  start(nr: number): void {
    this.nr = nr;
    this.lookedFurther = false;
  }
  load(offset: number): number {
    if (offset === SECCOMP_DATA_NR) return this.nr;
    if (offset === SECCOMP_DATA_ARCH) return AUDIT_ARCH_X86_64;
    this.lookedFurther = true;
    return 0;
  }
}

const KNOWN_FLAGS =
  SECCOMP_FILTER_FLAG_TSYNC |
  SECCOMP_FILTER_FLAG_LOG |
  SECCOMP_FILTER_FLAG_SPEC_ALLOW |
  SECCOMP_FILTER_FLAG_NEW_LISTENER |
  SECCOMP_FILTER_FLAG_TSYNC_ESRCH |
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/** Before a system call of a task that has a filter: null if it may go on, or its result. The task may be dead afterwards. */
export function enforceSeccomp(task: Task, state: SeccompState): SyscallResult | null {
  const nr = task.syscallNumber;
  if (state.filter === null) {
    if (STRICT_CALLS.includes(nr)) return null;
    exitTask(task, SIGKILL);
    return 0;
  }
  const { trace } = task;
  const asked = trace?.seccompPassed === true; // its tracer has been asked about this very call
  if (asked) trace.seccompPassed = false;
  return state.filter.allows(nr) ? null : act(task, state.filter, asked);
}

function act(task: Task, filter: SeccompFilter, asked: boolean): SyscallResult | null {
  const { verdict, by } = filter.evaluate(new CallData(task));
  const data = verdict & SECCOMP_RET_DATA;
  switch ((verdict & SECCOMP_RET_ACTION_FULL) >>> 0) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG:
      return null;
    case SECCOMP_RET_ERRNO:
      return -Math.min(data, MAX_ERRNO);
    case SECCOMP_RET_TRAP:
      return trap(task, data);
    case SECCOMP_RET_TRACE:
      return asked ? null : stopForSeccomp(task, data);
    case SECCOMP_RET_USER_NOTIF:
      return by.listener === null ? ENOSYS : by.listener.ask(task);
    case SECCOMP_RET_KILL_THREAD:
      exitTask(task, SIGSYS);
      return 0;
    default:
      exitGroup(task.group, SIGSYS);
      return 0;
  }
}

/** SIGSYS with the call undone: its handler finds the number in rax. */
function trap(task: Task, data: number): number {
  forceSignal(task, {
    signal: SIGSYS,
    code: SYS_SECCOMP,
    errno: data,
    callAddress: task.thread.registers().get(REG.rip),
    syscall: task.syscallNumber,
    arch: AUDIT_ARCH_X86_64,
  });
  return task.syscallNumber;
}

/** prctl(2) PR_SET_SECCOMP. */
export function setSeccompMode(task: Task, mode: number, program: number): number {
  if (mode === SECCOMP_MODE_STRICT) return setStrict(task);
  return mode === SECCOMP_MODE_FILTER ? installFilter(task, 0, program) : EINVAL;
}

export function setStrict(task: Task): number {
  if (task.seccomp !== null) return task.seccomp.mode === SECCOMP_MODE_STRICT ? 0 : EINVAL;
  task.seccomp = { mode: SECCOMP_MODE_STRICT, filter: null };
  watchersChanged(task);
  return 0;
}

/** SECCOMP_SET_MODE_FILTER. With TSYNC the number of a thread that could not follow, or ESRCH if so asked. */
export function installFilter(task: Task, flags: number, address: number): number {
  if ((flags & ~KNOWN_FLAGS) !== 0 || task.seccomp?.mode === SECCOMP_MODE_STRICT) return EINVAL;
  const listens = (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) !== 0;
  // The result cannot be both a descriptor and a thread that did not follow.
  if (listens && (flags & (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH)) === SECCOMP_FILTER_FLAG_TSYNC) return EINVAL;
  if (!listens && (flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) !== 0) return EINVAL;
  if (!task.creds.noNewPrivs && !hasOwnCap(task.creds, CAP_SYS_ADMIN)) return EACCES;
  const program = readProgram(task, address);
  if (isErrno(program)) return program;
  const previous = task.seccomp?.filter ?? null;
  if ((program as BpfProgram).length + 4 + (previous?.pathLength ?? 0) > MAX_INSNS_PER_PATH) return ENOMEM;
  const others = (flags & SECCOMP_FILTER_FLAG_TSYNC) === 0 ? [] : task.group.tasks.filter((thread) => thread !== task);
  const stray = others.find((thread) => !canFollow(thread, previous));
  if (stray !== undefined) return (flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH) !== 0 ? ESRCH : stray.tid;
  if (listens && previous?.hasListener === true) return EBUSY;
  const listener = listens ? newListener(task, flags) : null;
  const filter = new SeccompFilter(program as BpfProgram, previous, listener);
  const fd = listener === null ? 0 : task.kernel.openSeccompListener(task, filter, listener);
  if (isErrno(fd)) return fd;
  const state: SeccompState = { mode: SECCOMP_MODE_FILTER, filter };
  task.seccomp = state;
  watchersChanged(task);
  for (const thread of others) {
    thread.seccomp = state;
    watchersChanged(thread);
    if (task.creds.noNewPrivs) thread.creds = { ...thread.creds, noNewPrivs: true };
  }
  return fd;
}

function newListener(task: Task, flags: number): SeccompListener {
  task.kernel.host.getrandom(task.kernel.scratch8);
  return new SeccompListener((flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) !== 0, task.kernel.scratch8View.getBigUint64(0, true));
}

/** A task with these filters has ended. */
export function leaveFilters({ filter }: SeccompState): void {
  for (let f = filter; f?.hasListener; f = f.previous) f.listener?.lostUser();
}

/** A thread whose own filters are not all among the caller's would lose some. */
function canFollow(thread: Task, mine: SeccompFilter | null): boolean {
  const theirs = thread.seccomp;
  return theirs === null || (theirs.filter?.isAncestorOf(mine) ?? false);
}

function readProgram(task: Task, address: number): BpfProgram | Errno {
  const raw = task.readBytes(address, SOCK_FPROG_SIZE);
  if (typeof raw === 'number') return raw;
  const view = new DataView(raw.buffer);
  const length = view.getUint16(0, true);
  if (length === 0 || length > BPF_MAXINSNS) return EINVAL;
  const bytes = task.readBytes(getLen64(view, 8), length * SockFilter.size);
  if (typeof bytes === 'number') return bytes;
  const program = decodeBpf(bytes, length);
  return isValidBpf(program) && program.every(isAllowedLoad) ? program : EINVAL;
}

/** Only aligned words inside struct seccomp_data at fixed places, and its length. */
function isAllowedLoad({ code, k }: { readonly code: number; readonly k: number }): boolean {
  switch (code) {
    case BPF_LD | BPF_W | BPF_ABS:
      return k % 4 === 0 && k < SECCOMP_DATA_SIZE;
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
    case BPF_LDX | BPF_B | BPF_MSH:
      return false;
    default:
      return true;
  }
}
