/**
 * Changes that others make on the host to objects that the application watches: the gofer sets the watches, we read what they tell, and pass it
 * on as events of the guest's inotify(7).
 *
 * What the sandbox does itself the VFS tells; the host's echo of it is left out. The queue is in order and our changes are synchronous: `before` a
 * change passes on what is there, `after` it what the host tells of the names and objects concerned is the echo.
 */

import { isErrno } from '../../../abi/errno.ts';
import { IN_DELETE, IN_DELETE_SELF, IN_IGNORED, IN_MODIFY, IN_Q_OVERFLOW, IN_UNMOUNT, INOTIFY_EVENT_SIZE } from '../../../abi/inotify.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';
import { Runwatchx, Rwatchx, Tunwatchx, Twatchx } from '../../../lib/p9/messages.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { GoferClient } from './client.ts';
import type { GoferInode, Name } from './inode.ts';

const READ = 0;
const ROOM = 65536;
/** Reads of one turn: whoever changes files faster than that must not keep the kernel from everything else. */
const MAX_READS = 8;

export class HostWatches {
  private readonly kernel: Kernel;
  private readonly client: GoferClient;
  /** By the host's number; several where one host object is seen through several mounts. */
  private readonly inodes = new Map<number, GoferInode[]>();
  private readonly numbers = new Map<GoferInode, { readonly wd: number; users: number }>();
  /** Of each object that was asked for, the directory that is watched for its name's sake. */
  private readonly above = new Map<GoferInode, GoferInode>();
  /** Files that are being written while the kernel does something else. */
  private readonly writing = new Map<GoferInode, number>();
  private fd = -1;
  private readonly buffer = Buffer.alloc(ROOM);
  private hostCookie = 0;
  private cookie = 0;

  constructor(kernel: Kernel, client: GoferClient) {
    this.kernel = kernel;
    this.client = client;
  }

  get idle(): boolean {
    return this.numbers.size === 0;
  }

  /**
   * Where the host gives no watch, the application hears of what happens in the sandbox alone. The directory above is watched as well: it tells
   * when the name goes, and as long as we hold the object the host does not say that it is gone.
   */
  add(inode: GoferInode): void {
    this.addOne(inode);
    if (inode.parent === null) return;
    this.above.set(inode, inode.parent);
    this.addOne(inode.parent);
  }
  remove(inode: GoferInode): void {
    this.removeOne(inode);
    const above = this.above.get(inode);
    if (above === undefined) return;
    this.above.delete(inode);
    this.removeOne(above);
  }
  private addOne(inode: GoferInode): void {
    const known = this.numbers.get(inode);
    if (known !== undefined) {
      known.users++;
      return;
    }
    const place = inode.place();
    if (isErrno(place)) return;
    const answer = this.client.call(Twatchx, place, Rwatchx);
    if (isErrno(answer)) return;
    const fd = this.client.takeDescriptor();
    if (fd >= 0) this.listen(fd);
    const { wd } = answer;
    this.numbers.set(inode, { wd, users: 1 });
    const others = this.inodes.get(wd);
    if (others === undefined) this.inodes.set(wd, [inode]);
    else others.push(inode);
  }
  private removeOne(inode: GoferInode): void {
    const number = this.numbers.get(inode);
    if (number === undefined || --number.users > 0) return;
    const { wd } = number;
    this.numbers.delete(inode);
    const left = (this.inodes.get(wd) ?? []).filter((other) => other !== inode);
    if (left.length > 0) this.inodes.set(wd, left);
    else {
      this.inodes.delete(wd);
      this.client.call(Tunwatchx, { wd }, Runwatchx);
    }
  }
  close(): void {
    if (this.fd < 0) return;
    this.kernel.poll.remove(this.fd);
    this.kernel.host.close(this.fd);
    this.fd = -1;
  }

  before(): void {
    this.drain([]);
  }
  after(...touched: readonly Name[]): void {
    this.drain(touched);
  }
  /** As `before` and `after`, of a change of content that may take its time. */
  beginWriting(inode: GoferInode): void {
    this.drain([]);
    this.writing.set(inode, (this.writing.get(inode) ?? 0) + 1);
  }
  endWriting(inode: GoferInode): void {
    this.drain(inode.touched());
    const left = (this.writing.get(inode) ?? 0) - 1;
    if (left > 0) this.writing.set(inode, left);
    else this.writing.delete(inode);
  }

  private listen(fd: number): void {
    this.close();
    this.fd = fd;
    this.kernel.poll.add(fd, POLLIN, () => this.drain([]));
  }

  /** Passes on what waits in the host's queue, but for the echo of `touched`. */
  private drain(touched: readonly Name[]): void {
    if (this.fd < 0) return;
    for (let i = 0; i < MAX_READS; i++) {
      const n = this.kernel.host.syscall(READ, this.fd, this.buffer, ROOM);
      if (n <= 0) return;
      // Whoever is told of an event may ask for another watch: the bytes must be ours alone until the last one.
      const events = Buffer.from(this.buffer.subarray(0, n));
      for (let at = 0; at + INOTIFY_EVENT_SIZE <= n; ) {
        const end = at + INOTIFY_EVENT_SIZE + events.readUInt32LE(at + 12);
        const nul = events.indexOf(0, at + INOTIFY_EVENT_SIZE);
        const name = byteString(events, at + INOTIFY_EVENT_SIZE, nul < 0 ? end : Math.min(nul, end));
        this.event(events.readInt32LE(at), events.readUInt32LE(at + 4), events.readUInt32LE(at + 8), name, touched);
        at = end;
      }
      if (n < ROOM / 2) return;
    }
  }

  private event(wd: number, mask: number, hostCookie: number, name: ByteString, touched: readonly Name[]): void {
    const { inotify } = this.kernel;
    if ((mask & IN_Q_OVERFLOW) !== 0) {
      for (const inode of this.numbers.keys()) inode.markStale();
      inotify.overflow([...this.numbers.keys()]);
      return;
    }
    for (const inode of (this.inodes.get(wd) ?? []).slice()) {
      inode.changedByOthers();
      if ((mask & IN_DELETE) !== 0) this.nameGone(inode, name);
      if ((mask & (IN_IGNORED | IN_UNMOUNT)) !== 0) this.forget(inode, wd);
      else if (this.isEcho(inode, name, mask, touched)) continue;
      else if ((mask & IN_DELETE_SELF) !== 0) inotify.deleted(inode);
      else inotify.foreign(inode, mask, name, this.guestCookie(hostCookie));
    }
  }
  private nameGone(directory: GoferInode, name: ByteString): void {
    for (const [inode, above] of this.above) if (isSame(above, directory) && inode.name === name) inode.letGo();
  }
  /** The host has given up the watch. */
  private forget(inode: GoferInode, wd: number): void {
    this.numbers.delete(inode);
    this.inodes.delete(wd);
    this.client.call(Tunwatchx, { wd }, Runwatchx);
  }
  private guestCookie(hostCookie: number): number {
    if (hostCookie === 0) return 0;
    if (hostCookie !== this.hostCookie) {
      this.hostCookie = hostCookie;
      this.cookie = this.kernel.inotify.nextCookie();
    }
    return this.cookie;
  }

  private isEcho(inode: GoferInode, name: ByteString, mask: number, touched: readonly Name[]): boolean {
    if (touched.some((t) => t.name === name && isSame(t.inode, inode))) return true;
    if ((mask & IN_MODIFY) === 0) return false;
    for (const file of this.writing.keys()) {
      if (file.touched().some((t) => t.name === name && isSame(t.inode, inode))) return true;
    }
    return false;
  }
}

/** Two objects of ours may stand for one of the host's. */
function isSame(a: GoferInode, b: GoferInode): boolean {
  return a === b || (a.fs === b.fs && a.ino === b.ino);
}
