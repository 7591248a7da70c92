/**
 * File locks: record locks of processes (fcntl(2) F_SETLK), of open files (F_OFD_SETLK), and flock(2). They are advisory and live
 * with the inode. A record lock's owner is the descriptor table of the process, or the FileDescription.
 */
import { EAGAIN, EDEADLK, ENOLCK, ERESTARTSYS } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { type Blocking, type SyscallResult, WaitQueue, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from './file.ts';
import type { Inode } from './inode.ts';

/** A range [start, end); Infinity: to the end of the file however it grows. */
export interface RecordLock {
  readonly start: number;
  readonly end: number;
  readonly exclusive: boolean;
  readonly owner: object;
  /** For F_GETLK: the process; -1 for locks of open files. */
  readonly pid: number;
}

/** Most record locks of one file. */
const LOCKS_MAX = 100_000;

class InodeLocks {
  /** By start. */
  records: RecordLock[] = [];
  readonly whole = new Map<FileDescription, { exclusive: boolean }>();
  readonly queue = new WaitQueue();

  get unused(): boolean {
    return this.records.length === 0 && this.whole.size === 0 && this.queue.empty;
  }
  conflict(lock: RecordLock): RecordLock | null {
    for (const held of this.records) {
      if (held.start >= lock.end) return null;
      if (held.owner !== lock.owner && held.end > lock.start && (held.exclusive || lock.exclusive)) return held;
    }
    return null;
  }

  /** Takes the owner's hold off a range; what sticks out on either side stays. */
  cut(owner: object, start: number, end: number): boolean {
    if (!this.records.some((held) => held.owner === owner && held.start < end && held.end > start)) return false;
    const kept: RecordLock[] = [];
    for (const held of this.records) {
      if (held.owner !== owner || held.start >= end || held.end <= start) kept.push(held);
      else {
        if (held.start < start) kept.push({ ...held, end: start });
        if (held.end > end) kept.push({ ...held, start: end });
      }
    }
    this.records = kept.sort((a, b) => a.start - b.start);
    return true;
  }
  /** No conflict; the owner's own locks in the range are replaced, neighbours of the same kind merged. */
  put(lock: RecordLock): void {
    this.cut(lock.owner, lock.start, lock.end);
    let { start, end } = lock;
    const kept = this.records.filter((held) => {
      const merges = held.owner === lock.owner && held.exclusive === lock.exclusive && (held.end === start || held.start === end);
      if (!merges) return true;
      start = Math.min(start, held.start);
      end = Math.max(end, held.end);
      return false;
    });
    const merged = { ...lock, start, end };
    const at = kept.findIndex((held) => held.start > start);
    kept.splice(at < 0 ? kept.length : at, 0, merged);
    this.records = kept;
  }
  wholeConflict(file: FileDescription, exclusive: boolean): boolean {
    for (const [holder, held] of this.whole) if (holder !== file && (exclusive || held.exclusive)) return true;
    return false;
  }
}

/** Owned by the Kernel. */
export class LockTable {
  private readonly byInode = new Map<Inode, InodeLocks>();
  /** Which owner waits for which: a circle is a deadlock. Record locks of processes only. */
  private readonly waiting = new Map<object, object>();

  /** False: close(2) has nothing to do here. */
  get inUse(): boolean {
    return this.byInode.size > 0;
  }

  /** F_GETLK: the first lock that stands in the way. */
  blocker(inode: Inode, lock: RecordLock): RecordLock | null {
    return this.byInode.get(inode)?.conflict(lock) ?? null;
  }

  /** F_SETLK, F_SETLKW of F_RDLCK or F_WRLCK. */
  lock(inode: Inode, lock: RecordLock, wait: boolean): SyscallResult {
    const locks = this.locksOf(inode);
    const held = locks.conflict(lock);
    if (held === null) {
      if (locks.records.length >= LOCKS_MAX) return ENOLCK;
      locks.put(lock);
      locks.queue.notify(POLLIN); // a write lock may have become a read lock
      return 0;
    }
    if (!wait) return EAGAIN;
    return this.wouldDeadlock(lock, held) ? EDEADLK : this.waitForRecord(inode, lock);
  }

  private *waitForRecord(inode: Inode, lock: RecordLock): Blocking {
    try {
      for (;;) {
        const locks = this.locksOf(inode); // the one of before may have been forgotten
        const held = locks.conflict(lock);
        if (held === null) {
          locks.put(lock);
          return 0;
        }
        if (this.wouldDeadlock(lock, held)) return EDEADLK;
        if (lock.pid >= 0) this.waiting.set(lock.owner, held.owner);
        const wake = yield waitFor(locks.queue, POLLIN);
        if (wake === 'signal' && this.locksOf(inode).conflict(lock) !== null) return ERESTARTSYS;
      }
    } finally {
      this.waiting.delete(lock.owner);
      this.forgetIfUnused(inode, this.locksOf(inode));
    }
  }

  private wouldDeadlock(lock: RecordLock, held: RecordLock): boolean {
    if (lock.pid < 0) return false;
    const seen = new Set<object>();
    for (let owner: object | undefined = held.owner; owner !== undefined; owner = this.waiting.get(owner)) {
      if (owner === lock.owner) return true;
      if (seen.has(owner)) return false;
      seen.add(owner);
    }
    return false;
  }

  unlock(inode: Inode, owner: object, start: number, end: number): void {
    const locks = this.byInode.get(inode);
    if (locks?.cut(owner, start, end)) this.released(inode, locks);
  }

  /** close(2) by a process: it loses its record locks on the file, whichever descriptor set them. */
  closed(owner: object, file: FileDescription): void {
    const { inode } = file;
    if (inode !== null) this.unlock(inode, owner, 0, Number.POSITIVE_INFINITY);
  }

  /** flock(2). */
  flock(file: FileDescription, inode: Inode, exclusive: boolean, wait: boolean): SyscallResult {
    const locks = this.locksOf(inode);
    const own = locks.whole.get(file);
    if (own?.exclusive === exclusive) return 0;
    // A conversion gives the old lock up first (flock(2)).
    if (own !== undefined) {
      locks.whole.delete(file);
      locks.queue.notify(POLLIN);
    }
    if (!locks.wholeConflict(file, exclusive)) return this.takeWhole(file, locks, exclusive);
    return wait ? this.waitForWhole(file, inode, exclusive) : EAGAIN;
  }
  private takeWhole(file: FileDescription, locks: InodeLocks, exclusive: boolean): 0 {
    locks.whole.set(file, { exclusive });
    return 0;
  }
  private *waitForWhole(file: FileDescription, inode: Inode, exclusive: boolean): Blocking {
    try {
      for (;;) {
        const locks = this.locksOf(inode);
        if (!locks.wholeConflict(file, exclusive)) return this.takeWhole(file, locks, exclusive);
        const wake = yield waitFor(locks.queue, POLLIN);
        if (wake === 'signal' && this.locksOf(inode).wholeConflict(file, exclusive)) return ERESTARTSYS;
      }
    } finally {
      this.forgetIfUnused(inode, this.locksOf(inode));
    }
  }
  funlock(file: FileDescription, inode: Inode): 0 {
    const locks = this.byInode.get(inode);
    if (locks?.whole.delete(file)) this.released(inode, locks);
    return 0;
  }
  /** The last reference to an open file is gone: its flock and OFD locks go. */
  fileReleased(file: FileDescription): void {
    const { inode } = file;
    if (inode === null) return;
    this.unlock(inode, file, 0, Number.POSITIVE_INFINITY);
    this.funlock(file, inode);
  }

  /** For /proc/locks. */
  *all(): Generator<{ inode: Inode; record: RecordLock | null; exclusive: boolean }> {
    for (const [inode, locks] of this.byInode) {
      for (const record of locks.records) yield { inode, record, exclusive: record.exclusive };
      for (const { exclusive } of locks.whole.values()) yield { inode, record: null, exclusive };
    }
  }

  private locksOf(inode: Inode): InodeLocks {
    let locks = this.byInode.get(inode);
    if (locks === undefined) {
      locks = new InodeLocks();
      this.byInode.set(inode, locks);
    }
    return locks;
  }
  private released(inode: Inode, locks: InodeLocks): void {
    locks.queue.notify(POLLIN);
    this.forgetIfUnused(inode, locks);
  }
  private forgetIfUnused(inode: Inode, locks: InodeLocks): void {
    if (locks.unused && this.byInode.get(inode) === locks) this.byInode.delete(inode);
  }
}
