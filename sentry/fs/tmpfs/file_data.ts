/**
 * The bytes of a regular file: an array in the Sentry while it is small, a memfd of the host's once it has grown or is mapped. Bytes of
 * the array beyond the size are zero; the memfd's size is the file's.
 */
import { EFAULT, EFBIG, ENOSPC, ENXIO, EOPNOTSUPP, type Errno } from '../../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../../abi/fallocate.ts';
import { SEEK_DATA } from '../../../abi/fcntl.ts';
import { MFD_CLOEXEC, PAGE_SIZE } from '../../../abi/mman.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking, SyscallResult } from '../../kernel/wait.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { giveBack, reserveInSteps, STEP } from '../much_memory.ts';
import { DiskFile } from './disk_file.ts';
import type { TmpFs } from './tmpfs.ts';

/** A file that grows beyond it moves to a memfd. */
export const IN_MEMORY_MAX = 64 << 10;
/** s_maxbytes: the largest offset of any file. */
export const MAX_FILE_SIZE = Number.MAX_SAFE_INTEGER;

const PREAD64 = 17;
const EMPTY = new Uint8Array(0);

export function pagesOf(bytes: number): number {
  return Math.ceil(bytes / PAGE_SIZE);
}

export class FileData {
  size = 0;
  private bytes = EMPTY;
  /** The memfd, ours; -1 while the bytes are in the array. */
  private fd = -1;
  /** The same descriptor, if it is a file of the filesystem's store: transfers may wait for the disk. */
  disk: DiskFile | null = null;
  /** What a memfd takes, as long as nobody but this object can change that; -1: it must be asked. */
  private memfdBlocks = -1;
  private mapped = false;
  /** Pages that count against the filesystem's size. */
  private charged = 0;
  private readonly fs: TmpFs;
  /** The file, for whoever wants to know whether it is open. */
  readonly owner: { readonly openers: number };

  constructor(fs: TmpFs, owner: { readonly openers: number }) {
    this.fs = fs;
    this.owner = owner;
  }

  /** Bytes moved, 0 at the end, EFAULT. */
  read(dst: Sink, offset: number): number {
    const count = Math.min(dst.remaining, this.size - offset);
    if (count <= 0) return 0;
    return this.fd < 0 ? dst.put(this.bytes, offset, offset + count) : this.readHost(dst, offset, count);
  }

  private readHost(dst: Sink, offset: number, count: number): number {
    const { host, ioScratch } = this.fs.env;
    const room = dst.room?.(count) ?? 0;
    if (room !== 0) {
      const n = host.syscall(PREAD64, this.fd, room, count, offset);
      if (n > 0) dst.filled?.(n);
      return n;
    }
    let done = 0;
    while (done < count) {
      const n = host.pread(this.fd, ioScratch, 0, Math.min(count - done, ioScratch.length), offset + done);
      if (n <= 0) return done > 0 ? done : n;
      const put = dst.put(ioScratch, 0, n);
      if (put < 0) return done > 0 ? done : put;
      done += put;
      if (put < n) break;
    }
    return done;
  }

  /** Bytes moved (fewer if space or user memory ends), or an errno if none. */
  write(src: Source, offset: number): number {
    const count = src.remaining;
    if (count === 0) return 0;
    if (offset + count > MAX_FILE_SIZE) return EFBIG;
    if (this.fd < 0 && offset + count > IN_MEMORY_MAX) {
      const r = this.promote();
      if (r < 0) return r;
    }
    return this.fd < 0 ? this.writeArray(src, offset, count) : this.writeHost(src, offset, count);
  }

  private writeArray(src: Source, offset: number, count: number): number {
    const end = offset + count;
    if (end > this.bytes.length) {
      if (!this.charge(pagesOf(end))) return ENOSPC;
      this.grow(end);
    }
    const n = src.take(this.bytes, offset, end);
    if (n < count && end > this.size) this.bytes.fill(0, Math.max(this.size, offset + Math.max(n, 0)), end);
    if (n > 0 && offset + n > this.size) this.size = offset + n;
    return n;
  }

  private writeHost(src: Source, offset: number, count: number): number {
    const { host, ioScratch } = this.fs.env;
    this.memfdBlocks = -1;
    let done = 0;
    while (done < count) {
      const n = src.take(ioScratch, 0, Math.min(count - done, ioScratch.length));
      if (n <= 0) return done > 0 ? done : n < 0 ? n : EFAULT;
      if (!this.chargeHost(offset + done, n)) return done > 0 ? done : ENOSPC;
      const wrote = host.pwrite(this.fd, ioScratch, 0, n, offset + done);
      if (wrote <= 0) return done > 0 ? done : wrote;
      done += wrote;
      if (offset + done > this.size) this.size = offset + done;
      if (wrote < n) break;
    }
    return done;
  }

  /** Makes the file a copy of `size` bytes of a host file. Reads may wait for the disk. */
  importHost(hostFd: number, offset: number, size: number): 0 | Errno {
    const { host, ioScratch } = this.fs.env;
    if (!this.charge(pagesOf(size))) return ENOSPC;
    if (size <= IN_MEMORY_MAX) {
      const bytes = new Uint8Array(size);
      const n = size === 0 ? 0 : host.pread(hostFd, bytes, 0, size, offset);
      if (n < 0) return n as Errno;
      this.bytes = bytes;
      this.size = size;
      return 0;
    }
    const fd = this.promote();
    if (fd < 0) return fd as Errno;
    for (let at = 0; at < size; ) {
      const n = host.pread(hostFd, ioScratch, 0, Math.min(ioScratch.length, size - at), offset + at);
      if (n < 0) return n as Errno;
      if (n === 0) break;
      const wrote = host.pwrite(fd, ioScratch, 0, n, at);
      if (wrote < 0) return wrote as Errno;
      at += wrote;
    }
    const r = host.ftruncate(fd, size);
    if (r === 0) this.size = size;
    return r as 0 | Errno;
  }

  /** New capacity, at least `end`: doubled, at most IN_MEMORY_MAX. */
  private grow(end: number): void {
    const capacity = Math.min(IN_MEMORY_MAX, Math.max(end, Math.min(this.bytes.length * 2, this.bytes.length + 16384), 64));
    const bytes = new Uint8Array(capacity);
    bytes.set(this.bytes.subarray(0, this.size));
    this.bytes = bytes;
  }

  truncate(size: number): 0 | Errno {
    if (size > MAX_FILE_SIZE) return EFBIG;
    if (this.fd < 0 && size > IN_MEMORY_MAX) {
      const r = this.promote();
      if (r < 0) return r as Errno;
    }
    if (this.fd >= 0) {
      this.memfdBlocks = -1;
      const r = this.fs.env.host.ftruncate(this.fd, size);
      if (r < 0) return r as Errno;
      if (size < this.size) this.recount();
    } else if (size < this.size) {
      // A file cut to a fraction gives the rest back.
      this.bytes = size === 0 ? EMPTY : size < this.bytes.length >> 1 ? this.bytes.slice(0, size) : this.bytes;
      this.bytes.fill(0, size);
      this.charge(pagesOf(size));
    } else if (size > this.bytes.length) {
      this.grow(size);
    }
    this.size = size;
    return 0;
  }

  allocate(mode: number, offset: number, length: number, task: Task): SyscallResult {
    if ((mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) !== 0) return EOPNOTSUPP;
    const punch = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
    if (punch && (mode & FALLOC_FL_KEEP_SIZE) === 0) return EOPNOTSUPP;
    const end = offset + length;
    if (end > MAX_FILE_SIZE) return EFBIG;
    if (this.fd < 0 && !punch && end > IN_MEMORY_MAX) {
      const r = this.promote();
      if (r < 0) return r;
    }
    if (this.fd >= 0) return this.allocateHost(mode, offset, length, punch, task);
    if (punch) this.bytes.fill(0, offset, Math.min(end, this.bytes.length));
    else {
      if (!this.charge(Math.max(this.charged, pagesOf(end)))) return ENOSPC;
      if (end > this.bytes.length) this.grow(end);
      if ((mode & FALLOC_FL_KEEP_SIZE) === 0 && end > this.size) this.size = end;
    }
    return 0;
  }

  private allocateHost(mode: number, offset: number, length: number, punch: boolean, task: Task): SyscallResult {
    if (!punch && !this.chargeHost(offset, length)) return ENOSPC;
    const { fd, disk } = this;
    const end = offset + length;
    if (disk === null && length > STEP) {
      return this.allocating(punch ? giveBack(task, fd, offset, end) : reserveInSteps(task, fd, mode, offset, length), mode, end);
    }
    return this.allocated(this.fs.env.host.fallocate(fd, mode, offset, length), mode, end);
  }
  private *allocating(steps: Blocking, mode: number, end: number): Blocking {
    try {
      return this.allocated(yield* steps, mode, end);
    } finally {
      this.memfdBlocks = -1;
    }
  }
  /** The host has answered: sizes follow. */
  private allocated(r: number, mode: number, end: number): number {
    this.memfdBlocks = -1;
    if (this.fd >= 0 && (mode & FALLOC_FL_PUNCH_HOLE) !== 0) this.recount();
    else if (r === 0 && (mode & FALLOC_FL_KEEP_SIZE) === 0) this.size = Math.max(this.size, end);
    return r;
  }
  /** FileImpl.giveBack. */
  giveBack(size: number, task: Task): Blocking | null {
    return this.fd >= 0 && this.disk === null && this.size - size > STEP ? this.givingBack(size, task) : null;
  }
  private *givingBack(size: number, task: Task): Blocking {
    try {
      return yield* giveBack(task, this.fd, size, this.size);
    } finally {
      this.memfdBlocks = -1;
    }
  }

  /** lseek(2) SEEK_DATA and SEEK_HOLE. */
  seekExtent(offset: number, whence: number): number {
    if (offset < 0 || offset >= this.size) return ENXIO;
    if (this.fd >= 0) return this.fs.env.host.lseek(this.fd, offset, whence);
    return whence === SEEK_DATA ? offset : this.size;
  }

  /** The memfd for a mapping, ours still; moves the bytes there if they are not. */
  hostFd(): number {
    this.mapped = true;
    this.memfdBlocks = -1;
    return this.fd >= 0 ? this.fd : this.promote();
  }

  /** 512-byte units. */
  get blocks(): number {
    if (this.fd < 0) return pagesOf(this.size) * 8;
    if (this.memfdBlocks >= 0) return this.memfdBlocks;
    const blocks = Math.max(0, this.fs.env.host.fileBlocks(this.fd));
    if (this.disk === null && !this.mapped) this.memfdBlocks = blocks;
    return blocks;
  }

  /** The descriptor, or an errno. */
  private promote(): number {
    const { env, store } = this.fs;
    const { host } = env;
    const fd = store !== null ? store.newFile() : host.memfdCreate('tmpfs', MFD_CLOEXEC);
    if (fd < 0) return ENOSPC; // the Sentry has no descriptor left
    const r = this.size === 0 ? 0 : host.pwrite(fd, this.bytes, 0, this.size, 0);
    if (r !== this.size) {
      host.close(fd);
      return r < 0 ? r : ENOSPC;
    }
    this.fd = fd;
    if (store !== null) this.disk = new DiskFile(host, fd);
    this.bytes = EMPTY;
    this.fs.hosted.add(this);
    return fd;
  }

  /** Sets what this file counts for; false if the filesystem is full. */
  private charge(pages: number): boolean {
    if (pages > this.charged && !this.fs.reserve(pages - this.charged)) return false;
    if (pages < this.charged) this.fs.unreserve(this.charged - pages);
    this.charged = pages;
    return true;
  }

  /** A write to a memfd: counted as if every page were new, up to the size; recounted when that seems to be too much. */
  private chargeHost(offset: number, count: number): boolean {
    const first = Math.floor(offset / PAGE_SIZE);
    const touched = pagesOf(offset + count) - first;
    const whole = pagesOf(Math.max(this.size, offset + count));
    if (this.charge(Math.max(this.charged, Math.min(this.charged + touched, whole)))) return true;
    this.fs.recountHosted();
    return this.charge(Math.max(this.charged, Math.min(this.charged + touched, whole)));
  }

  /** How many of `count` bytes at `offset` there is room for; they are counted. */
  roomFor(offset: number, count: number): number {
    if (this.chargeHost(offset, count)) return count;
    const fits = Math.min(count, this.fs.freePages * PAGE_SIZE - (offset % PAGE_SIZE));
    return fits > 0 && this.chargeHost(offset, fits) ? fits : 0;
  }
  /** The host's file was written up to here. */
  grown(end: number): void {
    if (end > this.size) this.size = end;
  }

  /** What the host really holds for it. */
  recount(): void {
    if (this.fd >= 0) this.charge(Math.min(this.charged, Math.ceil(this.blocks / 8)));
  }

  /** Nobody can reach the bytes any more. */
  release(): void {
    const { size } = this;
    this.charge(0);
    this.bytes = EMPTY;
    this.size = 0;
    if (this.fd < 0) return;
    this.fs.hosted.delete(this);
    if (this.disk !== null) this.disk.release();
    else this.fs.env.closeMemory(this.fd, size);
    this.disk = null;
    this.fd = -1;
  }
}
