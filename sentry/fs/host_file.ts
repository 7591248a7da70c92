/** An open regular file whose bytes are in a host file, reached through a descriptor of our own. */
import { EAGAIN, EBADF, EFAULT, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, type Errno, EXDEV } from '../../abi/errno.ts';
import { __O_SYNC, O_APPEND, O_DSYNC, SEEK_DATA, SEEK_HOLE } from '../../abi/fcntl.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { IO_FDATASYNC, IO_FLUSH, IO_FSYNC, IO_READ, IO_WRITE } from '../kernel/io_worker.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { type FileDescription, type HostMapping, PositionedFile } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import type { HostFd } from './host_fd.ts';
import { RWF_APPEND, RWF_DSYNC, RWF_SYNC } from './host_io.ts';

const LSEEK = 8;
const PAGE_SIZE = 4096;
/** Bytes of one host read: what it brings is still in the processor's cache when it is copied on. Not above the scratch buffer's size. */
const CHUNK = 256 << 10;
/** Bytes of one copy on the host: a task that is killed waits for no more. */
const COPY_STEP = 16 << 20;
/** What the host says where it cannot copy between two files: reading and writing can. */
const CANNOT_COPY: ReadonlySet<number> = new Set([EBADF, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EXDEV]);

/** Whose file it is: told what its open files do. */
export interface HostFileOwner {
  readonly kernel: Kernel;
  currentSize(): number;
  /** The content is about to change: what has to be done once it has; null: nothing, which is the rule. */
  changing(creds: Credentials): (() => void) | null;
  /** One open file is gone; what the owner took for it goes back. */
  closed(file: HostFd, writable: boolean): void;
  /** The host's filesystem tells at close(2) what went wrong with writing. */
  readonly flushesAtClose: boolean;
}

export class HostFile extends PositionedFile {
  private readonly owner: HostFileOwner;
  private readonly hostFd: HostFd;
  private readonly writable: boolean;

  constructor(owner: HostFileOwner, hostFd: HostFd, writable: boolean) {
    super();
    this.owner = owner;
    this.hostFd = hostFd;
    this.writable = writable;
  }

  size(): number {
    return this.owner.currentSize();
  }

  override pread(dst: Sink, offset: number, _file: FileDescription, task: Task): SyscallResult {
    const { hostIo, ioScratch } = task.kernel;
    let done = 0;
    while (dst.remaining > 0) {
      const room = dst.room?.(dst.remaining) ?? 0;
      const want = room !== 0 ? dst.remaining : Math.min(dst.remaining, CHUNK);
      const n = hostIo.read(this.hostFd, want, offset + done, room !== 0 ? room : undefined);
      if (n === EAGAIN) return this.readWaiting(dst, offset, done, task);
      if (n <= 0) return done > 0 ? done : n;
      if (room !== 0) dst.filled?.(n);
      else {
        const put = dst.put(ioScratch, 0, n);
        if (put < n) return faulted(done, put);
      }
      done += n;
      if (atEnd(n, want, offset + done)) break;
    }
    return done;
  }

  /** `done` bytes have been moved; the next ones are not in memory. */
  private *readWaiting(dst: Sink, offset: number, before: number, task: Task): Blocking {
    const { hostIo, ioScratch } = task.kernel;
    const { worker } = hostIo;
    const buffer = worker.takeBuffer();
    let done = before;
    let ahead = false;
    try {
      while (dst.remaining > 0) {
        let from: Uint8Array = ioScratch;
        let want = Math.min(dst.remaining, from.length);
        // The host reads ahead: what follows may be there by now.
        let n = ahead ? hostIo.read(this.hostFd, want, offset + done) : EAGAIN;
        if (n === EAGAIN) {
          from = buffer;
          want = Math.min(dst.remaining, from.length);
          n = yield* worker.run(IO_READ, this.hostFd, buffer, want, offset + done, 0);
          ahead = true;
        }
        if (n <= 0) return done > 0 ? done : n;
        const put = dst.put(from, 0, n);
        if (put < n) return faulted(done, put);
        done += n;
        if (atEnd(n, want, offset + done)) break;
      }
      return done;
    } finally {
      worker.giveBuffer(buffer);
    }
  }

  override pwrite(src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    const changed = this.owner.changing(credentialsOn(file.path?.mount, task.creds));
    const n = this.writeNow(src, offset, file, task);
    if (changed === null) return n;
    if (typeof n !== 'number') return finishing(n, changed);
    changed();
    return n;
  }
  private writeNow(src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    const { hostIo, ioScratch } = task.kernel;
    const append = (file.flags & O_APPEND) !== 0 ? RWF_APPEND : 0;
    if ((file.flags & O_DSYNC) !== 0) {
      return this.writeWaiting(src, offset, 0, append | ((file.flags & __O_SYNC) !== 0 ? RWF_SYNC : RWF_DSYNC), task, 0);
    }
    let done = 0;
    const given = src.given?.(src.remaining) ?? 0;
    if (given !== 0) {
      done = hostIo.write(this.hostFd, src.remaining, offset, append, given);
      if (done === EAGAIN) return this.writeWaiting(src, offset, 0, append, task, 0);
      if (done < 0) return done;
      src.skip?.(done);
    }
    while (src.remaining > 0) {
      const count = src.take(ioScratch, 0, Math.min(src.remaining, CHUNK));
      if (count < 0) return done > 0 ? done : count;
      if (count === 0) break;
      const n = hostIo.write(this.hostFd, count, offset + done, append);
      if (n === EAGAIN) return this.writeWaiting(src, offset, done, append, task, count);
      if (n < 0) return done > 0 ? done : n;
      done += n;
      // What was taken and not written comes again from the scratch buffer.
      if (n < count) return this.writeWaiting(src, offset, done, append, task, count - n, n);
    }
    return done;
  }

  /** As pwrite; `held` bytes of the source are in the scratch buffer already, from `from` on. */
  private *writeWaiting(src: Source, offset: number, before: number, flags: number, task: Task, held: number, from = 0): Blocking {
    const { hostIo, ioScratch } = task.kernel;
    const { worker } = hostIo;
    // The scratch buffer is anybody's once we wait.
    const rest = held > 0 ? ioScratch.slice(from, from + held) : null;
    const buffer = worker.takeBuffer();
    let restAt = 0;
    let done = before;
    try {
      for (;;) {
        let count: number;
        if (rest !== null && restAt < rest.length) {
          count = Math.min(rest.length - restAt, buffer.length);
          buffer.set(rest.subarray(restAt, restAt + count));
          restAt += count;
        } else {
          count = src.remaining === 0 ? 0 : src.take(buffer, 0, Math.min(src.remaining, buffer.length));
          if (count <= 0) return done > 0 ? done : count;
        }
        const n = yield* worker.run(IO_WRITE, this.hostFd, buffer, count, offset + done, flags);
        if (n < 0) return done > 0 ? done : n;
        done += n;
        if (n < count) return done; // no space
      }
    } finally {
      worker.giveBuffer(buffer);
    }
  }

  /** Between files of the host the host copies, or shares what lies on the disk. */
  override copyFrom(
    input: FileDescription,
    source: number,
    file: FileDescription,
    target: number,
    count: number,
    task: Task,
  ): Blocking | null {
    const from = input.impl;
    return from instanceof HostFile && (file.flags & O_DSYNC) === 0 ? this.copyOnHost(from.hostFd, source, target, count, task) : null;
  }
  private *copyOnHost(from: HostFd, source: number, target: number, count: number, task: Task): Blocking {
    const changed = this.owner.changing(task.creds);
    const { worker } = task.kernel.hostIo;
    try {
      let done = 0;
      while (done < count) {
        const n = yield* worker.copy(from, source + done, this.hostFd, target + done, Math.min(count - done, COPY_STEP));
        if (n < 0 && done === 0) return CANNOT_COPY.has(n) ? EOPNOTSUPP : n;
        if (n <= 0) break;
        done += n;
      }
      return done;
    } finally {
      changed?.();
    }
  }

  override seek(file: FileDescription, offset: number, whence: number): number {
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return super.seek(file, offset, whence);
    const at = this.owner.kernel.host.syscall(LSEEK, this.hostFd.fd, offset, whence);
    if (at >= 0) file.position = at;
    return at;
  }
  override mapping(_file: FileDescription, _shared: boolean, _prot: number): HostMapping | Errno {
    return { hostFd: this.hostFd.fd, offset: 0 };
  }
  override truncate(_file: FileDescription, size: number, creds: Credentials): number {
    if (!this.writable || size < 0) return EINVAL;
    const changed = this.owner.changing(creds);
    const r = this.owner.kernel.host.ftruncate(this.hostFd.fd, size);
    changed?.();
    return r;
  }
  override allocate(_file: FileDescription, mode: number, offset: number, length: number, creds: Credentials): number {
    const changed = this.owner.changing(creds);
    const r = this.owner.kernel.host.fallocate(this.hostFd.fd, mode, offset, length);
    changed?.();
    return r;
  }
  override beforeClose(): Blocking | null {
    const { owner, hostFd } = this;
    return this.writable && owner.flushesAtClose ? owner.kernel.hostIo.worker.run(IO_FLUSH, hostFd, null, 0, 0, 0) : null;
  }
  override sync(_file: FileDescription, dataOnly: boolean): SyscallResult {
    return this.owner.kernel.hostIo.worker.run(dataOnly ? IO_FDATASYNC : IO_FSYNC, this.hostFd, null, 0, 0, 0);
  }
  override release(_file: FileDescription): void {
    this.owner.closed(this.hostFd, this.writable);
  }
}

function* finishing(transfer: Blocking, done: () => void): Blocking {
  try {
    return yield* transfer;
  } finally {
    done();
  }
}

/** A short read in the middle of a page is the end of the file; at the end of a page it may be the end of what is in memory. */
function atEnd(got: number, wanted: number, position: number): boolean {
  return got < wanted && position % PAGE_SIZE !== 0;
}

function faulted(done: number, put: number): number {
  if (put > 0) return done + put;
  return done > 0 ? done : EFAULT;
}
