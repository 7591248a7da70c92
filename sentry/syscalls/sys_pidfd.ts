/** pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2). */
import { EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import { SI_TKILL } from '../../abi/signal.ts';
import { openPidFd, pidFdTarget } from '../fs/pidfd.ts';
import { TaskDirectory } from '../fs/proc/task_directory.ts';
import { CAP_SYS_PTRACE, hasCapIn } from '../kernel/credentials.ts';
import { killGroup, killProcessGroup, maySignal, sendToGroup, sendToTask, userSignal } from '../kernel/signal_send.ts';
import type { SignalInfo } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { addr, fd, flags, int, syscall } from './definition.ts';
import { isSignal, readInfo } from './sys_kill.ts';

const PIDFD_NONBLOCK = O_NONBLOCK;
// pidfd_send_signal(2): whom
const PIDFD_SIGNAL_THREAD = 1;
const PIDFD_SIGNAL_THREAD_GROUP = 2;
const PIDFD_SIGNAL_PROCESS_GROUP = 4;
const SEND_FLAGS: readonly number[] = [0, PIDFD_SIGNAL_THREAD, PIDFD_SIGNAL_THREAD_GROUP, PIDFD_SIGNAL_PROCESS_GROUP];

function pidfd_open(task: Task, pid: number, flagBits: number): number {
  if ((flagBits & ~PIDFD_NONBLOCK) !== 0 || pid <= 0) return EINVAL;
  const target = task.pidNamespace.tasks.get(pid);
  if (target === undefined) return ESRCH;
  return target.group.leader === target ? openPidFd(task, target.group, flagBits) : EINVAL;
}

/** A pidfd, or an open directory /proc/PID. */
function signalTarget(task: Task, number: number): ThreadGroup | Errno {
  const file = task.fds.get(number);
  const process = !isErrno(file) && !file.isPath && file.inode instanceof TaskDirectory ? file.inode.process : null;
  return process ?? pidFdTarget(task, number);
}

function pidfd_send_signal(task: Task, number: number, signal: number, info: number, flagBits: number): number {
  if (!SEND_FLAGS.includes(flagBits)) return EINVAL;
  const group = signalTarget(task, number);
  if (isErrno(group)) return group;
  // Only processes that the caller's namespace shows.
  if (group.idIn(task.pidNamespace) === 0) return EINVAL;
  if (!isSignal(signal)) return EINVAL;
  if (group.reaped) return ESRCH;
  if (flagBits === PIDFD_SIGNAL_PROCESS_GROUP) return info === 0 ? killProcessGroup(task, group.group, signal) : EINVAL;
  if (flagBits === PIDFD_SIGNAL_THREAD) return sendToLeader(task, group, signal, info);
  if (info === 0) return killGroup(task, group, signal);
  const given = readInfo(task, signal, info, group === task.group);
  if (isErrno(given)) return given;
  if (task.readU32(info) !== signal) return EINVAL; // si_signo
  const allowed = maySignal(task, group, signal);
  return allowed !== 0 || signal === 0 ? allowed : sendToGroup(group, given as SignalInfo);
}

/** PIDFD_SIGNAL_THREAD: the thread that the descriptor was opened for, which is the process's first. */
function sendToLeader(task: Task, group: ThreadGroup, signal: number, info: number): number {
  const allowed = maySignal(task, group, signal);
  if (allowed !== 0 || signal === 0) return allowed;
  const given = info === 0 ? userSignal(task, group, signal, SI_TKILL) : readInfo(task, signal, info, group === task.group);
  return isErrno(given) ? given : sendToTask(group.leader, given as SignalInfo);
}

/** The rule of ptrace(2)'s access check, mode ATTACH: the same user throughout and dumpable, or CAP_SYS_PTRACE. */
function mayAttach(task: Task, target: Task): boolean {
  const [mine, theirs] = [task.creds, target.creds];
  const sameUser = [theirs.uid, theirs.euid, theirs.suid].every((uid) => uid === mine.uid);
  const sameGroup = [theirs.gid, theirs.egid, theirs.sgid].every((gid) => gid === mine.gid);
  const withinCaps = (theirs.caps.permitted & ~mine.caps.permitted) === 0n;
  if (mine.namespace === theirs.namespace && sameUser && sameGroup && withinCaps && target.mm.dumpable === 1) return true;
  return task.group === target.group || hasCapIn(mine, CAP_SYS_PTRACE, theirs.namespace);
}

function pidfd_getfd(task: Task, number: number, targetFd: number, flagBits: number): number {
  if (flagBits !== 0) return EINVAL;
  const group = pidFdTarget(task, number);
  if (isErrno(group)) return group;
  if (group.zombie) return ESRCH;
  if (!mayAttach(task, group.leader)) return EPERM;
  const file = group.leader.fds.get(targetFd);
  if (isErrno(file)) return file;
  const installed = task.fds.install(file.hold(), true, task.openFileLimit);
  if (isErrno(installed)) file.release();
  return installed;
}

export const PIDFD_CALLS = {
  pidfd_open: syscall({ x64: 434, man: 'pidfd_open(2)', args: [int, flags], run: pidfd_open }),
  pidfd_send_signal: syscall({ x64: 424, man: 'pidfd_send_signal(2)', args: [fd, int, addr, flags], run: pidfd_send_signal }),
  pidfd_getfd: syscall({ x64: 438, man: 'pidfd_getfd(2)', args: [fd, fd, flags], run: pidfd_getfd }),
};
