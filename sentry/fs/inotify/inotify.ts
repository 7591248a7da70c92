/**
 * inotify(7). The hub is the kernel's listener for file events, there while any watch is; it knows the watches of each inode. An
 * instance is the file that events are read from.
 */
import { EAGAIN, EEXIST, EFAULT, EINVAL, ENOSPC, ENOTTY, type Errno } from '../../../abi/errno.ts';
import {
  IN_ALL_EVENTS,
  IN_ATTRIB,
  IN_DELETE_SELF,
  IN_EXCL_UNLINK,
  IN_IGNORED,
  IN_ISDIR,
  IN_MASK_ADD,
  IN_MASK_CREATE,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
  IN_ONESHOT,
  IN_Q_OVERFLOW,
  INOTIFY_EVENT_SIZE,
} from '../../../abi/inotify.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import { POLLIN, POLLRDNORM } from '../../../abi/poll.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import { type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Sink } from '../../vfs/io.ts';
import type { FsNotify } from '../../vfs/notify.ts';
import type { Dentry, VfsPath } from '../../vfs/path.ts';

/** fs.inotify: max_queued_events, max_user_instances, max_user_watches; the latter two for the whole sandbox. */
const MAX_QUEUED = 16_384;
export const MAX_INSTANCES = 128;
const MAX_WATCHES = 65_536;

/** What events of a watch go to: an inotify instance, or the file of F_NOTIFY. */
export interface WatchOwner {
  push(event: Event): void;
  drop(watch: Watch): void;
}

export interface Watch {
  readonly instance: WatchOwner;
  readonly wd: number;
  readonly inode: Inode;
  mask: number;
}

export interface Event {
  readonly wd: number;
  readonly mask: number;
  readonly cookie: number;
  readonly name: ByteString;
}

const OVERFLOW: Event = { wd: -1, mask: IN_Q_OVERFLOW, cookie: 0, name: '' };

export class InotifyHub implements FsNotify {
  instances = 0;
  private readonly kernel: Kernel;
  private readonly watches = new Map<Inode, Watch[]>();
  private count = 0;
  private cookie = 0;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }

  /** Somebody else's listener needs events, or needs them no more. */
  keep(on: boolean): void {
    if (on) this.count++;
    else this.count--;
    this.kernel.notify = this.count > 0 ? this : null;
  }

  // FsNotify
  done(mask: number, path: VfsPath, task: Task): void {
    this.object(mask, path.dentry);
    this.kernel.fanotify.object(mask, path, task);
  }
  object(mask: number, dentry: Dentry): void {
    const { inode, parent } = dentry;
    if (inode === null) return;
    const bits = mask | (inode.isDirectory ? IN_ISDIR : 0);
    if (parent?.inode != null) this.tell(parent.inode, bits, dentry.name, 0, dentry.deleted);
    this.tell(inode, bits, '', 0, false);
  }
  entry(mask: number, directory: Inode, name: ByteString, child: Inode): void {
    this.tell(directory, mask | (child.isDirectory ? IN_ISDIR : 0), name, 0, false);
  }
  moved(from: Inode, oldName: ByteString, to: Inode, newName: ByteString, child: Inode): void {
    const cookie = this.nextCookie();
    const directory = child.isDirectory ? IN_ISDIR : 0;
    this.tell(from, IN_MOVED_FROM | directory, oldName, cookie, false);
    this.tell(to, IN_MOVED_TO | directory, newName, cookie, false);
    this.tell(child, IN_MOVE_SELF | directory, '', 0, false);
  }
  linkCount(inode: Inode): void {
    this.tell(inode, IN_ATTRIB, '', 0, false);
  }
  /** What others did to an object on the host: `mask` and `name` as its inotify(7) tells them; `cookie`: of our own. */
  foreign(inode: Inode, mask: number, name: ByteString, cookie: number): void {
    this.tell(inode, mask & (IN_ALL_EVENTS | IN_ISDIR), name, cookie, false);
  }
  /** For the two halves of a rename. */
  nextCookie(): number {
    this.cookie = (this.cookie + 1) >>> 0;
    return this.cookie;
  }
  /** Events of these objects are lost: every instance that watches one of them hears of it. */
  overflow(inodes: Iterable<Inode>): void {
    const owners = new Set<WatchOwner>();
    for (const inode of inodes) for (const { instance } of this.watches.get(inode) ?? []) owners.add(instance);
    for (const owner of owners) owner.push(OVERFLOW);
  }
  deleted(inode: Inode): void {
    if (!this.watches.has(inode)) return;
    this.tell(inode, IN_DELETE_SELF, '', 0, false);
    for (const watch of (this.watches.get(inode) ?? []).slice()) watch.instance.drop(watch);
  }

  private tell(inode: Inode, mask: number, name: ByteString, cookie: number, unlinked: boolean): void {
    const watches = this.watches.get(inode);
    if (watches === undefined) return;
    for (const watch of watches.slice()) {
      if ((watch.mask & mask & IN_ALL_EVENTS) === 0 || (unlinked && (watch.mask & IN_EXCL_UNLINK) !== 0)) continue;
      watch.instance.push({ wd: watch.wd, mask, cookie, name });
      if ((watch.mask & IN_ONESHOT) !== 0) watch.instance.drop(watch);
    }
  }

  /** ENOSPC: too many watches. */
  add(watch: Watch): 0 | Errno {
    if (this.count >= MAX_WATCHES) return ENOSPC;
    this.count++;
    const others = this.watches.get(watch.inode);
    this.kernel.notify = this;
    if (others === undefined) {
      this.watches.set(watch.inode, [watch]);
      watch.inode.watched = true;
      watch.inode.watchChanged();
    } else others.push(watch);
    return 0;
  }
  remove(watch: Watch): void {
    const others = (this.watches.get(watch.inode) ?? []).filter((w) => w !== watch);
    if (others.length > 0) this.watches.set(watch.inode, others);
    else {
      this.watches.delete(watch.inode);
      watch.inode.watched = false;
      watch.inode.watchChanged();
    }
    if (--this.count === 0) this.kernel.notify = null;
  }
}

export class InotifyInstance extends FileImpl {
  override readonly queue = new WaitQueue();
  private readonly hub: InotifyHub;
  private readonly byNumber = new Map<number, Watch>();
  private readonly byInode = new Map<Inode, Watch>();
  private events: Event[] = [];
  private lastWd = 0;

  constructor(hub: InotifyHub) {
    super();
    this.hub = hub;
    hub.instances++;
  }

  /** inotify_add_watch(2): the watch's number. A second one of the same inode changes the first. */
  watch(inode: Inode, mask: number): number {
    const existing = this.byInode.get(inode);
    if (existing !== undefined) {
      if ((mask & IN_MASK_CREATE) !== 0) return EEXIST;
      existing.mask = (mask & IN_MASK_ADD) !== 0 ? existing.mask | mask : mask;
      return existing.wd;
    }
    const watch: Watch = { instance: this, wd: this.lastWd + 1, inode, mask };
    const r = this.hub.add(watch);
    if (r !== 0) return r;
    this.lastWd++;
    this.byNumber.set(watch.wd, watch);
    this.byInode.set(inode, watch);
    return watch.wd;
  }
  /** inotify_rm_watch(2). */
  unwatch(wd: number): number {
    const watch = this.byNumber.get(wd);
    if (watch === undefined) return EINVAL;
    this.drop(watch);
    return 0;
  }
  drop(watch: Watch): void {
    if (!this.byNumber.delete(watch.wd)) return;
    this.byInode.delete(watch.inode);
    this.hub.remove(watch);
    this.push({ wd: watch.wd, mask: IN_IGNORED, cookie: 0, name: '' });
  }

  /** An event that says the same as the last one in the queue is left out. */
  push(event: Event): void {
    const last = this.events[this.events.length - 1];
    if (last !== undefined && same(last, event)) return;
    if (this.events.length > MAX_QUEUED) return;
    this.events.push(this.events.length === MAX_QUEUED ? OVERFLOW : event);
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override read(dst: Sink, _file: FileDescription, _task: Task): number {
    let total = 0;
    let taken = 0;
    let failed = 0;
    for (const event of this.events) {
      const bytes = encode(event);
      if (bytes.length > dst.remaining) {
        if (total === 0) failed = EINVAL;
        break;
      }
      if (dst.put(bytes) !== bytes.length) {
        if (total === 0) failed = EFAULT;
        break;
      }
      total += bytes.length;
      taken++;
    }
    this.events.splice(0, taken);
    return total > 0 ? total : failed || EAGAIN;
  }
  override poll(_file: FileDescription): number {
    return this.events.length > 0 ? POLLIN | POLLRDNORM : 0;
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    if (command !== FIONREAD) return ENOTTY;
    return task.writeU32(
      argument,
      this.events.reduce((sum, { name }) => sum + INOTIFY_EVENT_SIZE + paddedLength(name), 0),
    );
  }
  override release(): void {
    for (const watch of this.byNumber.values()) this.hub.remove(watch);
    this.byNumber.clear();
    this.byInode.clear();
    this.events = [];
    this.hub.instances--;
  }
  override seek(): number {
    return 0; // allowed, without effect
  }
  override describe(): string {
    let text = '';
    for (const { wd, inode, mask } of this.byNumber.values()) {
      const hex = (n: number): string => (n >>> 0).toString(16);
      text += `inotify wd:${hex(wd)} ino:${hex(inode.attributes().ino)} sdev:${hex(inode.fs.dev)} mask:${hex(mask & IN_ALL_EVENTS)} ignored_mask:0\n`;
    }
    return text;
  }
}

function same(a: Event, b: Event): boolean {
  return a.wd === b.wd && a.mask === b.mask && a.cookie === b.cookie && a.name === b.name;
}
/** With at least one NUL; 0 for no name. */
function paddedLength(name: ByteString): number {
  return name === '' ? 0 : Math.ceil((name.length + 1) / INOTIFY_EVENT_SIZE) * INOTIFY_EVENT_SIZE;
}
function encode({ wd, mask, cookie, name }: Event): Uint8Array {
  const out = Buffer.alloc(INOTIFY_EVENT_SIZE + paddedLength(name));
  out.writeInt32LE(wd, 0);
  out.writeUInt32LE(mask >>> 0, 4);
  out.writeUInt32LE(cookie, 8);
  out.writeUInt32LE(paddedLength(name), 12);
  out.write(name, INOTIFY_EVENT_SIZE, 'latin1');
  return out;
}
