/** Content in a nameless file of the host's disk (an overlay's store): as a donated file, transfers go to a worker where they would wait. */
import { EFBIG, ENOSPC } from '../../../abi/errno.ts';
import { O_APPEND } from '../../../abi/fcntl.ts';
import type { Host } from '../../../lib/host.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking, SyscallResult } from '../../kernel/wait.ts';
import type { FileDescription } from '../../vfs/file.ts';
import { LimitedSource, type Sink, type Source } from '../../vfs/io.ts';
import { credentialsOn } from '../../vfs/mount_id_map.ts';
import { HostFd } from '../host_fd.ts';
import { HostFile, type HostFileOwner } from '../host_file.ts';
import { hostStat } from '../host_stat.ts';
import { MAX_FILE_SIZE } from './file_data.ts';
import type { TmpFile } from './tmp_file.ts';

export class DiskFile {
  private readonly fd: HostFd;
  private opened: HostFile | null = null;

  /** Takes the descriptor over. */
  constructor(host: Host, fd: number) {
    this.fd = new HostFd(host, fd);
  }
  release(): void {
    this.fd.release();
  }

  read(inode: TmpFile, dst: Sink, offset: number, file: FileDescription, task: Task): SyscallResult {
    const n = this.open(task.kernel).pread(dst, offset, file, task);
    if (typeof n !== 'number') return this.readWaiting(inode, n, file);
    if (n >= 0) inode.touchAccess(file);
    return n;
  }
  private *readWaiting(inode: TmpFile, read: Blocking, file: FileDescription): Blocking {
    this.fd.hold();
    try {
      const n = yield* read;
      if (n >= 0) inode.touchAccess(file);
      return n;
    } finally {
      this.fd.release();
    }
  }

  /** `offset` is where it goes, O_APPEND or not. */
  write(inode: TmpFile, src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    const count = src.remaining;
    if (count === 0) return 0;
    if (offset + count > MAX_FILE_SIZE) return EFBIG;
    const room = inode.data.roomFor(offset, count);
    if (room === 0) return ENOSPC;
    const n = this.open(task.kernel).pwrite(room < count ? new LimitedSource(src, room) : src, offset, file, task);
    if (typeof n !== 'number') return this.writeWaiting(inode, n, offset, file, task);
    if (n > 0) this.wrote(inode, offset + n, file, task);
    return n;
  }
  private *writeWaiting(inode: TmpFile, write: Blocking, offset: number, file: FileDescription, task: Task): Blocking {
    this.fd.hold();
    try {
      const n = yield* write;
      // Others may have appended meanwhile: the host put ours behind theirs.
      const append = (file.flags & O_APPEND) !== 0;
      if (n > 0) this.wrote(inode, append ? this.hostSize(task.kernel, offset + n) : offset + n, file, task);
      return n;
    } finally {
      this.fd.release();
    }
  }
  private wrote(inode: TmpFile, end: number, file: FileDescription, task: Task): void {
    inode.data.grown(end);
    inode.written(credentialsOn(file.path?.mount, task.creds));
  }

  private hostSize(kernel: Kernel, fallback: number): number {
    const stat = hostStat(kernel.host, this.fd.fd);
    return typeof stat === 'number' ? fallback : stat.size;
  }

  private open(kernel: Kernel): HostFile {
    this.opened ??= new HostFile(new Nobody(kernel), this.fd, true);
    return this.opened;
  }
}

/** The content has no owner among open files: nothing is counted. */
class Nobody implements HostFileOwner {
  readonly flushesAtClose = false;
  readonly kernel: Kernel;
  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  currentSize(): number {
    return 0;
  }
  changing(): null {
    return null;
  }
  closed(): void {}
}
