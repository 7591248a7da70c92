/** An open end of a pipe or fifo. */
import { EAGAIN, EBADF, EINVAL, ENOTTY, EPIPE, ERESTARTSYS } from '../../../abi/errno.ts';
import { O_ACCMODE, O_DIRECT, O_RDONLY, O_WRONLY } from '../../../abi/fcntl.ts';
import { FIONREAD } from '../../../abi/ioctl.ts';
import { POLLOUT } from '../../../abi/poll.ts';
import { S_IFIFO } from '../../../abi/stat.ts';
import { sendBrokenPipe } from '../../kernel/broken_pipe.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Task } from '../../kernel/task.ts';
import { type Blocking, type SyscallResult, type WaitQueue, waitFor } from '../../kernel/wait.ts';
import { FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { Pipe } from './pipe.ts';

export class PipeFile extends FileImpl {
  readonly pipe: Pipe;
  readonly reads: boolean;
  readonly writes: boolean;
  override readonly queue: WaitQueue;
  /** The fifo or pipe inode that leads to `pipe` while it is open. */
  private readonly inode: Inode;
  /** A fifo's reader sees no hang-up before the first writer has come (poll(2)). */
  private readonly writersBefore: number;

  constructor(pipe: Pipe, access: number, inode: Inode) {
    super();
    this.pipe = pipe;
    this.queue = pipe.queue;
    this.reads = (access & O_ACCMODE) !== O_WRONLY;
    this.writes = (access & O_ACCMODE) !== O_RDONLY;
    this.inode = inode;
    this.writersBefore = pipe.writers === 0 && !this.writes ? pipe.writerOpens : -1;
    inode.attachment = pipe;
    pipe.openEnd(this.reads, this.writes);
  }

  override read(dst: Sink, _file: FileDescription, _task: Task): SyscallResult {
    return this.reads ? this.pipe.read(dst) : EBADF;
  }
  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    if (!this.writes) return EBADF;
    const wanted = src.remaining;
    const packet = (file.flags & O_DIRECT) !== 0;
    const n = this.pipe.write(src, packet);
    if (n === wanted) return n;
    if (n === EPIPE) return sendBrokenPipe(task);
    if (n < 0 && n !== EAGAIN) return n;
    return file.nonblocking ? n : this.writeRest(src, file, task, packet, Math.max(n, 0));
  }
  /** A blocking write ends when all is written, or with what was when a signal or a fault came. */
  private *writeRest(src: Source, file: FileDescription, task: Task, packet: boolean, written: number): Blocking {
    let total = written;
    file.hold();
    try {
      while (src.remaining > 0) {
        const wake = yield waitFor(this.queue, POLLOUT);
        const n = this.pipe.write(src, packet);
        if (n === EPIPE) return total > 0 ? sendBrokenPipe(task) && total : sendBrokenPipe(task);
        if (n > 0) total += n;
        else if (n !== EAGAIN) return total > 0 ? total : n;
        if (wake === 'signal' && src.remaining > 0) return total > 0 ? total : ERESTARTSYS;
      }
      return total;
    } finally {
      file.release();
    }
  }

  override poll(_file: FileDescription): number {
    return this.pipe.poll(this.reads, this.writes, this.writersBefore !== this.pipe.writerOpens);
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    return command === FIONREAD ? task.writeU32(argument, this.pipe.used) : ENOTTY;
  }
  override release(_file: FileDescription): void {
    this.pipe.closeEnd(this.reads, this.writes);
    // A fifo without openers forgets its bytes; the next open(2) makes a fresh pipe.
    if (this.pipe.readers === 0 && this.pipe.writers === 0 && this.inode.attachment === this.pipe) this.inode.attachment = null;
  }
}

/** pipe2(2): read end and write end; flags O_NONBLOCK and O_DIRECT. The caller owns both. */
export function makePipe(kernel: Kernel, task: Task, flags: number): [FileDescription, FileDescription] {
  const path = kernel.anonymous.path('pipe', S_IFIFO | 0o600, task.creds);
  const pipe = new Pipe(kernel.pipes, task.group.container.memory);
  const inode = path.dentry.inode as Inode;
  const reader = new PipeFile(pipe, O_RDONLY, inode);
  const writer = new PipeFile(pipe, O_WRONLY, inode);
  return [new FileDescription(reader, O_RDONLY | flags, path), new FileDescription(writer, O_WRONLY | flags, path)];
}

/** The pipe behind an open file, or null. */
export function pipeOf(file: FileDescription): Pipe | null {
  return file.impl instanceof PipeFile ? file.impl.pipe : null;
}

/** fcntl(2) F_GETPIPE_SZ. */
export function getPipeSize(file: FileDescription): number {
  return pipeOf(file)?.capacity ?? EBADF;
}
/** fcntl(2) F_SETPIPE_SZ. */
export function setPipeSize(file: FileDescription, size: number): number {
  const pipe = pipeOf(file);
  if (pipe === null) return EBADF;
  return size > 0x7fff_ffff || size < 0 ? EINVAL : pipe.resize(size);
}
