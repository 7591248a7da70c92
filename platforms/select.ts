/** Chooses and starts a platform. */
import { errnoName } from '../abi/errno.ts';
import { O_CLOEXEC, O_RDONLY } from '../abi/fcntl.ts';
import type { Host } from '../lib/host.ts';
import type { HostCall } from '../lib/host_call_filter.ts';
import { probeKvm } from '../lib/kvm_probe.ts';
import { shippedFile } from '../native-addon/native.ts';
import type { HostPoll } from './host_poll.ts';
import { KVM_CALLS } from './kvm/host_calls.ts';
import { KvmPlatform } from './kvm/kvm_platform.ts';
import { NICENESS_CALLS } from './niceness.ts';
import { type Platform, PlatformError } from './platform.ts';
import { whyNoSystrap } from './probe.ts';
import { PROCESS_CALLS } from './process_calls.ts';
import { PTRACE_CALLS } from './ptrace/host_calls.ts';
import { PtracePlatform } from './ptrace/ptrace_platform.ts';
import { SystrapPlatform } from './systrap/systrap_platform.ts';

export type PlatformKind = 'ptrace' | 'systrap' | 'kvm';

export interface PlatformOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  /** A directory of a procfs that shows this process and its children under the pids this process sees. */
  readonly procFd: number;
  /** What the kind starts from, opened before the process lost its root: its stub program, or /dev/kvm. */
  readonly sourceFd: number;
}

/**
 * What `--platform` asks for: systrap where the host can do it, if it asks for nothing. deviceFd: /dev/kvm, if this process was given it;
 * with `auto` that means that whoever gave it has measured that it is the faster one. @throws Error if it asks for what is not there.
 */
export function choosePlatform(host: Host, procFd: number, wanted: string, deviceFd: number | null): PlatformKind {
  switch (wanted) {
    case 'auto':
      if (deviceFd !== null) return 'kvm';
      return whyNoSystrap(host, procFd) === null ? 'systrap' : 'ptrace';
    case 'ptrace':
      return 'ptrace';
    case 'systrap': {
      const why = whyNoSystrap(host, procFd);
      if (why !== null) throw new PlatformError(`platform systrap: ${why}`);
      return 'systrap';
    }
    case 'kvm':
      if (deviceFd === null) throw new PlatformError('platform kvm: this process was not given /dev/kvm');
      return 'kvm';
    default:
      throw new Error(`platform ${wanted} does not exist here`);
  }
}

/** Opens what the kind starts from, by the host's paths. @throws Error */
export function openSource(host: Host, kind: PlatformKind, deviceFd: number | null): number {
  if (kind === 'kvm') return deviceFd ?? -1;
  const path = shippedFile(kind === 'systrap' ? 'systrap_stub' : 'ptrace_stub');
  const fd = host.openat(-100, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw new Error(`cannot open ${path}: ${errnoName(fd)}`);
  return fd;
}

/** The host calls that a process must be allowed for the kind, beyond those of its runtime. */
export function platformCalls(kind: PlatformKind): readonly HostCall[] {
  switch (kind) {
    case 'ptrace':
      return [...PROCESS_CALLS, ...PTRACE_CALLS, ...NICENESS_CALLS];
    case 'systrap':
      return [...PROCESS_CALLS, ...NICENESS_CALLS];
    case 'kvm':
      return KVM_CALLS;
  }
}

/** @throws Error with what the host refuses. */
export function createPlatform(kind: PlatformKind, { host, poll, procFd, sourceFd }: PlatformOptions): Platform {
  switch (kind) {
    case 'ptrace':
      return new PtracePlatform({ host, poll, procFd, stubFd: sourceFd });
    case 'systrap':
      return new SystrapPlatform({ host, poll, procFd, stubFd: sourceFd });
    case 'kvm':
      return new KvmPlatform({ host, poll, procFd, deviceFd: sourceFd, report: probeKvm(sourceFd) });
  }
}
