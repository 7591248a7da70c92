/**
 * An open regular file of a FUSE filesystem. Reads come from the pages that are kept, unless the server wants them direct; writes go through
 * to the server, one at a time for each file.
 */
import { EINTR, EIO, ENODEV, ENOMEM, ENOSYS, ENOTCONN, ENXIO, EOPNOTSUPP, ERESTARTSYS, type Errno, ESPIPE } from '../../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE } from '../../../abi/fallocate.ts';
import { O_ACCMODE, O_APPEND, SEEK_DATA, SEEK_END, SEEK_HOLE } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { S_IALLUGO } from '../../../abi/stat.ts';
import { answered, Suspension } from '../../kernel/call_log.ts';
import { delayEnd } from '../../kernel/exit.ts';
import type { Task } from '../../kernel/task.ts';
import { type Blocking, type SyscallResult, WaitQueue, waitFor } from '../../kernel/wait.ts';
import { type FileDescription, type HostMapping, type LockServer, PositionedFile } from '../../vfs/file.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { modeAfterWrite } from '../../vfs/permission.ts';
import { FuseBatch } from './batch.ts';
import type { FuseConnection } from './connection.ts';
import { restrictedIoctl } from './file_ioctl.ts';
import { FuseLocks } from './file_locks.ts';
import { FilePoll } from './file_poll.ts';
import type { FuseHandle } from './handle.ts';
import type { FuseInode } from './inode.ts';
import { fetchPages, readBody } from './page_fetch.ts';
import type { FuseRequest } from './request.ts';

/** Fetches of one system call. */
const MAX_FETCHES = 16_384;

export class FuseFile extends PositionedFile {
  readonly handle: FuseHandle;
  override readonly queue = new WaitQueue();
  private readonly polling: FilePoll;
  /** The FLUSH of the close(2) that runs now. */
  private flushing: FuseRequest | null = null;
  /** Where the last read ended: who goes on from there is read ahead for. */
  private lastEnd = 0;

  constructor(handle: FuseHandle) {
    super();
    this.handle = handle;
    this.polling = new FilePoll(handle, this.queue);
  }

  private get node(): FuseInode {
    return this.handle.node;
  }
  private get connection(): FuseConnection {
    return this.node.connection;
  }
  private get direct(): boolean {
    return (this.handle.options & F.FOPEN_DIRECT_IO) !== 0;
  }
  size(): number {
    return this.node.size;
  }

  /** Asks and waits: 0, or what went wrong. */
  private *wait(request: FuseRequest, task: Task): Blocking {
    const r = yield* answered(request, task);
    return r !== 0 ? r : request.error;
  }

  // Reading

  override pread(dst: Sink, offset: number, file: FileDescription, task: Task): SyscallResult {
    if (dst.remaining === 0) return 0;
    if (this.direct) return this.readDirect(dst, offset, file, task);
    const { node } = this;
    if (!node.attributesExpired && node.pages.firstMissing(offset, dst.remaining) < 0) {
      this.lastEnd = offset + dst.remaining;
      return node.pages.read(dst, offset);
    }
    return this.readCached(dst, offset, file, task);
  }

  private *readCached(dst: Sink, offset: number, file: FileDescription, task: Task): Blocking {
    const { node } = this;
    if (node.attributesExpired) {
      const r = yield* this.wait(node.getattr(this.handle), task);
      if (r < 0) return r;
    }
    node.fs.usePages(node);
    let done = 0;
    while (dst.remaining > 0 && offset + done < node.size) {
      const at = offset + done;
      const n = node.pages.read(dst, at);
      if (n < 0) return done > 0 ? done : n;
      done += n;
      if (n > 0) continue;
      const ahead = at === this.lastEnd ? this.connection.limits.readahead : 0;
      const batch = fetchPages(this.handle, at, Math.max(dst.remaining, ahead));
      const r = (yield* answered(batch, task)) || batch.error;
      if (r < 0) {
        // No room to keep it: then without.
        if (r === ENOMEM) return yield* this.readDirect(dst, at, file, task, done);
        return done > 0 ? done : r;
      }
    }
    this.lastEnd = offset + done;
    return done;
  }

  /** The server's own answer, piece by piece, until one is short. */
  private *readDirect(dst: Sink, offset: number, file: FileDescription, task: Task, before = 0): Blocking {
    const { maxRead } = this.connection.limits;
    let done = before;
    let at = offset;
    while (dst.remaining > 0) {
      const size = Math.min(dst.remaining, maxRead);
      const request = this.node.question(F.FUSE_READ, [readBody(this.handle, at, size, file.flags)], { least: 0, most: size });
      const r = yield* this.wait(request, task);
      if (r < 0) return done > 0 ? done : r;
      const put = dst.put(request.reply);
      if (put < 0) return done > 0 ? done : put;
      done += put;
      at += put;
      if (put < request.reply.length || request.reply.length < size) break;
    }
    return done;
  }

  /** Brings the pages of a range here. Suspends. */
  private bring(offset: number, length: number): 0 | Errno {
    const { node, connection } = this;
    const fresh = node.refresh();
    if (fresh !== 0) return fresh;
    node.fs.usePages(node);
    const missing = node.pages.firstMissing(offset, length);
    if (missing < 0) return 0;
    const { log } = node;
    if (connection.state === 'dead') return ENOTCONN;
    if (log === null || log.size >= MAX_FETCHES) return EIO;
    const key = `B${node.nodeid}:${missing}`;
    const asked = log.take(key);
    if (asked instanceof FuseBatch && asked.error !== 0) return asked.error;
    const from = Math.max(offset, missing * PAGE_SIZE);
    const batch = fetchPages(this.handle, from, offset + length - from);
    log.add(key, batch);
    throw new Suspension(batch);
  }
  override load(): 0 | Errno {
    return this.bring(0, Number.MAX_SAFE_INTEGER);
  }
  override mapping(
    file: FileDescription,
    shared: boolean,
    _prot: number,
    offset = 0,
    length = Number.MAX_SAFE_INTEGER,
  ): HostMapping | Errno {
    if (this.direct && shared) return ENODEV;
    const r = this.bring(offset, length);
    if (r !== 0) return r;
    const { pages } = this.node;
    const hostFd = pages.hostFd();
    if (hostFd < 0) return hostFd as Errno;
    pages.mapped = true;
    const watched = shared && file.writable ? pages.watch(offset, length) : 0;
    return watched !== 0 ? watched : { hostFd, offset: 0 };
  }

  // Writing

  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    return this.writeOrdered(src, null, file, task);
  }
  override pwrite(src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    return this.writeOrdered(src, offset, file, task);
  }
  /** offset null: the file's position. One writer at a time: who appends must know where the one before ended. */
  private *writeOrdered(src: Source, offset: number | null, file: FileDescription, task: Task): Blocking {
    const { node } = this;
    while (node.writing) {
      const wake = yield waitFor(node.written, POLLIN);
      if (wake === 'signal' && node.writing) return ERESTARTSYS;
    }
    node.writing = true;
    try {
      const at = (file.flags & O_APPEND) !== 0 ? node.size : (offset ?? file.position);
      const n = yield* this.writePieces(src, at, file, task);
      if (n > 0 && offset === null) file.position = at + n;
      return n;
    } finally {
      node.writing = false;
      node.written.notify(POLLIN);
    }
  }
  private *writePieces(src: Source, offset: number, file: FileDescription, task: Task): Blocking {
    const dropped = yield* this.dropPrivileges(task);
    if (dropped < 0) return dropped;
    const { maxWrite } = this.connection.limits;
    let done = 0;
    while (src.remaining > 0) {
      const piece = new Uint8Array(Math.min(src.remaining, maxWrite));
      const taken = src.take(piece, 0, piece.length);
      if (taken <= 0) return done > 0 ? done : taken;
      const n = yield* this.writePiece(offset + done, piece.subarray(0, taken), file, task);
      if (n < 0) return done > 0 ? done : n;
      done += n;
      if (n < taken) break;
    }
    return done;
  }
  private *writePiece(offset: number, bytes: Uint8Array, file: FileDescription, task: Task): Blocking {
    const request = this.writeRequest(offset, bytes, file.flags, 0);
    const r = yield* this.wait(request, task);
    if (r < 0) return r;
    const { size } = F.FuseWriteOut.decode(request.reply);
    if (size > bytes.length) return EIO;
    this.node.wrote(offset, bytes.subarray(0, size));
    return size;
  }
  private writeRequest(offset: number, bytes: Uint8Array, flags: number, write_flags: number): FuseRequest {
    const body = F.FuseWriteIn.encode({ fh: this.handle.fh, offset, size: bytes.length, write_flags, lock_owner: 0n, flags });
    return this.node.question(F.FUSE_WRITE, [body, bytes], { least: F.FuseWriteOut.size });
  }
  /** A write takes setuid and setgid away, if the server does not do that by itself. */
  private *dropPrivileges(task: Task): Blocking {
    const { node } = this;
    const kept = modeAfterWrite(node, task.creds);
    if (kept === node.mode || this.connection.has(F.FUSE_HANDLE_KILLPRIV)) return 0;
    return yield* this.wait(node.setMode(kept & S_IALLUGO), task);
  }
  /** Sends what shared mappings have changed; the file stays open until it is answered. */
  private writeBack(): void {
    const pages = this.node.cachedPages;
    if (pages === null || !pages.writable || !this.handleWrites) return;
    for (const { offset, bytes } of pages.dirtyPages(this.connection.limits.maxWrite)) {
      this.node.changed(0, false);
      this.handle.send(this.writeRequest(offset, bytes, this.handle.flags, F.FUSE_WRITE_CACHE), null);
    }
  }
  private get handleWrites(): boolean {
    return (this.handle.flags & O_ACCMODE) !== 0;
  }

  // Position, size

  override seek(file: FileDescription, offset: number, whence: number): number {
    if ((this.handle.options & (F.FOPEN_NONSEEKABLE | F.FOPEN_STREAM)) !== 0) return ESPIPE;
    if (whence === SEEK_END || whence === SEEK_DATA || whence === SEEK_HOLE) {
      const r = this.node.refresh(file);
      if (r !== 0) return r;
    }
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return super.seek(file, offset, whence);
    const at = this.seekExtent(offset, whence);
    if (at >= 0) file.position = at;
    return at;
  }
  private seekExtent(offset: number, whence: number): number {
    const { node, connection } = this;
    if (!connection.lacks(F.FUSE_LSEEK)) {
      const body = F.FuseLseekIn.encode({ fh: this.handle.fh, offset, whence });
      const request = connection.ask(`K${this.handle.fh}:${offset}:${whence}`, () =>
        node.question(F.FUSE_LSEEK, [body], { least: F.FuseLseekOut.size }),
      );
      if (request.error === 0) {
        const at = F.FuseLseekOut.decode(request.reply).offset;
        return Number.isSafeInteger(at) ? at : EIO;
      }
      if (request.error !== ENOSYS) return request.error;
      connection.missing.add(F.FUSE_LSEEK);
    }
    if (offset < 0 || offset >= node.size) return ENXIO;
    return whence === SEEK_DATA ? offset : node.size;
  }
  override truncate(_file: FileDescription, size: number): number {
    return this.node.setAttributes({ size }, this.handle);
  }
  override allocate(_file: FileDescription, mode: number, offset: number, length: number): number {
    const { node, connection } = this;
    if (connection.lacks(F.FUSE_FALLOCATE)) return EOPNOTSUPP;
    const body = F.FuseFallocateIn.encode({ fh: this.handle.fh, offset, length, mode });
    const receive = (): 0 => {
      node.changed((mode & FALLOC_FL_KEEP_SIZE) === 0 ? offset + length : 0, false);
      if ((mode & ~FALLOC_FL_KEEP_SIZE) !== 0) node.cachedPages?.invalidate(offset, Number.MAX_SAFE_INTEGER);
      return 0;
    };
    const request = node.change(`Q${this.handle.fh}:${mode}:${offset}:${length}`, () =>
      node.question(F.FUSE_FALLOCATE, [body], { receive }),
    );
    if (request.error !== ENOSYS) return request.error;
    connection.missing.add(F.FUSE_FALLOCATE);
    return EOPNOTSUPP;
  }
  /** copy_file_range(2) at the server; EOPNOTSUPP: by reading and writing. */
  override *copyFrom(input: FileDescription, source: number, _file: FileDescription, target: number, count: number, task: Task): Blocking {
    const { connection, node } = this;
    const from = input.impl;
    if (!(from instanceof FuseFile) || from.node.fs !== node.fs || connection.lacks(F.FUSE_COPY_FILE_RANGE)) return EOPNOTSUPP;
    const body = F.FuseCopyFileRangeIn.encode({
      fh_in: from.handle.fh,
      off_in: source,
      nodeid_out: node.nodeid,
      fh_out: this.handle.fh,
      off_out: target,
      len: count,
      flags: 0n,
    });
    const request = from.node.question(F.FUSE_COPY_FILE_RANGE, [body], { least: F.FuseWriteOut.size });
    const r = yield* this.wait(request, task);
    if (r === ENOSYS) connection.missing.add(F.FUSE_COPY_FILE_RANGE);
    if (r < 0) return r === ENOSYS ? EOPNOTSUPP : r;
    const { size } = F.FuseWriteOut.decode(request.reply);
    if (size > count) return EIO;
    node.changed(target + size, false);
    node.cachedPages?.invalidate(target, size);
    return size;
  }

  // The rest

  override sync(_file: FileDescription, dataOnly: boolean): SyscallResult {
    this.writeBack();
    return this.syncServer(dataOnly);
  }
  private *syncServer(dataOnly: boolean): Blocking {
    yield* this.settled();
    const { connection } = this;
    if (connection.lacks(F.FUSE_FSYNC)) return 0;
    const body = F.FuseFsyncIn.encode({ fh: this.handle.fh, fsync_flags: dataOnly ? F.FUSE_FSYNC_FDATASYNC : 0 });
    const request = this.node.question(F.FUSE_FSYNC, [body], { always: true });
    this.handle.send(request, null);
    while (!request.done) {
      const wake = yield waitFor(request.queue, POLLIN);
      if (wake === 'signal' && !request.done && request.interrupt()) return EINTR;
    }
    if (request.error !== ENOSYS) return request.error;
    connection.missing.add(F.FUSE_FSYNC);
    return 0;
  }
  /** Until what was sent for the file has been answered. */
  private *settled(): Blocking {
    let idle = false;
    const told = new WaitQueue();
    this.handle.whenIdle(() => {
      idle = true;
      told.notify(POLLIN);
    });
    while (!idle) if ((yield waitFor(told, POLLIN)) === 'signal' && !idle) return EINTR;
    return 0;
  }
  override flush(_file: FileDescription, task: Task): number {
    this.writeBack();
    const { connection } = this;
    if (connection.lacks(F.FUSE_FLUSH) || (this.handle.options & F.FOPEN_NOFLUSH) !== 0 || connection.state === 'dead') return 0;
    const body = F.FuseFlushIn.encode({ fh: this.handle.fh, lock_owner: connection.ownerNumber(task.fds) });
    const request = this.node.question(F.FUSE_FLUSH, [body], { always: true });
    const ended = task.state === 'dead' ? delayEnd(task.group) : null;
    request.afterwards = () => {
      if (request.error === ENOSYS) connection.missing.add(F.FUSE_FLUSH);
      ended?.();
    };
    this.flushing = request;
    this.handle.whenIdle(() => this.handle.send(request, task));
    return 0;
  }
  override afterClose(): SyscallResult {
    const request = this.flushing;
    this.flushing = null;
    return request === null ? 0 : flushed(request);
  }
  override release(file: FileDescription): void {
    this.writeBack();
    this.polling.close();
    this.handle.close(file.holdsLocks && this.connection.has(F.FUSE_FLOCK_LOCKS) ? this.connection.ownerNumber(file) : 0n);
  }
  override poll(_file: FileDescription, task: Task | null = null): number {
    return this.polling.events(task);
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    return restrictedIoctl(this.handle, task, command, argument, 0);
  }
  override get lockServer(): LockServer | null {
    return new FuseLocks(this.handle);
  }
}

/** close(2) reports what FLUSH says; the descriptor is gone in any case, and only a signal that kills ends the wait. */
function* flushed(request: FuseRequest): Blocking {
  while (!request.done) if ((yield waitFor(request.queue, POLLIN)) === 'signal' && !request.done && request.interrupt()) return EINTR;
  return request.error === ENOSYS ? 0 : request.error;
}
