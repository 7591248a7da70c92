/** clone(2), clone3(2), fork(2), vfork(2): new tasks. */
import { EAGAIN, EEXIST, EINVAL, ENOMEM, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import {
  CLONE_CHILD_CLEARTID,
  CLONE_CHILD_SETTID,
  CLONE_FILES,
  CLONE_FS,
  CLONE_NEWCGROUP,
  CLONE_NEWIPC,
  CLONE_NEWNET,
  CLONE_NEWNS,
  CLONE_NEWPID,
  CLONE_NEWUSER,
  CLONE_NEWUTS,
  CLONE_PARENT,
  CLONE_PARENT_SETTID,
  CLONE_PIDFD,
  CLONE_SETTLS,
  CLONE_SIGHAND,
  CLONE_THREAD,
  CLONE_VFORK,
  CLONE_VM,
} from '../../abi/sched.ts';
import { REG, type ThreadContext } from '../../platforms/platform.ts';
import type { MemoryMap } from '../mm/memory_map.ts';
import { CAP_CHECKPOINT_RESTORE, CAP_SYS_ADMIN, CAP_SYS_RESOURCE, type Credentials, hasCap, hasCapIn } from './credentials.ts';
import { grantFutexes } from './futex_grant.ts';
import { cloneNamespaces } from './namespaces.ts';
import { lendAnswers } from './own_answers.ts';
import { PID_MAX, type PidNamespace } from './pid_namespace.ts';
import { ProcessTimers } from './process_timers.ts';
import { traceClone } from './ptrace.ts';
import { ResourceLimits, RLIMIT_NPROC } from './rlimits.ts';
import { joinGroup } from './session.ts';
import { PendingSignals, SignalHandlers } from './signal_state.ts';
import { Task } from './task.ts';
import { ThreadGroup } from './thread_group.ts';
import { forkIntoTimeNamespace } from './time_namespace.ts';
import { newUserNamespace } from './user_namespace_change.ts';

/** What clone3(2)'s structure says; clone(2) is translated to it. Addresses 0 = none. */
export interface CloneRequest {
  /** CLONE_* without the signal. */
  readonly flags: number;
  readonly exitSignal: number;
  /** Initial stack pointer; 0 = the parent's. */
  readonly stackPointer: number;
  readonly tls: number;
  readonly parentTid: number;
  readonly childTid: number;
  readonly pidFd: number;
  /** CLONE_CLEAR_SIGHAND. */
  readonly clearHandlers: boolean;
  /** clone3(2) set_tid: numbers in the child's pid namespace and its ancestors, innermost first; the others are free choice. */
  readonly wantedIds: readonly number[];
}

const NEW_NAMESPACES = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWCGROUP;

/** What a result of `clone` may be: the child's number, -errno, or nothing yet (vfork: the parent waits). */
export function clone(task: Task, request: CloneRequest): number {
  const refused = check(task, request.flags);
  if (refused !== 0) return refused;
  const creds = (request.flags & CLONE_NEWUSER) !== 0 ? newUserNamespace(task) : task.creds;
  if (isErrno(creds)) return creds;
  const fresh = cloneNamespaces(task, request.flags & NEW_NAMESPACES, creds);
  if (isErrno(fresh)) return fresh;
  const { namespaces, relocate } = fresh;
  const ns = namespaces.pidForChildren;
  if (ns.dead) return ENOMEM;
  const ids = request.wantedIds.length === 0 ? (allocateIds(ns) ?? EAGAIN) : takeIds(task, ns, request.wantedIds);
  if (isErrno(ids)) return ids;
  const thread =
    (request.flags & CLONE_VM) !== 0
      ? task.thread.space.newThread(task.thread, isPlainThread(task, request.flags))
      : task.thread.space.fork(task.thread);
  if (isErrno(thread)) return thread;
  const child = makeTask(task, request, thread, ids, namespaces, ns);
  child.creds = creds;
  if ((request.flags & CLONE_VM) === 0) forkIntoTimeNamespace(child);
  if (relocate !== null) child.fs.relocate(relocate);
  const tid = child.idIn(task.pidNamespace);
  const failed = tellNumbers(task, child, request, tid);
  traceClone(task, child, request.flags, request.exitSignal);
  start(task, child, request);
  if (failed !== 0) task.kernel.log(`clone: ${task.name} gave a bad address for a thread number`);
  if ((request.flags & CLONE_VFORK) === 0) return tid;
  child.vforkParent = task;
  if (task.trace !== null) {
    task.trace.vforkChild = child; // it waits once its tracer has seen the event
    return tid;
  }
  return task.kernel.park(task, 'vfork', tid);
}

/** The one that makes it goes on at once, and nobody stops it first. */
function isPlainThread(task: Task, flags: number): boolean {
  return (flags & (CLONE_THREAD | CLONE_VFORK)) === CLONE_THREAD && task.trace === null;
}

/** Combinations that clone(2) refuses, RLIMIT_NPROC, and the container's own limit. */
function check(task: Task, flags: number): 0 | Errno {
  if ((flags & CLONE_THREAD) !== 0 && (flags & CLONE_SIGHAND) === 0) return EINVAL;
  if ((flags & CLONE_SIGHAND) !== 0 && (flags & CLONE_VM) === 0) return EINVAL;
  if ((flags & CLONE_FS) !== 0 && (flags & (CLONE_NEWNS | CLONE_NEWUSER)) !== 0) return EINVAL;
  if ((flags & CLONE_THREAD) !== 0 && (flags & (CLONE_NEWPID | CLONE_NEWUSER | CLONE_PIDFD)) !== 0) return EINVAL;
  if ((flags & CLONE_PARENT) !== 0 && task.group.leader.tid === 1) return EINVAL;
  if (task.namespaces.pidForChildren !== task.pidNamespace && (flags & CLONE_THREAD) !== 0) return EINVAL;
  if (processesExceed(task, task.creds, 1)) return EAGAIN;
  if (task.kernel.rootPidNamespace.tasks.size >= task.kernel.maxTasks) return EAGAIN;
  const { container } = task.group;
  if (container.taskCount < (container.limits.pids ?? Number.POSITIVE_INFINITY)) return 0;
  container.tasksRefused++;
  return EAGAIN;
}

/** RLIMIT_NPROC: the user has more, with `more` to come. */
export function processesExceed(task: Task, creds: Credentials, more: number): boolean {
  const limit = task.group.limits.soft(RLIMIT_NPROC);
  const { tasks } = task.kernel.rootPidNamespace;
  if (tasks.size + more <= limit || creds.uid === 0 || hasCap(creds, CAP_SYS_RESOURCE) || hasCap(creds, CAP_SYS_ADMIN)) return false;
  let count = 0;
  for (const other of tasks.values()) if (other.creds.uid === creds.uid) count++;
  return count + more > limit;
}

/** A number in `ns` and each of its ancestors, root first. */
export function allocateIds(ns: PidNamespace): number[] | null {
  const ids: number[] = [];
  for (let at: PidNamespace | null = ns; at !== null; at = at.parent) {
    const id = at.allocate();
    if (id === 0) return null;
    ids.unshift(id);
  }
  return ids;
}

/** Numbers that were asked for: EPERM without the right to choose, EEXIST, EINVAL; only process 1 may be first. */
function takeIds(task: Task, ns: PidNamespace, wanted: readonly number[]): number[] | Errno {
  const ids: number[] = [];
  if (wanted.length > ns.level + 1) return EINVAL;
  let depth = 0;
  for (let at: PidNamespace | null = ns; at !== null; at = at.parent, depth++) {
    const id = wanted[depth];
    if (id === undefined) {
      const free = at.allocate();
      if (free === 0) return EAGAIN;
      ids.unshift(free);
      continue;
    }
    if (id < 1 || id >= PID_MAX) return EINVAL;
    if (id !== 1 && at.parent !== null && !at.tasks.has(1)) return EINVAL;
    if (!hasCapIn(task.creds, CAP_SYS_ADMIN, at.owner) && !hasCapIn(task.creds, CAP_CHECKPOINT_RESTORE, at.owner)) return EPERM;
    if (!at.isFree(id)) return EEXIST;
    ids.unshift(id);
  }
  return ids;
}

function makeTask(
  task: Task,
  request: CloneRequest,
  thread: ThreadContext,
  ids: number[],
  namespaces: Task['namespaces'],
  ns: PidNamespace,
): Task {
  const { flags } = request;
  const mm: MemoryMap = (flags & CLONE_VM) !== 0 ? task.mm.share() : task.mm.fork(thread.space);
  const child = new Task({
    kernel: task.kernel,
    group: task.group,
    thread,
    mm,
    fds: (flags & CLONE_FILES) !== 0 ? task.fds.share() : task.fds.fork(),
    fs: (flags & CLONE_FS) !== 0 ? task.fs.share() : task.fs.fork(),
    creds: task.creds,
    namespaces,
    ids,
    name: task.name,
  });
  child.inheritFrom(task);
  if ((flags & (CLONE_VM | CLONE_VFORK)) === CLONE_VM) for (const member of [task, child]) grantFutexes(member);
  if ((flags & CLONE_VM) === 0 || (flags & CLONE_VFORK) !== 0) child.altStack = { ...task.altStack };
  if ((flags & CLONE_THREAD) === 0) joinNewProcess(task, child, request, ns);
  child.group.tasks.push(child);
  child.group.container.taskCount++;
  for (let at: PidNamespace | null = ns; at !== null; at = at.parent) at.tasks.set(child.idIn(at), child);
  return child;
}

function joinNewProcess(task: Task, child: Task, request: CloneRequest, ns: PidNamespace): void {
  const { group } = task;
  const handlers = (request.flags & CLONE_SIGHAND) !== 0 ? group.handlers : new SignalHandlers(group.handlers);
  if (request.clearHandlers) handlers.resetCaught();
  const process = new ThreadGroup({
    leader: child,
    pidNamespace: ns,
    container: group.container,
    group: group.group,
    handlers,
    pending: new PendingSignals(),
    limits: new ResourceLimits(group.limits),
    timers: new ProcessTimers(task.kernel),
    exitSignal: (request.flags & CLONE_PARENT) !== 0 ? group.exitSignal : request.exitSignal,
    startTime: child.startTime,
  });
  child.group = process;
  process.oomScoreAdj = group.oomScoreAdj;
  process.loginUid = group.loginUid;
  const parent = (request.flags & CLONE_PARENT) !== 0 ? group.parent : group;
  process.parent = parent;
  parent?.children.add(process);
  joinGroup(process, group.group);
  group.container.processes.add(process);
}

/** CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, CLONE_PIDFD: 0, or the first errno (the child lives all the same, as on Linux). */
function tellNumbers(task: Task, child: Task, request: CloneRequest, tid: number): 0 | Errno {
  const { flags } = request;
  let failed: 0 | Errno = 0;
  if ((flags & CLONE_PARENT_SETTID) !== 0) failed = task.writeU32(request.parentTid, tid);
  if ((flags & CLONE_CHILD_SETTID) !== 0) failed ||= child.writeU32(request.childTid, child.tid);
  if ((flags & CLONE_CHILD_CLEARTID) !== 0) child.clearChildTid = request.childTid;
  if ((flags & CLONE_PIDFD) !== 0) {
    const fd = task.kernel.openPidFd(task, child.group);
    failed ||= fd < 0 ? (fd as Errno) : task.writeU32(request.pidFd, fd);
  }
  return failed;
}

function start(task: Task, child: Task, request: CloneRequest): void {
  const registers = child.thread.registers();
  if (request.stackPointer !== 0) registers.set(REG.rsp, request.stackPointer);
  if ((request.flags & CLONE_SETTLS) !== 0) registers.set(REG.fs_base, request.tls);
  if (request.stackPointer !== 0 || (request.flags & CLONE_SETTLS) !== 0) child.thread.setRegisters();
  lendAnswers(child);
  task.kernel.startTask(child);
}
