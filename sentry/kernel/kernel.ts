/**
 * The kernel of one sandbox: owns all state, runs the loop `event → handler → resume` on one thread, and never blocks anywhere but
 * in the platform's wait.
 */
import { ENOSYS } from '../../abi/errno.ts';
import type { Host } from '../../lib/host.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform, ThreadContext, ThreadEvents } from '../../platforms/platform.ts';
import { AnonymousFiles } from '../fs/anonfs.ts';
import { PipeAccount } from '../fs/pipefs/pipe.ts';
import { NO_RESULT, type Syscall } from '../syscalls/definition.ts';
import { DeviceRegistry } from '../vfs/device.ts';
import type { FsNotify } from '../vfs/notify.ts';
import type { Container } from './container.ts';
import { PidNamespace } from './pid_namespace.ts';
import type { Task } from './task.ts';
import { BlockedCall } from './task_block.ts';
import { TimerQueue } from './timer_queue.ts';
import { type Blocking, isBlocking, type SyscallResult } from './wait.ts';

export interface KernelOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  readonly platform: Platform;
  readonly syscalls: readonly (Syscall | undefined)[];
  /** One line of the log. */
  readonly log: (line: string) => void;
}

export class Kernel implements ThreadEvents {
  readonly host: Host;
  readonly poll: HostPoll;
  readonly platform: Platform;
  readonly timers = new TimerQueue();
  readonly rootPidNamespace: PidNamespace;
  readonly devices = new DeviceRegistry();
  readonly containers = new Map<string, Container>();
  /** File events, while somebody watches. */
  notify: FsNotify | null = null;
  readonly log: (line: string) => void;
  /** Calls that nobody implements: "name-or-number program" → how often. */
  readonly unimplemented = new Map<string, number>();
  readonly scratch8 = new Uint8Array(8);
  readonly scratch8View = new DataView(this.scratch8.buffer);
  readonly stringScratch = new Uint8Array(4096);
  /** For transfers between host files and user memory; valid until the next use. */
  readonly ioScratch = new Uint8Array(1 << 20);
  /** Places of pipes, sockets, eventfds …, which no mount shows. */
  readonly anonymous: AnonymousFiles;
  readonly pipes = new PipeAccount();
  private readonly syscalls: readonly (Syscall | undefined)[];
  private readonly ready: Task[] = [];
  private nextId = 1;
  private halted = false;

  constructor(options: KernelOptions) {
    this.host = options.host;
    this.poll = options.poll;
    this.platform = options.platform;
    this.syscalls = options.syscalls;
    this.log = options.log;
    this.rootPidNamespace = new PidNamespace(null, this.uniqueId());
    this.anonymous = new AnonymousFiles(this);
  }

  /** Kernel monotonic time, ns: the host's CLOCK_MONOTONIC. */
  now(): number {
    return this.host.monotonicNow();
  }
  /** Wall clock, ns since the epoch. */
  realtime(): number {
    return this.host.realtimeNow();
  }
  /** Numbers for namespaces, mounts, filesystems (st_dev), anonymous inodes: never used twice. */
  uniqueId(): number {
    return this.nextId++;
  }

  /** Runs until halt(). */
  run(): void {
    while (!this.halted) this.runOnce(Number.POSITIVE_INFINITY);
  }
  halt(): void {
    this.halted = true;
  }
  /** One round: tasks that were woken, timers that are due, then whatever the platform reports until `deadline` (ns). */
  runOnce(deadline: number): void {
    this.timers.fireDue(this.now());
    for (let n = this.ready.length; n > 0; n--) this.advanceBlocked(this.ready.shift() as Task);
    if (this.halted) return;
    this.platform.wait(this, this.ready.length > 0 ? 0 : Math.min(deadline, this.timers.next));
  }
  makeReady(task: Task): void {
    this.ready.push(task);
  }

  syscall(thread: ThreadContext): void {
    const task = thread.data as Task;
    task.state = 'kernel';
    task.syscallNumber = thread.sysno;
    const row = this.syscalls[thread.sysno];
    this.complete(task, row === undefined ? this.refuse(task, thread.sysno) : row.invoke(task, thread.args));
  }
  fault(_thread: ThreadContext, _signal: number, _code: number, _address: number): void {}
  interrupted(_thread: ThreadContext): void {}
  exited(_thread: ThreadContext, _cause: string): void {}

  /** What a handler gave: a result, or a generator that has to wait. */
  complete(task: Task, result: SyscallResult): void {
    if (isBlocking(result)) this.block(task, result);
    else if (result !== NO_RESULT) this.finish(task, result);
  }

  private block(task: Task, generator: Blocking): void {
    const first = generator.next('ready');
    if (first.done) {
      this.complete(task, first.value);
      return;
    }
    task.state = 'blocked';
    task.blocked = new BlockedCall(task, generator);
    task.blocked.sleep(first.value);
    if (task.attention) task.blocked.notify('signal');
  }

  private advanceBlocked(task: Task): void {
    const call = task.blocked;
    if (call === null) return; // killed since
    const result = call.advance();
    if (result === null) return;
    task.blocked = null;
    task.state = 'kernel';
    this.complete(task, result);
  }

  private finish(task: Task, result: number): void {
    task.state = 'app';
    task.thread.resumeWithResult(result);
  }

  private refuse(task: Task, number: number): number {
    const key = `${number} ${task.name}`;
    const count = this.unimplemented.get(key) ?? 0;
    if (count === 0) this.log(`system call ${number} is not implemented, called by ${task.name}`);
    this.unimplemented.set(key, count + 1);
    return ENOSYS;
  }
}
