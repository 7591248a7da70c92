/** Scheduling (sched(7)). The host schedules; what a program sets is checked, remembered, and told to the host as far as it goes. */
import { E2BIG, EACCES, EFAULT, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { SCHED_BATCH, SCHED_DEADLINE, SCHED_IDLE, SCHED_OTHER, SCHED_RESET_ON_FORK, SCHED_RR } from '../../abi/sched.ts';
import { i32, len64, struct, u32, u64 } from '../../abi/struct.ts';
import { cpuSetOf } from '../kernel/cpu_set.ts';
import { CAP_SYS_NICE, hasCap, hasCapIn } from '../kernel/credentials.ts';
import { RLIMIT_NICE, RLIMIT_RTPRIO } from '../kernel/rlimits.ts';
import { applyScheduling, isRealTime } from '../kernel/scheduling.ts';
import type { Task } from '../kernel/task.ts';
import { addr, int, size, syscall, uint } from './definition.ts';
import { writeTimespec } from './user_time.ts';

/** SCHED_RR's time slice, ns. */
const RR_INTERVAL = 100_000_000;

/** struct sched_attr, first version (sched_setattr(2)). */
const SchedAttr = struct('sched_attr', 48, {
  size: u32,
  sched_policy: u32,
  sched_flags: u64,
  sched_nice: i32,
  sched_priority: u32,
  sched_runtime: u64,
  sched_deadline: u64,
  sched_period: u64,
});

/** A thread by number, 0 the caller; EINVAL below 0, ESRCH. */
function find(task: Task, pid: number): Task | Errno {
  if (pid < 0) return EINVAL;
  return pid === 0 ? task : (task.pidNamespace.tasks.get(pid) ?? ESRCH);
}

function mayChange(task: Task, target: Task): boolean {
  const { euid } = task.creds;
  return euid === target.creds.euid || euid === target.creds.uid || hasCapIn(task.creds, CAP_SYS_NICE, target.creds.namespace);
}

function setPolicy(task: Task, target: Task, policy: number, priority: number, resetOnFork: boolean): number {
  if (policy < 0 || policy > SCHED_IDLE || policy === 4) return policy === SCHED_DEADLINE ? EPERM : EINVAL;
  if (isRealTime(policy) ? priority < 1 || priority > 99 : priority !== 0) return EINVAL;
  if (!mayChange(task, target)) return EPERM;
  // Without the capability a priority up to RLIMIT_RTPRIO, or a lower one than it has.
  if (isRealTime(policy) && !hasCap(task.creds, CAP_SYS_NICE)) {
    const limit = target.group.limits.soft(RLIMIT_RTPRIO);
    if (policy !== target.schedPolicy && limit === 0) return EPERM;
    if (priority > target.schedPriority && priority > limit) return EPERM;
  }
  target.schedPolicy = policy;
  target.schedPriority = priority;
  target.schedResetOnFork = resetOnFork;
  applyScheduling(target);
  return 0;
}

function sched_setscheduler(task: Task, pid: number, policy: number, param: number): number {
  if (policy < 0) return EINVAL;
  const target = find(task, pid);
  if (isErrno(target)) return target;
  const priority = task.readBytes(param, 4);
  if (isErrno(priority)) return priority;
  const value = new DataView((priority as Uint8Array).buffer).getInt32(0, true);
  return setPolicy(task, target as Task, policy & ~SCHED_RESET_ON_FORK, value, (policy & SCHED_RESET_ON_FORK) !== 0);
}

function sched_getscheduler(task: Task, pid: number): number {
  const target = find(task, pid);
  if (isErrno(target)) return target;
  const { schedPolicy, schedResetOnFork } = target as Task;
  return schedPolicy | (schedResetOnFork ? SCHED_RESET_ON_FORK : 0);
}

function sched_setparam(task: Task, pid: number, param: number): number {
  const target = find(task, pid);
  if (isErrno(target)) return target;
  const { schedPolicy, schedResetOnFork } = target as Task;
  return sched_setscheduler(task, pid, schedPolicy | (schedResetOnFork ? SCHED_RESET_ON_FORK : 0), param);
}

function sched_getparam(task: Task, pid: number, param: number): number {
  if (param === 0) return EINVAL;
  const target = find(task, pid);
  return isErrno(target) ? target : task.writeU32(param, (target as Task).schedPriority);
}

function priorityBound(policy: number, realTime: number): number {
  if (isRealTime(policy)) return realTime;
  return policy === SCHED_OTHER || policy === SCHED_BATCH || policy === SCHED_IDLE || policy === SCHED_DEADLINE ? 0 : EINVAL;
}

function sched_rr_get_interval(task: Task, pid: number, address: number): number {
  const target = find(task, pid);
  if (isErrno(target)) return target;
  return writeTimespec(task, address, (target as Task).schedPolicy === SCHED_RR ? RR_INTERVAL : 0);
}

function sched_setattr(task: Task, pid: number, address: number, options: number): number {
  if (options !== 0 || address === 0) return EINVAL;
  const target = find(task, pid);
  if (isErrno(target)) return target;
  const claimed = task.readU32(address);
  if (claimed < 0) return claimed;
  if (claimed !== 0 && (claimed < SchedAttr.size || claimed > 4096)) return task.writeU32(address, SchedAttr.size) || E2BIG;
  const raw = task.readBytes(address, SchedAttr.size);
  if (isErrno(raw)) return raw;
  const attr = SchedAttr.decode(raw as Uint8Array);
  if (attr.sched_policy === SCHED_DEADLINE) return EPERM;
  const r = setPolicy(task, target as Task, attr.sched_policy, attr.sched_priority, (attr.sched_flags & 1n) !== 0n);
  return r !== 0 || isRealTime(attr.sched_policy) ? r : setNice(task, target as Task, attr.sched_nice);
}

function sched_getattr(task: Task, pid: number, address: number, length: number, options: number): number {
  if (options !== 0 || address === 0 || length < SchedAttr.size || length > 4096) return EINVAL;
  const found = find(task, pid);
  if (isErrno(found)) return found;
  const target = found as Task;
  return task.copyOut(
    address,
    SchedAttr.encode({
      size: SchedAttr.size,
      sched_policy: target.schedPolicy,
      sched_flags: target.schedResetOnFork ? 1n : 0n,
      sched_nice: isRealTime(target.schedPolicy) ? 0 : target.niceValue,
      sched_priority: target.schedPriority,
      sched_runtime: 0n,
      sched_deadline: 0n,
      sched_period: 0n,
    }),
  );
}

// Affinity: a bit mask in 64-bit words.

function maskBytes(task: Task): number {
  return Math.ceil(task.kernel.system.possibleCpus / 64) * 8;
}

function sched_setaffinity(task: Task, pid: number, length: number, address: number): number {
  const found = find(task, pid);
  if (isErrno(found)) return found === EINVAL ? ESRCH : found;
  const target = found as Task;
  const raw = task.readBytes(address, Math.min(length, maskBytes(task)));
  if (isErrno(raw)) return raw;
  if (!mayChange(task, target)) return EPERM;
  let mask = 0n;
  for (const [i, byte] of (raw as Uint8Array).entries()) mask |= BigInt(byte) << BigInt(8 * i);
  mask &= cpuSetOf(task.kernel.system.cpus);
  if (mask === 0n) return EINVAL;
  target.affinity = mask;
  applyScheduling(target);
  return 0;
}

function sched_getaffinity(task: Task, pid: number, length: number, address: number): number {
  if (length * 8 < task.kernel.system.possibleCpus || length % 8 !== 0) return EINVAL;
  const found = find(task, pid);
  if (isErrno(found)) return found === EINVAL ? ESRCH : found;
  const mask = (found as Task).affinity ?? cpuSetOf(task.kernel.system.cpus);
  const out = new Uint8Array(Math.min(length, maskBytes(task)));
  for (let i = 0; i < out.length; i++) out[i] = Number((mask >> BigInt(8 * i)) & 0xffn);
  return task.copyOut(address, out) === 0 ? out.length : EFAULT;
}

// getpriority(2)

const PRIO_PROCESS = 0;
const PRIO_PGRP = 1;
const PRIO_USER = 2;

function targets(task: Task, which: number, who: number): Task[] | Errno {
  const ns = task.pidNamespace;
  if (which === PRIO_PROCESS) {
    const target = who === 0 ? task : ns.tasks.get(who);
    return target === undefined ? ESRCH : [target];
  }
  if (which === PRIO_PGRP) {
    const group = who === 0 ? task.group.group : ns.groups.get(who);
    return group === undefined ? ESRCH : [...group.members].flatMap((member) => member.tasks);
  }
  if (which !== PRIO_USER) return EINVAL;
  const uid = who === 0 ? task.creds.uid : task.creds.namespace.uids.toKernel(who >>> 0);
  const found = [...ns.tasks.values()].filter((other) => other.creds.uid === uid);
  return found.length === 0 ? ESRCH : found;
}

/** 1 (weakest) to 40: what the C library turns back into a nice value. */
function getpriority(task: Task, which: number, who: number): number {
  const found = targets(task, which, who);
  if (isErrno(found)) return found;
  return Math.max(...(found as Task[]).map((target) => 20 - target.niceValue));
}

function setNice(task: Task, target: Task, value: number): number {
  const nice = Math.max(-20, Math.min(19, value));
  if (!mayChange(task, target)) return EPERM;
  const floor = 20 - Math.min(40, target.group.limits.soft(RLIMIT_NICE));
  if (nice < target.niceValue && nice < floor && !hasCap(task.creds, CAP_SYS_NICE)) return EACCES;
  target.niceValue = nice;
  applyScheduling(target);
  return 0;
}

function setpriority(task: Task, which: number, who: number, value: number): number {
  const found = targets(task, which, who);
  if (isErrno(found)) return found;
  let result = 0;
  for (const target of found as Task[]) result = setNice(task, target, value) || result;
  return result;
}

// ioprio_set(2)

const IOPRIO_WHO_PROCESS = 1;
const IOPRIO_WHO_PGRP = 2;
const IOPRIO_CLASS_SHIFT = 13;
const IOPRIO_CLASS_RT = 1;
const IOPRIO_CLASS_IDLE = 3;

function ioTargets(task: Task, which: number, who: number): Task[] | Errno {
  return which < IOPRIO_WHO_PROCESS ? EINVAL : targets(task, which - IOPRIO_WHO_PROCESS, who);
}

function ioprio_set(task: Task, which: number, who: number, priority: number): number {
  const kind = priority >> IOPRIO_CLASS_SHIFT;
  if (priority < 0 || kind > IOPRIO_CLASS_IDLE || (kind === 0 && priority !== 0)) return EINVAL;
  if (kind === IOPRIO_CLASS_RT && !hasCap(task.creds, CAP_SYS_NICE)) return EPERM;
  const found = ioTargets(task, which, who);
  if (isErrno(found)) return found;
  for (const target of found as Task[]) {
    if (!mayChange(task, target)) return EPERM;
    target.ioPriority = priority;
  }
  return 0;
}

function ioprio_get(task: Task, which: number, who: number): number {
  const found = ioTargets(task, which, who);
  if (isErrno(found)) return found;
  return which >= IOPRIO_WHO_PGRP ? Math.max(...(found as Task[]).map((t) => t.ioPriority)) : ((found as Task[])[0] as Task).ioPriority;
}

// Memory policy: one node.

const MPOL_MODES = 7;
const SchedMask = struct('nodemask', 8, { mask: len64 });

function get_mempolicy(task: Task, mode: number, mask: number, _nodes: number, _address: number, options: number): number {
  if ((options & ~7) !== 0) return EINVAL;
  if (mode !== 0 && task.writeU32(mode, 0) !== 0) return EFAULT;
  return mask === 0 ? 0 : task.copyOut(mask, SchedMask.encode({ mask: (options & 4) !== 0 ? 1 : 0 }));
}

function isPolicy(mode: number): boolean {
  return (mode & 0xfff) < MPOL_MODES;
}

// What falls short of Linux (sentry/kernel/scheduling.ts says why).
const NO_EFFECT = 'checked, inherited and told, without effect on scheduling';
const NICE = 'values below 0 count as 0; without effect on KVM';
const POLICY = 'real-time policies count as SCHED_OTHER; without effect on KVM';

export const SCHED_CALLS = {
  sched_yield: syscall({ x64: 24, man: 'sched_yield(2)', args: [], run: () => 0 }),
  getpriority: syscall({ x64: 140, man: 'getpriority(2)', args: [int, int], run: getpriority }),
  setpriority: syscall({ x64: 141, man: 'getpriority(2)', args: [int, int, int], run: setpriority, partial: NICE }),
  sched_setparam: syscall({ x64: 142, man: 'sched_setparam(2)', args: [int, addr], run: sched_setparam, partial: POLICY }),
  sched_getparam: syscall({ x64: 143, man: 'sched_setparam(2)', args: [int, addr], run: sched_getparam }),
  sched_setscheduler: syscall({
    x64: 144,
    man: 'sched_setscheduler(2)',
    args: [int, int, addr],
    run: sched_setscheduler,
    partial: POLICY,
  }),
  sched_getscheduler: syscall({ x64: 145, man: 'sched_setscheduler(2)', args: [int], run: sched_getscheduler }),
  sched_get_priority_max: syscall({ x64: 146, man: 'sched_get_priority_max(2)', args: [int], run: (_t, p) => priorityBound(p, 99) }),
  sched_get_priority_min: syscall({ x64: 147, man: 'sched_get_priority_max(2)', args: [int], run: (_t, p) => priorityBound(p, 1) }),
  sched_rr_get_interval: syscall({ x64: 148, man: 'sched_rr_get_interval(2)', args: [int, addr], run: sched_rr_get_interval }),
  sched_setaffinity: syscall({
    x64: 203,
    man: 'sched_setaffinity(2)',
    args: [int, uint, addr],
    run: sched_setaffinity,
    partial: 'without effect on KVM',
  }),
  sched_getaffinity: syscall({ x64: 204, man: 'sched_setaffinity(2)', args: [int, uint, addr], run: sched_getaffinity }),
  ioprio_set: syscall({ x64: 251, man: 'ioprio_set(2)', args: [int, int, int], run: ioprio_set, partial: NO_EFFECT }),
  ioprio_get: syscall({ x64: 252, man: 'ioprio_set(2)', args: [int, int], run: ioprio_get }),
  sched_setattr: syscall({
    x64: 314,
    man: 'sched_setattr(2)',
    args: [int, addr, uint],
    run: sched_setattr,
    partial: `${POLICY}; no SCHED_DEADLINE`,
  }),
  sched_getattr: syscall({ x64: 315, man: 'sched_setattr(2)', args: [int, addr, uint, uint], run: sched_getattr }),
  mbind: syscall({ x64: 237, man: 'mbind(2)', args: [addr, size, int], run: (_t, _a, _l, mode) => (isPolicy(mode) ? 0 : EINVAL) }),
  set_mempolicy: syscall({ x64: 238, man: 'set_mempolicy(2)', args: [int, addr, size], run: (_t, mode) => (isPolicy(mode) ? 0 : EINVAL) }),
  get_mempolicy: syscall({ x64: 239, man: 'get_mempolicy(2)', args: [addr, addr, size, addr, size], run: get_mempolicy }),
  migrate_pages: syscall({ x64: 256, man: 'migrate_pages(2)', args: [int, size, addr, addr], run: () => 0 }),
};
