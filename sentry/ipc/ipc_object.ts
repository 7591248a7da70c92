/** What shared memory, semaphore sets and message queues have in common (svipc(7)): keys, identifiers, owners, permissions. */
import { EACCES, EEXIST, EINVAL, ENOENT, ENOSPC, EPERM, type Errno } from '../../abi/errno.ts';
import { IPC_CREAT, IPC_EXCL, IPC_PRIVATE, type IpcPerm } from '../../abi/ipc.ts';
import { CAP_IPC_OWNER, CAP_SYS_ADMIN, hasCapIn } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { NO_ID } from '../kernel/user_namespace.ts';

/** Slots of a table; an identifier is sequence number * SLOTS + slot, so that a stale one is noticed. */
const SLOTS = 32768;
const MAX_SEQUENCE = 0x7fff_ffff / SLOTS;

export const READ = 0o444;
export const WRITE = 0o222;

export abstract class IpcObject {
  key: number;
  id = -1;
  uid: number;
  gid: number;
  readonly cuid: number;
  readonly cgid: number;
  /** Permission bits. */
  mode: number;
  /** Seconds since the epoch. */
  changeTime: number;
  /** IPC_RMID: calls that wait on it answer EIDRM. */
  removed = false;

  constructor(task: Task, key: number, mode: number) {
    this.key = key;
    this.mode = mode & 0o777;
    this.uid = this.cuid = task.creds.euid;
    this.gid = this.cgid = task.creds.egid;
    this.changeTime = seconds(task);
  }

  /** EACCES unless `wanted` (READ, WRITE or permission bits) is granted. */
  check(task: Task, wanted: number): 0 | Errno {
    const { creds } = task;
    const bits = (wanted | (wanted >> 3) | (wanted >> 6)) & 7;
    let granted = this.mode & 7;
    if (creds.euid === this.uid || creds.euid === this.cuid) granted = (this.mode >> 6) & 7;
    else if ([this.gid, this.cgid].some((gid) => creds.egid === gid || creds.groups.includes(gid))) granted = (this.mode >> 3) & 7;
    return (bits & ~granted) === 0 || hasCapIn(creds, CAP_IPC_OWNER, task.namespaces.ipc.owner) ? 0 : EACCES;
  }
  /** IPC_SET and IPC_RMID are for owner and creator. */
  checkOwner(task: Task): 0 | Errno {
    const { euid } = task.creds;
    return euid === this.uid || euid === this.cuid || hasCapIn(task.creds, CAP_SYS_ADMIN, task.namespaces.ipc.owner) ? 0 : EPERM;
  }
  /** IPC_SET. */
  setPermissions(task: Task, perm: { readonly uid: number; readonly gid: number; readonly mode: number }): 0 | Errno {
    const { uids, gids } = task.creds.namespace;
    const uid = uids.toKernel(perm.uid);
    const gid = gids.toKernel(perm.gid);
    if (uid === NO_ID || gid === NO_ID) return EINVAL;
    this.uid = uid;
    this.gid = gid;
    this.mode = (this.mode & ~0o777) | (perm.mode & 0o777);
    this.changeTime = seconds(task);
    return 0;
  }
  /** As `reader` sees them. */
  permissions(reader: Task): ReturnType<typeof IpcPerm.read> {
    const { key, mode } = this;
    const { uids, gids } = reader.creds.namespace;
    const owner = { uid: uids.shown(this.uid), gid: gids.shown(this.gid), cuid: uids.shown(this.cuid), cgid: gids.shown(this.cgid) };
    return { key, ...owner, mode, seq: Math.floor(this.id / SLOTS) & 0xffff };
  }
}

/** Wall clock, seconds. */
export function seconds(task: Task): number {
  return Math.floor(task.kernel.realtime() / 1e9);
}

export class IpcTable<T extends IpcObject> {
  readonly limit: number;
  private readonly slots: (T | undefined)[] = [];
  private readonly keys = new Map<number, T>();
  private used = 0;
  private sequence = 0;

  /** limit: objects that may exist at once, at most 32768. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** By identifier: EINVAL. */
  get(id: number): T | Errno {
    const object = id < 0 ? undefined : this.slots[id % SLOTS];
    return object?.id === id ? object : EINVAL;
  }
  /** *_STAT: by slot. */
  at(slot: number): T | Errno {
    return this.slots[slot] ?? EINVAL;
  }
  /** Highest slot in use, at least 0: what IPC_INFO returns. */
  get highest(): number {
    return Math.max(
      0,
      this.slots.findLastIndex((object) => object !== undefined),
    );
  }
  get count(): number {
    return this.used;
  }
  *objects(): Generator<T> {
    for (const object of this.slots) if (object !== undefined) yield object;
  }

  /** shmget(2), semget(2), msgget(2): the identifier. `check` looks at one that exists, `make` makes one. */
  open(task: Task, key: number, flags: number, check: (object: T) => 0 | Errno, make: () => T | Errno): number {
    const existing = key === IPC_PRIVATE ? undefined : this.keys.get(key);
    if (existing !== undefined) {
      if ((flags & (IPC_CREAT | IPC_EXCL)) === (IPC_CREAT | IPC_EXCL)) return EEXIST;
      return existing.check(task, flags & 0o777) || check(existing) || existing.id;
    }
    if (key !== IPC_PRIVATE && (flags & IPC_CREAT) === 0) return ENOENT;
    if (this.used >= this.limit) return ENOSPC;
    const made = make();
    return typeof made === 'number' ? made : this.add(made);
  }
  private add(object: T): number {
    let slot = this.slots.indexOf(undefined);
    if (slot < 0) slot = this.slots.length;
    this.sequence = (this.sequence + 1) % MAX_SEQUENCE;
    object.id = this.sequence * SLOTS + slot;
    this.slots[slot] = object;
    if (object.key !== IPC_PRIVATE) this.keys.set(object.key, object);
    this.used++;
    return object.id;
  }
  /** The key is free for another object; the identifier still finds this one. */
  forgetKey(object: T): void {
    if (this.keys.get(object.key) === object) this.keys.delete(object.key);
    object.key = IPC_PRIVATE;
  }
  remove(object: T): void {
    this.forgetKey(object);
    if (this.slots[object.id % SLOTS] !== object) return;
    this.slots[object.id % SLOTS] = undefined;
    this.used--;
  }
}
