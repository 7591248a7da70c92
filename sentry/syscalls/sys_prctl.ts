/** prctl(2). One small function an operation. */
import {
  SECBIT_KEEP_CAPS,
  SECBIT_KEEP_CAPS_LOCKED,
  SECBIT_NO_CAP_AMBIENT_RAISE,
  SECURE_ALL_BITS,
  SECURE_ALL_LOCKS,
} from '../../abi/capability.ts';
import { EFAULT, EINVAL, ENODEV, ENXIO, EPERM } from '../../abi/errno.ts';
import { TASK_SIZE } from '../../abi/mman.ts';
import * as PR from '../../abi/prctl.ts';
import { NSIG } from '../../abi/signal.ts';
import { setLen64 } from '../../abi/struct.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { CAP_LAST_CAP, CAP_SETPCAP, CAP_SYS_RESOURCE, hasCap, hasOwnCap } from '../kernel/credentials.ts';
import { setSeccompMode } from '../kernel/seccomp.ts';
import type { Task } from '../kernel/task.ts';
import { setUserDispatch } from '../kernel/user_dispatch.ts';
import type { Layout } from '../mm/memory_map.ts';
import { int, size, syscall } from './definition.ts';

/** comm without its NUL. */
const NAME_LENGTH = 15;

type Operation = (task: Task, a: number, b: number, c: number, d: number) => number;

/** The rest of the arguments must be 0 where the manual page says so. */
function unused(operation: (task: Task, a: number) => number): Operation {
  return (task, a, b, c, d) => (b !== 0 || c !== 0 || d !== 0 ? EINVAL : operation(task, a));
}

function setDeathSignal(task: Task, signal: number): number {
  if (signal > NSIG) return EINVAL;
  task.parentDeathSignal = signal;
  return 0;
}

function setDumpable(task: Task, value: number): number {
  if (value !== 0 && value !== 1) return EINVAL;
  task.mm.dumpable = value;
  return 0;
}

function setName(task: Task, address: number): number {
  const bytes = task.readBytes(address, 1);
  if (typeof bytes === 'number') return bytes;
  const text = task.readString(address, NAME_LENGTH);
  if (typeof text === 'string') task.name = text;
  else {
    // No NUL in the first 16 bytes: what fits counts.
    const start = task.readBytes(address, NAME_LENGTH);
    if (typeof start === 'number') return EFAULT;
    task.name = Buffer.from(start).toString('latin1');
  }
  return 0;
}

function getName(task: Task, address: number): number {
  const out = new Uint8Array(NAME_LENGTH + 1);
  out.set(bytesOf(task.name.slice(0, NAME_LENGTH)));
  return task.copyOut(address, out);
}

function writeInt(task: Task, address: number, value: number): number {
  return task.writeU32(address, value);
}

// Capabilities

function setSecureBits(task: Task, securebits: number): void {
  task.creds = { ...task.creds, securebits };
}

function setKeepCaps(task: Task, value: number): number {
  if (value !== 0 && value !== 1) return EINVAL;
  const { securebits } = task.creds;
  if ((securebits & SECBIT_KEEP_CAPS_LOCKED) !== 0) return EPERM;
  setSecureBits(task, value === 1 ? securebits | SECBIT_KEEP_CAPS : securebits & ~SECBIT_KEEP_CAPS);
  return 0;
}

/** Locked bits stay; a lock is never taken away; CAP_SETPCAP is needed. */
function setSecurebits(task: Task, next: number): number {
  const { securebits: old } = task.creds;
  if ((next & ~(SECURE_ALL_BITS | SECURE_ALL_LOCKS)) !== 0) return EPERM;
  const locked = (old & SECURE_ALL_LOCKS) >> 1;
  if ((locked & (old ^ next)) !== 0 || (old & SECURE_ALL_LOCKS & ~next) !== 0) return EPERM;
  if (!hasOwnCap(task.creds, CAP_SETPCAP)) return EPERM;
  setSecureBits(task, next);
  return 0;
}

function readBounding(task: Task, cap: number): number {
  return cap > CAP_LAST_CAP ? EINVAL : Number((task.creds.caps.bounding >> BigInt(cap)) & 1n);
}

function dropBounding(task: Task, cap: number): number {
  if (!hasOwnCap(task.creds, CAP_SETPCAP)) return EPERM;
  if (cap > CAP_LAST_CAP) return EINVAL;
  const { caps } = task.creds;
  task.creds = { ...task.creds, caps: { ...caps, bounding: caps.bounding & ~(1n << BigInt(cap)) } };
  return 0;
}

function ambient(task: Task, operation: number, cap: number, c: number, d: number): number {
  const { caps, securebits } = task.creds;
  if (c !== 0 || d !== 0) return EINVAL;
  const setAmbient = (next: bigint): number => {
    task.creds = { ...task.creds, caps: { ...caps, ambient: next } };
    return 0;
  };
  if (operation === PR.PR_CAP_AMBIENT_CLEAR_ALL) return cap === 0 ? setAmbient(0n) : EINVAL;
  if (cap > CAP_LAST_CAP) return EINVAL;
  const bit = 1n << BigInt(cap);
  switch (operation) {
    case PR.PR_CAP_AMBIENT_IS_SET:
      return (caps.ambient & bit) === 0n ? 0 : 1;
    case PR.PR_CAP_AMBIENT_LOWER:
      return setAmbient(caps.ambient & ~bit);
    case PR.PR_CAP_AMBIENT_RAISE:
      if ((caps.permitted & caps.inheritable & bit) === 0n || (securebits & SECBIT_NO_CAP_AMBIENT_RAISE) !== 0) return EPERM;
      return setAmbient(caps.ambient | bit);
    default:
      return EINVAL;
  }
}

function setNoNewPrivs(task: Task, value: number): number {
  if (value !== 1) return EINVAL;
  task.creds = { ...task.creds, noNewPrivs: true };
  return 0;
}

// PR_SET_MM

const LAYOUT_FIELDS: Readonly<Record<number, keyof Layout>> = {
  [PR.PR_SET_MM_START_CODE]: 'startCode',
  [PR.PR_SET_MM_END_CODE]: 'endCode',
  [PR.PR_SET_MM_START_DATA]: 'startData',
  [PR.PR_SET_MM_END_DATA]: 'endData',
  [PR.PR_SET_MM_START_STACK]: 'startStack',
  [PR.PR_SET_MM_START_BRK]: 'startBrk',
  [PR.PR_SET_MM_ARG_START]: 'argStart',
  [PR.PR_SET_MM_ARG_END]: 'argEnd',
  [PR.PR_SET_MM_ENV_START]: 'envStart',
  [PR.PR_SET_MM_ENV_END]: 'envEnd',
};

/** What /proc/PID/cmdline and stat show; the heap's end too. The auxiliary vector and the executable stay as execve left them. */
function setMm(task: Task, field: number, address: number): number {
  if (!hasCap(task.creds, CAP_SYS_RESOURCE)) return EPERM;
  if (address >= TASK_SIZE || task.mm.vmas.find(address) === null) return EINVAL;
  if (field === PR.PR_SET_MM_BRK) {
    task.mm.brk = address;
    return 0;
  }
  const name = LAYOUT_FIELDS[field];
  if (name === undefined) return EINVAL;
  task.mm.layout[name] = address;
  return 0;
}

function getTidAddress(task: Task, address: number): number {
  setLen64(task.kernel.scratch8View, 0, task.clearChildTid);
  return task.copyOut(address, task.kernel.scratch8);
}

function setTimerSlack(task: Task, ns: number): number {
  task.timerSlack = ns === 0 ? 50_000 : ns;
  return 0;
}

const OPERATIONS: Readonly<Record<number, Operation>> = {
  [PR.PR_SET_PDEATHSIG]: setDeathSignal,
  [PR.PR_GET_PDEATHSIG]: (task, address) => writeInt(task, address, task.parentDeathSignal),
  [PR.PR_GET_DUMPABLE]: (task) => task.mm.dumpable,
  [PR.PR_SET_DUMPABLE]: setDumpable,
  [PR.PR_GET_KEEPCAPS]: (task) => ((task.creds.securebits & SECBIT_KEEP_CAPS) !== 0 ? 1 : 0),
  [PR.PR_SET_KEEPCAPS]: setKeepCaps,
  [PR.PR_GET_TIMING]: () => 0,
  [PR.PR_SET_TIMING]: (_task, value) => (value === 0 ? 0 : EINVAL),
  [PR.PR_SET_NAME]: setName,
  [PR.PR_GET_NAME]: getName,
  [PR.PR_GET_SECCOMP]: (task) => task.seccomp?.mode ?? 0,
  [PR.PR_SET_SECCOMP]: setSeccompMode,
  [PR.PR_CAPBSET_READ]: readBounding,
  [PR.PR_CAPBSET_DROP]: dropBounding,
  [PR.PR_GET_TSC]: (task, address) => writeInt(task, address, PR.PR_TSC_ENABLE),
  [PR.PR_SET_TSC]: (_task, value) => (value === PR.PR_TSC_ENABLE ? 0 : EINVAL),
  [PR.PR_GET_SECUREBITS]: (task) => task.creds.securebits,
  [PR.PR_SET_SECUREBITS]: setSecurebits,
  [PR.PR_SET_TIMERSLACK]: setTimerSlack,
  [PR.PR_GET_TIMERSLACK]: (task) => task.timerSlack,
  [PR.PR_TASK_PERF_EVENTS_DISABLE]: () => 0,
  [PR.PR_TASK_PERF_EVENTS_ENABLE]: () => 0,
  [PR.PR_MCE_KILL]: () => 0,
  [PR.PR_MCE_KILL_GET]: unused((_task, a) => (a === 0 ? PR.PR_MCE_KILL_DEFAULT : EINVAL)),
  [PR.PR_SET_MM]: setMm,
  [PR.PR_SET_CHILD_SUBREAPER]: (task, value) => {
    task.group.subreaper = value !== 0;
    return 0;
  },
  [PR.PR_GET_CHILD_SUBREAPER]: (task, address) => writeInt(task, address, task.group.subreaper ? 1 : 0),
  [PR.PR_SET_NO_NEW_PRIVS]: unused(setNoNewPrivs),
  [PR.PR_GET_NO_NEW_PRIVS]: unused((task, a) => (a !== 0 ? EINVAL : task.creds.noNewPrivs ? 1 : 0)),
  [PR.PR_GET_TID_ADDRESS]: getTidAddress,
  [PR.PR_SET_THP_DISABLE]: unused((task, value) => {
    task.mm.hugePagesOff = value !== 0;
    return 0;
  }),
  [PR.PR_GET_THP_DISABLE]: unused((task, a) => (a !== 0 ? EINVAL : task.mm.hugePagesOff ? 1 : 0)),
  [PR.PR_CAP_AMBIENT]: ambient,
  [PR.PR_GET_SPECULATION_CTRL]: unused((_task, which) => (which <= 2 ? PR.PR_SPEC_NOT_AFFECTED : ENODEV)),
  [PR.PR_SET_SPECULATION_CTRL]: (_task, which) => (which <= 2 ? ENXIO : ENODEV),
  [PR.PR_SET_IO_FLUSHER]: () => EPERM,
  [PR.PR_SET_SYSCALL_USER_DISPATCH]: setUserDispatch,
  [PR.PR_GET_IO_FLUSHER]: () => EPERM,
};

function prctl(task: Task, operation: number, a: number, b: number, c: number, d: number): number {
  return OPERATIONS[operation]?.(task, a, b, c, d) ?? EINVAL;
}

export const PRCTL_CALLS = {
  prctl: syscall({ x64: 157, man: 'prctl(2)', args: [int, size, size, size, size], run: prctl }),
};
