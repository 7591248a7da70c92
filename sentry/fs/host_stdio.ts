/**
 * Standard input and output that are no terminal: files over donated host descriptors (pipes, fifos, sockets, regular files,
 * /dev/null). `openHostStdio` makes the file that becomes descriptor 0, 1 or 2.
 */
import { ENXIO, type Errno, isErrno } from '../../abi/errno.ts';
import { F_GETFL, O_ACCMODE, O_APPEND } from '../../abi/fcntl.ts';
import { makedev, S_IFCHR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import { HostSocket } from '../socket/host_socket.ts';
import { FileDescription, type FileImpl, type HostMapping, PositionedFile } from '../vfs/file.ts';
import type { Attributes, Filesystem, Timestamp } from '../vfs/inode.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { AnonymousInode } from './anonfs.ts';
import { MEM_MAJOR, NULL_MINOR, NullFile } from './dev/mem_devices.ts';
import { HostEndpoint } from './host_endpoint.ts';
import { type HostStat, hostStat } from './host_stat.ts';
import { StreamFile } from './stream_file.ts';

/** Bytes moved by one host call. */
const CHUNK = 65536;
const SEEK_CUR = 1;

/** Owner that the file shows: whom the container's process may reopen it as (/dev/stdout). */
export interface StdioOwner {
  readonly uid: number;
  readonly gid: number;
}

/** What has arrived can still be read, then the file ends, whoever on the host still has the other end. */
export function endInput(file: FileDescription): void {
  if (file.impl instanceof StreamFile || file.impl instanceof HostSocket) file.impl.endInput();
}

/** A regular file. Its position is the host's, which other programs may share (`command >> log`). */
class RegularFile extends PositionedFile {
  private readonly endpoint: HostEndpoint;

  constructor(endpoint: HostEndpoint) {
    super();
    this.endpoint = endpoint;
    endpoint.hold();
  }
  private get fd(): number {
    return this.endpoint.stream.fd;
  }
  size(): number {
    const stat = hostStat(this.endpoint.host, this.fd);
    return isErrno(stat) ? 0 : stat.size;
  }
  override read(dst: Sink, _file: FileDescription, task: Task): number {
    return this.fill(dst, task, (into, count) => this.endpoint.host.read(this.fd, into, 0, count));
  }
  override pread(dst: Sink, offset: number, _file: FileDescription, task: Task): number {
    let at = offset;
    return this.fill(dst, task, (into, count) => {
      const n = this.endpoint.host.pread(this.fd, into, 0, count, at);
      at += Math.max(0, n);
      return n;
    });
  }
  override write(src: Source, _file: FileDescription, task: Task): number {
    return this.drain(src, task, (from, count) => this.endpoint.host.write(this.fd, from, 0, count));
  }
  override pwrite(src: Source, offset: number, _file: FileDescription, task: Task): number {
    let at = offset;
    return this.drain(src, task, (from, count) => {
      const n = this.endpoint.host.pwrite(this.fd, from, 0, count, at);
      at += Math.max(0, n);
      return n;
    });
  }
  private fill(dst: Sink, task: Task, read: (into: Uint8Array, count: number) => number): number {
    let total = 0;
    while (dst.remaining > 0) {
      const want = Math.min(dst.remaining, CHUNK);
      const n = read(task.kernel.ioScratch, want);
      if (n <= 0) return total > 0 ? total : n;
      const put = dst.put(task.kernel.ioScratch, 0, n);
      if (put < 0) return total > 0 ? total : put;
      total += put;
      if (n < want) break;
    }
    return total;
  }
  private drain(src: Source, task: Task, write: (from: Uint8Array, count: number) => number): number {
    let total = 0;
    while (src.remaining > 0) {
      const taken = src.take(task.kernel.ioScratch, 0, Math.min(src.remaining, CHUNK));
      if (taken <= 0) return total > 0 ? total : taken;
      const n = write(task.kernel.ioScratch, taken);
      if (n < 0) return total > 0 ? total : n;
      total += n;
      if (n < taken) break;
    }
    return total;
  }
  override seek(_file: FileDescription, offset: number, whence: number): number {
    return this.endpoint.host.syscall(8 /* lseek */, this.fd, offset, whence);
  }
  override mapping(): HostMapping {
    return { hostFd: this.fd, offset: 0 };
  }
  override truncate(_file: FileDescription, size: number): number {
    return this.endpoint.host.ftruncate(this.fd, size);
  }
  override sync(_file: FileDescription, dataOnly: boolean): number {
    return dataOnly ? this.endpoint.host.fdatasync(this.fd) : this.endpoint.host.fsync(this.fd);
  }
  override describe(): string {
    return `hostpos:\t${this.seek(null as never, 0, SEEK_CUR)}\n`;
  }
  override release(): void {
    this.endpoint.release();
  }
}

/** The inode: type, size and times as the host tells them. It can be opened again (/dev/stdout, /proc/self/fd/1). */
class StdioInode extends AnonymousInode {
  private readonly kernel: Kernel;
  private readonly endpoint: HostEndpoint;
  private readonly kind: number;

  constructor(fs: Filesystem, ino: number, stat: HostStat, owner: StdioOwner, now: Timestamp, endpoint: HostEndpoint, kernel: Kernel) {
    super(fs, ino, stat.mode, owner.uid, owner.gid, now);
    this.kernel = kernel;
    this.endpoint = endpoint;
    this.kind = stat.mode & S_IFMT;
  }
  override get opensItself(): boolean {
    return true;
  }
  override attributes(): Attributes {
    const known = super.attributes();
    const stat = this.endpoint.open ? hostStat(this.endpoint.host, this.endpoint.stream.fd) : ENXIO;
    if (isErrno(stat)) return known;
    const { size, blocks, rdev, blksize } = stat;
    return { ...known, size, blocks, rdev, blksize };
  }
  override open(): FileImpl | Errno {
    // A socket cannot be opened by a name.
    return this.endpoint.open && this.kind !== S_IFSOCK ? this.file() : ENXIO;
  }
  file(): FileImpl {
    if (this.kind === S_IFREG) return new RegularFile(this.endpoint);
    return this.kind === S_IFSOCK ? new HostSocket(this.kernel, this.endpoint) : new StreamFile(this.endpoint);
  }
}

/** The file of one donated descriptor, which becomes the file's own. An errno: the descriptor is still the caller's. */
export function openHostStdio(kernel: Kernel, hostFd: number, owner: StdioOwner): FileDescription | Errno {
  const stat = hostStat(kernel.host, hostFd);
  if (isErrno(stat)) return stat;
  const flags = kernel.host.fcntl(hostFd, F_GETFL);
  if (flags < 0) return flags as Errno;
  const mode = flags & (O_ACCMODE | O_APPEND);
  const type = stat.mode & S_IFMT;
  const now = kernel.anonymous.timestamp();
  const fs = kernel.anonymous.filesystem(type === S_IFIFO ? 'pipefs' : type === S_IFSOCK ? 'sockfs' : 'tmpfs');
  if (type === S_IFCHR && stat.rdev === makedev(MEM_MAJOR, NULL_MINOR)) {
    kernel.host.close(hostFd);
    const path = kernel.anonymous.place(new NullInode(fs, fs.nextIno(), stat.mode, 0, 0, now), '/dev/null');
    return new FileDescription(new NullFile(), mode, path);
  }
  const inode = new StdioInode(fs, fs.nextIno(), stat, owner, now, new HostEndpoint(kernel, hostFd), kernel);
  return new FileDescription(inode.file(), mode, kernel.anonymous.place(inode, nameOf(type, inode.ino)));
}

function nameOf(type: number, ino: number): ByteString {
  if (type === S_IFIFO) return `pipe:[${ino}]`;
  return type === S_IFSOCK ? `socket:[${ino}]` : `host:[${ino}]`;
}

/** null(4), as the host's stood in for it. */
class NullInode extends AnonymousInode {
  override get opensItself(): boolean {
    return true;
  }
  override attributes(): Attributes {
    return { ...super.attributes(), rdev: makedev(MEM_MAJOR, NULL_MINOR) };
  }
  override open(): FileImpl {
    return new NullFile();
  }
}
