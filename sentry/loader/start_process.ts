/** Starts a process that no fork made: a container's first, and what exec adds. */
import { ENOMEM, ENOTDIR, type Errno, isErrno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { SIGCHLD } from '../../abi/signal.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { allocateIds } from '../kernel/clone.ts';
import type { Container } from '../kernel/container.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { exec } from '../kernel/exec.ts';
import { exitTask } from '../kernel/exit.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Namespaces } from '../kernel/namespaces.ts';
import type { PidNamespace } from '../kernel/pid_namespace.ts';
import { ProcessTimers } from '../kernel/process_timers.ts';
import type { ResourceLimits } from '../kernel/rlimits.ts';
import { type ControllingTerminal, type ProcessGroup, startSession } from '../kernel/session.ts';
import { PendingSignals, SignalHandlers } from '../kernel/signal_state.ts';
import { Task } from '../kernel/task.ts';
import { ThreadGroup } from '../kernel/thread_group.ts';
import { MemoryMap } from '../mm/memory_map.ts';
import { FdTable } from '../vfs/fd_table.ts';
import type { FileDescription } from '../vfs/file.ts';
import { FsContext } from '../vfs/fs_context.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';

export interface ProcessSpec {
  readonly container: Container;
  /** The executable, as a path inside the container. */
  readonly path: ByteString;
  readonly argv: readonly ByteString[];
  readonly env: readonly ByteString[];
  readonly cwd: ByteString;
  readonly root: VfsPath;
  readonly creds: Credentials;
  readonly umask: number;
  readonly limits: ResourceLimits;
  /** Descriptors by number; the process takes the references. */
  readonly fds: ReadonlyMap<number, FileDescription>;
  /** The new session's controlling terminal. */
  readonly terminal: ControllingTerminal | null;
  readonly namespaces: Namespaces;
}

export interface StartError {
  readonly errno: Errno;
  /** What failed: making an address space, the working directory, execve. */
  readonly stage: 'create' | 'cwd' | 'exec';
}

export function isStartError(result: Task | StartError): result is StartError {
  return 'stage' in result;
}

/** The first task, running; or why there is none (the spec's file references are released then, too). */
export function startProcess(kernel: Kernel, spec: ProcessSpec): Task | StartError {
  const task = createTask(kernel, spec);
  if (isErrno(task)) {
    for (const file of spec.fds.values()) file.release();
    return { errno: task, stage: 'create' };
  }
  const cwd = resolve(task, AT_FDCWD, spec.cwd, LOOKUP_FOLLOW);
  const failed = isErrno(cwd) ? cwd : inodeOf(cwd).isDirectory ? 0 : ENOTDIR;
  if (failed !== 0 || isErrno(cwd)) return abandon(task, { errno: failed as Errno, stage: 'cwd' });
  task.fs.cwd = cwd;
  const result = exec(task, { dirfd: AT_FDCWD, path: spec.path, flags: 0, argv: spec.argv, env: spec.env });
  return isErrno(result) && result >= -4095 ? abandon(task, { errno: result, stage: 'exec' }) : task;
}

function abandon(task: Task, error: StartError): StartError {
  const { group } = task;
  if (group.container.init === group) group.container.init = null;
  exitTask(task, 0);
  return error;
}

/** A task in an empty address space, leader of a process and of a session. */
function createTask(kernel: Kernel, spec: ProcessSpec): Task | Errno {
  const ns = spec.namespaces.pidForChildren;
  const ids = ns.dead ? null : allocateIds(ns);
  if (ids === null) return ENOMEM;
  const thread = (spec.container.spaces ?? kernel.platform).newAddressSpace();
  if (isErrno(thread)) return thread;
  const fds = new FdTable();
  for (const [fd, file] of spec.fds) fds.replace(fd, file, false);
  const task = new Task({
    kernel,
    group: null as unknown as ThreadGroup, // set two lines below: a group needs its leader
    thread,
    mm: new MemoryMap(kernel, thread.space, 0),
    fds,
    fs: new FsContext(spec.root, spec.root, spec.umask),
    creds: spec.creds,
    namespaces: spec.namespaces,
    ids,
    name: spec.path.slice(spec.path.lastIndexOf('/') + 1).slice(0, 15),
  });
  task.group = createProcess(kernel, spec, task, ns);
  task.group.tasks.push(task);
  spec.container.taskCount++;
  for (let at: PidNamespace | null = ns; at !== null; at = at.parent) at.tasks.set(task.idIn(at), task);
  const session = startSession(task.group);
  spec.terminal?.control(session, task.group.group);
  return task;
}

function createProcess(kernel: Kernel, spec: ProcessSpec, leader: Task, ns: PidNamespace): ThreadGroup {
  const process = new ThreadGroup({
    leader,
    pidNamespace: ns,
    container: spec.container,
    group: null as unknown as ProcessGroup, // startSession gives it one
    handlers: new SignalHandlers(),
    pending: new PendingSignals(),
    limits: spec.limits,
    timers: new ProcessTimers(kernel),
    exitSignal: SIGCHLD,
    startTime: leader.startTime,
  });
  spec.container.processes.add(process);
  spec.container.init ??= process;
  return process;
}
