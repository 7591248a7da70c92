/** Resource limits and usage: getrlimit(2), prlimit(2), getrusage(2), times(2). */
import { EFAULT, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { off64, struct, u64 } from '../../abi/struct.ts';
import { type CpuTimes, groupCpuTimes, NS_PER_TICK } from '../kernel/cpu_time.ts';
import { CAP_SYS_RESOURCE, hasCap, hasCapIn } from '../kernel/credentials.ts';
import { type Limit, RLIM_INFINITY, RLIM_NLIMITS, RLIMIT_CPU, RLIMIT_NOFILE } from '../kernel/rlimits.ts';
import type { Task } from '../kernel/task.ts';
import { noUsage, type ThreadGroup, type Usage } from '../kernel/thread_group.ts';
import { NR_OPEN } from '../vfs/fd_table.ts';
import { addr, int, syscall, uint } from './definition.ts';
import { encodeUsage } from './rusage.ts';

const Rlimit = struct('rlimit64', 16, { rlim_cur: u64, rlim_max: u64 });
const INFINITE = 0xffff_ffff_ffff_ffffn;
const Tms = struct('tms', 32, { tms_utime: off64, tms_stime: off64, tms_cutime: off64, tms_cstime: off64 });

// getrusage(2)
const RUSAGE_SELF = 0;
const RUSAGE_CHILDREN = -1;
const RUSAGE_THREAD = 1;

function encodeLimit({ soft, hard }: Limit): Uint8Array {
  const word = (value: number): bigint => (value === RLIM_INFINITY ? INFINITE : BigInt(value));
  return Rlimit.encode({ rlim_cur: word(soft), rlim_max: word(hard) });
}

function readLimit(task: Task, address: number): Limit | Errno {
  const raw = task.readBytes(address, Rlimit.size);
  if (isErrno(raw)) return raw;
  const { rlim_cur, rlim_max } = Rlimit.decode(raw as Uint8Array);
  // What a double cannot hold exactly is as good as unlimited.
  const value = (word: bigint): number => (word > BigInt(Number.MAX_SAFE_INTEGER) ? RLIM_INFINITY : Number(word));
  return { soft: value(rlim_cur), hard: value(rlim_max) };
}

function setLimit(task: Task, target: ThreadGroup, resource: number, next: Limit): 0 | Errno {
  if (next.soft > next.hard) return EINVAL;
  if (resource === RLIMIT_NOFILE && next.hard > NR_OPEN) return EPERM;
  if (next.hard > target.limits.get(resource).hard && !hasCap(task.creds, CAP_SYS_RESOURCE)) return EPERM;
  target.limits.set(resource, next);
  if (resource === RLIMIT_CPU) target.timers.limitChanged();
  return 0;
}

function getrlimit(task: Task, resource: number, address: number): number {
  if (resource >= RLIM_NLIMITS) return EINVAL;
  return task.copyOut(address, encodeLimit(task.group.limits.get(resource)));
}

function setrlimit(task: Task, resource: number, address: number): number {
  if (resource >= RLIM_NLIMITS) return EINVAL;
  const next = readLimit(task, address);
  return isErrno(next) ? next : setLimit(task, task.group, resource, next as Limit);
}

function prlimit64(task: Task, pid: number, resource: number, address: number, oldAddress: number): number {
  if (resource >= RLIM_NLIMITS) return EINVAL;
  const next = address === 0 ? null : readLimit(task, address);
  if (isErrno(next)) return next;
  const target = pid === 0 ? task : task.pidNamespace.tasks.get(pid);
  if (target === undefined) return ESRCH;
  if (!mayLimit(task, target)) return EPERM;
  const old = target.group.limits.get(resource);
  if (next !== null) {
    const r = setLimit(task, target.group, resource, next as Limit);
    if (r !== 0) return r;
  }
  return oldAddress === 0 ? 0 : task.copyOut(oldAddress, encodeLimit(old));
}

/** prlimit(2): the caller's real identity is all three of the target's, or CAP_SYS_RESOURCE. */
function mayLimit(task: Task, target: Task): boolean {
  if (task.group === target.group || hasCapIn(task.creds, CAP_SYS_RESOURCE, target.creds.namespace)) return true;
  const { uid, gid } = task.creds;
  const { creds } = target;
  return uid === creds.uid && uid === creds.euid && uid === creds.suid && gid === creds.gid && gid === creds.egid && gid === creds.sgid;
}

function usageOf(task: Task, who: number): Usage | null {
  if (who === RUSAGE_CHILDREN) return task.group.reapedChildren;
  if (who === RUSAGE_THREAD) return { ...noUsage(), userTime: task.thread.cpuTime(), systemTime: task.systemTime };
  if (who !== RUSAGE_SELF) return null;
  const { user, system } = groupCpuTimes(task.group);
  const resident = task.thread.space.resident().total;
  return { ...task.group.dead, userTime: user, systemTime: system, maxResident: Math.max(task.group.dead.maxResident, resident) };
}

function getrusage(task: Task, who: number, address: number): number {
  const usage = usageOf(task, who);
  if (usage === null) return EINVAL;
  return task.copyOut(address, encodeUsage(usage));
}

/** Clock ticks since a point in the past; the buffer may be NULL. */
function times(task: Task, address: number): number {
  if (address !== 0) {
    const own: CpuTimes = groupCpuTimes(task.group);
    const { userTime, systemTime } = task.group.reapedChildren;
    const ticks = (ns: number): number => Math.floor(ns / NS_PER_TICK);
    const tms = { tms_utime: ticks(own.user), tms_stime: ticks(own.system), tms_cutime: ticks(userTime), tms_cstime: ticks(systemTime) };
    if (task.copyOut(address, Tms.encode(tms)) !== 0) return EFAULT;
  }
  return Math.floor(task.kernel.now() / NS_PER_TICK);
}

export const LIMIT_CALLS = {
  getrlimit: syscall({ x64: 97, man: 'getrlimit(2)', args: [uint, addr], run: getrlimit }),
  getrusage: syscall({ x64: 98, man: 'getrusage(2)', args: [int, addr], run: getrusage }),
  times: syscall({ x64: 100, man: 'times(2)', args: [addr], run: times }),
  setrlimit: syscall({ x64: 160, man: 'getrlimit(2)', args: [uint, addr], run: setrlimit }),
  prlimit64: syscall({ x64: 302, man: 'getrlimit(2)', args: [int, uint, addr, addr], run: prlimit64 }),
};
