/**
 * Sessions and process groups (credentials(7), setsid(2), setpgid(2)). The controlling terminal hangs on the session.
 *
 * Interface: a process is in exactly one group from `startSession` or `joinGroup` (fork: the parent's group) until `leaveGroup`, which
 * reaping calls. `exitJobControl` is called in between, when the process has become a zombie and its children have new parents.
 */
import { SI_KERNEL, SIGCONT, SIGHUP } from '../../abi/signal.ts';
import type { PidNamespace } from './pid_namespace.ts';
import { sendToProcessGroup } from './signal_send.ts';
import type { ThreadGroup } from './thread_group.ts';

/** What a session knows of its terminal; sentry/tty implements it. */
export interface ControllingTerminal {
  /** Device number, for /proc/PID/stat. */
  readonly rdev: number;
  foreground: ProcessGroup | null;
  /** Becomes the terminal of `session`, with `group` in the foreground. */
  control(session: Session, group: ProcessGroup): void;
  /** The session leader exited: the foreground group gets SIGHUP, the session has no terminal any more. */
  disassociate(): void;
  /** vhangup(2). */
  hangUp(): void;
}

export class Session {
  readonly leader: ThreadGroup;
  /** Number in each pid namespace from the root down, as the leader's had. */
  readonly ids: readonly number[];
  readonly groups = new Set<ProcessGroup>();
  terminal: ControllingTerminal | null = null;
  /** Foreground group of a terminal that hung up: it hears of it when the leader exits. */
  lastForeground: ProcessGroup | null = null;
  /** Members that gave the terminal up for themselves (TIOCNOTTY of a process that is not the leader). */
  private detached: WeakSet<ThreadGroup> | null = null;

  constructor(leader: ThreadGroup, ids: readonly number[]) {
    this.leader = leader;
    this.ids = ids;
  }
  idIn(ns: PidNamespace): number {
    return this.ids[ns.level] ?? 0;
  }
  /** The controlling terminal of one member. */
  terminalOf(process: ThreadGroup): ControllingTerminal | null {
    return this.detached?.has(process) ? null : this.terminal;
  }
  detach(process: ThreadGroup): void {
    this.detached ??= new WeakSet();
    this.detached.add(process);
  }
  /** A new terminal: every member has it. */
  attach(terminal: ControllingTerminal): void {
    this.terminal = terminal;
    this.detached = null;
  }
}

export class ProcessGroup {
  readonly session: Session;
  readonly ids: readonly number[];
  /** The namespace of the process that began it: the deepest that numbers it. */
  readonly pidNamespace: PidNamespace;
  /** Zombies included, until they are reaped. */
  readonly members = new Set<ThreadGroup>();

  constructor(session: Session, ids: readonly number[], pidNamespace: PidNamespace) {
    this.session = session;
    this.ids = ids;
    this.pidNamespace = pidNamespace;
  }
  idIn(ns: PidNamespace): number {
    return this.ids[ns.level] ?? 0;
  }
}

/** The process's controlling terminal, if it has one. */
export function controllingTerminal(process: ThreadGroup): ControllingTerminal | null {
  return process.group.session.terminalOf(process);
}

/** setsid(2) without its checks: `process` leads a new session of one group. Also how a container's first process begins. */
export function startSession(process: ThreadGroup): Session {
  const { ids } = process.leader;
  const session = new Session(process, ids);
  for (let ns: PidNamespace | null = process.pidNamespace; ns !== null; ns = ns.parent) ns.sessions.set(session.idIn(ns), session);
  enterGroup(process, newGroup(process, session));
  return session;
}

/** setpgid(2) to oneself, without its checks: `process` leads a new group of its session. */
export function startGroup(process: ThreadGroup): ProcessGroup {
  const group = newGroup(process, process.group.session);
  enterGroup(process, group);
  return group;
}

/** Into an existing group: setpgid(2), and a child of fork(2) into its parent's. */
export function joinGroup(process: ThreadGroup, group: ProcessGroup): void {
  enterGroup(process, group);
}

/** The process is reaped: its group and session end with their last member. */
export function leaveGroup(process: ThreadGroup): void {
  removeMember(process, process.group);
}

function newGroup(leader: ThreadGroup, session: Session): ProcessGroup {
  const group = new ProcessGroup(session, leader.leader.ids, leader.pidNamespace);
  session.groups.add(group);
  for (let ns: PidNamespace | null = leader.pidNamespace; ns !== null; ns = ns.parent) ns.groups.set(group.idIn(ns), group);
  return group;
}

function enterGroup(process: ThreadGroup, group: ProcessGroup): void {
  // A process that is just being made may not be in a group yet.
  const old = process.group as ProcessGroup | null | undefined;
  group.members.add(process);
  process.group = group;
  if (old !== group && old != null) removeMember(process, old);
}

function removeMember(process: ThreadGroup, group: ProcessGroup): void {
  group.members.delete(process);
  if (group.members.size > 0) return;
  const { session } = group;
  for (let ns: PidNamespace | null = group.pidNamespace; ns !== null; ns = ns.parent) forget(ns.groups, group.idIn(ns), group);
  session.groups.delete(group);
  if (session.groups.size > 0) return;
  for (let ns: PidNamespace | null = session.leader.pidNamespace; ns !== null; ns = ns.parent)
    forget(ns.sessions, session.idIn(ns), session);
  if (session.terminal !== null) session.terminal.disassociate();
}

function forget<T>(map: Map<number, T>, id: number, value: T): void {
  if (map.get(id) === value) map.delete(id);
}

/**
 * True if nobody outside the group could continue its members: no member has a parent in another group of the same session
 * (setpgid(2)). Such a group is not stopped from the terminal. `ignored`: a member that is about to go.
 */
export function isOrphaned(group: ProcessGroup, ignored: ThreadGroup | null = null): boolean {
  for (const member of group.members) {
    if (member === ignored || member.zombie || member.parent === null) continue;
    const { parent } = member;
    if (parent.group !== group && parent.group.session === group.session) return false;
  }
  return true;
}

/**
 * Job control at the end of a process: the session loses its terminal, and groups that its going has orphaned are woken with
 * SIGHUP and SIGCONT if a member is stopped (_exit(2)). `children`: those it had before they got their new parents.
 */
export function exitJobControl(process: ThreadGroup, children: Iterable<ThreadGroup>): void {
  const { session } = process.group;
  if (session.leader === process) {
    session.terminal?.disassociate();
    if (session.lastForeground !== null) sendToProcessGroup(session.lastForeground, { signal: SIGHUP, code: SI_KERNEL });
    session.lastForeground = null;
  }
  for (const child of children) hangUpIfOrphaned(child, process, null);
  if (process.parent !== null) hangUpIfOrphaned(process, process.parent, process);
}

function hangUpIfOrphaned(process: ThreadGroup, connection: ThreadGroup, ignored: ThreadGroup | null): void {
  const { group } = process;
  // Only if `connection` was what kept the group from being orphaned before.
  if (connection.group === group || connection.group.session !== group.session || !isOrphaned(group, ignored)) return;
  if (!hasStopped(group)) return;
  sendToProcessGroup(group, { signal: SIGHUP, code: SI_KERNEL });
  sendToProcessGroup(group, { signal: SIGCONT, code: SI_KERNEL });
}

function hasStopped(group: ProcessGroup): boolean {
  for (const member of group.members) if (member.stopped) return true;
  return false;
}
