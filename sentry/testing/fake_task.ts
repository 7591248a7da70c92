/**
 * A kernel without a platform, for unit tests of system calls: real Kernel state, tasks whose memory is a plain buffer, a clock that
 * moves when the test says so, and a driver that parks and resumes generators as the kernel's loop does.
 */
import { TASK_SIZE } from '../../abi/mman.ts';
import { type Host, host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform } from '../../platforms/platform.ts';
import { Container } from '../kernel/container.ts';
import { type Credentials, rootCredentials } from '../kernel/credentials.ts';
import { Kernel } from '../kernel/kernel.ts';
import { IpcNamespace, type Namespaces, NetNamespace, UtsNamespace } from '../kernel/namespaces.ts';
import { ProcessTimers } from '../kernel/process_timers.ts';
import { ResourceLimits } from '../kernel/rlimits.ts';
import { startSession } from '../kernel/session.ts';
import { PendingSignals, SignalHandlers } from '../kernel/signal_state.ts';
import { Task } from '../kernel/task.ts';
import { BlockedCall } from '../kernel/task_block.ts';
import { ThreadGroup } from '../kernel/thread_group.ts';
import { isBlocking, type SyscallResult } from '../kernel/wait.ts';
import { MemoryMap } from '../mm/memory_map.ts';
import type { Syscall } from '../syscalls/definition.ts';
import { FdTable } from '../vfs/fd_table.ts';
import { FsContext } from '../vfs/fs_context.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { FakeMemory, USER_BASE } from './fake_memory.ts';
import { FakeThread } from './fake_thread.ts';

/** A task of a FakeMachine and its memory. */
export type FakeTask = Task & { readonly memory: FakeMemory; readonly fake: FakeThread };

const FAKE_PLATFORM = { name: 'ptrace', minAddress: USER_BASE, maxAddress: TASK_SIZE } as Platform;

export class FakeMachine {
  /** ns; move with `advance`. */
  monotonic = 1_000_000_000_000;
  realtime = 1_700_000_000_000_000_000;
  readonly kernel: Kernel;
  readonly container: Container;
  private readonly namespaces: Namespaces;
  private ready: Task[] = [];
  private readonly results = new Map<Task, number>();

  constructor() {
    const now = (): number => this.monotonic;
    const fakeHost: Host = { ...host, monotonicNow: now, boottimeNow: now, realtimeNow: () => this.realtime };
    this.kernel = new Kernel({ host: fakeHost, poll: {} as HostPoll, platform: FAKE_PLATFORM, syscalls: [], log: () => {} });
    this.kernel.makeReady = (task: Task): void => {
      this.ready.push(task);
    };
    this.kernel.rootPidNamespace.allocate();
    this.container = new Container('test', this.kernel.rootPidNamespace, rootCredentials(), '/');
    this.namespaces = {
      mount: {} as MountNamespace,
      uts: new UtsNamespace(this.kernel.uniqueId(), 'test'),
      ipc: new IpcNamespace(this.kernel.uniqueId()),
      net: new NetNamespace(this.kernel.uniqueId()),
      pidForChildren: this.kernel.rootPidNamespace,
      time: this.kernel.rootTimeNamespace,
      timeForChildren: this.kernel.rootTimeNamespace,
    };
  }

  /** A process of one thread, leading its own session; `parent`: whose child it is. Number 1 is the namespace's init and for tests that want it. */
  process(creds: Credentials = rootCredentials(), parent: ThreadGroup | null = null, pid = 0): FakeTask {
    const task = this.task(creds, new FakeMemory());
    if (pid !== 0) task.ids = [pid];
    this.join(task, task.tid);
    task.group.parent = parent;
    parent?.children.add(task.group);
    return task;
  }
  /** Another thread of a process. */
  thread(of: FakeTask): FakeTask {
    const task = this.task(of.creds, of.memory);
    task.group = of.group;
    task.mm = of.mm.share();
    of.group.tasks.push(task);
    this.container.taskCount++;
    this.kernel.rootPidNamespace.tasks.set(task.tid, task);
    return task;
  }
  private task(creds: Credentials, memory: FakeMemory): FakeTask {
    const root = this.kernel.anonymous.path('anon_inode:[test-root]', 0o040755);
    const fake = new FakeThread(memory);
    const task = new Task({
      kernel: this.kernel,
      group: null as unknown as ThreadGroup,
      thread: fake,
      mm: new MemoryMap(this.kernel, fake.space, TASK_SIZE),
      fds: new FdTable(),
      fs: new FsContext(root, root, 0o022),
      creds,
      namespaces: this.namespaces,
      ids: [this.kernel.rootPidNamespace.allocate()],
      name: 'test',
    });
    return Object.assign(task, { memory, fake });
  }
  private join(task: Task, pid: number): void {
    const { kernel } = this;
    const group = new ThreadGroup({
      leader: task,
      pidNamespace: kernel.rootPidNamespace,
      container: this.container,
      group: null as never,
      handlers: new SignalHandlers(),
      pending: new PendingSignals(),
      limits: new ResourceLimits(),
      timers: new ProcessTimers(kernel),
      exitSignal: 0,
      startTime: this.monotonic,
    });
    task.group = group;
    group.tasks.push(task);
    this.container.taskCount++;
    kernel.rootPidNamespace.tasks.set(pid, task);
    startSession(group);
  }

  /** Invokes a row of the table. The result, or null if the task blocks. */
  call(task: Task, row: Syscall, ...args: number[]): number | null {
    const halves = new Uint32Array(12);
    for (const [i, value] of args.entries()) {
      halves[2 * i] = value;
      halves[2 * i + 1] = Math.floor(value / 0x1_0000_0000);
    }
    return this.start(task, row.invoke(task, halves));
  }
  /** Runs what a handler gave until it ends (its result) or blocks (null). */
  start(task: Task, result: SyscallResult): number | null {
    if (!isBlocking(result)) return result;
    const first = result.next('ready');
    if (first.done) return first.value;
    task.state = 'blocked';
    task.blocked = new BlockedCall(task, result);
    task.blocked.sleep(first.value);
    return null;
  }
  /** Resumes the tasks that have been woken and those whose turn it is, until there are none. */
  step(): void {
    for (;;) {
      const task = this.ready.shift();
      if (task === undefined) {
        if (!this.kernel.nextTurn()) return;
        continue;
      }
      const result = task.blocked?.advance() ?? null;
      if (result === null) continue;
      task.blocked = null;
      task.state = 'kernel';
      this.results.set(task, result);
    }
  }
  /** Steps, then the result of the call that `task` was blocked in; null if it still is. */
  result(task: Task): number | null {
    this.step();
    const result = this.results.get(task) ?? null;
    this.results.delete(task);
    return result;
  }
  /** Lets time pass and fires the timers that come due, in order. */
  advance(ns: number): void {
    const end = this.monotonic + ns;
    while (this.kernel.timers.next <= end) {
      const due = Math.max(this.monotonic, this.kernel.timers.next);
      this.realtime += due - this.monotonic;
      this.monotonic = due;
      this.kernel.timers.fireDue(due);
      this.step();
    }
    this.realtime += end - this.monotonic;
    this.monotonic = end;
  }
}
