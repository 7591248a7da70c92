/**
 * memfd_create(2), and the memory behind shared segments: a file that is a memfd of the host's. Its seals are the host's own: it knows
 * who has it mapped writable, and enforces them where the application writes by itself.
 */
import { EINVAL, ENOSPC, EPERM, type Errno } from '../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../abi/fallocate.ts';
import { F_ADD_SEALS, F_GET_SEALS, O_APPEND, O_RDWR, O_TRUNC, SEEK_DATA, SEEK_END, SEEK_HOLE } from '../../abi/fcntl.ts';
import { F_SEAL_EXEC, F_SEAL_FUTURE_WRITE, F_SEAL_SEAL, F_SEAL_WRITE } from '../../abi/memfd.ts';
import { MFD_ALLOW_SEALING, MFD_CLOEXEC, PROT_WRITE } from '../../abi/mman.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Host } from '../../lib/host.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { MemoryAccount } from '../kernel/memory_account.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { FileDescription, type HostMapping, PositionedFile } from '../vfs/file.ts';
import type { AttributeChange, Attributes } from '../vfs/inode.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { AnonymousInode } from './anonfs.ts';
import { giveBack, reserveInSteps, STEP } from './much_memory.ts';

export class MemfdInode extends AnonymousInode {
  readonly hostFd: number;
  readonly kernel: Kernel;
  /** FileImpls: the last one closes the host's descriptor. */
  openers = 0;
  /** F_SEAL_EXEC is kept here: older hosts do not know it. */
  execSealed: boolean;
  /** Of the container that made it, and the bytes that count there: what was written or reserved through us, up to the size. */
  private readonly memory: MemoryAccount;
  private counted = 0;

  constructor(kernel: Kernel, hostFd: number, mode: number, owner: Credentials, memory: MemoryAccount, execSealed: boolean) {
    const { fsuid: uid, fsgid: gid } = owner;
    const fs = kernel.anonymous.filesystem('tmpfs');
    super(fs, fs.nextIno(), S_IFREG | mode, uid, gid, kernel.anonymous.timestamp());
    this.kernel = kernel;
    this.hostFd = hostFd;
    this.memory = memory;
    this.execSealed = execSealed;
  }
  /** `more` bytes have been written or reserved; 0: the size has changed. */
  recount(more: number): void {
    const counted = Math.min(this.counted + more, this.size);
    this.memory.add(counted - this.counted);
    this.counted = counted;
  }
  /** The last one that has it open is gone. */
  close(): void {
    this.memory.add(-this.counted);
    this.counted = 0;
    this.kernel.closeMemory(this.hostFd, this.size);
  }
  get host(): Host {
    return this.kernel.host;
  }
  get size(): number {
    return Math.max(0, this.host.lseek(this.hostFd, 0, SEEK_END));
  }
  override attributes(): Attributes {
    return { ...super.attributes(), nlink: 0, size: this.size, blocks: Math.max(0, this.host.fileBlocks(this.hostFd)) };
  }
  override setAttributes(change: AttributeChange): 0 | Errno {
    if (change.mode !== undefined && this.execSealed && ((change.mode ^ this.mode) & 0o111) !== 0) return EPERM;
    const r = change.size === undefined ? 0 : this.host.ftruncate(this.hostFd, change.size);
    if (change.size !== undefined) this.recount(0);
    return r < 0 ? (r as Errno) : super.setAttributes(change);
  }
  /** Through /proc/PID/fd. */
  override open(flags: number): MemfdFile | Errno {
    const file = new MemfdFile(this);
    const r = (flags & O_TRUNC) === 0 ? 0 : this.setAttributes({ size: 0 });
    if (r === 0) return file;
    file.release();
    return r;
  }
}

export class MemfdFile extends PositionedFile {
  readonly inode: MemfdInode;
  constructor(inode: MemfdInode) {
    super();
    this.inode = inode;
    inode.openers++;
  }
  size(): number {
    return this.inode.size;
  }
  override pread(dst: Sink, offset: number): number {
    const { host, hostFd, kernel } = this.inode;
    const { ioScratch } = kernel;
    let done = 0;
    while (dst.remaining > 0) {
      const n = host.pread(hostFd, ioScratch, 0, Math.min(dst.remaining, ioScratch.length), offset + done);
      if (n <= 0) return done > 0 ? done : n;
      const put = dst.put(ioScratch, 0, n);
      if (put < 0) return done > 0 ? done : put;
      done += put;
      if (put < n) break;
    }
    return done;
  }
  override pwrite(src: Source, offset: number, file: FileDescription): number {
    const { host, hostFd, kernel } = this.inode;
    const { ioScratch } = kernel;
    const start = (file.flags & O_APPEND) !== 0 ? this.inode.size : offset;
    let done = 0;
    while (src.remaining > 0) {
      const n = src.take(ioScratch, 0, Math.min(src.remaining, ioScratch.length));
      if (n <= 0) return done > 0 ? done : n;
      const wrote = host.pwrite(hostFd, ioScratch, 0, n, start + done);
      if (wrote < 0) return done > 0 ? done : wrote;
      done += wrote;
      if (wrote < n) break;
    }
    this.inode.recount(done);
    return done;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return super.seek(file, offset, whence);
    const at = this.inode.host.lseek(this.inode.hostFd, offset, whence);
    if (at >= 0) file.position = at;
    return at;
  }
  override mapping(_file: FileDescription, shared: boolean, prot: number): HostMapping | Errno {
    if (shared && (prot & PROT_WRITE) !== 0 && (this.seals() & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) !== 0) return EPERM;
    return { hostFd: this.inode.hostFd, offset: 0 };
  }
  override truncate(_file: FileDescription, size: number): number {
    return size < 0 ? EINVAL : this.inode.setAttributes({ size });
  }
  override allocate(_file: FileDescription, mode: number, offset: number, length: number, _creds: Credentials, task: Task): SyscallResult {
    const { inode } = this;
    const reserves = (mode & ~FALLOC_FL_KEEP_SIZE) === 0;
    // The host would go on until there is no memory left for anybody.
    if (reserves && length > inode.kernel.system.memory) return ENOSPC;
    // Of one that is sealed the host knows what may be done.
    if (length <= STEP || this.isSealed || (!reserves && mode !== (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)))
      return this.allocated(mode, length, inode.host.fallocate(inode.hostFd, mode, offset, length));
    return this.allocating(mode, offset, length, task);
  }
  private *allocating(mode: number, offset: number, length: number, task: Task): Blocking {
    const { hostFd } = this.inode;
    const punches = (mode & FALLOC_FL_PUNCH_HOLE) !== 0;
    const steps = punches ? giveBack(task, hostFd, offset, offset + length) : reserveInSteps(task, hostFd, mode, offset, length);
    return this.allocated(mode, length, yield* steps);
  }
  private allocated(mode: number, length: number, r: number): number {
    if (r === 0 && (mode & FALLOC_FL_PUNCH_HOLE) === 0) this.inode.recount(length);
    return r;
  }
  override giveBack(size: number, task: Task): Blocking | null {
    const { inode } = this;
    return inode.size - size > STEP && !this.isSealed ? giveBack(task, inode.hostFd, size, inode.size) : null;
  }
  private get isSealed(): boolean {
    return (this.seals() & ~F_SEAL_SEAL) !== 0;
  }
  override addSeals(seals: number): number {
    const r = this.inode.host.fcntl(this.inode.hostFd, F_ADD_SEALS, seals & ~F_SEAL_EXEC);
    if (r === 0 && (seals & F_SEAL_EXEC) !== 0) this.inode.execSealed = true;
    return r;
  }
  override seals(): number {
    const seals = this.inode.host.fcntl(this.inode.hostFd, F_GET_SEALS);
    return seals < 0 ? seals : seals | (this.inode.execSealed ? F_SEAL_EXEC : 0);
  }
  override release(): void {
    if (--this.inode.openers === 0) this.inode.close();
  }
}

/** A file of `size` bytes, all zero, open for reading and writing; or what the host said. `name`: what the kernel calls it. */
export function makeMemfd(
  task: Task,
  name: ByteString,
  options: { readonly mode: number; readonly sealing: boolean; readonly execSealed?: boolean; readonly size?: number },
): FileDescription | Errno {
  const { kernel, creds } = task;
  const fd = kernel.host.memfdCreate('memfd', MFD_CLOEXEC | (options.sealing ? MFD_ALLOW_SEALING : 0));
  if (fd < 0) return fd as Errno;
  const r = options.size === undefined ? 0 : kernel.host.ftruncate(fd, options.size);
  if (r < 0) {
    kernel.host.close(fd);
    return r as Errno;
  }
  const inode = new MemfdInode(kernel, fd, options.mode, creds, task.group.container.memory, options.execSealed ?? false);
  return new FileDescription(new MemfdFile(inode), O_RDWR, kernel.anonymous.place(inode, name));
}
