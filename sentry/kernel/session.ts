/** Sessions and process groups (credentials(7), setsid(2), setpgid(2)). The controlling terminal hangs on the session. */
import type { PidNamespace } from './pid_namespace.ts';
import type { ThreadGroup } from './thread_group.ts';

/** What a session knows of its terminal; sentry/fs/devpts implements it. */
export interface ControllingTerminal {
  foreground: ProcessGroup | null;
  /** The session leader exited or gave it up: hang up. */
  disassociate(): void;
}

export class Session {
  readonly leader: ThreadGroup;
  /** Number in each pid namespace from the root down, as the leader's had. */
  readonly ids: readonly number[];
  readonly groups = new Set<ProcessGroup>();
  terminal: ControllingTerminal | null = null;

  constructor(leader: ThreadGroup, ids: readonly number[]) {
    this.leader = leader;
    this.ids = ids;
  }
  idIn(ns: PidNamespace): number {
    return this.ids[ns.level] ?? 0;
  }
}

export class ProcessGroup {
  readonly session: Session;
  readonly ids: readonly number[];
  readonly members = new Set<ThreadGroup>();

  constructor(session: Session, ids: readonly number[]) {
    this.session = session;
    this.ids = ids;
  }
  idIn(ns: PidNamespace): number {
    return this.ids[ns.level] ?? 0;
  }
}
