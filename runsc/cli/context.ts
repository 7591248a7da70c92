/** What every command gets: the global flags, made into settings, and where errors go. */
import { appendFileSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { HOST_FIFO_POLICIES, HOST_UDS_POLICIES } from '../../lib/gofer_config.ts';
import { Containers } from '../container/containers.ts';
import { parseOverlay2 } from '../container/overlay_setting.ts';
import type { RuntimeSettings } from '../container/types.ts';
import { type Flags, type FlagTable, UsageError } from './flags.ts';

export const GLOBAL_FLAGS = {
  root: { kind: 'string', help: 'folder of the state on disk (default /run/runsc)' },
  log: { kind: 'string', help: 'file for errors and warnings' },
  'log-format': { kind: 'string', help: 'text (default) or json' },
  debug: { kind: 'bool', help: 'log more' },
  'debug-log': { kind: 'string', help: 'folder for the logs of sandbox and gofer' },
  strace: { kind: 'bool', help: 'log every system call (with --debug-log)' },
  platform: { kind: 'string', help: 'auto (default), ptrace, systrap or kvm' },
  network: { kind: 'string', help: 'sandbox (default), host or none' },
  'egress-policy': { kind: 'string', help: 'file that says what sandboxes may reach (docs/network.md)' },
  'egress-log': { kind: 'string', help: 'file for its decisions, %ID% is replaced (default: egress.jsonl in the state folder)' },
  pcap: { kind: 'string', help: 'file for the packets of the interfaces, pcapng; %ID% is replaced' },
  overlay2: { kind: 'string', help: 'root|all:memory|self|dir=PATH[,size=N] (default root:memory), or none' },
  directfs: { kind: 'bool', help: 'the sandbox opens what everybody may read by itself, without its gofer' },
  'patch-syscalls': { kind: 'bool', on: true, help: 'rewrite system-call instructions of programs in memory, for speed (default true)' },
  'host-uds': { kind: 'string', help: 'sockets on volumes that the host sees: none (default), open, create or all' },
  'host-fifo': { kind: 'string', help: 'fifos on volumes that the host sees: none (default) or open' },
  'systemd-cgroup': { kind: 'bool', help: 'cgroup paths have the form slice:prefix:name' },
  'ignore-cgroups': { kind: 'bool', help: 'make no cgroups' },
  help: { kind: 'bool', alias: 'h', help: 'this text' },
  version: { kind: 'bool', alias: 'v', help: 'the version' },
  // Accepted, without effect here.
  criu: { kind: 'string' },
  rootless: { kind: 'string' },
  'debug-log-format': { kind: 'string' },
  'debug-command': { kind: 'string' },
  'log-packets': { kind: 'bool' },
  'file-access': { kind: 'string' },
  overlay: { kind: 'bool' },
  watchdog: { kind: 'string' },
  'panic-log': { kind: 'string' },
  'panic-signal': { kind: 'int' },
  'oci-seccomp': { kind: 'bool' },
  'fsgofer-host-uds': { kind: 'bool' },
  'net-raw': { kind: 'bool' },
  gso: { kind: 'bool' },
  'num-network-channels': { kind: 'int' },
  'TESTONLY-unsafe-nonroot': { kind: 'bool' },
  alsologtostderr: { kind: 'bool' },
} as const satisfies FlagTable;

const DEFAULT_ROOT = '/run/runsc';

export class Context {
  readonly settings: RuntimeSettings;
  readonly containers: Containers;
  private readonly logPath: string | undefined;
  private readonly logJson: boolean;

  constructor(flags: Flags<typeof GLOBAL_FLAGS>) {
    this.logPath = flags.log;
    this.logJson = oneOf('log-format', flags['log-format'], ['text', 'json'], 'text') === 'json';
    const debugLog = flags['debug-log'];
    if (debugLog !== undefined) mkdirSync(debugLog, { recursive: true });
    this.settings = {
      root: flags.root ?? DEFAULT_ROOT,
      platform: oneOf('platform', flags.platform, ['auto', 'ptrace', 'systrap', 'kvm'], 'auto'),
      network: oneOf('network', flags.network, ['sandbox', 'host', 'none'], 'sandbox'),
      egressPolicy: absolute(flags['egress-policy']),
      egressLog: absolute(flags['egress-log']),
      pcap: absolute(flags.pcap),
      overlay2: flags.overlay2 ?? 'root:memory',
      directfs: flags.directfs,
      patchSyscalls: flags['patch-syscalls'],
      hostUds: oneOf('host-uds', flags['host-uds'], HOST_UDS_POLICIES, 'none'),
      hostFifo: oneOf('host-fifo', flags['host-fifo'], HOST_FIFO_POLICIES, 'none'),
      systemdCgroup: flags['systemd-cgroup'],
      ignoreCgroups: flags['ignore-cgroups'],
      debug: flags.debug || flags.strace,
      debugLog: debugLog ?? null,
      strace: flags.strace,
    };
    if (parseOverlay2(this.settings.overlay2) === null) throw new UsageError(`flag --overlay2: ${flags.overlay2} is not supported`);
    this.containers = new Containers(this.settings);
  }

  /** To stderr, and as the last object of the log where engines look for it. */
  error(message: string): void {
    process.stderr.write(`runsc: ${message}\n`);
    this.log('error', message);
  }
  warn(message: string): void {
    process.stderr.write(`runsc: warning: ${message}\n`);
    this.log('warning', message);
  }
  private log(level: string, msg: string): void {
    if (this.logPath === undefined) return;
    const time = new Date().toISOString();
    const line = this.logJson
      ? JSON.stringify({ level, msg, time })
      : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(msg)}`;
    try {
      appendFileSync(this.logPath, `${line}\n`);
    } catch {
      // The message is on stderr.
    }
  }
}

function absolute(path: string | undefined): string | null {
  return path === undefined ? null : resolve(path);
}

export function oneOf<T extends string>(flag: string, value: string | undefined, allowed: readonly T[], fallback: T): T {
  if (value === undefined) return fallback;
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw new UsageError(`flag --${flag}: ${value} is none of ${allowed.join(', ')}`);
  return found;
}
