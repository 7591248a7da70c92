/** The containers of one state folder: making, finding, removing. */
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { errnoName, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_CREAT, O_RDONLY, O_WRONLY } from '../../abi/fcntl.ts';
import type { EgressPolicy } from '../../lib/egress_policy.ts';
import { host } from '../../lib/host.ts';
import { unixListen } from '../../lib/unix_socket.ts';
import { type Cgroup, openCgroup, removeFolders } from './cgroup.ts';
import { closeTerminal, type HostTerminal, makeTerminal, sendMaster } from './console.ts';
import { Container } from './container.ts';
import { SandboxGone } from './control_client.ts';
import { DonatedFds } from './donated_fd.ts';
import { loadEgressPolicy, openCapture, openEgressLog } from './egress.ts';
import { runHooks } from './hooks.ts';
import { leaveNetworkNamespace } from './host_stack.ts';
import { openPlatformDevice } from './kvm_device.ts';
import { checkId, loadSpec } from './load_spec.ts';
import { lastWords, logPath } from './log_tail.ts';
import { type MountPlan, planMounts } from './mount_plan.ts';
import { loopbackUp, namedNetworkNamespace, networkMode, openNetworkNamespace } from './network_namespace.ts';
import { podSandbox, refuseHostPrivileges, sandboxResources, sharesPidNamespace } from './pod.ts';
import { openHostView, openPodNetwork, type PodNetwork } from './pod_network.ts';
import { destroyProcess, isAlive, type Process } from './process_id.ts';
import { startGofer, startSentry, startSockets } from './sandbox_process.ts';
import type { Spec } from './spec.ts';
import { OOM_FILE, StateStore, type StoredState } from './state_store.ts';
import { type ContainersApi, type CreateOptions, RuntimeError, type RuntimeSettings } from './types.ts';
import { Undo } from './undo.ts';

/** Building a tree and reading a program may take a slow disk a while, ms. */
const CREATE_PATIENCE = 60_000;

export class Containers implements ContainersApi {
  private readonly settings: RuntimeSettings;
  private readonly store: StateStore;

  constructor(settings: RuntimeSettings) {
    this.settings = settings;
    this.store = new StateStore(settings.root);
  }

  async create(options: CreateOptions): Promise<Container> {
    checkId(options.id);
    const bundle = resolve(options.bundle);
    const { spec, text } = loadSpec(bundle);
    if (spec.process === undefined) throw new RuntimeError('Invalid', `${join(bundle, 'config.json')}: process: is missing (an object)`);
    refuseHostPrivileges(spec);
    const undo = new Undo();
    this.store.reserve(options.id);
    undo.add(() => this.store.remove(options.id));
    try {
      writeFileSync(join(this.store.folder(options.id), 'config.json'), text, { mode: 0o600 });
      const container = await new Creation(this.store, this.settings, { ...options, bundle }, spec, undo).run();
      undo.forget();
      return container;
    } catch (e) {
      const leftovers = await undo.run();
      const message = (e as Error).message + (leftovers.length === 0 ? '' : ` (and then: ${leftovers.join('; ')})`);
      throw new RuntimeError(e instanceof RuntimeError ? e.kind : 'Internal', message, e);
    }
  }

  async load(id: string): Promise<Container> {
    checkId(id);
    return new Container(this.store, this.store.read(id));
  }

  async list(): Promise<Container[]> {
    const found: Container[] = [];
    for (const id of this.store.ids()) {
      try {
        found.push(new Container(this.store, this.store.read(id)));
      } catch (e) {
        // One that is being made or removed right now.
        if (!(e instanceof RuntimeError && e.kind === 'NotFound')) throw e;
      }
    }
    return found;
  }

  async destroy(id: string): Promise<void> {
    checkId(id);
    let stored: StoredState;
    try {
      stored = this.store.read(id);
    } catch {
      this.store.remove(id); // no state, or none that can be read: nothing else is known
      return;
    }
    await new Container(this.store, stored).tearDown(stored);
  }
}

/** The steps of one create. Each registers how it is taken back. */
class Creation {
  private readonly store: StateStore;
  private readonly settings: RuntimeSettings;
  private readonly options: CreateOptions;
  private readonly spec: Spec;
  private readonly undo: Undo;
  private readonly id: string;
  private readonly sandboxId: string;
  /** Of a new sandbox; null: the caller's own. */
  private networkNamespace: number | null = null;
  private readonly egress: EgressPolicy | null;

  constructor(store: StateStore, settings: RuntimeSettings, options: CreateOptions, spec: Spec, undo: Undo) {
    this.store = store;
    this.settings = { ...settings, network: networkMode(settings.network, spec) };
    this.options = options;
    this.spec = spec;
    this.undo = undo;
    this.id = options.id;
    this.sandboxId = podSandbox(spec) ?? options.id;
    this.egress = loadEgressPolicy(this.settings);
  }

  async run(): Promise<Container> {
    const plan = planMounts(this.options.bundle, this.spec, this.settings);
    const terminal = this.openConsole();
    const fds = new DonatedFds();
    try {
      const cgroup = this.openCgroup();
      // From here on somebody else can take back what there is, if this process is killed.
      this.store.write(this.firstState(null, null, cgroup));
      if (cgroup !== null) this.makeCgroup(cgroup);
      // Both at once: they load while we go on. The sandbox first: it takes longer.
      const sandbox = this.isRoot ? this.startSandbox(cgroup, terminal) : this.findSandbox();
      const gofer = this.startGofer(plan, cgroup, fds);
      // Without a network nobody looks at the namespace's own loopback.
      const made = namedNetworkNamespace(this.spec) === null && this.settings.network !== 'none' ? this.networkNamespace : null;
      if (made !== null) loopbackUp(made);
      const state = this.firstState(sandbox, gofer, cgroup);
      this.store.write(state);
      const container = new Container(this.store, state);
      this.undo.add(() => container.close());
      await this.hooksBefore(container).catch(async (e: Error) => {
        // A hook that finds no process fails with words of its own.
        throw isAlive(sandbox) ? e : await container.explain(state, 'run the hooks');
      });
      const network = this.openNetwork(fds);
      const helper = network === null ? null : this.startSockets(cgroup, fds);
      const connected = { ...state, network: this.networkRecord(network), sockets: helper?.process ?? null };
      if (network !== null) this.store.write(connected);
      await this.sendCreate(container, connected, plan, terminal, fds, network, helper?.position ?? 0, cgroup);
      await runHooks('createContainer', this.spec.hooks?.createContainer, await container.state());
      if (this.options.pidFile !== undefined) writeFileSync(this.options.pidFile, String(sandbox.pid));
      this.store.write({ ...connected, status: 'created' });
      return container;
    } finally {
      plan.close();
      fds.close();
      if (this.networkNamespace !== null) host.close(this.networkNamespace);
      if (terminal !== null) closeTerminal(terminal);
    }
  }

  private get isRoot(): boolean {
    return this.id === this.sandboxId;
  }
  private get folder(): string {
    return this.store.folder(this.id);
  }
  private log(name: 'sentry' | 'gofer'): string {
    return logPath(this.store, this.settings, this.id, name);
  }

  private openConsole(): HostTerminal | null {
    const { consoleSocket } = this.options;
    const wanted = this.spec.process?.terminal === true;
    if (consoleSocket === undefined) return null;
    if (!wanted) throw new RuntimeError('Invalid', 'a console socket is given, but process.terminal is not set');
    const terminal = makeTerminal();
    try {
      sendMaster(consoleSocket, terminal);
      return terminal;
    } catch (e) {
      closeTerminal(terminal);
      throw e;
    }
  }

  private openCgroup(): Cgroup | null {
    if (this.settings.ignoreCgroups) return null;
    try {
      return openCgroup(this.spec.linux?.cgroupsPath, this.id, this.settings.systemdCgroup);
    } catch (e) {
      throw new RuntimeError('Internal', `cannot set up the cgroup: ${(e as Error).message}`, e);
    }
  }
  private makeCgroup(cgroup: Cgroup): void {
    this.undo.add(() => removeFolders(cgroup.paths));
    try {
      cgroup.create(sandboxResources(this.spec));
    } catch (e) {
      throw new RuntimeError('Internal', `cannot set up the cgroup: ${(e as Error).message}`, e);
    }
  }

  private startGofer(plan: MountPlan, cgroup: Cgroup | null, fds: DonatedFds): Process {
    const cgroupProcs = cgroup?.procsFiles() ?? [];
    const { process, connection } = startGofer({ settings: this.settings, log: this.log('gofer'), cgroupProcs, trees: plan.trees });
    this.undo.add(() => destroyProcess(process));
    fds.take(connection); // position 1
    return process;
  }

  private startSandbox(cgroup: Cgroup | null, terminal: HostTerminal | null): Process {
    const controlFd = unixListen(join(this.folder, 'control.sock'));
    if (controlFd < 0) throw new RuntimeError('Internal', `cannot listen in ${this.folder}: ${errnoName(controlFd)}`);
    let deviceFd: number | null = null;
    try {
      this.networkNamespace = openNetworkNamespace(this.spec, this.settings.network);
      deviceFd = openPlatformDevice(this.settings);
      const process = startSentry({
        deviceFd,
        settings: this.settings,
        log: this.log('sentry'),
        cgroupProcs: cgroup?.procsFiles() ?? [],
        sandboxId: this.id,
        memoryFiles: cgroup?.memoryFiles() ?? [],
        controlFd,
        networkNamespace: this.networkNamespace,
        consoleFd: terminal?.slave ?? null,
      });
      this.undo.add(() => destroyProcess(process));
      return process;
    } finally {
      host.close(controlFd);
      if (deviceFd !== null) host.close(deviceFd);
    }
  }

  /** After the hooks that may have attached it. */
  private openNetwork(fds: DonatedFds): PodNetwork | null {
    const { networkNamespace: namespace } = this;
    if (!this.isRoot || this.settings.network !== 'sandbox' || namespace === null) return null;
    const attached =
      namedNetworkNamespace(this.spec) !== null || (this.spec.hooks?.createRuntime ?? this.spec.hooks?.prestart) !== undefined;
    const network = openPodNetwork(namespace, fds, attached);
    const record = this.networkRecord(network);
    if (record !== null) this.undo.add(() => leaveNetworkNamespace(record));
    return network;
  }
  private hostView(fds: DonatedFds): number {
    return this.isRoot && this.settings.network === 'host' ? openHostView(this.networkNamespace, fds) : 0;
  }
  private startSockets(cgroup: Cgroup | null, fds: DonatedFds): { process: Process; position: number } {
    const { process, connection } = startSockets(this.networkNamespace as number, cgroup?.procsFiles() ?? []);
    this.undo.add(() => destroyProcess(process));
    return { process, position: fds.take(connection) };
  }
  /** What is to be given back when the sandbox is gone: of a namespace that outlives it. */
  private networkRecord(network: PodNetwork | null): StoredState['network'] {
    const path = namedNetworkNamespace(this.spec);
    return network === null || path === null ? null : { path, changed: network.changed };
  }

  private findSandbox(): Process {
    const { sandbox } = this.store.read(this.sandboxId);
    if (sandbox === null || !isAlive(sandbox)) throw new RuntimeError('State', `sandbox ${this.sandboxId} of the pod is not running`);
    return sandbox;
  }

  private firstState(sandbox: Process | null, gofer: Process | null, cgroup: Cgroup | null): StoredState {
    return {
      version: 1,
      id: this.id,
      sandboxId: this.sandboxId,
      bundle: this.options.bundle,
      ociVersion: this.spec.ociVersion,
      annotations: this.spec.annotations ?? {},
      createdAt: Date.now(),
      status: 'creating',
      sandbox,
      gofer,
      cgroupPaths: cgroup?.paths ?? [],
      settings: this.settings,
      network: null,
      sockets: null,
    };
  }

  /** They set up the network, among other things: before the sandbox looks at it. */
  private async hooksBefore(container: Container): Promise<void> {
    const { hooks } = this.spec;
    if (hooks?.prestart === undefined && hooks?.createRuntime === undefined) return;
    const state = { ...(await container.state()), status: 'creating' as const };
    await runHooks('prestart', hooks.prestart, state);
    await runHooks('createRuntime', hooks.createRuntime, state);
  }

  /** By which a further container's processes are in its cgroup: the sandbox as a whole is in that of the first one. */
  private cgroupFiles(cgroup: Cgroup | null, fds: DonatedFds) {
    const oom_fd = fds.take(openIn(join(this.folder, OOM_FILE), O_CREAT | O_WRONLY));
    if (this.isRoot || cgroup === null) return { cgroup_fds: [], memory_stat_fd: 0, oom_fd };
    const stat = cgroup.memoryStatFile();
    return {
      cgroup_fds: cgroup.procsFiles().map((path) => fds.take(openIn(path, O_WRONLY))),
      memory_stat_fd: stat === null ? 0 : fds.take(openIn(stat, O_RDONLY)),
      oom_fd,
    };
  }

  private async sendCreate(
    container: Container,
    state: StoredState,
    plan: MountPlan,
    console: HostTerminal | null,
    fds: DonatedFds,
    network: PodNetwork | null,
    socketsFd: number,
    cgroup: Cgroup | null,
  ): Promise<void> {
    const { stdio, extraFds = [] } = this.options;
    const terminal = this.spec.process?.terminal === true;
    const streams = console === null ? stdio : { stdin: console.slave, stdout: console.slave, stderr: null };
    const size = this.spec.process?.consoleSize;
    const request = {
      container_id: this.id,
      spec: Buffer.from(JSON.stringify({ ...this.spec, hooks: undefined, mounts: undefined })),
      mounts: plan.mounts,
      gofer_fd: 1,
      exit_fd: fds.take(openIn(join(this.folder, 'exit'), O_CREAT | O_WRONLY)),
      stdin_fd: fds.add(streams.stdin),
      stdout_fd: fds.add(streams.stdout),
      stderr_fd: terminal ? 0 : fds.add(streams.stderr),
      extra_fds: extraFds.map((fd) => fds.add(fd)),
      terminal,
      rows: size?.height ?? 0,
      columns: size?.width ?? 0,
      pid_namespace_of: !this.isRoot && sharesPidNamespace(this.spec) ? this.sandboxId : '',
      root_container: this.isRoot,
      cgroup_path: this.spec.linux?.cgroupsPath ?? '',
      life_fd: this.options.attached === true ? fds.take(openLife()) : 0,
      packet_fds: network?.packetFds ?? [],
      route_fd: network?.routeFd ?? this.hostView(fds),
      sockets_fd: socketsFd,
      egress_log_fd: this.isRoot && this.egress !== null ? fds.take(openEgressLog(this.settings, this.id, this.folder)) : 0,
      capture_fd: network !== null && this.settings.pcap !== null ? fds.take(openCapture(this.settings.pcap, this.id)) : 0,
      network_settings: Buffer.from(
        JSON.stringify({ sysctls: network?.sysctls ?? {}, resolver: network?.resolver ?? false, egress: this.egress }),
      ),
      ...this.cgroupFiles(cgroup, fds),
    };
    try {
      await container.call('Create', request, { fds: fds.fds, timeoutMs: CREATE_PATIENCE });
    } catch (e) {
      if (e instanceof SandboxGone) throw await container.explain(state, 'create the container');
      // A gofer that ended by itself is the cause of what the sandbox complains about.
      if (e instanceof RuntimeError && state.gofer !== null && !isAlive(state.gofer)) {
        throw new RuntimeError(e.kind, e.message + lastWords('the gofer', this.log('gofer')), e);
      }
      throw e;
    }
  }
}

/** @throws RuntimeError */
function openIn(path: string, flags: number): number {
  const fd = host.openat(-100, path, flags | O_CLOEXEC, 0o600);
  if (fd < 0) throw new RuntimeError('Internal', `cannot open ${path}: ${errnoName(fd)}`);
  return fd;
}

/** The read end of a pipe. Its write end stays open, with nobody ever to write, until this process is gone. */
function openLife(): number {
  const pipe = host.pipe(O_CLOEXEC);
  if (isErrno(pipe)) throw new RuntimeError('Internal', `cannot make a pipe: ${errnoName(pipe)}`);
  return pipe[0];
}
