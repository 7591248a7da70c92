/** execve(2): the calling task becomes another program. Until the new address space is complete, nothing of the old one changes. */

import { EAGAIN, type Errno, isErrno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { type LoadedProgram, loadProgram } from '../loader/load.ts';
import { NO_RESULT } from '../syscalls/definition.ts';
import type { FileDescription } from '../vfs/file.ts';
import { openExecutable } from '../vfs/open.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW } from '../vfs/walk.ts';
import { releasing } from './call_log.ts';
import { processesExceed } from './clone.ts';
import type { Credentials } from './credentials.ts';
import { execCredentials } from './exec_credentials.ts';
import { exitTask, releaseVforkParent } from './exit.ts';
import { clearChildTid } from './futex.ts';
import { exitRobustList } from './futex_lock.ts';
import { lendAnswers, recallAnswers } from './own_answers.ts';
import type { PidNamespace } from './pid_namespace.ts';
import { leaveRseq } from './rseq.ts';
import { applyToFreshThread } from './scheduling.ts';
import { SignalHandlers } from './signal_state.ts';
import type { Task } from './task.ts';
import { enterTimeNamespace } from './time_namespace.ts';

export interface ExecRequest {
  readonly dirfd: number;
  readonly path: ByteString;
  /** AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW. */
  readonly flags: number;
  readonly argv: readonly ByteString[];
  readonly env: readonly ByteString[];
}

function lookupOptions(flags: number): number {
  return ((flags & AT_SYMLINK_NOFOLLOW) === 0 ? LOOKUP_FOLLOW : 0) | ((flags & AT_EMPTY_PATH) !== 0 ? LOOKUP_EMPTY : 0);
}

/** NO_RESULT once the task runs the new program, or an errno with the old one intact. */
export function exec(task: Task, request: ExecRequest): number {
  if (task.processLimitExceeded && processesExceed(task, task.creds, 0)) return EAGAIN;
  task.processLimitExceeded = false;
  const file = openExecutable(task, request.dirfd, request.path, lookupOptions(request.flags));
  if (isErrno(file)) return file;
  const creds = releasing(file, () => execCredentials(task, file));
  const loaded = releasing(file, () => load(task, request, file, creds));
  if (isErrno(loaded)) {
    file.release();
    return loaded;
  }
  const name = programName(request, file);
  file.release();
  becomeOnlyThread(task);
  replaceMemory(task, loaded);
  resetForProgram(task, creds, name);
  enterTimeNamespace(task);
  lendAnswers(task);
  task.kernel.startProgram(task, loaded.entry, loaded.stackPointer);
  return NO_RESULT;
}

function load(task: Task, request: ExecRequest, file: FileDescription, creds: Credentials): LoadedProgram | Errno {
  const named = request.path === '' || (request.dirfd !== AT_FDCWD && !request.path.startsWith('/'));
  return loadProgram({
    kernel: task.kernel,
    spaces: task.group.container.spaces ?? task.kernel.platform,
    file,
    path: named ? `/dev/fd/${request.dirfd}${request.path === '' ? '' : `/${request.path}`}` : request.path,
    argv: request.argv.length === 0 ? [''] : request.argv,
    env: request.env,
    creds,
    vdso: !task.namespaces.timeForChildren.shifted,
    secure: creds.euid !== creds.uid || creds.egid !== creds.gid,
    limits: task.group.limits,
    open: (dirfd, path) => openExecutable(task, dirfd, path),
  });
}

/** comm: the last component of the path, or of the file's name where it was given by descriptor; 15 bytes. */
function programName(request: ExecRequest, file: FileDescription): ByteString {
  const path = request.path === '' ? (file.path?.dentry.name ?? '') : request.path;
  return path.slice(path.lastIndexOf('/') + 1).slice(0, 15);
}

/** Ends the other threads; the caller takes the leader's numbers if it was not the leader. */
function becomeOnlyThread(task: Task): void {
  const { group } = task;
  const old = group.leader;
  if (old !== task) {
    // The leader's numbers are the process's: swap, so that the old leader goes as any other thread.
    const ids = old.ids;
    old.ids = task.ids;
    task.ids = ids;
    for (let ns: PidNamespace | null = group.pidNamespace; ns !== null; ns = ns.parent) {
      ns.tasks.set(task.idIn(ns), task);
      ns.tasks.set(old.idIn(ns), old);
    }
    group.leader = task;
    if (old.state === 'dead')
      for (let ns: PidNamespace | null = group.pidNamespace; ns !== null; ns = ns.parent) ns.tasks.delete(old.idIn(ns));
  }
  for (const other of group.tasks.slice()) if (other !== task) exitTask(other, 0);
}

function replaceMemory(task: Task, loaded: LoadedProgram): void {
  leaveRseq(task);
  recallAnswers(task);
  exitRobustList(task);
  clearChildTid(task);
  const oldThread = task.thread;
  task.group.dead.userTime += oldThread.cpuTime();
  if (!task.mm.release()) oldThread.exit();
  task.thread = loaded.thread;
  task.mm = loaded.mm;
  loaded.thread.data = task;
  applyToFreshThread(task);
  if (task.group.oomScoreAdj !== 0) task.mm.space.setOomScore?.(task.group.oomScoreAdj);
  releaseVforkParent(task);
}

/** What execve(2) says changes besides memory. */
function resetForProgram(task: Task, creds: Credentials, name: ByteString): void {
  const { group } = task;
  if (creds.euid !== task.creds.euid || creds.egid !== task.creds.egid) task.mm.dumpable = 0;
  task.creds = creds;
  task.name = name;
  task.altStack = { address: 0, size: 0, flags: 2 };
  task.clearChildTid = 0;
  task.robustList = 0;
  task.restart = null;
  task.debug = null;
  task.dispatch = null;
  if (creds.euid !== creds.uid) task.parentDeathSignal = 0;
  group.handlers = new SignalHandlers(group.handlers);
  group.handlers.resetCaught();
  group.timers.deletePosixTimers();
  group.exitSignal = SIGCHLD;
  group.hasExeced = true;
  if (task.fds.shared) {
    const own = task.fds.fork();
    task.fds.release((file) => task.kernel.closeFile(task, file));
    task.fds = own;
  }
  for (const file of task.fds.takeCloexec()) task.kernel.closeFile(task, file);
  if (task.fs.shared) {
    const own = task.fs.fork();
    task.fs.release();
    task.fs = own;
  }
}
