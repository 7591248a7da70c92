/** pid_namespaces(7): numbers for tasks, process groups and sessions. A task has one number in its namespace and in each ancestor. */
import type { ProcessGroup, Session } from './session.ts';
import type { Task } from './task.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from './user_namespace.ts';

/** pid_max: numbers wrap below it. */
export const PID_MAX = 4_194_304;
const RESERVED_PIDS = 300;

export class PidNamespace {
  readonly parent: PidNamespace | null;
  /** 0 for the sandbox's root namespace. */
  readonly level: number;
  /** nsfs inode number. */
  readonly id: number;
  readonly tasks = new Map<number, Task>();
  readonly groups = new Map<number, ProcessGroup>();
  readonly sessions = new Map<number, Session>();
  private last = 0;
  /** The child reaper has exited: no new task may join. */
  dead = false;

  owner: UserNamespace;

  constructor(parent: PidNamespace | null, id: number, owner = ROOT_USER_NAMESPACE) {
    this.owner = owner;
    this.parent = parent;
    this.level = parent === null ? 0 : parent.level + 1;
    this.id = id;
  }

  /** Gives out no number up to `id` before the numbers wrap: nobody is process 1 then. */
  reserve(id: number): void {
    this.last = Math.max(this.last, id);
  }

  /** Numbers are given out from 1 again, those that are free. */
  rewind(): void {
    this.last = 0;
  }

  isFree(id: number): boolean {
    return !this.tasks.has(id) && !this.groups.has(id) && !this.sessions.has(id);
  }

  /** A free number. It stays taken while a task, a group or a session has it. */
  allocate(): number {
    for (let tries = 0; tries < PID_MAX; tries++) {
      this.last = this.last + 1 < PID_MAX ? this.last + 1 : RESERVED_PIDS;
      if (this.isFree(this.last)) return this.last;
    }
    return 0;
  }

  /** Last number given out (/proc/loadavg, ns_last_pid). */
  get lastPid(): number {
    return this.last;
  }

  /** True for `other` itself and everything below this one. */
  contains(other: PidNamespace): boolean {
    for (let ns: PidNamespace | null = other; ns !== null; ns = ns.parent) if (ns === this) return true;
    return false;
  }
}
