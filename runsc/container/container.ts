/** One container that exists on disk, and the calls to its sandbox. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResponseOf } from '../../proto/control.ts';
import { type Cgroup, removeFolders, reopenCgroup } from './cgroup.ts';
import { closeTerminal, makeTerminal, sendMaster } from './console.ts';
import { ControlClient, SandboxGone } from './control_client.ts';
import { DonatedFds } from './donated_fd.ts';
import { runHooksLenient } from './hooks.ts';
import { leaveNetworkNamespace } from './host_stack.ts';
import { checkId, rootfsPath } from './load_spec.ts';
import { lastWords, logPath } from './log_tail.ts';
import { destroyProcess, ended, exitCode, isAlive, isRuntimeProcess } from './process_id.ts';
import type { Spec, SpecResources } from './spec.ts';
import { runStartHooks } from './start_hooks.ts';
import { OOM_FILE, type StateStore, type StoredState } from './state_store.ts';
import {
  type ContainerHandle,
  type ContainerStats,
  type ContainerStatus,
  type ExecOptions,
  type ExitStatus,
  type NetworkStats,
  type OciState,
  type ProcessInfo,
  RuntimeError,
  type WindowSize,
} from './types.ts';

const SIGKILL = 9;
/** Calls that a healthy sandbox answers at once, ms. */
const PROMPT = 10_000;
/** Loading a program may read much from a slow disk, ms. */
const LOADING = 60_000;
/** How often version 1's counter of memory kills is looked at, ms. */
const OOM_INTERVAL = 500;

export class Container implements ContainerHandle {
  readonly id: string;
  readonly sandboxId: string;
  readonly bundle: string;
  readonly pid: number;
  private readonly store: StateStore;
  private client: ControlClient | null = null;
  private readonly oomWatchers = new Set<() => void>();

  constructor(store: StateStore, state: StoredState) {
    this.store = store;
    this.id = state.id;
    this.sandboxId = state.sandboxId;
    this.bundle = state.bundle;
    this.pid = state.sandbox?.pid ?? 0;
  }

  get isRoot(): boolean {
    return this.id === this.sandboxId;
  }
  /** Host path of the root filesystem, and when the container was made. */
  get rootfs(): string {
    return rootfsPath(this.bundle, this.spec());
  }
  get createdAt(): Date {
    return new Date(this.stored.createdAt);
  }
  private get stored(): StoredState {
    return this.store.read(this.id);
  }
  private get cgroup(): Cgroup | null {
    return reopenCgroup(this.stored.cgroupPaths);
  }

  private cgroupIfThere(): Cgroup | null {
    try {
      return this.cgroup;
    } catch {
      return null;
    }
  }

  async state(): Promise<OciState> {
    const stored = this.stored;
    const status = this.statusOf(stored);
    return {
      ociVersion: stored.ociVersion,
      id: this.id,
      status,
      ...(status === 'stopped' || stored.sandbox === null ? {} : { pid: stored.sandbox.pid }),
      bundle: stored.bundle,
      annotations: stored.annotations,
    };
  }

  async start(): Promise<void> {
    await this.store.locked(this.id, async () => {
      const stored = this.stored;
      const status = this.statusOf(stored);
      if (status !== 'created') throw new RuntimeError('State', `cannot start a container in the ${status} state`);
      const spec = this.spec();
      await runStartHooks(this, spec, await this.state());
      await this.call('Start', { container_id: this.id }, { timeoutMs: LOADING });
      this.store.write({ ...stored, status: 'running' });
      const failures = await runHooksLenient('poststart', spec.hooks?.poststart, await this.state());
      if (failures.length > 0) process.emitWarning(failures.join('; '));
    });
  }

  async exec(options: ExecOptions): Promise<{ pid: number }> {
    checkId(options.execId, 'exec id');
    if (options.beforeStart !== true) this.mustRun();
    const fds = new DonatedFds();
    const terminal = options.process.terminal === true;
    const console = terminal && options.consoleSocket !== undefined ? makeTerminal() : null;
    try {
      if (console !== null) sendMaster(options.consoleSocket as string, console);
      const stdio = console === null ? options.stdio : { stdin: console.slave, stdout: console.slave, stderr: null };
      const size = options.process.consoleSize;
      const request = {
        container_id: this.id,
        exec_id: options.execId,
        process: Buffer.from(JSON.stringify(options.process)),
        stdin_fd: fds.add(stdio.stdin),
        stdout_fd: fds.add(stdio.stdout),
        stderr_fd: terminal ? 0 : fds.add(stdio.stderr),
        extra_fds: (options.extraFds ?? []).map((fd) => fds.add(fd)),
        terminal,
        rows: size?.height ?? 0,
        columns: size?.width ?? 0,
        tether_fd: fds.add(options.tether),
        before_start: options.beforeStart === true,
      };
      return { pid: (await this.call('Exec', request, { fds: fds.fds, timeoutMs: LOADING })).pid };
    } finally {
      fds.close();
      if (console !== null) closeTerminal(console);
    }
  }

  async kill(signal: number, options: { readonly all?: boolean; readonly execId?: string } = {}): Promise<void> {
    const status = this.statusOf(this.stored);
    if (status === 'stopped') throw new RuntimeError('NotFound', 'container not running');
    const { all = false, execId = '' } = options;
    await this.call('Signal', { container_id: this.id, exec_id: execId, signal, all });
  }

  async wait(execId = ''): Promise<ExitStatus> {
    try {
      const answer = await this.call('Wait', { container_id: this.id, exec_id: execId }, { timeoutMs: undefined });
      for (const check of this.oomWatchers) check();
      return { exitCode: answer.exit_code, exitedAt: answer.exited_at };
    } catch (e) {
      if (!(e instanceof SandboxGone)) throw e;
      for (const check of this.oomWatchers) check();
      return this.exitAfterSandbox();
    }
  }

  /** The sandbox is gone: what it wrote last, or how its process ended. */
  private async exitAfterSandbox(): Promise<ExitStatus> {
    const stored = this.stored;
    const { sandbox } = stored;
    const status = sandbox === null ? null : await ended(sandbox, PROMPT);
    const kept = this.keptExit();
    if (kept !== null) return kept;
    process.emitWarning((await this.explain(stored, 'go on', status)).message);
    return { exitCode: status !== null && status !== 0 ? exitCode(status) : 128 + SIGKILL, exitedAt: Date.now() };
  }

  /** "CODE MILLISECONDS", written by the sandbox when the container's first process ends. */
  private keptExit(): ExitStatus | null {
    try {
      const [code, at] = readFileSync(join(this.store.folder(this.id), 'exit'), 'latin1')
        .trim()
        .split(' ');
      return code === '' || at === undefined ? null : { exitCode: Number(code), exitedAt: Number(at) };
    } catch {
      return null;
    }
  }

  async delete(options: { readonly force?: boolean } = {}): Promise<void> {
    await this.store.locked(this.id, async () => {
      const stored = this.stored;
      const status = this.statusOf(stored);
      if (status !== 'stopped' && status !== 'created' && options.force !== true) {
        throw new RuntimeError('State', `cannot delete container ${this.id} that is not stopped: ${status}`);
      }
      await this.tearDown(stored);
    });
  }

  /** Ends and removes everything that belongs to the container. */
  async tearDown(stored: StoredState): Promise<void> {
    const { sandbox, gofer, sockets } = stored;
    const own = [...(this.isRoot ? [sandbox] : []), gofer, sockets].filter((process) => process !== null && process !== undefined);
    if (sandbox !== null && !this.isRoot && isAlive(sandbox)) {
      await this.call('Delete', { container_id: this.id }).catch((e: Error) => {
        if (!(e instanceof SandboxGone) && !(e instanceof RuntimeError && e.kind === 'NotFound')) throw e;
      });
    }
    this.close();
    await Promise.all(own.map((process) => destroyProcess(process)));
    if (sandbox === null) this.endUnrecorded();
    if (stored.network) leaveNetworkNamespace(stored.network);
    const hooks = this.specIfThere()?.hooks?.poststop;
    const state: OciState = {
      ociVersion: stored.ociVersion,
      id: this.id,
      status: 'stopped',
      bundle: stored.bundle,
      annotations: stored.annotations,
    };
    const failures = await runHooksLenient('poststop', hooks, state);
    if (failures.length > 0) process.emitWarning(failures.join('; '));
    await removeFolders(stored.cgroupPaths);
    this.store.remove(this.id);
  }

  /** Whoever made the container was killed before it could write down what it had started. */
  private endUnrecorded(): void {
    for (const pid of this.cgroupIfThere()?.pids() ?? []) if (isRuntimeProcess(pid)) process.kill(pid, 'SIGKILL');
  }

  async pause(): Promise<void> {
    await this.setPaused('Pause', 'running', 'paused');
  }
  async resume(): Promise<void> {
    await this.setPaused('Resume', 'paused', 'running');
  }
  private async setPaused(method: 'Pause' | 'Resume', from: ContainerStatus, to: 'running' | 'paused'): Promise<void> {
    await this.store.locked(this.id, async () => {
      const stored = this.stored;
      const status = this.statusOf(stored);
      if (status !== from) throw new RuntimeError('State', `cannot ${method.toLowerCase()} a container that is ${status}, not ${from}`);
      await this.call(method, { container_id: this.id });
      this.store.write({ ...stored, status: to });
    });
  }

  async update(resources: SpecResources): Promise<void> {
    const status = this.statusOf(this.stored);
    if (status === 'stopped') throw new RuntimeError('State', 'container not running');
    try {
      this.cgroup?.apply(resources);
    } catch (e) {
      throw new RuntimeError('Internal', `cannot change the limits: ${(e as Error).message}`, e);
    }
    await this.call('Update', { container_id: this.id, resources: Buffer.from(JSON.stringify(resources)) });
  }

  async processes(): Promise<ProcessInfo[]> {
    this.mustRun();
    const { processes } = await this.call('Processes', { container_id: this.id });
    return processes.map((p) => ({
      pid: p.pid,
      ppid: p.ppid,
      uid: p.uid,
      startedAt: p.started_at,
      cpuTime: p.cpu_time,
      tty: p.tty,
      command: p.command,
      execId: p.exec_id,
    }));
  }

  hostPids(): number[] {
    const { sandbox } = this.stored;
    return sandbox !== null && isAlive(sandbox) ? [sandbox.pid] : [];
  }

  /** Where a process of the host joins the container's cgroup. */
  cgroupProcs(): string[] {
    return this.cgroup?.procsFiles() ?? [];
  }

  async stats(): Promise<ContainerStats> {
    const group = this.cgroup;
    if (group === null) this.mustRun();
    const asked = this.call('Stats', { container_id: this.id });
    const s = group === null ? await asked : await asked.catch(() => null);
    const network = s === null ? null : networkStats(s);
    if (group !== null) {
      const own = { cgroupVersion: group.version, ...group.stats(), network };
      return s === null ? own : withSandboxShare(own, s, this.isRoot, this.sandboxOomKills());
    }
    if (s === null) throw new RuntimeError('State', 'container not running');
    const unlimited = Number.POSITIVE_INFINITY;
    return {
      cgroupVersion: 0,
      cpu: { total: s.cpu_user + s.cpu_system, user: s.cpu_user, system: s.cpu_system },
      memory: { usage: s.memory, limit: unlimited, anon: s.memory, inactiveFile: 0, oomKills: 0 },
      pids: { current: s.processes, limit: unlimited },
      network,
    };
  }

  async resize(size: WindowSize, execId = ''): Promise<void> {
    await this.call('ResizePty', { container_id: this.id, exec_id: execId, rows: size.rows, columns: size.columns });
  }
  /** Joins a non-blocking stream with a TCP port of the container's loopback. `stream` stays the caller's. */
  async forward(stream: number, port: number): Promise<void> {
    const fds = new DonatedFds();
    try {
      await this.call('Forward', { container_id: this.id, port, stream_fd: fds.add(stream) }, { fds: fds.fds, timeoutMs: LOADING });
    } finally {
      fds.close();
    }
  }
  async closeStdin(execId = ''): Promise<void> {
    await this.call('CloseStdin', { container_id: this.id, exec_id: execId });
  }
  async debug(request: {
    stacks?: boolean;
    files?: boolean;
    unimplemented?: boolean;
    strace?: string;
    log_level?: string;
  }): Promise<string> {
    return (await this.call('Debug', request)).text;
  }

  watchOom(onOom: () => void): () => void {
    const group = this.cgroup;
    if (group === null) return () => {};
    const count = (): number => group.oomKills() + this.sandboxOomKills();
    let seen = count();
    const check = (): void => {
      const now = count();
      for (; seen < now; seen++) onOom();
    };
    const timer = setInterval(check, OOM_INTERVAL).unref();
    this.oomWatchers.add(check);
    return () => {
      clearInterval(timer);
      this.oomWatchers.delete(check);
    };
  }

  /** Those that the host did not see: for memory that the sandbox itself held or gave. */
  private sandboxOomKills(): number {
    try {
      return Number(readFileSync(join(this.store.folder(this.id), OOM_FILE), 'latin1'));
    } catch {
      return 0;
    }
  }

  close(): void {
    this.client?.close();
    this.client = null;
  }

  spec(): Spec {
    return JSON.parse(readFileSync(join(this.store.folder(this.id), 'config.json'), 'utf8')) as Spec;
  }
  private specIfThere(): Spec | null {
    try {
      return this.spec();
    } catch {
      return null;
    }
  }

  private statusOf(stored: StoredState): ContainerStatus {
    if (stored.status === 'creating' && stored.sandbox === null) return 'creating'; // or who made it has been killed
    if (stored.status === 'stopped' || stored.sandbox === null || !isAlive(stored.sandbox) || this.keptExit() !== null) return 'stopped';
    return stored.status;
  }
  private mustRun(): void {
    const status = this.statusOf(this.stored);
    if (status !== 'running' && status !== 'paused' && status !== 'created') throw new RuntimeError('State', 'container not running');
  }

  /** Over the connection that is open, or a new one. */
  async call<M extends Parameters<ControlClient['call']>[0]>(
    method: M,
    request: Parameters<typeof ControlClient.prototype.call<M>>[1],
    options: { readonly fds?: readonly number[]; readonly timeoutMs?: number | undefined } = { timeoutMs: PROMPT },
  ): ReturnType<typeof ControlClient.prototype.call<M>> {
    if (this.client === null || this.client.closed)
      this.client = ControlClient.connect(join(this.store.folder(this.sandboxId), 'control.sock'));
    const { fds, timeoutMs } = options;
    return this.client.call(method, request, { ...(fds === undefined ? {} : { fds }), ...(timeoutMs === undefined ? {} : { timeoutMs }) });
  }

  /** Why the sandbox is gone, with what its processes printed last. */
  async explain(stored: StoredState, during: string, known: number | null = null): Promise<RuntimeError> {
    const { sandbox } = stored;
    let how = 'is gone';
    try {
      const status = sandbox === null || known !== null ? known : await ended(sandbox, 2000);
      if (status !== null) how = (status & 0x7f) === 0 ? `ended with status ${status >> 8}` : `was killed by signal ${status & 0x7f}`;
    } catch {
      how = 'closed its control connection but still runs';
    }
    if ((this.cgroupIfThere()?.oomKills() ?? 0) > 0)
      how += ' (out of memory: the limit of its cgroup counts the sandbox itself, about 40 MiB)';
    const words = lastWords('the sandbox', logPath(this.store, stored.settings, this.sandboxId, 'sentry'));
    const gofer = lastWords('the gofer', logPath(this.store, stored.settings, this.id, 'gofer'));
    return new RuntimeError('Internal', `cannot ${during}: the sandbox process (pid ${sandbox?.pid}) ${how}${words}${gofer}`);
  }
}

function networkStats(s: ResponseOf<'Stats'>): NetworkStats {
  return {
    interfaces: s.interfaces,
    tcpConnections: s.tcp_connections,
    tcpListeners: s.tcp_listeners,
    udpSockets: s.udp_sockets,
    egressAllowed: s.egress_allowed,
    egressDenied: s.egress_denied,
  };
}

/**
 * What the host's cgroup does not count, or not as the container's: tasks are the sandbox's (a cgroup's members are also its own threads), and
 * of a further container of a pod what the sandbox holds in its memory; its processes, too, where they are no processes of the host's.
 */
function withSandboxShare(own: ContainerStats, s: ResponseOf<'Stats'>, isRoot: boolean, oomKills: number): ContainerStats {
  const { cpu, memory } = own;
  const pids = { ...own.pids, current: s.processes };
  const kills = memory.oomKills + oomKills;
  if (isRoot) return { ...own, memory: { ...memory, oomKills: kills }, pids };
  const unseen = s.in_cgroup
    ? { user: 0, system: 0, memory: s.held }
    : { user: s.cpu_user, system: s.cpu_system, memory: s.held + s.memory };
  return {
    ...own,
    cpu: { total: cpu.total + unseen.user + unseen.system, user: cpu.user + unseen.user, system: cpu.system + unseen.system },
    memory: {
      ...memory,
      usage: memory.usage + unseen.memory,
      anon: memory.anon + unseen.memory,
      oomKills: kills,
    },
    pids,
  };
}
