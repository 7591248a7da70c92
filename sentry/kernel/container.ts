/** One container of the sandbox: what its first process starts from, and what names it to the control interface. */
import type { SpaceSource } from '../../platforms/platform.ts';
import { type CgroupLimits, NO_LIMITS } from './cgroup_limits.ts';
import type { Credentials } from './credentials.ts';
import { MemoryAccount } from './memory_account.ts';
import type { PidNamespace } from './pid_namespace.ts';
import type { ControllingTerminal } from './session.ts';
import type { ThreadGroup, WaitStatus } from './thread_group.ts';
import { WaitQueue } from './wait.ts';

export class Container {
  readonly id: string;
  readonly pidNamespace: PidNamespace;
  /** Credentials of processes that exec starts without a user of their own. */
  readonly creds: Credentials;
  /** The first process; null before start. */
  init: ThreadGroup | null = null;
  /** Set when init has ended. */
  exitStatus: WaitStatus | null = null;
  readonly exitEvents = new WaitQueue();
  /** Every process that belongs to the container, in whatever pid namespace. */
  readonly processes = new Set<ThreadGroup>();
  /** Paused: no task of the container runs. */
  paused = false;
  /** What its cgroup files show; the number of tasks is enforced here, the rest by the host (and memory_limit.ts). */
  limits: CgroupLimits = NO_LIMITS;
  /** Its tasks and its processes that nobody has reaped yet; and how often there would have been too many. */
  taskCount = 0;
  tasksRefused = 0;
  readonly memory: MemoryAccount;
  /** Processes that were ended for lack of memory by the Sentry. */
  oomKills = 0;
  /** Regular file of the host that gets their number; -1: none. */
  killsFd = -1;
  /** Host process in the container's own cgroup, where its address spaces come from; null: the platform's own. */
  spaces: SpaceSource | null = null;
  /** The terminal it was started with: /dev/console. */
  console: ControllingTerminal | null = null;
  /** Path of the cgroup as the guest sees it. */
  readonly cgroupPath: string;

  constructor(id: string, pidNamespace: PidNamespace, creds: Credentials, cgroupPath: string, held = new MemoryAccount()) {
    this.id = id;
    this.pidNamespace = pidNamespace;
    this.creds = creds;
    this.cgroupPath = cgroupPath;
    this.memory = new MemoryAccount(held);
  }
}
