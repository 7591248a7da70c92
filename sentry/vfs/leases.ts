/**
 * Leases (fcntl(2), F_SETLEASE): who holds one hears by a signal that somebody else wants to open the file, or cut it off, in a way that it
 * excludes, and has lease-break-time to give way. They hold among the processes of a sandbox: what the host does to a file nobody hears.
 */
import { EACCES, EAGAIN, EINVAL, type Errno, EWOULDBLOCK } from '../../abi/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../abi/fcntl.ts';
import { POLLIN, POLLMSG, POLLRDNORM } from '../../abi/poll.ts';
import { CAP_LEASE, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { type Wait, WaitQueue, type Wake, waitFor } from '../kernel/wait.ts';
import { signalOwner } from './async_notice.ts';
import type { FileDescription } from './file.ts';
import type { Inode } from './inode.ts';
import { credentialsOn } from './mount_id_map.ts';

/** si_code of a signal that F_SETSIG chose. */
const POLL_MSG = 3;
/** /proc/sys/fs/lease-break-time, s. */
const BREAK_TIME = 45;
const NSEC = 1e9;

export type LeaseType = typeof F_RDLCK | typeof F_WRLCK | typeof F_UNLCK;

export class Lease {
  readonly file: FileDescription;
  readonly holder: Task;
  readonly fd: number;
  type: LeaseType;
  /** What it must become by the deadline (kernel monotonic ns); null: nobody has asked. */
  wanted: LeaseType | null = null;
  deadline = 0;

  constructor(holder: Task, file: FileDescription, fd: number, type: LeaseType) {
    this.holder = holder;
    this.file = file;
    this.fd = fd;
    this.type = type;
  }
}

/** The leases of one file. */
export class Leases {
  readonly list: Lease[] = [];
  /** Who waits for them to give way. */
  readonly queue = new WaitQueue();

  of(file: FileDescription): Lease | undefined {
    return this.list.find((lease) => lease.file === file);
  }
  set(lease: Lease, type: LeaseType): void {
    lease.type = type;
    lease.wanted = null;
    if (type === F_UNLCK) {
      this.list.splice(this.list.indexOf(lease), 1);
      lease.file.owner = 0;
      lease.file.ownerSignal = 0;
    }
    this.queue.notify(POLLIN);
  }
  /** Those whose time is over give way whether they have said so or not. */
  expire(now: number): void {
    for (const lease of this.list.slice()) if (lease.wanted !== null && now >= lease.deadline) this.set(lease, lease.wanted);
  }
}

/** What F_GETLEASE tells: of one that is being broken, what it has to become. */
export function leaseOf(task: Task, file: FileDescription): LeaseType {
  const leases = file.inode?.leases;
  leases?.expire(task.kernel.now());
  const lease = leases?.of(file);
  return lease === undefined ? F_UNLCK : (lease.wanted ?? lease.type);
}

/** F_SETLEASE. `fd`: what the signal tells. */
export function setLease(task: Task, file: FileDescription, fd: number, type: number): 0 | Errno {
  const { inode } = file;
  if (type !== F_RDLCK && type !== F_WRLCK && type !== F_UNLCK) return EINVAL;
  if (inode === null || file.isPath) return EINVAL;
  if (inode.uid !== credentialsOn(file.path?.mount, task.creds).fsuid && !hasCap(task.creds, CAP_LEASE)) return EACCES;
  if (!inode.isRegular) return EINVAL;
  inode.leases?.expire(task.kernel.now());
  const held = inode.leases?.of(file);
  if (type === F_UNLCK) {
    if (held === undefined) return EAGAIN;
    inode.leases?.set(held, F_UNLCK);
    return 0;
  }
  if (isOpenAgainst(inode, file, type) || (held?.wanted ?? null) !== null || isLeasedAgainst(inode, file, type)) return EAGAIN;
  inode.leases ??= new Leases();
  if (held !== undefined) inode.leases.set(held, type);
  else grant(task, inode.leases, file, fd, type);
  return 0;
}
function grant(task: Task, leases: Leases, file: FileDescription, fd: number, type: LeaseType): void {
  const lease = new Lease(task, file, fd, type);
  leases.list.push(lease);
  if (file.owner === 0) {
    file.owner = task.pid;
    file.ownerSetter = task;
  }
  file.addReleaseHook(() => {
    if (leases.of(file) === lease) leases.set(lease, F_UNLCK);
  });
}

/** A lease to read excludes writers, one to write everybody but the file it is taken on. */
function isOpenAgainst(inode: Inode, file: FileDescription, type: LeaseType): boolean {
  return type === F_RDLCK ? inode.writers > 0 || file.writable : inode.descriptions > 1;
}
function isLeasedAgainst(inode: Inode, file: FileDescription, type: LeaseType): boolean {
  return inode.leases?.list.some((other) => other.file !== file && (type === F_WRLCK || other.type === F_WRLCK)) ?? false;
}

/** Whether an open (or a truncation, which writes) must wait; the holders have been told. */
export function breaksLeases(task: Task, inode: Inode, writes: boolean): boolean {
  const { leases } = inode;
  if (leases === null || leases.list.length === 0) return false;
  const { kernel } = task;
  leases.expire(kernel.now());
  const wanted = writes ? F_UNLCK : F_RDLCK;
  let conflict = false;
  for (const lease of leases.list) {
    if (!writes && lease.type !== F_WRLCK) continue;
    conflict = true;
    if (lease.wanted === F_UNLCK || lease.wanted === wanted) continue;
    const told = lease.wanted !== null;
    lease.wanted = wanted;
    if (told) continue;
    lease.deadline = kernel.now() + Number(kernel.sysctl.get('fs/lease-break-time') ?? BREAK_TIME) * NSEC;
    signalOwner(lease.file, lease.file.ownerSetter ?? lease.holder, { code: POLL_MSG, band: POLLIN | POLLRDNORM | POLLMSG, fd: lease.fd });
  }
  return conflict;
}

/** Until nothing is in the way: 0, EWOULDBLOCK, or why it ended. */
export function* waitForLeases(
  task: Task,
  inode: Inode,
  writes: boolean,
  nonblocking: boolean,
  interrupted: Errno,
): Generator<Wait, 0 | Errno, Wake> {
  while (breaksLeases(task, inode, writes)) {
    if (nonblocking) return EWOULDBLOCK;
    const { list, queue } = inode.leases as Leases;
    const deadline = Math.min(...list.map((lease) => (lease.wanted === null ? Number.POSITIVE_INFINITY : lease.deadline)));
    const wake = yield waitFor(queue, POLLIN, deadline);
    if (wake === 'signal') return interrupted;
  }
  return 0;
}
