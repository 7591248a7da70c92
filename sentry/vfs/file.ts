/**
 * Open files. A FileDescription is what open(2) makes and dup(2), fork(2) and SCM_RIGHTS share; its FileImpl is what the
 * filesystem (or pipe, socket, eventfd …) does.
 *
 * Interface: FileDescriptions are counted. `hold` and `release` pair; the last release calls `impl.release()`.
 */
import { EBADF, EINVAL, ENODEV, ENOTDIR, ENOTTY, type Errno, ESPIPE } from '../../abi/errno.ts';
import { O_ACCMODE, O_APPEND, O_NONBLOCK, O_PATH, O_RDWR, O_WRONLY, SEEK_CUR, SEEK_END, SEEK_SET } from '../../abi/fcntl.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult, WaitQueue } from '../kernel/wait.ts';
import type { AsyncNotice } from './async_notice.ts';
import type { Inode } from './inode.ts';
import type { Sink, Source } from './io.ts';
import type { RecordLock } from './locks.ts';
import type { DirectoryWatcher } from './notify.ts';
import type { VfsPath } from './path.ts';

/** Receives directory entries; false means full: the entry was not taken. `next` is the position (d_off) after it. */
export type EmitEntry = (name: ByteString, ino: number, type: number, next: number) => boolean;

/** What mmap(2) needs: a host file. The descriptor stays the owner's; `offset` is added to the caller's. */
export interface HostMapping {
  readonly hostFd: number;
  readonly offset: number;
}

/** Keeps locks outside of the sandbox's own table (locks.ts). Types are F_RDLCK and its like. */
export interface LockServer {
  /** fcntl(2)'s; flock(2)'s. */
  readonly keepsRecords: boolean;
  readonly keepsWhole: boolean;
  set(task: Task, lock: RecordLock, type: number, wait: boolean): Blocking;
  /** `tell` gets the first lock in the way, or null; its result is the call's. */
  get(task: Task, lock: RecordLock, type: number, tell: (held: RecordLock | null) => number): Blocking;
  whole(task: Task, owner: object, type: number, wait: boolean): Blocking;
}

/** Default behaviour: a file that can do nothing but be closed. */
export abstract class FileImpl {
  /** Waiters for readiness; null: always ready (regular files, directories). */
  readonly queue: WaitQueue | null = null;

  /**
   * Moves up to `dst.remaining` bytes in: how many, 0 at the end, EAGAIN if it would have to wait (the caller then waits for POLLIN on
   * `queue` and tries again). Streams and files with a position alike; the position is file.position.
   */
  read(_dst: Sink, _file: FileDescription, _task: Task): SyscallResult {
    return EINVAL;
  }
  write(_src: Source, _file: FileDescription, _task: Task): SyscallResult {
    return EINVAL;
  }
  pread(_dst: Sink, _offset: number, _file: FileDescription, _task: Task): SyscallResult {
    return ESPIPE;
  }
  pwrite(_src: Source, _offset: number, _file: FileDescription, _task: Task): SyscallResult {
    return ESPIPE;
  }
  /** Reads and writes of any length are done at once, so that the caller makes long ones in pieces (syscalls/pieces.ts). */
  get inPieces(): boolean {
    return false;
  }
  /** New position or an errno. */
  seek(_file: FileDescription, _offset: number, _whence: number): number {
    return ESPIPE;
  }
  /** Which of POLL* hold now (POLLERR and POLLHUP without being asked). `_task`: who asks, null from epoll. */
  poll(_file: FileDescription, _task: Task | null = null): number {
    return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
  }
  ioctl(_file: FileDescription, _task: Task, _command: number, _argument: number): SyscallResult {
    return ENOTTY;
  }
  /** From file.position on, "." and ".." included; updates file.position. 0 or an errno. */
  readdir(_file: FileDescription, _emit: EmitEntry, _task: Task): number {
    return ENOTDIR;
  }
  /**
   * For mmap(2) with these PROT_* bits; `shared`: MAP_SHARED. ENODEV: not mappable. The range of the file is for those that have to fetch
   * it; absent: all of it.
   */
  mapping(_file: FileDescription, _shared: boolean, _prot: number, _offset?: number, _length?: number): HostMapping | Errno {
    return ENODEV;
  }
  /** Brings all content to where `mapping` finds it: the file is to be executed. */
  load(): 0 | Errno {
    return 0;
  }
  /** copy_file_range(2) by whoever keeps both files; a count, or EOPNOTSUPP: the caller reads and writes. Null: always so. */
  copyFrom(
    _input: FileDescription,
    _source: number,
    _file: FileDescription,
    _target: number,
    _count: number,
    _task: Task,
  ): Blocking | null {
    return null;
  }
  /** Who keeps locks of the file in the sandbox's place. */
  get lockServer(): LockServer | null {
    return null;
  }
  /** `creds`: of who changes the content; set-id bits may depend on them. */
  truncate(_file: FileDescription, _size: number, _creds: Credentials): number {
    return EINVAL;
  }
  allocate(_file: FileDescription, _mode: number, _offset: number, _length: number, _creds: Credentials, _task: Task): SyscallResult {
    return ENODEV;
  }
  /** Before it is cut to `size`: gives back what lies behind, where doing that at once would take long. Null: there is nothing to do. */
  giveBack(_size: number, _task: Task): Blocking | null {
    return null;
  }
  sync(_file: FileDescription, _dataOnly: boolean): SyscallResult {
    return EINVAL;
  }
  /** close(2) of one descriptor (not the last reference, perhaps): pending errors to report. */
  flush(_file: FileDescription, _task: Task): number {
    return 0;
  }
  /** close(2) has to ask somebody else first whether all was written; it may take long. Null: nobody, which is the rule. */
  beforeClose(): Blocking | null {
    return null;
  }
  /** fcntl(2) F_SETFL of O_NONBLOCK, O_APPEND, O_ASYNC is done by the caller; a file may refuse. */
  setFlags(_file: FileDescription, _flags: number): number {
    return 0;
  }
  /** fcntl(2) F_ADD_SEALS and F_GET_SEALS; EINVAL for what cannot be sealed. */
  addSeals(_seals: number): number {
    return EINVAL;
  }
  seals(): number {
    return EINVAL;
  }
  /** The last reference is gone. */
  release(_file: FileDescription): void {}
  /** After close(2) has released it: what the caller still has to wait for (SO_LINGER). */
  afterClose(_file: FileDescription): SyscallResult {
    return 0;
  }
  /** Extra lines of /proc/PID/fdinfo/N. */
  describe(): string {
    return '';
  }
}

/** Base of files with a position: read and write through pread and pwrite, seek by size. */
export abstract class PositionedFile extends FileImpl {
  abstract size(file: FileDescription): number;
  override get inPieces(): boolean {
    return true;
  }

  override read(dst: Sink, file: FileDescription, task: Task): SyscallResult {
    const n = this.pread(dst, file.position, file, task);
    if (typeof n === 'number') {
      if (n > 0) file.position += n;
      return n;
    }
    return advance(n, file, file.position);
  }
  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    // The position moves only with bytes that were written.
    const at = (file.flags & O_APPEND) !== 0 ? this.size(file) : file.position;
    const n = this.pwrite(src, at, file, task);
    if (typeof n === 'number') {
      if (n > 0) file.position = at + n;
      return n;
    }
    return advance(n, file, at);
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    const base = whence === SEEK_SET ? 0 : whence === SEEK_CUR ? file.position : whence === SEEK_END ? this.size(file) : Number.NaN;
    const target = base + offset;
    if (!(target >= 0) || target > Number.MAX_SAFE_INTEGER) return EINVAL;
    file.position = target;
    return target;
  }
  override sync(_file: FileDescription, _dataOnly: boolean): SyscallResult {
    return 0;
  }
}

function* advance(transfer: Blocking, file: FileDescription, from: number): Blocking {
  const n = yield* transfer;
  if (n > 0) file.position = from + n;
  return n;
}

/** One open file. */
export class FileDescription {
  readonly impl: FileImpl;
  /** O_* access mode and status flags; O_CLOEXEC is the descriptor's and not here. */
  flags: number;
  /** Where it was opened; pipes, sockets and the like have a path in an anonymous filesystem. */
  readonly path: VfsPath | null;
  position = 0;
  /** fcntl(2) F_SETOWN: positive pid, negative process group. F_SETSIG: the signal, 0 = SIGIO. */
  owner = 0;
  /** Who set the owner: its pid namespace gives the number a meaning. */
  ownerSetter: Task | null = null;
  ownerSignal = 0;
  /** There while O_ASYNC is set. */
  asyncNotice: AsyncNotice | null = null;
  directoryNotice: DirectoryWatcher | null = null;
  /** What is done through it is told to nobody who watches (fanotify(7)). */
  unwatched = false;
  /** flock(2) or open-file locks may be held through it. */
  holdsLocks = false;
  private references = 1;
  /** The object that it counts as a writer of. */
  private written: Inode | null = null;
  /** Called at the last release, before impl.release: epoll registrations, locks. */
  private onLastRelease: ((file: FileDescription) => void)[] | null = null;

  constructor(impl: FileImpl, flags: number, path: VfsPath | null = null) {
    this.impl = impl;
    this.flags = flags;
    this.path = path;
    if (path === null) return;
    path.dentry.openFiles++;
    if (path.dentry.inode !== null) path.dentry.inode.descriptions++;
  }

  get inode(): Inode | null {
    return this.path?.dentry.inode ?? null;
  }
  get readable(): boolean {
    return (this.flags & (O_WRONLY | O_PATH)) === 0; // access mode 3 allows neither
  }
  get writable(): boolean {
    const mode = this.flags & O_ACCMODE;
    return (mode === O_WRONLY || mode === O_RDWR) && (this.flags & O_PATH) === 0;
  }
  get nonblocking(): boolean {
    return (this.flags & O_NONBLOCK) !== 0;
  }
  get isPath(): boolean {
    return (this.flags & O_PATH) !== 0;
  }

  /** Opened for writing by a path: no program can be started from the object as long as the file is open. */
  countWriter(inode: Inode): void {
    this.written = inode;
    inode.writers++;
  }

  get referenceCount(): number {
    return this.references;
  }
  hold(): this {
    this.references++;
    return this;
  }
  /** The next release is the last. */
  get lastReference(): boolean {
    return this.references === 1;
  }
  release(): void {
    if (--this.references > 0) return;
    for (const hook of this.onLastRelease ?? []) hook(this);
    this.onLastRelease = null;
    if (this.path !== null) {
      const { dentry } = this.path;
      dentry.openFiles--;
      if (dentry.inode !== null) dentry.inode.descriptions--;
    }
    if (this.written !== null) this.written.writers--;
    this.impl.release(this);
  }
  addReleaseHook(hook: (file: FileDescription) => void): void {
    this.onLastRelease ??= [];
    this.onLastRelease.push(hook);
  }
  removeReleaseHook(hook: (file: FileDescription) => void): void {
    this.onLastRelease = this.onLastRelease?.filter((h) => h !== hook) ?? null;
  }
}

/** For files that cannot be read or written in the mode they were opened in. */
export const WRONG_MODE = EBADF;
