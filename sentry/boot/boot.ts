/** From descriptors to a running kernel. The order matters; lockdown.ts says why. */
import type { Host } from '../../lib/host.ts';
import { HostPoll } from '../../platforms/host_poll.ts';
import type { Platform } from '../../platforms/platform.ts';
import { choosePlatform, createPlatform, openSource, platformCalls } from '../../platforms/select.ts';
import { controlMethods } from '../control/methods.ts';
import { ControlServer } from '../control/server.ts';
import { registerDevices } from '../fs/dev/register.ts';
import { Kernel } from '../kernel/kernel.ts';
import { MemoryGuard } from '../kernel/memory_guard.ts';
import { readSystemInfo } from '../kernel/system_info.ts';
import { Strace } from '../strace/strace.ts';
import { buildTable, SYSCALLS } from '../syscalls/table.ts';
import { type BootConfig, readConfig } from './config.ts';
import { consoleSize, watchConsole } from './console_size.ts';
import { registerFilesystems } from './filesystems.ts';
import { connectGofer } from './gofer_trees.ts';
import { IdleTrim } from './idle_trim.ts';
import { dropIdentity, emptyRoot, filterCalls, openProc, verify } from './lockdown.ts';
import { SandboxLog } from './log.ts';
import { HostMemoryGroup, type MemoryGroupFds } from './memory_groups.ts';
import { Sandbox } from './sandbox.ts';

/** How long answers may take to leave at the end, ns. */
const GOODBYE_PATIENCE = 1e9;

/** Runs a sandbox from start to end: its exit code. @throws Error if it cannot start. */
export function boot(host: Host, argv: readonly string[]): number {
  const config = readConfig(host, argv);
  const poll = new HostPoll(host);
  const system = readSystemInfo(host); // while the host's /proc is there
  const platform = bootPlatform(host, poll, config);
  const log = new SandboxLog(host, config.debug);
  const kernel = new Kernel({ host, poll, platform, syscalls: buildTable(SYSCALLS), log: log.line });
  kernel.system = system;
  kernel.patchesCalls = config.patchSyscalls;
  if (config.strace) kernel.strace = new Strace(SYSCALLS, log.line);
  if (config.debug) log.line(`platform ${platform.description}`);
  registerDevices(kernel);
  registerFilesystems(kernel);
  guardMemory(kernel, config.memoryGroups);
  const lifetime = new Lifetime(kernel, config, log);
  // The platform has started its first process, which has a filter of its own and must not inherit this one.
  filterCalls(host, platformCalls(platform.name), config.network, config.directfs);
  return lifetime.run();
}

/** Opens what the platform needs, then locks the process in. Nothing of an application has run before. */
function bootPlatform(host: Host, poll: HostPoll, config: BootConfig): Platform {
  const procFd = openProc(host);
  const kind = choosePlatform(host, procFd, config.platform, config.deviceFd);
  const sourceFd = openSource(host, kind, config.deviceFd);
  emptyRoot(host);
  dropIdentity(host, config.nobody);
  verify(host, procFd, config.nobody);
  return createPlatform(kind, { host, poll, procFd, sourceFd });
}

/** Where the host cannot tell an application's memory from ours. */
function guardMemory(kernel: Kernel, groups: readonly MemoryGroupFds[]): void {
  const { memory } = kernel.platform;
  if (memory === undefined || groups.length === 0) return;
  const hostGroups = groups.map((fds) => new HostMemoryGroup(kernel.host, fds));
  kernel.memoryGuard = new MemoryGuard(kernel, memory, hostGroups);
  kernel.memoryGuard.settle();
}

/** lib/node_flags.json has --expose-gc. Not there in a test. */
function giveBackMemory(host: Host): void {
  (globalThis as { gc?: (options: { type: 'major'; flavor: string }) => void }).gc?.({ type: 'major', flavor: 'last-resort' });
  host.trimHeap();
}

/** The loop, and how it ends: with the first container, when every answer is out. */
class Lifetime {
  private readonly kernel: Kernel;
  private readonly server: ControlServer;
  private exitCode: number | null = null;

  constructor(kernel: Kernel, config: BootConfig, sandboxLog: SandboxLog) {
    this.kernel = kernel;
    const sandbox = new Sandbox({
      kernel,
      connectGofer: (fd) => connectGofer(kernel, fd, config),
      finish: (code) => this.finish(code),
    });
    const { host, poll, log } = kernel;
    if (config.consoleFd !== null) this.followConsole(sandbox, config.consoleFd);
    this.server = new ControlServer({ host, poll, listener: config.controlFd, methods: controlMethods(sandbox, sandboxLog), uid: 0, log });
  }

  /** A size that was set before the container existed counts, too. */
  private followConsole(sandbox: Sandbox, consoleFd: number): void {
    const { host, poll } = this.kernel;
    const follow = (): void => {
      const size = consoleSize(host, consoleFd);
      if (size !== null) sandbox.first?.init.bridge?.resize(size.rows, size.columns);
    };
    watchConsole(host, poll, follow);
    sandbox.onFirst = follow;
  }

  run(): number {
    this.server.start();
    new IdleTrim(this.kernel, () => giveBackMemory(this.kernel.host));
    this.kernel.run();
    const giveUp = this.kernel.now() + GOODBYE_PATIENCE;
    while (this.server.sending && this.kernel.now() < giveUp) this.kernel.poll.wait(10);
    this.kernel.platform.shutdown();
    return this.exitCode ?? 0;
  }

  /** The first reason counts. The loop ends after the round it is in: those who wait for the same exit are answered first. */
  private finish(code: number): void {
    this.exitCode ??= code;
    for (const work of this.kernel.atEnd) work();
    (globalThis as { writeCodeCache?: () => void }).writeCodeCache?.(); // scripts/start-cached.cjs
    this.kernel.timers.add(this.kernel.now(), () => this.kernel.halt());
  }
}
