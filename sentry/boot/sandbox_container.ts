/** One container: its mounts and namespaces, its first process, and those that exec adds. */
import { hostname } from 'node:os';
import { ENOENT, type Errno, errnoName, isErrno } from '../../abi/errno.ts';
import { SI_USER, SIGKILL } from '../../abi/signal.ts';
import { fromUnicode } from '../../lib/byte_string.ts';
import { ALREADY_EXISTS, FAILED_PRECONDITION, INTERNAL, INVALID_ARGUMENT, NOT_FOUND, StatusError } from '../../lib/ttrpc/status.ts';
import type { CreateRequest, ExecRequest, ForwardRequest, MountMessage } from '../../proto/control.ts';
import type { Spec, SpecIdMapping, SpecProcess, SpecResources } from '../../proto/oci_spec.ts';
import { Tether } from '../control/tether.ts';
import { presetSysctl } from '../fs/proc/sys_tree.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import type { CgroupLimits } from '../kernel/cgroup_limits.ts';
import { Container } from '../kernel/container.ts';
import { type Credentials, rootOf } from '../kernel/credentials.ts';
import { exitGroup } from '../kernel/exit.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { IpcNamespace, type Namespaces, NetNamespace, UtsNamespace } from '../kernel/namespaces.ts';
import { pauseContainer, resumeContainer } from '../kernel/pause.ts';
import { PidNamespace } from '../kernel/pid_namespace.ts';
import { sendToGroup } from '../kernel/signal_send.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { IdMap, ROOT_USER_NAMESPACE, UserNamespace } from '../kernel/user_namespace.ts';
import { isStartError, startProcess } from '../loader/start_process.ts';
import type { NetworkCounters, PodDescription } from '../socket/inet/networks.ts';
import type { Filesystem } from '../vfs/inode.ts';
import type { MountNamespace } from '../vfs/mount.ts';
import { ContainerCgroup } from './container_cgroup.ts';
import { credentialsOf, limitsOf, type ProgramStrings, stringsOf, UnmappedIdError } from './credentials_of.ts';
import { cgroupLimits } from './filesystems.ts';
import { findProgram, ProgramError } from './find_program.ts';
import { type Exit, GuestProcess, type ProcessStreams } from './guest_process.ts';
import { homeOf } from './home.ts';
import { ensurePlace } from './mount_points.ts';
import { buildMounts, MountError } from './mount_tree.ts';
import type { SandboxOptions } from './sandbox.ts';
import { type DonatedStreams, plainStreams, terminalStreams } from './streams.ts';

const MAX_SIGNAL = 64;
const DEFAULT_UMASK = 0o022;
/** Processes of exec that have ended and are remembered for a late Wait. */
const MAX_ENDED = 1024;

/** The program of a process and what it starts with. */
interface Prepared {
  readonly spec: SpecProcess;
  readonly creds: Credentials;
  readonly strings: ProgramStrings;
  readonly path: string;
  readonly streams: ProcessStreams;
}

export interface ContainerInit {
  readonly kernel: Kernel;
  readonly request: CreateRequest;
  readonly fds: number[];
  readonly connectGofer: SandboxOptions['connectGofer'];
  /** Whose pid namespace it shares. */
  readonly joined: SandboxContainer | null;
  /** The pod's first container; null if this is it. */
  readonly pod: SandboxContainer | null;
}

export class SandboxContainer {
  readonly id: string;
  readonly isRoot: boolean;
  readonly container: Container;
  readonly init: GuestProcess;
  readonly namespaces: Namespaces;
  readonly userNamespace: UserNamespace;
  /** Becomes readable when the command that runs the sandbox in its foreground is gone; -1: nobody's end matters. */
  readonly lifeFd: number;
  private readonly kernel: Kernel;
  private readonly mounts: MountNamespace;
  /** Of the host, if the container has one beside the sandbox's. */
  private readonly cgroup: ContainerCgroup | null;
  private readonly execs = new Map<string, GuestProcess>();
  /** Until the start. */
  private prepared: Prepared | null;
  /** Hooks have run before the start, and left the number 1 to the program. */
  private hooked = false;

  /** Descriptors that are taken leave the list. @throws StatusError; nothing is kept then. */
  constructor(from: ContainerInit) {
    const { kernel, request, fds } = from;
    const spec = parseJson<Spec>(request.spec, 'spec');
    if (spec.process === undefined) throw new StatusError(INVALID_ARGUMENT, 'process: is missing');
    this.kernel = kernel;
    this.id = request.container_id;
    this.isRoot = request.root_container;
    const taken = new TakenFds(fds);
    this.userNamespace = userNamespace(kernel, spec, from);
    const creds = this.credentials(spec.process);
    this.container = new Container(
      this.id,
      pidNamespace(kernel, spec, this.userNamespace, from),
      creds,
      request.cgroup_path,
      kernel.memoryHeld,
    );
    this.container.limits = cgroupLimits(spec.linux?.resources);
    if (this.isRoot) showLimits(kernel, this.container.limits);
    const ipc = joins(spec, from, 'ipc')?.ipc ?? new IpcNamespace(kernel.uniqueId(), this.userNamespace);
    this.mounts = this.buildMounts(from, spec, ipc, taken.take(request.gofer_fd));
    this.namespaces = { ...makeNamespaces(kernel, spec, this.mounts, this.container.pidNamespace, this.userNamespace, from), ipc };
    for (const [name, value] of Object.entries(spec.linux?.sysctl ?? {})) {
      // As runc lets it be: the domain name is the container's own, though it has a field of its own as well.
      if (name === 'kernel.domainname') this.namespaces.uts.domainname = fromUnicode(value);
      else if (!presetSysctl(kernel, this.namespaces.net, name, value)) kernel.log(`sysctl ${name} = ${value} is not to be had`);
    }
    if (request.route_fd > 0) this.attachNetwork(request, taken);
    const exitFd = taken.take(request.exit_fd);
    this.lifeFd = taken.take(request.life_fd);
    this.prepared = this.prepare(spec.process, () =>
      this.streams(
        request,
        creds,
        taken,
        request.extra_fds.map((i) => taken.take(i)),
      ),
    );
    this.init = new GuestProcess(kernel, '', this.prepared.streams);
    this.container.console = this.init.bridge?.terminal ?? null;
    this.init.onExit((exit) => this.keepExit(exitFd, exit));
    this.recordKills(taken.take(request.oom_fd));
    this.cgroup = this.isRoot ? null : this.joinCgroup(request, taken);
  }

  private recordKills(fd: number): void {
    const { container, kernel } = this;
    container.killsFd = fd;
    this.init.onExit(() => {
      container.killsFd = -1;
      if (fd >= 0) kernel.host.close(fd);
    });
  }
  private joinCgroup(request: CreateRequest, taken: TakenFds): ContainerCgroup {
    const cgroup = new ContainerCgroup(this.kernel, this.container, {
      procs: request.cgroup_fds.map((i) => taken.take(i)),
      memoryStat: taken.take(request.memory_stat_fd),
    });
    this.init.onExit(() => cgroup.leave());
    return cgroup;
  }

  private attachNetwork(request: CreateRequest, taken: TakenFds): void {
    const settings = parseJson<Pick<PodDescription, 'sysctls' | 'resolver' | 'egress'>>(request.network_settings, 'network_settings');
    const { networks } = this.kernel;
    const { net } = this.namespaces;
    const egressLogFd = taken.take(request.egress_log_fd);
    if (request.packet_fds.length === 0) {
      networks.attachHost(net, taken.take(request.route_fd), settings.egress, egressLogFd);
      return;
    }
    for (const [name, value] of Object.entries(settings.sysctls)) presetSysctl(this.kernel, net, name.replaceAll('/', '.'), value);
    networks.attachPod(net, {
      ...settings,
      packetFds: request.packet_fds.map((i) => taken.take(i)),
      routeFd: taken.take(request.route_fd),
      socketsFd: taken.take(request.sockets_fd),
      captureFd: taken.take(request.capture_fd),
      egressLogFd,
    });
  }

  private buildMounts(from: ContainerInit, spec: Spec, ipc: IpcNamespace, goferFd: number): MountNamespace {
    const { kernel, request } = from;
    const trees = from.connectGofer(goferFd);
    if (isErrno(trees)) throw new StatusError(INTERNAL, `cannot speak to the gofer: ${errnoName(trees)}`);
    try {
      const { mounts, terminal } = request;
      const { container } = this;
      const open = (mount: MountMessage): Filesystem | Errno => {
        const fs = trees.open(mount);
        if (fs instanceof TmpFs) fs.countFor(container.memory); // an overlay in memory
        return fs;
      };
      return buildMounts({ kernel, container, ipc, userNamespace: this.userNamespace, spec, mounts, terminal, open });
    } catch (e) {
      throw e instanceof MountError ? new StatusError(INTERNAL, e.message) : e;
    }
  }

  /** @throws StatusError */
  private credentials(process: SpecProcess): Credentials {
    try {
      return credentialsOf(process, this.userNamespace);
    } catch (e) {
      throw e instanceof UnmappedIdError ? new StatusError(INVALID_ARGUMENT, e.message) : e;
    }
  }

  private streams(
    request: Pick<CreateRequest, 'stdin_fd' | 'stdout_fd' | 'stderr_fd' | 'terminal' | 'rows' | 'columns'>,
    owner: Credentials,
    taken: TakenFds,
    extra: readonly number[],
  ): ProcessStreams {
    const donated: DonatedStreams = {
      stdin: taken.take(request.stdin_fd),
      stdout: taken.take(request.stdout_fd),
      stderr: taken.take(request.stderr_fd),
      extra,
    };
    const made = request.terminal
      ? terminalStreams(this.kernel, this.mounts, donated, owner, request)
      : plainStreams(this.kernel, donated, owner);
    if (isErrno(made)) throw new StatusError(INTERNAL, `cannot make the standard streams: ${errnoName(made)}`);
    return made;
  }

  /** Looks the program up, so that its absence shows before the start. @throws StatusError */
  private prepare(spec: SpecProcess, open: () => ProcessStreams): Prepared {
    const creds = this.credentials(spec);
    const root = this.mounts.rootPath;
    const strings = stringsOf(spec, () => homeOf(this.kernel, root, spec.user?.uid ?? 0));
    const cwd = ensurePlace(root, strings.cwd, rootOf(this.userNamespace));
    if (isErrno(cwd) && cwd !== ENOENT) throw new StatusError(INTERNAL, `chdir to cwd (${JSON.stringify(spec.cwd)}): ${errnoName(cwd)}`);
    try {
      const path = findProgram(root, strings.cwd, creds, strings.argv[0] ?? '', strings.env);
      return { spec, creds, strings, path, streams: open() };
    } catch (e) {
      if (!(e instanceof ProgramError)) throw e;
      throw new StatusError(INVALID_ARGUMENT, `unable to start container process: ${e.message}`);
    }
  }

  /** The number in the container's pid namespace. */
  start(): number {
    const { prepared } = this;
    if (prepared === null || this.init.exit !== null) throw new StatusError(FAILED_PRECONDITION, 'cannot start a container twice');
    this.prepared = null;
    if (this.hooked) this.container.pidNamespace.rewind();
    try {
      return this.run(this.init, prepared);
    } catch (e) {
      this.init.endWithoutStart(128 + SIGKILL);
      throw e;
    }
  }

  private run(process: GuestProcess, prepared: Prepared): number {
    const { spec, creds, strings, path, streams } = prepared;
    const task = startProcess(this.kernel, {
      container: this.container,
      path,
      argv: strings.argv,
      env: strings.env,
      cwd: strings.cwd,
      root: this.mounts.rootPath,
      creds,
      umask: spec.user?.umask ?? DEFAULT_UMASK,
      limits: limitsOf(spec.rlimits),
      fds: streams.fds,
      terminal: streams.bridge?.terminal ?? null,
      namespaces: this.namespaces,
    });
    if (isStartError(task)) {
      const what = task.stage === 'cwd' ? `chdir to cwd (${JSON.stringify(spec.cwd)})` : `exec: ${JSON.stringify(spec.args[0])}`;
      throw new StatusError(INVALID_ARGUMENT, `unable to start container process: ${what}: ${startFailure(task.errno)}`);
    }
    if (spec.oomScoreAdj) task.group.setOomScoreAdj(spec.oomScoreAdj);
    process.started(task.group);
    return task.group.idIn(this.container.pidNamespace);
  }

  exec(request: ExecRequest, fds: number[]): number {
    const { exec_id: execId } = request;
    const known = this.execs.get(execId);
    if (execId === '' || (known !== undefined && known.exit === null)) throw new StatusError(ALREADY_EXISTS, `process ${execId} exists`);
    if (request.before_start) this.keepPlaceOfInit();
    else if (this.init.group === null) throw new StatusError(FAILED_PRECONDITION, 'container not running');
    const spec = parseJson<SpecProcess>(request.process, 'process');
    const taken = new TakenFds(fds);
    const prepared = this.prepare(spec, () =>
      this.streams(
        request,
        this.credentials(spec),
        taken,
        request.extra_fds.map((i) => taken.take(i)),
      ),
    );
    const process = new GuestProcess(this.kernel, execId, prepared.streams);
    let pid: number;
    try {
      pid = this.run(process, prepared);
    } catch (e) {
      process.endWithoutStart(128 + SIGKILL);
      throw e;
    }
    this.remember(execId, process);
    const tetherFd = taken.take(request.tether_fd);
    if (tetherFd >= 0) this.tie(process, tetherFd);
    return pid;
  }

  /** A hook must not become process 1: its end would be that of its namespace. */
  private keepPlaceOfInit(): void {
    if (this.prepared === null) throw new StatusError(FAILED_PRECONDITION, 'the container has been started');
    const { pidNamespace } = this.container;
    if (pidNamespace.lastPid !== 0) return;
    pidNamespace.reserve(1);
    this.hooked = true;
  }

  private remember(execId: string, process: GuestProcess): void {
    this.execs.delete(execId);
    this.execs.set(execId, process);
    const ended = [...this.execs].filter(([, p]) => p.exit !== null);
    for (const [id] of ended.slice(0, Math.max(0, ended.length - MAX_ENDED))) this.execs.delete(id);
  }

  private tie(process: GuestProcess, fd: number): void {
    const tether = new Tether(this.kernel.host, this.kernel.poll, fd, {
      signal: (number) => this.send(process.group, number),
      resize: (rows, columns) => process.bridge?.resize(rows, columns),
      lost: () => this.send(process.group, SIGKILL),
    });
    process.onExit((exit) => tether.finish(exit.code));
  }

  /** @throws StatusError NOT_FOUND: no such process, or it has ended. */
  process(execId: string): GuestProcess {
    const process = execId === '' ? this.init : this.execs.get(execId);
    if (process === undefined) throw new StatusError(NOT_FOUND, `process ${execId} of container ${this.id} does not exist`);
    return process;
  }

  signal(execId: string, signal: number, all: boolean): void {
    if (signal > MAX_SIGNAL) throw new StatusError(INVALID_ARGUMENT, `signal ${signal}`);
    if (all) {
      for (const group of [...this.container.processes]) this.send(group, signal);
      if (this.prepared === null) return;
    }
    const process = this.process(execId);
    if (process.exit !== null) throw new StatusError(NOT_FOUND, 'process already finished');
    if (process.group !== null) this.send(process.group, signal);
    else if (this.prepared !== null && signal !== 0) this.abandon(signal);
  }

  /** Killed before it was started. */
  private abandon(signal: number): void {
    for (const file of this.prepared?.streams.fds.values() ?? []) file.release();
    this.prepared = null;
    this.init.endWithoutStart(128 + signal);
  }

  private send(group: ThreadGroup | null, signal: number): void {
    if (group === null || group.zombie || signal === 0 || signal > MAX_SIGNAL) return;
    // pid 0: from outside of the pid namespace.
    sendToGroup(group, { signal, code: SI_USER, pid: 0, uid: 0 });
  }

  get status(): 'created' | 'running' | 'paused' | 'stopped' {
    if (this.init.exit !== null || (this.prepared === null && this.init.group === null)) return 'stopped';
    if (this.prepared !== null) return 'created';
    return this.container.paused ? 'paused' : 'running';
  }
  pause(): void {
    if (this.status !== 'running') throw new StatusError(FAILED_PRECONDITION, `container is ${this.status}`);
    pauseContainer(this.container);
  }
  resume(): void {
    if (this.status !== 'paused') throw new StatusError(FAILED_PRECONDITION, `container is ${this.status}`);
    resumeContainer(this.container);
  }

  /** `resources`: linux.resources, JSON. */
  update(resources: Uint8Array): void {
    const { container } = this;
    container.limits = cgroupLimits(parseJson<SpecResources>(resources, 'resources'), container.limits);
    this.cgroup?.changed();
  }

  networkCounters(): NetworkCounters {
    return this.kernel.networks.of(this.namespaces.net).counters();
  }
  /** Joins a stream of the host with a port of the container's loopback. */
  forward(request: ForwardRequest, fds: number[], made: (error: Errno | 0) => void): void {
    if (request.port < 1 || request.port > 65_535) throw new StatusError(INVALID_ARGUMENT, `port ${request.port}`);
    const fd = new TakenFds(fds).take(request.stream_fd);
    if (fd < 0) throw new StatusError(INVALID_ARGUMENT, 'no stream was handed over');
    this.kernel.networks.of(this.namespaces.net).doors(this.kernel).forward(fd, request.port, made);
  }

  /** The exec id of a process, '' for others. */
  execIdOf(group: ThreadGroup): string {
    for (const [id, process] of this.execs) if (process.group === group) return id;
    return '';
  }

  destroy(): void {
    if (this.prepared !== null) this.abandon(SIGKILL);
    if (this.container.paused) resumeContainer(this.container);
    for (const group of [...this.container.processes]) exitGroup(group, SIGKILL);
  }

  /** For those who come when the sandbox is gone. */
  private keepExit(fd: number, exit: Exit): void {
    if (fd < 0) return;
    const text = Buffer.from(`${exit.code} ${exit.at}\n`);
    this.kernel.host.pwrite(fd, text, 0, text.length, 0);
    this.kernel.host.close(fd);
  }
}

/** Takes descriptors out of a request's list by their position plus one. */
class TakenFds {
  private readonly fds: number[];
  private readonly all: readonly number[];
  constructor(fds: number[]) {
    this.fds = fds;
    this.all = fds.slice();
  }
  /** -1 for 0. @throws StatusError for a position that is not there, or was taken. */
  take(position: number): number {
    if (position === 0) return -1;
    const fd = this.all[position - 1] ?? -1;
    const at = this.fds.indexOf(fd);
    if (at < 0) throw new StatusError(INVALID_ARGUMENT, `descriptor ${position} is not there`);
    this.fds.splice(at, 1);
    return fd;
  }
}

/** The pod's namespaces if the container shares the one of this type with it, else null. */
function joins(spec: Spec, from: ContainerInit, type: string): Namespaces | null {
  const entry = spec.linux?.namespaces?.find((n) => n.type === type);
  return entry === undefined || (entry.path ?? '') !== '' ? (from.pod?.namespaces ?? null) : null;
}

/** All but the ipc namespace, which the mounts need before. */
function makeNamespaces(
  kernel: Kernel,
  spec: Spec,
  mount: MountNamespace,
  pid: PidNamespace,
  owner: UserNamespace,
  from: ContainerInit,
): Omit<Namespaces, 'ipc'> {
  const shared = from.pod?.namespaces ?? null;
  const uts = joins(spec, from, 'uts')?.uts ?? new UtsNamespace(kernel.uniqueId(), fromUnicode(hostname()), owner);
  // As a new namespace of Linux, it starts with the name of the one it was made from.
  if (spec.hostname !== undefined && spec.hostname !== '') uts.nodename = fromUnicode(spec.hostname);
  if (spec.domainname !== undefined && spec.domainname !== '') uts.domainname = fromUnicode(spec.domainname);
  return {
    mount,
    uts,
    net: shared?.net ?? new NetNamespace(kernel.uniqueId(), owner),
    pidForChildren: pid,
    time: kernel.rootTimeNamespace,
    timeForChildren: kernel.rootTimeNamespace,
  };
}

/** Without one in its specification a container has the sandbox's first; by a path it shares its pod's. */
function userNamespace(kernel: Kernel, spec: Spec, from: ContainerInit): UserNamespace {
  const { namespaces = [], uidMappings = [], gidMappings = [] } = spec.linux ?? {};
  const entry = namespaces.find(({ type }) => type === 'user');
  if (entry === undefined) return ROOT_USER_NAMESPACE;
  if ((entry.path ?? '') !== '' && from.pod !== null) return from.pod.userNamespace;
  const made = new UserNamespace(ROOT_USER_NAMESPACE, kernel.uniqueId(), 0, 0, true);
  const map = (mappings: readonly SpecIdMapping[]): IdMap =>
    new IdMap(mappings.map(({ containerID, hostID, size }) => ({ inside: containerID, kernel: hostID, count: size })));
  made.uids = map(uidMappings);
  made.gids = map(gidMappings);
  return made;
}

/** The sandbox's first container lives in the root namespace, and is its process 1 unless its specification has no pid namespace. */
function pidNamespace(kernel: Kernel, spec: Spec, owner: UserNamespace, from: ContainerInit): PidNamespace {
  if (from.pod === null) {
    if (!(spec.linux?.namespaces ?? []).some(({ type }) => type === 'pid')) kernel.rootPidNamespace.reserve(1);
    kernel.rootPidNamespace.owner = owner;
    return kernel.rootPidNamespace;
  }
  return from.joined?.container.pidNamespace ?? new PidNamespace(kernel.rootPidNamespace, kernel.uniqueId(), owner);
}

/** Programs size themselves by the processors and the memory they see. */
function showLimits(kernel: Kernel, { cpuQuota, cpuPeriod, memory }: CgroupLimits): void {
  const { system } = kernel;
  const cpus = cpuQuota === null ? system.cpus : system.cpus.slice(0, Math.max(1, Math.ceil(cpuQuota / cpuPeriod)));
  kernel.system = { ...system, cpus, memory: Math.min(system.memory, memory ?? system.memory) };
}

function parseJson<T>(bytes: Uint8Array, what: string): T {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')) as T;
  } catch (e) {
    throw new StatusError(INVALID_ARGUMENT, `${what}: ${(e as Error).message}`);
  }
}

const TEXTS: Readonly<Record<number, string>> = {
  [-2]: 'no such file or directory',
  [-8]: 'exec format error',
  [-13]: 'permission denied',
  [-20]: 'not a directory',
};

/** In the words that engines look for. */
function startFailure(errno: number): string {
  return TEXTS[errno] ?? errnoName(errno);
}
