/**
 * What runsc/container offers to the CLI and to the shim. `Containers` (containers.ts) implements it:
 *
 *   const containers = new Containers(settings);
 *   const c = await containers.create({ id, bundle, stdio });   // sandbox and gofer run, the program does not
 *   await c.start();
 *   const { exitCode, exitedAt } = await c.wait();
 *   await c.delete({ force: true });
 *
 * Interface rules:
 * - Every failure is a RuntimeError whose message names the part and the cause; nothing else is thrown on purpose. After a failed
 *   create nothing is left behind: no process, mount, cgroup, socket or file.
 * - Descriptors in `Stdio` stay the caller's: they are duplicated into the sandbox before the call returns, and the caller closes its own.
 * - Everything here may be called by several processes at once; the state on disk is locked.
 * - A Container object holds at most one connection to its sandbox, opened when needed; `close()` drops it without touching the container.
 */
import type { HostFifoPolicy, HostUdsPolicy } from '../../lib/gofer_config.ts';
import type { SpecProcess, SpecResources } from './spec.ts';

/** How sandboxes are started; the same for all containers of a pod. */
export interface RuntimeSettings {
  /** Folder of the state on disk: one folder a container in it. */
  readonly root: string;
  readonly platform: 'auto' | 'ptrace' | 'systrap' | 'kvm';
  readonly network: 'sandbox' | 'host' | 'none';
  /** What overlay_setting.ts reads: "root:memory" (writes to the root filesystem stay in memory), "none" and others. */
  readonly overlay2: string;
  /** File with what sandboxes may reach (lib/egress_policy.ts); null: everything. */
  readonly egressPolicy: string | null;
  /** File that gets its decisions, one JSON object a line; null: egress.jsonl in the container's state folder. */
  readonly egressLog: string | null;
  /** File that gets the packets of a sandbox's interfaces, %ID% in it the container's id; null: none. */
  readonly pcap: string | null;
  readonly systemdCgroup: boolean;
  /** Skip cgroups altogether (no permission, nested use). */
  readonly ignoreCgroups: boolean;
  readonly debug: boolean;
  readonly hostUds: HostUdsPolicy;
  readonly hostFifo: HostFifoPolicy;
  /** The sandbox looks at what everybody may read by itself. */
  readonly directfs: boolean;
  /** The platform may rewrite system-call instructions of programs in memory. */
  readonly patchSyscalls: boolean;
  /** Folder for log files of sandbox and gofer; null: only the last lines are kept, for error messages. */
  readonly debugLog: string | null;
  readonly strace: boolean;
}

/** The program's standard streams: host descriptors (pipes, fifos, files, ptys), null for /dev/null. */
export interface Stdio {
  readonly stdin: number | null;
  readonly stdout: number | null;
  /** Ignored with a terminal: everything goes through stdout. */
  readonly stderr: number | null;
}

/**
 * With process.terminal the program gets a terminal of the sandbox's own, and its master side is copied from stdin and to stdout: those
 * may be fifos, or both the raw slave of a host pty.
 */
export interface CreateOptions {
  readonly id: string;
  /** Folder with config.json; relative paths in it start there. */
  readonly bundle: string;
  readonly stdio: Stdio;
  /**
   * Instead of stdio, for process.terminal: path of a unix socket that is sent the master of a new host pty (the OCI runtimes' --console-socket).
   */
  readonly consoleSocket?: string;
  /** Gets the pid of the sandbox process, in decimal. */
  readonly pidFile?: string;
  /** Descriptors that the program gets as 3, 4, … (LISTEN_FDS and the like). */
  readonly extraFds?: readonly number[];
  /** The sandbox ends when this process does, however it ends. */
  readonly attached?: boolean;
}

export interface ExecOptions {
  /** Names the process within the container for kill, wait, resize and closeStdin; unique among those that run. Given by the caller. */
  readonly execId: string;
  readonly process: SpecProcess;
  readonly stdio: Stdio;
  readonly consoleSocket?: string;
  /** As in CreateOptions. */
  readonly extraFds?: readonly number[];
  /**
   * One end of a socketpair(AF_UNIX, SOCK_SEQPACKET) that ties the process to a host process at the other end (see sentry/control/tether.ts):
   * the exit status is written to it; when the other end goes away the process is killed.
   */
  readonly tether?: number;
  /** A startContainer hook: allowed before the container's program runs, and only then. */
  readonly beforeStart?: boolean;
}

export interface ExitStatus {
  /** 0..255; 128 + n for a program that signal n ended. */
  readonly exitCode: number;
  /** Milliseconds since the epoch. */
  readonly exitedAt: number;
}

export type ContainerStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped';

/** OCI state (runtime.md), as `state` prints it and hooks get it. */
export interface OciState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: ContainerStatus;
  /** The sandbox process; absent once stopped. */
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** A row of `ps`. Numbers as the container's own pid namespace has them; times in ns. */
export interface ProcessInfo {
  readonly pid: number;
  readonly ppid: number;
  readonly uid: number;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly cpuTime: number;
  /** "pts/0" or "?". */
  readonly tty: string;
  readonly command: string;
  /** Empty for processes that exec did not start. */
  readonly execId: string;
}

/** From the container's cgroup, or from the sandbox where there is none. Times in ns, memory in bytes; 0 where unknown. */
export interface ContainerStats {
  readonly cgroupVersion: 0 | 1 | 2;
  readonly cpu: { readonly total: number; readonly user: number; readonly system: number };
  readonly memory: {
    readonly usage: number;
    /** Infinity: no limit. */
    readonly limit: number;
    readonly anon: number;
    readonly inactiveFile: number;
    readonly oomKills: number;
  };
  readonly pids: { readonly current: number /** Infinity: no limit. */; readonly limit: number };
  /** Null: the sandbox did not answer. */
  readonly network: NetworkStats | null;
}

/** Of the sandbox's network namespace, as the sandbox counts. */
export interface NetworkStats {
  readonly interfaces: readonly {
    readonly name: string;
    readonly rx_bytes: number;
    readonly rx_packets: number;
    readonly rx_dropped: number;
    readonly tx_bytes: number;
    readonly tx_packets: number;
    readonly tx_dropped: number;
  }[];
  readonly tcpConnections: number;
  readonly tcpListeners: number;
  readonly udpSockets: number;
  /** Flows that the egress policy has decided. */
  readonly egressAllowed: number;
  readonly egressDenied: number;
}

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** One container that exists on disk. `execId` absent: the container's first process. */
export interface ContainerHandle {
  readonly id: string;
  /** The sandbox's id: the container's own unless it joined another one's. */
  readonly sandboxId: string;
  readonly bundle: string;
  /** Host pid of the sandbox process. */
  readonly pid: number;
  /** From disk and the process's existence; asks the sandbox (bounded by a second) whether it is paused. */
  state(): Promise<OciState>;
  start(): Promise<void>;
  /** Number in the container's pid namespace. Starts it at once. */
  exec(options: ExecOptions): Promise<{ readonly pid: number }>;
  /** NotFound once the process has exited. `all`: every process of the container. */
  kill(signal: number, options?: { readonly all?: boolean; readonly execId?: string }): Promise<void>;
  /** Resolves when the process has exited and its output has been handed to the host; at once if it has already. */
  wait(execId?: string): Promise<ExitStatus>;
  /** Removes everything; a running one only with force. Runs poststop hooks. Without effect on other containers of the sandbox. */
  delete(options?: { readonly force?: boolean }): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  update(resources: SpecResources): Promise<void>;
  processes(): Promise<ProcessInfo[]>;
  /** Host processes of the container. */
  hostPids(): number[];
  stats(): Promise<ContainerStats>;
  resize(size: WindowSize, execId?: string): Promise<void>;
  /** The program sees the end of its input. */
  closeStdin(execId?: string): Promise<void>;
  /** Calls back at each out-of-memory kill in the container's cgroup; before the exit it causes is reported. Returns how to stop. */
  watchOom(onOom: () => void): () => void;
  /** Drops the connection; the container lives on. */
  close(): void;
}

export interface ContainersApi {
  create(options: CreateOptions): Promise<ContainerHandle>;
  /** NotFound if there is none of that id. */
  load(id: string): Promise<ContainerHandle>;
  list(): Promise<ContainerHandle[]>;
  /** Kills what is left of `id` and removes it, whatever state it is in and even if its state on disk is damaged. Never throws NotFound. */
  destroy(id: string): Promise<void>;
}

/** NotFound: no such container or process. Exists: the id is taken. State: not possible now ("container not running"). */
export type RuntimeErrorKind = 'NotFound' | 'Exists' | 'State' | 'Invalid' | 'Unsupported' | 'Internal';

export class RuntimeError extends Error {
  readonly kind: RuntimeErrorKind;
  constructor(kind: RuntimeErrorKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'RuntimeError';
    this.kind = kind;
  }
}
