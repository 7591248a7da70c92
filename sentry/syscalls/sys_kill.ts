/** Sending signals: kill(2), tgkill(2), rt_sigqueueinfo(2). */
import { EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { NSIG, SI_TKILL } from '../../abi/signal.ts';
import { SIGINFO_SIZE } from '../../abi/signal_frame.ts';
import { rawSignalInfo } from '../kernel/signal_info.ts';
import { killGroup, killProcessGroup, maySignal, sendToGroup, sendToTask, userSignal } from '../kernel/signal_send.ts';
import type { SignalInfo } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { addr, int, syscall } from './definition.ts';

export function isSignal(signal: number): boolean {
  return signal >= 0 && signal <= NSIG;
}

function kill(task: Task, pid: number, signal: number): number {
  if (!isSignal(signal)) return EINVAL;
  const ns = task.pidNamespace;
  if (pid > 0) {
    const target = ns.tasks.get(pid);
    return target === undefined ? ESRCH : killGroup(task, target.group, signal);
  }
  if (pid === -1) return killEveryone(task, signal);
  const group = pid === 0 ? task.group.group : ns.groups.get(-pid);
  return group === undefined ? ESRCH : killProcessGroup(task, group, signal);
}

/** Every process that the caller sees but itself and the namespace's first; what it may not signal counts as signalled. */
function killEveryone(task: Task, signal: number): number {
  const targets = new Set<ThreadGroup>();
  for (const [id, target] of task.pidNamespace.tasks) if (id > 1 && target.group !== task.group) targets.add(target.group);
  let result: number = ESRCH;
  for (const target of targets) {
    if (target.idIn(task.pidNamespace) === 1) continue;
    const r = killGroup(task, target, signal);
    if (result === ESRCH || r !== EPERM) result = r === EPERM ? 0 : r;
  }
  return result;
}

/** The thread `tid`; it must belong to process `tgid` unless that is 0. */
function findThread(task: Task, tgid: number, tid: number): Task | Errno {
  const target = task.pidNamespace.tasks.get(tid);
  if (target === undefined || target.state === 'dead') return ESRCH;
  return tgid !== 0 && target.group.idIn(task.pidNamespace) !== tgid ? ESRCH : target;
}

function sendToThread(task: Task, tgid: number, tid: number, signal: number, info: SignalInfo | null): number {
  const target = findThread(task, tgid, tid);
  if (isErrno(target)) return target;
  const allowed = maySignal(task, target.group, signal);
  if (allowed !== 0 || signal === 0) return allowed;
  return sendToTask(target, info ?? userSignal(task, target.group, signal, SI_TKILL));
}

function tkill(task: Task, tid: number, signal: number): number {
  if (tid <= 0 || !isSignal(signal)) return EINVAL;
  return sendToThread(task, 0, tid, signal, null);
}

function tgkill(task: Task, tgid: number, tid: number, signal: number): number {
  if (tgid <= 0 || tid <= 0 || !isSignal(signal)) return EINVAL;
  return sendToThread(task, tgid, tid, signal, null);
}

/** Only to itself may a process send what looks as if the kernel, kill(2) or tkill(2) had sent it. */
export function readInfo(task: Task, signal: number, address: number, self: boolean): SignalInfo | Errno {
  const raw = task.readBytes(address, SIGINFO_SIZE);
  if (isErrno(raw)) return raw;
  const info = rawSignalInfo(signal, raw as Uint8Array);
  return (info.code >= 0 || info.code === SI_TKILL) && !self ? EPERM : info;
}

function rt_sigqueueinfo(task: Task, pid: number, signal: number, address: number): number {
  const info = readInfo(task, signal, address, pid === task.pid);
  if (isErrno(info)) return info;
  const target = task.pidNamespace.tasks.get(pid);
  if (target === undefined) return ESRCH;
  if (!isSignal(signal)) return EINVAL;
  const allowed = maySignal(task, target.group, signal);
  if (allowed !== 0 || signal === 0) return allowed;
  return sendToGroup(target.group, info as SignalInfo);
}

function rt_tgsigqueueinfo(task: Task, tgid: number, tid: number, signal: number, address: number): number {
  if (tgid <= 0 || tid <= 0) return EINVAL;
  const info = readInfo(task, signal, address, tgid === task.pid);
  if (isErrno(info)) return info;
  return isSignal(signal) ? sendToThread(task, tgid, tid, signal, info as SignalInfo) : EINVAL;
}

export const KILL_CALLS = {
  kill: syscall({ x64: 62, man: 'kill(2)', args: [int, int], run: kill }),
  rt_sigqueueinfo: syscall({ x64: 129, man: 'rt_sigqueueinfo(2)', args: [int, int, addr], run: rt_sigqueueinfo }),
  tkill: syscall({ x64: 200, man: 'tkill(2)', args: [int, int], run: tkill }),
  tgkill: syscall({ x64: 234, man: 'tkill(2)', args: [int, int, int], run: tgkill }),
  rt_tgsigqueueinfo: syscall({ x64: 297, man: 'rt_sigqueueinfo(2)', args: [int, int, int, addr], run: rt_tgsigqueueinfo }),
};
