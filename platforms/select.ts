/** Chooses and starts a platform. */
import type { Host } from '../lib/host.ts';
import { shippedFile } from '../native-addon/native.ts';
import type { HostPoll } from './host_poll.ts';
import type { Platform } from './platform.ts';
import { whyNoSystrap } from './probe.ts';
import { PtracePlatform } from './ptrace/ptrace_platform.ts';
import { SystrapPlatform } from './systrap/systrap_platform.ts';

export type PlatformKind = 'ptrace' | 'systrap';

export interface PlatformOptions {
  readonly host: Host;
  readonly poll: HostPoll;
  /** A directory of a procfs that shows this process's children under the pids this process sees. */
  readonly procFd: number;
  /** The stub program of the kind (`stubName`), opened before the process lost its root. */
  readonly stubFd: number;
}

/**
 * What `--platform` asks for: systrap where the host can do it, if it asks for nothing. @throws Error if it asks for what is not there.
 */
export function choosePlatform(host: Host, procFd: number, wanted: string): PlatformKind {
  switch (wanted) {
    case 'auto':
      return whyNoSystrap(host, procFd) === null ? 'systrap' : 'ptrace';
    case 'ptrace':
      return 'ptrace';
    case 'systrap': {
      const why = whyNoSystrap(host, procFd);
      if (why !== null) throw new Error(`platform systrap: ${why}`);
      return 'systrap';
    }
    default:
      throw new Error(`platform ${wanted} does not exist here`);
  }
}

/** The file that a kind's stub program has beside the addon (native-addon/native.ts: shippedFile). */
export function stubName(kind: PlatformKind): string {
  return kind === 'systrap' ? 'systrap_stub' : 'ptrace_stub';
}

/** @throws Error with what the host refuses. */
export function createPlatform(kind: PlatformKind, options: PlatformOptions): Platform {
  switch (kind) {
    case 'ptrace':
      return new PtracePlatform(options);
    case 'systrap':
      return new SystrapPlatform(options);
  }
}

/** Where the stub program of a kind lies, in a checkout or an installation. */
export function stubPath(kind: PlatformKind): string {
  return shippedFile(stubName(kind));
}
