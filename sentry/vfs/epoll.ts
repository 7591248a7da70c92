/**
 * epoll(7): an instance watches files without cost while nothing happens to them. Each watched file has an item on the file's wait
 * queue; a wake-up puts the item on the instance's ready list; waiting looks at that list alone.
 *
 * Invariants: an item is on the ready list at most once. A listed item may be ready (it is asked when events are collected); an
 * item that is not listed has not been woken since it was last found idle, or is edge-triggered or disabled. An instance does not
 * hold the files that it watches: their last release takes the items out.
 */

import { EPOLL_EVENT_SIZE, EPOLLET, EPOLLEXCLUSIVE, EPOLLONESHOT, EPOLLWAKEUP } from '../../abi/epoll.ts';
import { EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOSPC, EPERM, type Errno } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM } from '../../abi/poll.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type WaitEntry, WaitQueue } from '../kernel/wait.ts';
import { type FileDescription, FileImpl } from './file.ts';
import { wakeEvents } from './poll_events.ts';

/** Items that all instances of a sandbox may have (max_user_watches): each costs kernel memory. */
const MAX_WATCHES = 1 << 20;
/** Longest chain of instances that watch instances; a longer one would answer ELOOP. Stops deep recursion at a wake-up. */
const MAX_NESTING = 5;
const FLAGS = EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE;
const EXCLUSIVE_ALLOWED = POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;

/** What an EpollFile shares with the others of its kernel. */
export class EpollAccount {
  watches = 0;
}

/** One (descriptor number, open file) of the interest list. */
class EpollItem implements WaitEntry {
  readonly epoll: EpollFile;
  readonly file: FileDescription;
  readonly fd: number;
  /** As epoll_ctl(2) was given them. */
  mask = 0;
  dataLow = 0;
  dataHigh = 0;
  /** EPOLLONESHOT has fired: nothing until EPOLL_CTL_MOD. */
  disabled = false;
  /** Ready list. */
  listed = false;
  next: EpollItem | null = null;
  previous: EpollItem | null = null;
  /** Another number for the same file in the same instance. */
  sibling: EpollItem | null = null;
  // WaitEntry
  events = 0;
  exclusive = false;

  constructor(epoll: EpollFile, file: FileDescription, fd: number) {
    this.epoll = epoll;
    this.file = file;
    this.fd = fd;
  }
  configure(mask: number, dataLow: number, dataHigh: number): void {
    this.mask = mask;
    this.dataLow = dataLow;
    this.dataHigh = dataHigh;
    this.disabled = false;
    this.events = wakeEvents(mask & ~FLAGS);
    this.exclusive = (mask & EPOLLEXCLUSIVE) !== 0;
  }
  /** True if somebody waits on the instance: an exclusive wake-up has then found its one. */
  wake(_events: number): boolean {
    return this.disabled ? false : this.epoll.markReady(this);
  }
  /** Events to report now. */
  ready(): number {
    return this.disabled ? 0 : this.file.impl.poll(this.file, null) & ((this.mask & ~FLAGS) | POLLERR | POLLHUP);
  }
}

export class EpollFile extends FileImpl {
  override readonly queue = new WaitQueue();
  private readonly account: EpollAccount;
  /** First item of each watched file; the others follow as siblings. */
  private readonly items = new Map<FileDescription, EpollItem>();
  /** Instances among the watched files, and instances that watch this one: item counts. */
  readonly below = new Map<EpollFile, number>();
  readonly above = new Map<EpollFile, number>();
  private head: EpollItem | null = null;
  private tail: EpollItem | null = null;
  private listedCount = 0;
  private readonly forgetFile = (file: FileDescription): void => this.removeFile(file);

  constructor(kernel: Kernel) {
    super();
    this.account = kernel.epolls;
  }

  /** EPOLL_CTL_ADD. */
  add(file: FileDescription, fd: number, mask: number, dataLow: number, dataHigh: number): 0 | Errno {
    if (file.impl.queue === null) return EPERM;
    if ((mask & EPOLLEXCLUSIVE) !== 0 && ((mask & ~EXCLUSIVE_ALLOWED) !== 0 || file.impl instanceof EpollFile)) return EINVAL;
    if (this.find(file, fd) !== null) return EEXIST;
    if (this.account.watches >= MAX_WATCHES) return ENOSPC;
    if (file.impl instanceof EpollFile && !mayWatch(this, file.impl)) return ELOOP;
    const item = new EpollItem(this, file, fd);
    item.configure(mask, dataLow, dataHigh);
    const first = this.items.get(file);
    if (first === undefined) {
      this.items.set(file, item);
      file.addReleaseHook(this.forgetFile);
    } else {
      item.sibling = first.sibling;
      first.sibling = item;
    }
    this.account.watches++;
    if (file.impl instanceof EpollFile) this.link(file.impl, 1);
    file.impl.queue.add(item);
    if (item.ready() !== 0) this.markReady(item);
    return 0;
  }
  modify(file: FileDescription, fd: number, mask: number, dataLow: number, dataHigh: number): 0 | Errno {
    const item = this.find(file, fd);
    if (item === null) return ENOENT;
    if (item.exclusive || (mask & EPOLLEXCLUSIVE) !== 0) return EINVAL;
    item.configure(mask, dataLow, dataHigh);
    if (item.ready() !== 0) this.markReady(item);
    return 0;
  }
  remove(file: FileDescription, fd: number): 0 | Errno {
    const item = this.find(file, fd);
    if (item === null) return ENOENT;
    const first = this.items.get(file) as EpollItem;
    if (first !== item) {
      let before = first;
      while (before.sibling !== item) before = before.sibling as EpollItem;
      before.sibling = item.sibling;
    } else if (item.sibling !== null) {
      this.items.set(file, item.sibling);
    } else {
      this.items.delete(file);
      file.removeReleaseHook(this.forgetFile);
    }
    this.discard(item);
    return 0;
  }

  /**
   * Writes up to `max` events (struct epoll_event) into `out`; how many. Level-triggered items go to the end of the list and are
   * asked again next time, the others leave it.
   */
  collect(out: DataView, max: number): number {
    let count = 0;
    for (let left = this.listedCount; left > 0 && count < max; left--) {
      const item = this.head as EpollItem;
      this.unlist(item);
      const events = item.ready();
      if (events === 0) continue;
      const at = count++ * EPOLL_EVENT_SIZE;
      out.setUint32(at, events, true);
      out.setUint32(at + 4, item.dataLow, true);
      out.setUint32(at + 8, item.dataHigh, true);
      if ((item.mask & EPOLLONESHOT) !== 0) item.disabled = true;
      else if ((item.mask & EPOLLET) === 0) this.list(item);
    }
    return count;
  }

  /** True if somebody was waiting. */
  markReady(item: EpollItem): boolean {
    if (!item.listed) this.list(item);
    if (this.queue.empty) return false;
    this.queue.notify(POLLIN | POLLRDNORM);
    return true;
  }

  /** Ready if any listed item still is; those that are not leave the list. */
  override poll(_file: FileDescription): number {
    for (let item = this.head; item !== null; ) {
      const following: EpollItem | null = item.next;
      if (item.ready() !== 0) return POLLIN | POLLRDNORM;
      this.unlist(item);
      item = following;
    }
    return 0;
  }
  override release(_file: FileDescription): void {
    for (const [file, first] of this.items) {
      file.removeReleaseHook(this.forgetFile);
      for (let item: EpollItem | null = first; item !== null; item = item.sibling) this.discard(item);
    }
    this.items.clear();
  }
  override seek(): number {
    return 0; // allowed, without effect
  }
  override describe(): string {
    let text = '';
    for (const first of this.items.values()) {
      for (let item: EpollItem | null = first; item !== null; item = item.sibling) {
        const data = (BigInt(item.dataHigh) << 32n) | BigInt(item.dataLow);
        const events = ((item.disabled ? 0 : item.mask | POLLERR | POLLHUP) >>> 0).toString(16);
        const ino = item.file.inode?.attributes().ino ?? 0;
        text += `tfd: ${String(item.fd).padStart(8)} events: ${events.padStart(8)} data: ${data.toString(16).padStart(16)}  pos:${item.file.position} ino:${ino.toString(16)} sdev:${(item.file.inode?.fs.dev ?? 0).toString(16)}\n`;
      }
    }
    return text;
  }

  private link(watched: EpollFile, change: number): void {
    count(this.below, watched, change);
    count(watched.above, this, change);
  }
  private find(file: FileDescription, fd: number): EpollItem | null {
    let item = this.items.get(file) ?? null;
    while (item !== null && item.fd !== fd) item = item.sibling;
    return item;
  }
  private removeFile(file: FileDescription): void {
    let item = this.items.get(file) ?? null;
    this.items.delete(file);
    for (; item !== null; item = item.sibling) this.discard(item);
  }
  /** Off the file's queue and the ready list. */
  private discard(item: EpollItem): void {
    const { impl } = item.file;
    impl.queue?.remove(item);
    if (impl instanceof EpollFile) this.link(impl, -1);
    item.disabled = true;
    if (item.listed) this.unlist(item);
    this.account.watches--;
  }
  private list(item: EpollItem): void {
    item.listed = true;
    item.previous = this.tail;
    item.next = null;
    if (this.tail === null) this.head = item;
    else this.tail.next = item;
    this.tail = item;
    this.listedCount++;
  }
  private unlist(item: EpollItem): void {
    item.listed = false;
    if (item.previous === null) this.head = item.next;
    else item.previous.next = item.next;
    if (item.next === null) this.tail = item.previous;
    else item.next.previous = item.previous;
    item.next = item.previous = null;
    this.listedCount--;
  }
}

function count(map: Map<EpollFile, number>, key: EpollFile, change: number): void {
  const n = (map.get(key) ?? 0) + change;
  if (n > 0) map.set(key, n);
  else map.delete(key);
}

/** False if `watcher` watching `watched` would close a loop or make a chain longer than MAX_NESTING. */
function mayWatch(watcher: EpollFile, watched: EpollFile): boolean {
  const up = chain(watcher, 'above', null);
  const down = chain(watched, 'below', watcher);
  return watcher !== watched && up + down <= MAX_NESTING;
}
/** Instances on the longest chain from `start` on, itself included; more than MAX_NESTING if that or if it meets `forbidden`. */
function chain(start: EpollFile, direction: 'above' | 'below', forbidden: EpollFile | null): number {
  let layer = new Set([start]);
  let length = 0;
  for (; layer.size > 0 && length <= MAX_NESTING; length++) {
    if (forbidden !== null && layer.has(forbidden)) return MAX_NESTING + 1;
    const following = new Set<EpollFile>();
    for (const epoll of layer) for (const other of epoll[direction].keys()) following.add(other);
    layer = following;
  }
  return length;
}

/** The instance behind an open file; EINVAL for others, EBADF for no file. */
export function epollOf(file: FileDescription | Errno): EpollFile | Errno {
  if (typeof file === 'number') return EBADF;
  return file.impl instanceof EpollFile ? file.impl : EINVAL;
}
