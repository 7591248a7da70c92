/** The supervisor's descriptor of seccomp_unotify(2): fetches notifications, answers them, puts descriptors into who asked. */
import { EBADF, EINPROGRESS, EINVAL, ENOENT, ENOTCONN, ERESTARTSYS, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_RDWR } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN } from '../../abi/poll.ts';
import * as S from '../../abi/seccomp.ts';
import { setLen64 } from '../../abi/struct.ts';
import { REG } from '../../platforms/platform.ts';
import type { SeccompFilter } from '../kernel/seccomp.ts';
import type { Notification, SeccompListener } from '../kernel/seccomp_listener.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';

const SET_FLAGS_KNOWN = 1n; // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP: a hint

export class SeccompNotifyFile extends FileImpl {
  private readonly filter: SeccompFilter;
  private readonly listener: SeccompListener;
  override readonly queue;

  constructor(filter: SeccompFilter, listener: SeccompListener) {
    super();
    this.filter = filter;
    this.listener = listener;
    this.queue = listener.queue;
  }
  override poll(_file: FileDescription, task: Task | null = null): number {
    return this.listener.events | (task !== null && !this.inUse(task) ? POLLHUP : 0);
  }
  override release(): void {
    this.listener.close();
  }
  private inUse(task: Task): boolean {
    for (const other of task.kernel.rootPidNamespace.tasks.values()) {
      if (other.state !== 'dead' && this.filter.isAncestorOf(other.seccomp?.filter ?? null)) return true;
    }
    return false;
  }

  override ioctl(file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    switch (command >>> 0) {
      case S.SECCOMP_IOCTL_NOTIF_RECV:
        return this.receive(file, task, argument);
      case S.SECCOMP_IOCTL_NOTIF_SEND:
        return this.send(task, argument);
      case S.SECCOMP_IOCTL_NOTIF_ID_VALID:
      case S.SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR: {
        const id = readId(task, argument);
        if (typeof id === 'number') return id;
        return this.listener.find(id)?.state === 'fetched' ? 0 : ENOENT;
      }
      case S.SECCOMP_IOCTL_NOTIF_ADDFD:
        return this.addFd(task, argument);
      case S.SECCOMP_IOCTL_NOTIF_SET_FLAGS:
        return (BigInt(argument) & ~SET_FLAGS_KNOWN) === 0n ? 0 : EINVAL;
      default:
        return EINVAL;
    }
  }

  private receive(file: FileDescription, task: Task, address: number): SyscallResult {
    const given = task.readBytes(address, S.SECCOMP_NOTIF_SIZE);
    if (typeof given === 'number') return given;
    if (given.some((b) => b !== 0)) return EINVAL;
    const notification = this.listener.next();
    return notification === null ? this.receiveBlocking(file, task, address) : this.tell(task, notification, address);
  }
  private *receiveBlocking(file: FileDescription, task: Task, address: number): Blocking {
    file.hold();
    try {
      for (;;) {
        if (!this.inUse(task)) return ENOTCONN;
        const wake = yield waitFor(this.queue, POLLIN);
        const notification = this.listener.next();
        if (notification !== null) return this.tell(task, notification, address);
        if (wake === 'signal') return ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }
  private tell(task: Task, notification: Notification, address: number): number {
    const out = new Uint8Array(S.SECCOMP_NOTIF_SIZE);
    const view = new DataView(out.buffer);
    const { id, task: caller } = notification;
    view.setBigUint64(0, id, true);
    view.setUint32(8, caller.idIn(task.pidNamespace), true);
    view.setInt32(16, caller.syscallNumber, true);
    view.setUint32(20, S.AUDIT_ARCH_X86_64, true);
    setLen64(view, 24, caller.thread.registers().get(REG.rip));
    for (let i = 0; i < 12; i++) view.setUint32(32 + 4 * i, caller.thread.args[i] as number, true);
    const r = task.copyOut(address, out);
    if (r === 0) this.listener.fetched(notification);
    return r;
  }

  private send(task: Task, address: number): number {
    const raw = task.readBytes(address, S.SECCOMP_NOTIF_RESP_SIZE);
    if (typeof raw === 'number') return raw;
    const view = new DataView(raw.buffer);
    const error = view.getInt32(16, true);
    const flags = view.getUint32(20, true);
    const value = Number(view.getBigInt64(8, true));
    if ((flags & ~S.SECCOMP_USER_NOTIF_FLAG_CONTINUE) !== 0) return EINVAL;
    const goOn = flags !== 0;
    if (goOn && (error !== 0 || value !== 0)) return EINVAL;
    const notification = this.listener.find(view.getBigUint64(0, true));
    if (notification === null) return ENOENT;
    if (notification.state !== 'fetched') return EINPROGRESS;
    this.listener.answer(notification, goOn ? null : { value: error !== 0 ? error : value });
    return 0;
  }

  /** A copy of the supervisor's descriptor for the caller; its number there. */
  private addFd(task: Task, address: number): number {
    const raw = task.readBytes(address, S.SECCOMP_NOTIF_ADDFD_SIZE);
    if (typeof raw === 'number') return raw;
    const view = new DataView(raw.buffer);
    const flags = view.getUint32(8, true);
    const newFd = view.getUint32(16, true);
    const fdFlags = view.getUint32(20, true);
    if ((flags & ~(S.SECCOMP_ADDFD_FLAG_SETFD | S.SECCOMP_ADDFD_FLAG_SEND)) !== 0 || (fdFlags & ~O_CLOEXEC) !== 0) return EINVAL;
    const chosen = (flags & S.SECCOMP_ADDFD_FLAG_SETFD) !== 0;
    if (!chosen && newFd !== 0) return EINVAL;
    const source = task.fds.get(view.getInt32(12, true));
    if (isErrno(source)) return EBADF;
    const notification = this.listener.find(view.getBigUint64(0, true));
    if (notification === null) return ENOENT;
    if (notification.state !== 'fetched') return EINPROGRESS;
    const fd = give(notification.task, source, chosen ? newFd : -1, (fdFlags & O_CLOEXEC) !== 0);
    if (fd >= 0 && (flags & S.SECCOMP_ADDFD_FLAG_SEND) !== 0) this.listener.answer(notification, { value: fd });
    return fd;
  }
}

/** at: the number, -1 for the lowest free one. */
function give(to: Task, source: FileDescription, at: number, cloexec: boolean): number {
  const file = source.hold();
  if (at < 0) {
    const fd = to.fds.install(file, cloexec, to.openFileLimit);
    if (isErrno(fd)) file.release();
    return fd;
  }
  if (at >= to.openFileLimit) {
    file.release();
    return EBADF;
  }
  const old = to.fds.replace(at, file, cloexec);
  if (old !== undefined) to.kernel.closeFile(to, old);
  return at;
}

function readId(task: Task, address: number): bigint | number {
  const raw = task.readBytes(address, 8);
  return typeof raw === 'number' ? raw : new DataView(raw.buffer).getBigUint64(0, true);
}

/** A close-on-exec descriptor for the supervisor. */
export function openSeccompListener(task: Task, filter: SeccompFilter, listener: SeccompListener): number {
  const path = task.kernel.anonymous.path('anon_inode:seccomp notify', 0o600);
  const file = new FileDescription(new SeccompNotifyFile(filter, listener), O_RDWR, path);
  const fd = task.fds.install(file, true, task.openFileLimit);
  if (isErrno(fd)) file.release();
  return fd;
}
