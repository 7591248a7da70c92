/** Processes: clone, fork, vfork, clone3, execve, execveat, exit, exit_group, wait4, waitid. */
import { E2BIG, EAGAIN, EBADF, ECHILD, EFAULT, EINVAL, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import {
  __WALL,
  __WCLONE,
  __WNOTHREAD,
  CLONE_ARGS_SIZE_VER0,
  CLONE_CLEAR_SIGHAND_HIGH,
  CLONE_DETACHED,
  CLONE_INTO_CGROUP_HIGH,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SIGHAND,
  CLONE_VFORK,
  CLONE_VM,
  CloneArgs,
  CSIGNAL,
  MAX_PID_NS_LEVEL,
  P_ALL,
  P_PGID,
  P_PID,
  P_PIDFD,
  WCONTINUED,
  WEXITED,
  WNOHANG,
  WNOWAIT,
  WSTOPPED,
  WUNTRACED,
} from '../../abi/sched.ts';
import { NSIG, SIGCHLD } from '../../abi/signal.ts';
import { CgroupFilesystem } from '../fs/cgroup/cgroup_filesystem.ts';
import { clone } from '../kernel/clone.ts';
import { exec } from '../kernel/exec.ts';
import { exitGroup, exitTask } from '../kernel/exit.ts';
import { stopBeforeExit } from '../kernel/ptrace.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import type { Blocking } from '../kernel/wait.ts';
import { type ChildEvent, type WaitRequest, waitForChild } from '../kernel/wait_child.ts';
import { addr, fd, flags, int, NO_RESULT, path, size, syscall, uint } from './definition.ts';
import { readStrings } from './exec_strings.ts';
import { encodeUsage } from './rusage.ts';

/** clone3(2): the largest structure that is read; what lies beyond ours must be zero. */
const CLONE_ARGS_MAX = 4096;

function sysClone(task: Task, cloneFlags: number, stack: number, parentTid: number, childTid: number, tls: number): number {
  // CLONE_PIDFD shares the argument with CLONE_PARENT_SETTID.
  if ((cloneFlags & CLONE_PIDFD) !== 0 && (cloneFlags & (CLONE_PARENT_SETTID | CLONE_DETACHED)) !== 0) return EINVAL;
  // Not a signal: the parent gets none.
  const exitSignal = (cloneFlags & CSIGNAL) <= NSIG ? cloneFlags & CSIGNAL : 0;
  return clone(task, {
    flags: cloneFlags & ~CSIGNAL,
    exitSignal,
    stackPointer: stack,
    tls,
    parentTid,
    childTid,
    pidFd: parentTid,
    clearHandlers: false,
    wantedIds: [],
  });
}

const plainFork = {
  stackPointer: 0,
  tls: 0,
  parentTid: 0,
  childTid: 0,
  pidFd: 0,
  clearHandlers: false,
  wantedIds: [],
  exitSignal: SIGCHLD,
};

function fork(task: Task): number {
  return clone(task, { ...plainFork, flags: 0 });
}

function vfork(task: Task): number {
  return clone(task, { ...plainFork, flags: CLONE_VFORK | CLONE_VM });
}

function clone3(task: Task, address: number, length: number): number {
  if (length < CLONE_ARGS_SIZE_VER0) return EINVAL;
  if (length > CLONE_ARGS_MAX) return E2BIG;
  const raw = task.readBytes(address, length);
  if (isErrno(raw)) return raw;
  if (raw.subarray(CloneArgs.size).some((byte) => byte !== 0)) return E2BIG;
  const bytes = new Uint8Array(CloneArgs.size);
  bytes.set(raw.subarray(0, CloneArgs.size));
  const args = CloneArgs.decode(bytes);
  const low = Number(args.flags & 0xffff_ffffn) | 0;
  const high = Number(args.flags >> 32n);
  if ((high & ~(CLONE_CLEAR_SIGHAND_HIGH | CLONE_INTO_CGROUP_HIGH)) !== 0 || (low & (CSIGNAL | CLONE_DETACHED)) !== 0) return EINVAL;
  const clearHandlers = (high & CLONE_CLEAR_SIGHAND_HIGH) !== 0;
  if (clearHandlers && (low & CLONE_SIGHAND) !== 0) return EINVAL;
  if (args.exit_signal > NSIG || args.set_tid_size > MAX_PID_NS_LEVEL) return EINVAL;
  if ((args.set_tid === 0) !== (args.set_tid_size === 0)) return EINVAL;
  if ((args.stack === 0) !== (args.stack_size === 0)) return EINVAL;
  const wantedIds = readIds(task, args.set_tid, args.set_tid_size);
  if (isErrno(wantedIds)) return wantedIds;
  if ((high & CLONE_INTO_CGROUP_HIGH) !== 0) {
    const r = checkCgroup(task, args.cgroup);
    if (r !== 0) return r;
  }
  return clone(task, {
    wantedIds: wantedIds as number[],
    flags: low,
    exitSignal: args.exit_signal,
    stackPointer: args.stack + args.stack_size,
    tls: args.tls,
    parentTid: args.parent_tid,
    childTid: args.child_tid,
    pidFd: args.pidfd,
    clearHandlers,
  });
}

/** set_tid: numbers of the child, innermost namespace first. */
function readIds(task: Task, address: number, count: number): number[] | Errno {
  if (count === 0) return [];
  const raw = task.readBytes(address, 4 * count);
  return typeof raw === 'number' ? raw : [...new Int32Array(raw.buffer, 0, count)];
}

/** CLONE_INTO_CGROUP: a container has one group, and everybody is in it. */
function checkCgroup(task: Task, number: number): 0 | Errno {
  const file = task.fds.get(number);
  if (isErrno(file)) return EBADF;
  const inode = file.inode;
  return inode?.fs instanceof CgroupFilesystem && inode.isDirectory ? 0 : EBADF;
}

function execve(task: Task, pathname: number, argv: number, envp: number): number {
  return execveat(task, AT_FDCWD, pathname, argv, envp, 0);
}

function execveat(task: Task, dirfd: number, pathname: number, argv: number, envp: number, execFlags: number): number {
  if ((execFlags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) !== 0) return EINVAL;
  const name = task.readPath(pathname);
  if (isErrno(name)) return name;
  const args = readStrings(task, argv);
  if (isErrno(args)) return args;
  const env = readStrings(task, envp);
  if (isErrno(env)) return env;
  return exec(task, { dirfd, path: name, flags: execFlags, argv: args, env });
}

function exit(task: Task, code: number): number {
  if (!stopBeforeExit(task, (code & 0xff) << 8, false)) exitTask(task, (code & 0xff) << 8);
  return NO_RESULT;
}

function exit_group(task: Task, code: number): number {
  if (!stopBeforeExit(task, (code & 0xff) << 8, true)) exitGroup(task.group, (code & 0xff) << 8);
  return NO_RESULT;
}

function wait4(task: Task, pid: number, status: number, options: number, usage: number): Blocking | number {
  if ((options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL)) !== 0) return EINVAL;
  if (pid === -0x8000_0000) return ESRCH;
  const group = pid === 0 ? task.group.group : pid < -1 ? task.pidNamespace.groups.get(-pid) : null;
  if (group === undefined) return ECHILD;
  const matches = (child: ThreadGroup, id: number): boolean => (pid > 0 ? id === pid : group === null || child.group === group);
  return reportWait4(task, { matches, options: options | WEXITED }, status, usage);
}

function* reportWait4(task: Task, request: Parameters<typeof waitForChild>[1], status: number, usage: number): Blocking {
  const event = yield* waitForChild(task, request);
  if (typeof event === 'number') return event;
  if (event === null) return 0;
  if (status !== 0 && task.writeU32(status, event.status) !== 0) return EFAULT;
  if (usage !== 0 && task.copyOut(usage, encodeUsage(event.usage)) !== 0) return EFAULT;
  return event.pid;
}

function waitid(task: Task, idType: number, id: number, info: number, options: number, usage: number): Blocking | number {
  if ((options & ~(WNOHANG | WEXITED | WSTOPPED | WCONTINUED | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL)) !== 0) return EINVAL;
  if ((options & (WEXITED | WSTOPPED | WCONTINUED)) === 0) return EINVAL;
  const matches = matcher(task, idType, id);
  if (isErrno(matches)) return matches;
  const file = idType === P_PIDFD ? task.fds.get(id) : 0;
  if (typeof file !== 'number' && file.nonblocking && (options & WNOHANG) === 0) {
    return reportWaitid(task, { matches, options: options | WNOHANG }, info, usage, EAGAIN);
  }
  return reportWaitid(task, { matches, options }, info, usage);
}

function matcher(task: Task, idType: number, id: number): WaitRequest['matches'] | Errno {
  const ns = task.pidNamespace;
  if (idType === P_ALL) return () => true;
  if (idType === P_PID) return id <= 0 ? EINVAL : (_child, number) => number === id;
  if (idType === P_PGID) {
    if (id < 0) return EINVAL;
    const group = id === 0 ? task.group.group : ns.groups.get(id);
    return group === undefined ? ECHILD : (child) => child.group === group;
  }
  if (idType !== P_PIDFD) return EINVAL;
  const group = task.kernel.pidFdTarget(task, id);
  return isErrno(group) ? group : (child) => child === group;
}

function* reportWaitid(task: Task, request: Parameters<typeof waitForChild>[1], info: number, usage: number, nothing = 0): Blocking {
  const event = yield* waitForChild(task, request);
  if (typeof event === 'number') return event;
  if (event === null && nothing !== 0) return nothing;
  if (info !== 0 && task.copyOut(info, encodeWaitInfo(event)) !== 0) return EFAULT;
  if (event !== null && usage !== 0 && task.copyOut(usage, encodeUsage(event.usage)) !== 0) return EFAULT;
  return 0;
}

/** siginfo_t as waitid(2) fills it: all zero where there was nothing (WNOHANG). */
function encodeWaitInfo(event: ChildEvent | null): Uint8Array {
  const bytes = new Uint8Array(128);
  if (event === null) return bytes;
  const words = new Int32Array(bytes.buffer);
  words[0] = SIGCHLD;
  words[2] = event.code;
  words[4] = event.pid;
  words[5] = event.uid;
  words[6] = event.siStatus;
  return bytes;
}

export const PROCESS_CALLS = {
  clone: syscall({ x64: 56, man: 'clone(2)', args: [flags, addr, addr, addr, addr], run: sysClone }),
  fork: syscall({ x64: 57, man: 'fork(2)', args: [], run: fork }),
  vfork: syscall({ x64: 58, man: 'vfork(2)', args: [], run: vfork }),
  execve: syscall({ x64: 59, man: 'execve(2)', args: [path, addr, addr], run: execve }),
  exit: syscall({ x64: 60, man: '_exit(2)', args: [int], run: exit }),
  wait4: syscall({ x64: 61, man: 'wait4(2)', args: [int, addr, flags, addr], run: wait4 }),
  exit_group: syscall({ x64: 231, man: 'exit_group(2)', args: [int], run: exit_group }),
  waitid: syscall({ x64: 247, man: 'waitid(2)', args: [uint, int, addr, flags, addr], run: waitid }),
  execveat: syscall({ x64: 322, man: 'execveat(2)', args: [fd, path, addr, addr, flags], run: execveat }),
  clone3: syscall({ x64: 435, man: 'clone3(2)', args: [addr, size], run: clone3 }),
};
