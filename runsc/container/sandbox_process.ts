/**
 * Starts the two processes of a sandbox. Both begin as uid 0 of a user namespace of their own, with no power over the host, and lock
 * themselves further in (sentry/boot/lockdown.ts, gofer/).
 *
 * The Sentry inherits: 0 /dev/null, 1 and 2 its log, 3 its configuration, 4 the control socket (listening), and what it has of a console
 * and /dev/kvm.
 * A gofer inherits: 0 /dev/null, 1 and 2 its log, 3 its configuration, 4 its 9P connection, 5… the trees it serves.
 */
import { writeFileSync } from 'node:fs';
import { errnoName, isErrno } from '../../abi/errno.ts';
import { O_APPEND, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { SOCK_SEQPACKET } from '../../abi/socket.ts';
import type { GoferConfig } from '../../lib/gofer_config.ts';
import { host } from '../../lib/host.ts';
import { allowNiceZero } from '../../lib/nice_limit.ts';
import nodeFlags from '../../lib/node_flags.json' with { type: 'json' };
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, spawn } from '../../lib/spawn.ts';
import { SOCK_STREAM } from '../../lib/unix_socket.ts';
import type { MemoryFiles } from './cgroup.ts';
import type { ServedTree } from './mount_plan.ts';
import { identify, type Process } from './process_id.ts';
import { helperPath, nodePath, programPath } from './programs.ts';
import { RuntimeError, type RuntimeSettings } from './types.ts';

const ISOLATED = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;
/** Descriptors that `withFiles` opens for a process: they come first. */
const STANDARD_FDS = 4;
const CODE_CACHE_OUT = 'TSVISOR_CODE_CACHE_OUT';
/** uid and gid that the Sentry ends as. */
const NOBODY = 65534;
const SENTRY_MAP = `0 0 1\n${NOBODY} ${NOBODY} 1\n`;
/** Every id: the gofer makes files of any owner. */
const FULL_MAP = '0 0 4294967295\n';

// capabilities(7): what serving files takes, and what the gofer needs to lock itself in.
const GOFER_CAPABILITIES = [0, 1, 2, 3, 4, 21, 31];

/** JSON that the Sentry reads from descriptor 3. */
export interface SentryConfig {
  readonly sandboxId: string;
  readonly controlFd: number;
  readonly platform: RuntimeSettings['platform'];
  /** /dev/kvm. */
  readonly deviceFd: number | null;
  readonly network: RuntimeSettings['network'];
  readonly directfs: boolean;
  readonly hostSockets: boolean;
  readonly hostFifos: boolean;
  readonly patchSyscalls: boolean;
  readonly debug: boolean;
  readonly strace: boolean;
  /** Its controlling terminal is the container's console: watch SIGWINCH. */
  readonly consoleFd: number | null;
  /** Descriptors of files of the control groups that bound it. */
  readonly memoryGroups: readonly Readonly<Record<keyof MemoryFiles, number>>[];
  readonly nobody: number;
}

interface Common {
  readonly settings: RuntimeSettings;
  /** File that gets what the process prints. */
  readonly log: string;
  readonly cgroupProcs: readonly string[];
}

export interface SentryStart extends Common {
  readonly sandboxId: string;
  /** Listening; stays the caller's. */
  readonly controlFd: number;
  readonly networkNamespace: number | null;
  /** Raw slave of a host terminal, to become the controlling one. */
  readonly consoleFd: number | null;
  readonly memoryFiles: readonly MemoryFiles[];
  /** /dev/kvm, if the platform is to be that. */
  readonly deviceFd: number | null;
}

export function startSentry(start: SentryStart): Process {
  const { settings, consoleFd, deviceFd } = start;
  const fds = [start.controlFd];
  /** The Sentry's number of a descriptor that it gets. */
  const pass = (fd: number): number => STANDARD_FDS + fds.push(fd) - 1;
  const memory = openMemoryFiles(start.memoryFiles);
  const config: SentryConfig = {
    sandboxId: start.sandboxId,
    controlFd: 4,
    platform: settings.platform,
    network: settings.network,
    directfs: settings.directfs,
    hostSockets: settings.hostUds === 'open' || settings.hostUds === 'all',
    hostFifos: settings.hostFifo === 'open',
    patchSyscalls: settings.patchSyscalls,
    debug: settings.debug,
    strace: settings.strace,
    consoleFd: consoleFd === null ? null : pass(consoleFd),
    deviceFd: deviceFd === null ? null : pass(deviceFd),
    memoryGroups: memory.map(({ limit, usage, stat }) => ({ limit: pass(limit), usage: pass(usage), stat: pass(stat) })),
    nobody: NOBODY,
  };
  const env = codeCache('sentry', fds);
  allowNiceZero(host);
  const process = withFiles(start, config, (standard, cgroupFds) =>
    spawn({
      file: nodePath(),
      args: ['runsc-sandbox', ...nodeFlags.sentry, programPath('sentry'), '--config-fd', '3', start.sandboxId],
      env,
      fds: [...standard, ...fds],
      namespaces: ISOLATED,
      ...(start.networkNamespace === null ? {} : { networkNamespace: start.networkNamespace }),
      // With directfs it sees the owners of files itself; what a map shows gives no power over it.
      maps: settings.directfs ? { uid: FULL_MAP, gid: FULL_MAP } : { uid: SENTRY_MAP, gid: SENTRY_MAP },
      cgroupFds,
      joinLate: true,
      cwd: '/',
      newSession: true,
      ...(consoleFd === null ? {} : { terminalFd: consoleFd }),
      noNewPrivileges: true,
    }),
  );
  for (const group of memory) for (const fd of Object.values(group)) host.close(fd);
  return process;
}

/** Groups more than these above a container that have limits are not looked at: descriptors of the sandbox. */
const MAX_MEMORY_GROUPS = 4;

/** Only groups whose files are all there: the host may have no memory controller. */
function openMemoryFiles(groups: readonly MemoryFiles[]): Record<keyof MemoryFiles, number>[] {
  const opened: Record<keyof MemoryFiles, number>[] = [];
  for (const { limit, usage, stat } of groups.slice(0, MAX_MEMORY_GROUPS)) {
    const open = (path: string): number => host.openat(-100, path, O_RDONLY | O_CLOEXEC);
    const fds = { limit: open(limit), usage: open(usage), stat: open(stat) };
    if (Object.values(fds).every((fd) => fd >= 0)) opened.push(fds);
    else for (const fd of Object.values(fds)) if (fd >= 0) host.close(fd);
  }
  return opened;
}

/**
 * While the code caches are trained (scripts/train-caches.mjs): adds a file for the program's to `fds`, which come behind the standard ones,
 * and gives the environment that names it. Otherwise nothing.
 */
function codeCache(program: 'sentry' | 'gofer', fds: number[]): string[] {
  const folder = process.env[CODE_CACHE_OUT];
  if (folder === undefined) return [];
  const fd = host.openat(-100, `${folder}/${program}.cache`, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600);
  if (fd < 0) throw new RuntimeError('Internal', `cannot write to ${folder}: ${errnoName(fd)}`);
  return [`${CODE_CACHE_OUT}=${STANDARD_FDS + fds.push(fd) - 1}`]; // open until we end
}

// --disable-sigusr1: without it Node keeps a thread with every signal blocked, which could not be told to give up its rights.

/** A gofer for `trees` and our end of its 9P connection, which is the caller's to close. */
export function startGofer(start: Common & { readonly trees: readonly ServedTree[] }): { process: Process; connection: number } {
  const pair = host.socketpair(SOCK_STREAM);
  if (isErrno(pair)) throw new RuntimeError('Internal', `cannot make a socket pair: ${errnoName(pair)}`);
  const mounts = start.trees.map((tree, i) => ({
    name: tree.attach,
    rootFd: 5 + i,
    readonly: tree.readonly,
    exclusive: tree.exclusive,
    direct: tree.direct,
    store: tree.store,
    owners: tree.owners,
  }));
  const config: GoferConfig = {
    connections: [{ socketFd: 4, mounts }],
    hostUds: start.settings.hostUds,
    hostFifo: start.settings.hostFifo,
    confine: 'pivot',
  };
  try {
    const fds = [pair[1], ...start.trees.map((tree) => tree.fd)];
    const env = codeCache('gofer', fds);
    const process = withFiles(start, config, (standard, cgroupFds) =>
      spawn({
        file: nodePath(),
        args: ['runsc-gofer', ...nodeFlags.gofer, programPath('gofer'), '--config-fd', '3'],
        env,
        fds: [...standard, ...fds],
        namespaces: ISOLATED | CLONE_NEWNET,
        maps: { uid: FULL_MAP, gid: FULL_MAP },
        cgroupFds,
        joinLate: true,
        cwd: '/',
        newSession: true,
        boundingSet: GOFER_CAPABILITIES,
        noNewPrivileges: true,
      }),
    );
    return { process, connection: pair[0] };
  } catch (e) {
    host.close(pair[0]);
    throw e;
  } finally {
    host.close(pair[1]);
  }
}

/**
 * The process that opens the few host sockets a sandbox may use in its network namespace (native-addon/src/sockets.c), and the sandbox's
 * end of their conversation, which is the caller's to close. It ends with the sandbox.
 */
export function startSockets(networkNamespace: number, cgroupProcs: readonly string[]): { process: Process; connection: number } {
  const pair = host.socketpair(SOCK_SEQPACKET);
  if (isErrno(pair)) throw new RuntimeError('Internal', `cannot make a socket pair: ${errnoName(pair)}`);
  const cgroupFds = cgroupProcs.map((path) => host.openat(-100, path, O_WRONLY | O_CLOEXEC)).filter((fd) => fd >= 0);
  try {
    const pid = spawn({
      file: helperPath('runsc-sockets'),
      args: ['runsc-sockets'],
      env: [],
      fds: [pair[1]],
      namespaces: ISOLATED,
      networkNamespace,
      maps: { uid: SENTRY_MAP, gid: SENTRY_MAP },
      cgroupFds,
      cwd: '/',
      newSession: true,
      boundingSet: [],
      noNewPrivileges: true,
    });
    return { process: identify(pid), connection: pair[0] };
  } catch (e) {
    host.close(pair[0]);
    throw e instanceof RuntimeError ? e : new RuntimeError('Internal', (e as Error).message, e);
  } finally {
    host.close(pair[1]);
    for (const fd of cgroupFds) host.close(fd);
  }
}

/** As container runtimes' own processes have it: when memory is short, the host ends an application first. */
const OOM_SCORE = '-998';

/** Without the power to (a runtime that is not really root) it stays as it is; the Sentry puts applications above itself all the same. */
function protect(pid: number): void {
  const fd = host.openat(-100, `/proc/${pid}/oom_score_adj`, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  host.write(fd, Buffer.from(OOM_SCORE));
  host.close(fd);
}

/** Into a pipe whose other end the process alone has: what does not fit in is written as it is read. */
function sendConfig(pipe: number, text: string): void {
  try {
    writeFileSync(pipe, text);
  } catch (e) {
    // Its end is told of, with what it has printed, by whoever wants something of it next.
    if ((e as NodeJS.ErrnoException).code !== 'EPIPE') throw e;
  }
}

/**
 * Opens what both start with (null, log, log, configuration) and the cgroup files, and closes all of it again. The configuration is a pipe that
 * is written when the process has joined its groups: it loads meanwhile, and does nothing before it has read that.
 */
function withFiles(start: Common, config: unknown, run: (standard: number[], cgroupFds: number[]) => number): Process {
  const opened: number[] = [];
  const open = (path: string, flags: number): number => {
    const fd = host.openat(-100, path, flags | O_CLOEXEC, 0o600);
    if (fd < 0) throw new RuntimeError('Internal', `cannot open ${path}: ${errnoName(fd)}`);
    opened.push(fd);
    return fd;
  };
  try {
    const nothing = open('/dev/null', O_RDWR);
    const log = open(start.log, O_CREAT | O_WRONLY | O_APPEND);
    const pipe = host.pipe(O_CLOEXEC);
    if (isErrno(pipe)) throw new RuntimeError('Internal', `cannot make a pipe: ${errnoName(pipe)}`);
    opened.push(...pipe);
    const cgroupFds = start.cgroupProcs.map((path) => open(path, O_WRONLY));
    const pid = run([nothing, log, log, pipe[0]], cgroupFds);
    protect(pid);
    host.close(opened.splice(opened.indexOf(pipe[0]), 1)[0] as number); // nobody would wait for a process that has ended
    sendConfig(pipe[1], JSON.stringify(config));
    return identify(pid);
  } catch (e) {
    throw e instanceof RuntimeError ? e : new RuntimeError('Internal', (e as Error).message, e);
  } finally {
    for (const fd of opened) host.close(fd);
  }
}
