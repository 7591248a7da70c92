/** What the Sentry is started with: JSON behind the descriptor that --config-fd names. runsc writes it (runsc/container/sandbox_process.ts). */
import { EINTR, errnoName } from '../../abi/errno.ts';
import type { Host } from '../../lib/host.ts';
import type { MemoryGroupFds } from './memory_groups.ts';

export interface BootConfig {
  readonly sandboxId: string;
  /** Listening control socket. */
  readonly controlFd: number;
  readonly platform: 'auto' | 'ptrace' | 'systrap' | 'kvm';
  /** /dev/kvm for the platform kvm, which this process could not open itself. */
  readonly deviceFd: number | null;
  readonly network: 'sandbox' | 'host' | 'none';
  /** Look beneath the mounts' own descriptors where the gofer gives them. */
  readonly directfs: boolean;
  /** Sockets and fifos of volumes are the host's as well, as far as its policies (runsc) say. */
  readonly hostSockets: boolean;
  readonly hostFifos: boolean;
  /** The platform may rewrite system-call instructions of programs. */
  readonly patchSyscalls: boolean;
  readonly debug: boolean;
  readonly strace: boolean;
  /** The container's console, our controlling terminal: SIGWINCH tells of its new size. */
  readonly consoleFd: number | null;
  /** The host's control groups that bound our memory. */
  readonly memoryGroups: readonly MemoryGroupFds[];
  /** uid and gid to end as. */
  readonly nobody: number;
}

const MAX_CONFIG_BYTES = 1 << 20;

export function readConfig(host: Host, argv: readonly string[]): BootConfig {
  const fd = Number(argv[argv.indexOf('--config-fd') + 1]);
  if (!argv.includes('--config-fd') || !Number.isInteger(fd)) throw new Error('started by hand: runsc starts it, with --config-fd N');
  const bytes = new Uint8Array(MAX_CONFIG_BYTES);
  let n = 0;
  for (;;) {
    const got = host.read(fd, bytes, n);
    if (got === EINTR) continue;
    if (got < 0) throw new Error(`cannot read the configuration from descriptor ${fd}: ${errnoName(got)}`);
    if (got === 0) break; // written whole, or `bytes` is full
    n += got;
  }
  if (n === 0 || n === bytes.length) throw new Error(`cannot read the configuration from descriptor ${fd}: ${n} bytes`);
  host.close(fd);
  return JSON.parse(Buffer.from(bytes.buffer, 0, n).toString('utf8')) as BootConfig;
}
