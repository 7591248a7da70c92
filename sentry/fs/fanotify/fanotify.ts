/**
 * fanotify(7): events of files, mounts and filesystems, each with a descriptor of the object. The hub knows all marks; a group is the file
 * that events are read from. Notification alone: nobody is asked for permission.
 */
import { EAGAIN, EFAULT, EINVAL, ENOENT, ENOSPC, type Errno, isErrno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fanotify.ts';
import { O_CLOEXEC } from '../../../abi/fcntl.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import type { Task } from '../../kernel/task.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import { FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Filesystem, Inode } from '../../vfs/inode.ts';
import type { Sink } from '../../vfs/io.ts';
import { inodeOf, type Mount, type VfsPath } from '../../vfs/path.ts';

/** fs.fanotify: max_queued_events, max_user_groups and max_user_marks; the latter two for the whole sandbox. */
const MAX_QUEUED = 16_384;
export const MAX_GROUPS = 128;
const MAX_MARKS = 65_536;

/** What a mark is on. */
export type Marked = Inode | Mount | Filesystem;

interface Mark {
  readonly group: FanotifyGroup;
  readonly on: Marked;
  mask: number;
  ignored: number;
  /** FAN_MARK_IGNORED_SURV_MODIFY. */
  ignoresForEver: boolean;
}
interface Event {
  mask: number;
  /** Null: the queue was full. */
  readonly path: VfsPath | null;
  readonly pid: number;
}

export class FanotifyHub {
  groups = 0;
  private readonly marks = new Map<Marked, Mark[]>();
  private count = 0;
  /** The first mark came, the last one went. */
  private readonly inUse: (on: boolean) => void;

  constructor(inUse: (on: boolean) => void) {
    this.inUse = inUse;
  }

  find(group: FanotifyGroup, on: Marked): Mark | undefined {
    return this.marks.get(on)?.find((mark) => mark.group === group);
  }
  add(mark: Mark): 0 | Errno {
    if (this.count >= MAX_MARKS) return ENOSPC;
    if (this.count++ === 0) this.inUse(true);
    const others = this.marks.get(mark.on);
    if (others === undefined) this.marks.set(mark.on, [mark]);
    else others.push(mark);
    return 0;
  }
  remove(mark: Mark): void {
    const others = (this.marks.get(mark.on) ?? []).filter((m) => m !== mark);
    if (others.length > 0) this.marks.set(mark.on, others);
    else this.marks.delete(mark.on);
    if (--this.count === 0) this.inUse(false);
  }

  /** `task` has done `mask` to the object at `path`. */
  object(mask: number, path: VfsPath, task: Task): void {
    const bits = mask & F.FAN_EVENTS;
    const inode = inodeOf(path);
    const parent = path.dentry.parent?.inode ?? null;
    if (bits === 0) return;
    const wanted = new Map<FanotifyGroup, { mask: number; ignored: number }>();
    const directory = inode.isDirectory ? F.FAN_ONDIR : 0;
    for (const on of [inode, path.mount, inode.fs, parent]) {
      for (const mark of (on === null ? undefined : this.marks.get(on)) ?? []) {
        if (on === parent && on !== inode && (mark.mask & F.FAN_EVENT_ON_CHILD) === 0) continue;
        const sum = wanted.get(mark.group) ?? { mask: 0, ignored: 0 };
        if ((mark.mask & directory) === directory) sum.mask |= mark.mask & bits;
        if (on !== parent) sum.ignored |= mark.ignored;
        wanted.set(mark.group, sum);
        if ((bits & F.FAN_MODIFY) !== 0 && on === inode && !mark.ignoresForEver) mark.ignored = 0;
      }
    }
    for (const [group, sum] of wanted) {
      const told = sum.mask & ~sum.ignored;
      if (told !== 0) group.push(told | directory, path, task);
    }
  }
}

export class FanotifyGroup extends FileImpl {
  override readonly queue = new WaitQueue();
  private readonly hub: FanotifyHub;
  /** O_* of the descriptors that come with events. */
  private readonly eventFlags: number;
  private readonly pidNamespace: PidNamespace;
  private readonly limit: number;
  private readonly marks = new Set<Mark>();
  private events: Event[] = [];

  constructor(hub: FanotifyHub, eventFlags: number, pidNamespace: PidNamespace, unlimited: boolean) {
    super();
    this.hub = hub;
    this.eventFlags = eventFlags;
    this.pidNamespace = pidNamespace;
    // Events are memory of ours: without a limit that somebody else may have set, there is one that nobody reaches by accident.
    this.limit = unlimited ? MAX_QUEUED * 16 : MAX_QUEUED;
    hub.groups++;
  }

  /** FAN_MARK_ADD. `ignored`: FAN_MARK_IGNORED_MASK; `forEver`: FAN_MARK_IGNORED_SURV_MODIFY. */
  add(on: Marked, mask: number, ignored: boolean, forEver: boolean): number {
    let mark = this.hub.find(this, on);
    if (mark === undefined) {
      mark = { group: this, on, mask: 0, ignored: 0, ignoresForEver: false };
      const r = this.hub.add(mark);
      if (r !== 0) return r;
      this.marks.add(mark);
    }
    if (ignored) {
      mark.ignored |= mask;
      mark.ignoresForEver ||= forEver;
    } else mark.mask |= mask;
    return 0;
  }
  /** FAN_MARK_REMOVE. */
  remove(on: Marked, mask: number, ignored: boolean): number {
    const mark = this.hub.find(this, on);
    if (mark === undefined) return ENOENT;
    if (ignored) mark.ignored &= ~mask;
    else mark.mask &= ~mask;
    if ((mark.mask | mark.ignored) === 0) this.drop(mark);
    return 0;
  }
  /** FAN_MARK_FLUSH. */
  flushMarks(isKind: (on: Marked) => boolean): void {
    for (const mark of [...this.marks]) if (isKind(mark.on)) this.drop(mark);
  }
  private drop(mark: Mark): void {
    this.marks.delete(mark);
    this.hub.remove(mark);
  }

  /** Events of one object by one process become one, if nobody has read the first yet. */
  push(mask: number, path: VfsPath, task: Task): void {
    const pid = task.group.leader.idIn(this.pidNamespace);
    const last = this.events[this.events.length - 1];
    if (last !== undefined && last.path?.dentry === path.dentry && last.path.mount === path.mount && last.pid === pid) {
      last.mask |= mask;
      return;
    }
    if (this.events.length > this.limit) return;
    this.events.push(this.events.length === this.limit ? { mask: F.FAN_Q_OVERFLOW, path: null, pid: 0 } : { mask, path, pid });
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override read(dst: Sink, _file: FileDescription, task: Task): number {
    const { size } = F.FanotifyEventMetadata;
    if (dst.remaining < size) return EINVAL;
    let total = 0;
    while (dst.remaining >= size) {
      const event = this.events[0];
      if (event === undefined) break;
      const fd = event.path === null ? F.FAN_NOFD : this.openObject(event.path, task);
      if (isErrno(fd) && event.path !== null && total > 0) break;
      this.events.shift();
      if (isErrno(fd) && event.path !== null) return fd;
      if (dst.put(encode(event, fd)) !== size) {
        if (fd >= 0) task.kernel.closeFile(task, task.fds.remove(fd) as FileDescription);
        return total > 0 ? total : EFAULT;
      }
      total += size;
    }
    return total > 0 ? total : EAGAIN;
  }
  /** What is done through the descriptor is told to nobody. */
  private openObject(path: VfsPath, task: Task): number {
    const impl = inodeOf(path).open(this.eventFlags & ~O_CLOEXEC, { path, creds: task.creds, task });
    if (typeof impl === 'number') return impl;
    const file = new FileDescription(impl, this.eventFlags & ~O_CLOEXEC, path);
    file.unwatched = true;
    const fd = task.fds.install(file, (this.eventFlags & O_CLOEXEC) !== 0, task.openFileLimit);
    if (fd < 0) file.release();
    return fd;
  }
  override poll(): number {
    return this.events.length > 0 ? POLLIN | POLLRDNORM : 0;
  }
  override release(): void {
    this.flushMarks(() => true);
    this.events = [];
    this.hub.groups--;
  }
}

function encode({ mask, pid }: Event, fd: number): Uint8Array {
  return F.FanotifyEventMetadata.encode({
    event_len: F.FanotifyEventMetadata.size,
    vers: F.FANOTIFY_METADATA_VERSION,
    reserved: 0,
    metadata_len: F.FanotifyEventMetadata.size,
    mask: BigInt(mask & ~F.FAN_ONDIR),
    fd,
    pid,
  });
}
