/**
 * The kernel of one sandbox: owns all state, runs the loop `event → handler → resume` on one thread, and never blocks anywhere but
 * in the platform's wait.
 */
import { ENOSYS, type Errno } from '../../abi/errno.ts';
import { SEGV_MAPERR, SIGKILL, SIGSEGV, SIGTRAP, TRAP_TRACE } from '../../abi/signal.ts';
import { AF_NETLINK, AF_UNIX } from '../../abi/socket.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Host } from '../../lib/host.ts';
import { RandomPool } from '../../lib/random_pool.ts';
import { RecentStrings } from '../../lib/recent_strings.ts';
import type { HostPoll } from '../../platforms/host_poll.ts';
import { type Platform, REG, type ThreadContext, type ThreadEvents, type Trap } from '../../platforms/platform.ts';
import { AnonymousFiles } from '../fs/anonfs.ts';
import { FanotifyHub } from '../fs/fanotify/fanotify.ts';
import { HostIo } from '../fs/host_io.ts';
import { InotifyHub } from '../fs/inotify/inotify.ts';
import { openPidFd, pidFdTarget } from '../fs/pidfd.ts';
import { PipeAccount } from '../fs/pipefs/pipe.ts';
import { openSeccompListener } from '../fs/seccomp_notify.ts';
import { LOOPBACK, type NetDevice } from '../fs/sys/net_class.ts';
import { AioContexts } from '../ipc/aio.ts';
import { growStack } from '../mm/stack_growth.ts';
import type { FilterOptions } from '../socket/inet/filter_options.ts';
import { registerInet } from '../socket/inet/inet_family.ts';
import type { Networks } from '../socket/inet/networks.ts';
import { makeNetlinkSocket, NetlinkPorts } from '../socket/netlink/netlink_socket.ts';
import { RouteNotices } from '../socket/netlink/route_groups.ts';
import { LOOPBACK_ROUTES, type RouteProvider } from '../socket/netlink/route_provider.ts';
import { SocketFamilies } from '../socket/socket.ts';
import { unixSocketTable } from '../socket/unix/proc_net_unix.ts';
import { makeUnixSocket } from '../socket/unix/unix_family.ts';
import { UnixSocket } from '../socket/unix/unix_socket.ts';
import { UnixSockets } from '../socket/unix/unix_sockets.ts';
import type { Strace } from '../strace/strace.ts';
import { CALL_AGAIN, NO_RESULT, RUN_CALL, type Syscall } from '../syscalls/definition.ts';
import { closeFile } from '../vfs/close.ts';
import { DeviceRegistry } from '../vfs/device.ts';
import { EpollAccount } from '../vfs/epoll.ts';
import type { FileDescription } from '../vfs/file.ts';
import { FilesystemTypes } from '../vfs/filesystem_types.ts';
import { LockTable } from '../vfs/locks.ts';
import type { FsNotify } from '../vfs/notify.ts';
import { endBrokenCall } from './broken_call.ts';
import { type CallLog, CallRuns, endLog, Suspension } from './call_log.ts';
import { ClockWatch } from './clock_watch.ts';
import { describeBroken } from './contain.ts';
import type { Container } from './container.ts';
import { exitGroup, exitTask } from './exit.ts';
import { FutexTable } from './futex.ts';
import { park } from './job_control.ts';
import { MemoryAccount } from './memory_account.ts';
import type { MemoryGuard } from './memory_guard.ts';
import type { NetNamespace } from './namespaces.ts';
import { PidNamespace } from './pid_namespace.ts';
import { enterAfterStop, stopAtEntry, stopBeforeReturn, suspendsSeccomp, traceExec } from './ptrace.ts';
import { restartSequence } from './rseq.ts';
import { enforceSeccomp } from './seccomp.ts';
import { deliverPending, endSyscall, frameFailed, isAwaited, isKilled } from './signal_delivery.ts';
import { forceSignal } from './signal_send.ts';
import { DEFAULT_SYSTEM, type SystemInfo } from './system_info.ts';
import type { Parked, Task } from './task.ts';
import { BlockedCall } from './task_block.ts';
import type { ThreadGroup } from './thread_group.ts';
import { INITIAL_TIME_ID, TimeNamespace } from './time_namespace.ts';
import { TimerQueue } from './timer_queue.ts';
import { guessTrap } from './trap.ts';
import { dispatched } from './user_dispatch.ts';
import { type Blocking, isBlocking, type SyscallResult } from './wait.ts';

/** Results below it are kernel-internal (ERESTARTSYS and the like) and need the slow way back. */
const LOWEST_ERRNO = -511;
/** Bytes of memory whose end is not waited for. */
const MUCH_MEMORY = 16 << 20;
/** Tasks of one sandbox: host threads each. */
const DEFAULT_MAX_TASKS = 32_768;
/** Waits of the platform that throw, in a row: nothing will come of the next one either. */
const MAX_BROKEN_WAITS = 100;

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
  readonly timers: TimerQueue;
  readonly rootPidNamespace: PidNamespace;
  readonly rootTimeNamespace: TimeNamespace;
  readonly devices = new DeviceRegistry();
  /** Processors, memory: what /proc, sysinfo(2) and the like tell. */
  system: SystemInfo = DEFAULT_SYSTEM;
  /** Interfaces of a network namespace, for /sys/class/net; the network replaces it. */
  netDevices: (namespace: NetNamespace) => readonly NetDevice[] = () => [LOOPBACK];
  /** Nobody can use the network any more; who has its interfaces replaces it. */
  endNetwork: (namespace: NetNamespace) => void = () => {};
  /** What was written below /proc/sys, by path; absent: the value it starts with. Of networks: NetNamespace.sysctl. */
  readonly sysctl = new Map<string, string>();
  /** Options of sockets that read and change the tables of the packet filter; null: there is none. */
  packetFilters: FilterOptions | null = null;
  /** /proc/net/NAME, by name: who has the data registers how it is shown. */
  readonly procNet = new Map<string, (namespace: NetNamespace, reader: Task) => ByteString>();
  readonly containers = new Map<string, Container>();
  /** File events, while somebody watches. */
  notify: FsNotify | null = null;
  readonly locks = new LockTable();
  readonly filesystems = new FilesystemTypes();
  readonly log: (line: string) => void;
  /** Calls that nobody implements: "name-or-number program" → how often. */
  readonly unimplemented = new Map<string, number>();
  readonly scratch8 = new Uint8Array(8);
  readonly scratch8View = new DataView(this.scratch8.buffer);
  readonly scratch64 = new Uint8Array(64);
  readonly scratch64View = new DataView(this.scratch64.buffer);
  readonly scratch16 = new Uint8Array(16);
  readonly scratch16View = new DataView(this.scratch16.buffer);
  /** One poll(2) or epoll_wait(2) in progress. */
  readonly pollScratch = new Int32Array(16384);
  readonly pollScratchBytes = new Uint8Array(this.pollScratch.buffer);
  readonly pollScratchView = new DataView(this.pollScratch.buffer);
  /** Length of a thread's XSAVE image; 0 until the first signal frame. */
  xstateSize = 0;
  readonly stringScratch = new Uint8Array(4096);
  /** Paths, and names in them. */
  readonly recentStrings = new RecentStrings();
  /** For transfers between host files and user memory; valid until the next use. */
  readonly ioScratch = new Uint8Array(1 << 20);
  readonly ioView = new DataView(this.ioScratch.buffer);
  /** One getdents(2) in progress, while a filesystem may use ioScratch. */
  readonly direntScratch = new Uint8Array(65536);
  readonly direntView = new DataView(this.direntScratch.buffer);
  /** Places of pipes, sockets, eventfds …, which no mount shows. */
  readonly anonymous: AnonymousFiles;
  readonly pipes = new PipeAccount();
  readonly futexes = new FutexTable();
  /** The platform may rewrite system-call instructions of programs. */
  patchesCalls = true;
  /** What we hold in memory for all containers. */
  readonly memoryHeld = new MemoryAccount();
  /** Keeps the sandbox within its memory where the platform leaves that to us. */
  memoryGuard: MemoryGuard | null = null;
  /** Traces every system call; null: off. */
  strace: Strace | null = null;
  /** Tasks beyond it: clone(2) gives EAGAIN. */
  maxTasks = DEFAULT_MAX_TASKS;
  /** CLONE_PIDFD, SO_PEERPIDFD, waitid(2). */
  readonly pidFdTarget: (task: Task, fd: number) => ThreadGroup | Errno = pidFdTarget;
  readonly openPidFd: (task: Task, group: ThreadGroup) => number = openPidFd;
  /** SECCOMP_FILTER_FLAG_NEW_LISTENER. */
  readonly openSeccompListener = openSeccompListener;
  readonly epolls = new EpollAccount();
  readonly aio = new AioContexts();
  readonly clockWatch = new ClockWatch(this);
  /** ClockTimers that are set and expire again and again. */
  repeatingTimers = 0;
  readonly netlinkPorts = new NetlinkPorts();
  /** Who is told of changes of the network. */
  readonly routeNotices = new RouteNotices(this);
  /** Addresses and routes for the routing socket; the network replaces it. */
  routeProvider: RouteProvider = LOOPBACK_ROUTES;
  readonly inotify: InotifyHub = new InotifyHub(this);
  readonly fanotify = new FanotifyHub((on) => this.inotify.keep(on));
  readonly socketFamilies = new SocketFamilies();
  /** TCP/IP, a stack for each network namespace. */
  readonly networks: Networks;
  readonly unix = new UnixSockets((file) => (file.impl instanceof UnixSocket ? file.impl : null));
  /** The system call that runs now. */
  readonly calls = new CallRuns();
  /** Rounds of the loop so far: how busy the sandbox is. */
  rounds = 0;
  private awaitedRound = -1;
  private roundReached: () => void = () => {};
  /** Who has something to write before the sandbox's end is told: nobody waits for it afterwards. */
  readonly atEnd: (() => void)[] = [];
  private readonly syscalls: readonly (Syscall | undefined)[];
  private readonly ready: Task[] = [];
  /** Calls that let others run, in the order of their turns. */
  readonly turns = new Set<BlockedCall>();
  private nextId = 1;
  private halted = false;
  private brokenWaits = 0;
  private hostTransfers: HostIo | null = null;

  constructor(options: KernelOptions) {
    this.host = options.host;
    this.poll = options.poll;
    this.platform = options.platform;
    this.syscalls = options.syscalls;
    this.log = options.log;
    this.timers = new TimerQueue(this.brokenEvent);
    options.poll.onBroken = this.brokenEvent;
    this.rootPidNamespace = new PidNamespace(null, this.uniqueId());
    this.rootTimeNamespace = new TimeNamespace(INITIAL_TIME_ID);
    this.rootTimeNamespace.frozen = true;
    this.anonymous = new AnonymousFiles(this);
    this.socketFamilies.register(AF_UNIX, makeUnixSocket);
    this.socketFamilies.register(AF_NETLINK, makeNetlinkSocket);
    this.networks = registerInet(this);
    this.procNet.set('unix', (namespace) => unixSocketTable(this, namespace));
  }

  /** Transfers between host files and ioScratch. */
  get hostIo(): HostIo {
    this.hostTransfers ??= new HostIo(this.host, this.poll, this.ioScratch);
    return this.hostTransfers;
  }
  /** Closes a memfd of `size` bytes, whose memory the host gives back page by page. */
  closeMemory(fd: number, size: number): void {
    if (size > MUCH_MEMORY && this.host.fileBlocks(fd) * 512 > MUCH_MEMORY) this.hostIo.worker.close(fd);
    else this.host.close(fd);
  }
  /** Kernel monotonic time, ns: the host's CLOCK_MONOTONIC. */
  now(): number {
    return this.host.monotonicNow();
  }
  /** CLOCK_BOOTTIME, ns. */
  bootTime(): number {
    return this.host.boottimeNow();
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
    if (++this.rounds === this.awaitedRound) this.roundReached();
    if (this.timers.next !== Number.POSITIVE_INFINITY) this.timers.fireDue(this.now());
    if (this.turns.size > 0) this.nextTurn();
    for (let n = this.ready.length; n > 0; n--) this.advance(this.ready.shift() as Task);
    if (this.halted) return;
    try {
      this.platform.wait(this, this.ready.length > 0 || this.turns.size > 0 ? 0 : Math.min(deadline, this.timers.next));
      this.brokenWaits = 0;
    } catch (e) {
      if (++this.brokenWaits >= MAX_BROKEN_WAITS) throw e;
      this.brokenEvent('platform', e);
    }
  }
  /** The call that has waited longest for its turn has it. False: there is none. */
  nextTurn(): boolean {
    for (const call of this.turns) {
      call.notify('ready');
      return true;
    }
    return false;
  }
  /** Calls `then` in that round. One at a time. */
  atRound(round: number, then: () => void): void {
    this.awaitedRound = round;
    this.roundReached = then;
  }
  makeReady(task: Task): void {
    this.ready.push(task);
  }

  // ThreadEvents: a thread has stopped.

  syscall(thread: ThreadContext): void {
    const task = thread.data as Task;
    task.state = 'kernel';
    task.syscallNumber = thread.sysno;
    try {
      if (task.dispatch !== null && dispatched(task, task.dispatch)) {
        this.returnToUser(task, null);
        return;
      }
      if (task.trace !== null && stopAtEntry(task)) return;
      this.dispatch(task);
    } catch (e) {
      this.unwound(task, e);
    }
  }
  private dispatch(task: Task): void {
    if (this.strace !== null) this.strace.enter(task);
    if (task.seccomp !== null && !suspendsSeccomp(task)) {
      const verdict = enforceSeccomp(task, task.seccomp);
      if (verdict !== null) {
        this.complete(task, verdict);
        return;
      }
    }
    this.perform(task);
  }
  private perform(task: Task): void {
    const row = this.syscalls[task.syscallNumber];
    this.calls.enter(null);
    const result = row === undefined ? this.refuse(task, task.syscallNumber) : row.invoke(task, task.thread.args);
    this.calls.leave();
    this.complete(task, result);
  }
  /** A call that has unwound because it had to wait (call_log.ts), once more. */
  private performAgain(task: Task): void {
    const log = task.callLog as CallLog;
    log.rewind();
    try {
      this.calls.enter(log);
      const result = (this.syscalls[task.syscallNumber] as Syscall).invoke(task, task.thread.args);
      this.calls.leave();
      if (isBlocking(result)) {
        this.block(task, this.calls.rest(task, log, result));
        return;
      }
      endLog(task, log, true);
      this.complete(task, result);
    } catch (e) {
      this.unwound(task, e);
    }
  }
  /** A system call has thrown: it has to wait, or it is broken. */
  private unwound(task: Task, error: unknown): void {
    const waits = this.calls.suspends && error instanceof Suspension;
    this.calls.leave();
    if (!waits) {
      this.broken(task, error);
      return;
    }
    try {
      this.block(task, this.calls.wait(task, error.awaited));
    } catch (e) {
      this.broken(task, e);
    }
  }
  fault(thread: ThreadContext, signal: number, code: number, address: number, trap?: Trap): void {
    const task = thread.data as Task;
    task.state = 'kernel';
    try {
      if (task.rseq !== null) restartSequence(task, task.rseq);
      if (task.debug !== null && signal === SIGTRAP && code === TRAP_TRACE && this.watched(task, address)) return;
      if (signal === SIGSEGV && code === SEGV_MAPERR && growStack(task.mm, thread, task.group.limits, address)) {
        this.returnToUser(task, null);
        return;
      }
      forceSignal(task, { signal, code, address, trap: trap ?? guessTrap(task, signal, code, address) });
      this.returnToUser(task, null);
    } catch (e) {
      this.broken(task, e);
    }
  }
  /** A step that armed debug registers made necessary: true unless the tracer has asked for it as well. */
  private watched(task: Task, address: number): boolean {
    const { debug, trace } = task;
    if (debug === null || trace === null || !debug.armed) return false;
    const hit = debug.stepped(task, address);
    if (!hit && (trace.mode === 'step' || trace.mode === 'sysemu-step')) return false;
    this.returnToUser(task, null);
    return true;
  }
  interrupted(thread: ThreadContext): void {
    const task = thread.data as Task;
    task.state = 'kernel';
    try {
      if (task.rseq !== null) restartSequence(task, task.rseq);
      this.returnToUser(task, null);
    } catch (e) {
      this.broken(task, e);
    }
  }
  brokenFrame(thread: ThreadContext): void {
    const task = thread.data as Task;
    task.state = 'kernel';
    try {
      frameFailed(task);
      this.returnToUser(task, null);
    } catch (e) {
      this.broken(task, e);
    }
  }
  notStarted(via: ThreadContext, thread: ThreadContext, error: Errno): void {
    const task = via.data as Task;
    const started = thread.data as Task;
    try {
      exitTask(started, 0);
      if (task.state === 'dead') return;
      via.setResult?.(error);
      if (task.state !== 'app') return; // stopped since: it goes on with the result
      task.state = 'kernel';
      this.returnToUser(task, null);
    } catch (e) {
      this.broken(task, e);
    }
  }
  memoryShort(thread: ThreadContext | null): void {
    try {
      this.memoryGuard?.settle();
    } catch (e) {
      this.brokenEvent('memory', e);
    }
    const task = thread === null ? null : (thread.data as Task | null);
    if (thread === null || task === null || task.state === 'dead') return;
    task.state = 'kernel';
    this.returnToUser(task, null);
  }
  exited(thread: ThreadContext, cause: string): void {
    const task = thread.data as Task | null;
    if (task === null || task.state === 'dead') return; // null: lost before it was anybody's
    this.log(`thread ${task.tid} of ${task.name} ended on the host: ${cause}`);
    try {
      exitGroup(task.group, SIGKILL);
    } catch (e) {
      this.brokenEvent(`the end of thread ${task.tid}`, e);
    }
  }

  // How a system call ends.

  /** What a handler gave: a result, or a generator that has to wait. */
  complete(task: Task, result: SyscallResult): void {
    if (isBlocking(result)) this.block(task, result);
    else if (result > NO_RESULT) this.returnToUser(task, result);
    else if (result === RUN_CALL) this.perform(task);
    else if (result === CALL_AGAIN) this.performAgain(task);
  }

  private block(task: Task, generator: Blocking): void {
    this.calls.suspends = true;
    const first = generator.next('ready');
    this.calls.leave();
    if (first.done) {
      this.complete(task, first.value);
      return;
    }
    if (task.state === 'dead') {
      generator.return(0);
      return;
    }
    if (this.strace !== null) this.strace.wait(task);
    task.state = 'blocked';
    task.blocked = new BlockedCall(task, generator);
    task.blocked.sleep(first.value);
    if (task.attention) task.blocked.notify('signal');
  }

  private advance(task: Task): void {
    try {
      this.advanceBlocked(task);
    } catch (e) {
      task.blocked = null; // the generator is over
      this.unwound(task, e);
    }
  }

  private advanceBlocked(task: Task): void {
    const call = task.blocked;
    if (call === null) {
      // Unparked, or killed since.
      if (task.state === 'parked' && task.parked === null) this.goOn(task);
      return;
    }
    task.state = 'kernel';
    this.calls.enter(task.callLog);
    const result = call.advance();
    this.calls.leave();
    if (result === null) {
      if (task.state === 'kernel') task.state = 'blocked';
      return;
    }
    task.blocked = null;
    this.complete(task, result);
  }

  /** After a stop: with the system call that it was to make, or back to the application. */
  private goOn(task: Task): void {
    task.state = 'kernel';
    if (!task.stoppedAtEntry) {
      this.returnToUser(task, task.syscallResult);
      return;
    }
    task.stoppedAtEntry = false;
    // The end of the stop has called for attention: to the call, should it sleep, that would be a signal.
    task.attention = isAwaited(task);
    if (isKilled(task)) this.returnToUser(task, null);
    else if (enterAfterStop(task)) this.dispatch(task);
    else this.returnToUser(task, Number(BigInt.asIntN(64, task.thread.registers().u64[REG.rax] as bigint)));
  }

  /**
   * The only way back to the application. `result` ends a system call; null leaves the registers as they are. Signals, stops and
   * the end of the process come first.
   */
  returnToUser(task: Task, result: number | null): void {
    if (task.state === 'dead') return;
    if (this.strace !== null && result !== null) this.strace.exit(task, result);
    if (task.trace !== null) {
      this.returnTraced(task, result);
      return;
    }
    if (!task.attention && result !== null && result >= LOWEST_ERRNO) {
      task.state = 'app';
      task.thread.resumeWithResult(result);
      return;
    }
    task.syscallResult = result;
    // Sets registers: the result or a restart, and the frame of a handler.
    const verdict = deliverPending(task);
    if (verdict !== 'run') return; // parked or dead: job control or exit have it
    task.state = 'app';
    task.thread.resume();
  }

  /** As returnToUser, with the stops of a tracee before. */
  private returnTraced(task: Task, result: number | null): void {
    if (result !== null) endSyscall(task, result);
    if (!isKilled(task) && stopBeforeReturn(task)) return;
    if (deliverPending(task) !== 'run') return;
    task.state = 'app';
    task.tracedCall = -1;
    const mode = task.trace?.mode;
    const watching = task.trace !== null && task.debug?.armed === true;
    if (watching) task.debug?.look(task);
    if (watching || mode === 'step' || mode === 'sysemu-step') task.thread.resumeSingleStep();
    else task.thread.resume();
  }

  // Tasks outside a system call.

  /** A task that clone(2) made enters the application: its call returns 0. */
  startTask(task: Task): void {
    this.returnToUser(task, 0);
  }
  /** A task enters a program at its first instruction. */
  startProgram(task: Task, entry: number, stackPointer: number): void {
    const registers = task.thread.registers();
    registers.set(REG.rip, entry);
    registers.set(REG.rsp, stackPointer);
    task.thread.setRegisters();
    if (this.strace !== null) this.strace.exit(task, 0);
    if (task.trace !== null) traceExec(task);
    this.returnToUser(task, null);
  }
  /** Keeps a task from running although its call has its result; `unpark` goes on. Returns NO_RESULT for handlers. */
  park(task: Task, reason: Parked, result: number): number {
    task.syscallResult = result;
    park(task, reason);
    return NO_RESULT;
  }
  /** The task goes on in the loop's next round, signals first. */
  unpark(task: Task): void {
    if (task.state !== 'parked' || task.parked === null) return;
    task.parked = null;
    task.attention = true;
    this.makeReady(task);
  }

  /** close(2) of one descriptor: locks of the process, pending errors, then the reference. 0 or an errno. */
  closeFile(task: Task, file: FileDescription): number {
    return closeFile(task, file);
  }

  private readonly randomNumbers = new RandomPool((bytes) => void this.host.getrandom(bytes));
  /** Uniform in [0, limit), from the host's random source; limit up to 2^48. */
  randomBelow(limit: number): number {
    return this.randomNumbers.below(limit);
  }

  /** An exception that belongs to no system call. */
  private readonly brokenEvent = (what: string, error: unknown): void => {
    this.log(describeBroken(what, error));
  };

  /** What a task waited for, or did, has thrown: its process ends. */
  broken(task: Task, error: unknown): void {
    endBrokenCall(task, error, this.syscalls[task.syscallNumber]?.man ?? '?');
  }

  private refuse(task: Task, number: number): number {
    const key = `${number} ${task.name}`;
    const count = this.unimplemented.get(key) ?? 0;
    if (count === 0) this.log(`system call ${number} is not implemented, called by ${task.name}`);
    this.unimplemented.set(key, count + 1);
    return ENOSYS;
  }
}
