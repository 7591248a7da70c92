/** An open master: what opening /dev/ptmx gives a terminal emulator, sshd, script(1). */
import { EAGAIN, EINVAL, EIO, ERESTARTSYS, type Errno, isErrno } from '../../abi/errno.ts';
import { O_CLOEXEC, O_NOCTTY } from '../../abi/fcntl.ts';
import { POLLOUT, POLLWRNORM } from '../../abi/poll.ts';
import { NSIG } from '../../abi/signal.ts';
import { TIOCGPKT, TIOCGPTLCK, TIOCGPTN, TIOCGPTPEER, TIOCPKT, TIOCSIG, TIOCSPTLCK } from '../../abi/termios.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, TURN, type WaitQueue, waitFor } from '../kernel/wait.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';
import type { VfsPath } from '../vfs/path.ts';
import { controlAtOpen } from './job_control.ts';
import { SlaveFile } from './slave_file.ts';
import type { Terminal } from './terminal.ts';
import { terminalIoctl } from './tty_ioctl.ts';

/** Bytes that one write gives to the line discipline before others run. */
const AT_ONCE = 8 << 10;

export class MasterFile extends FileImpl {
  readonly terminal: Terminal;
  override readonly queue: WaitQueue;
  /** Where the slave is seen (TIOCGPTPEER). */
  private readonly slavePath: VfsPath;

  constructor(terminal: Terminal, slavePath: VfsPath) {
    super();
    this.terminal = terminal;
    this.queue = terminal.masterQueue;
    this.slavePath = slavePath;
  }

  override read(dst: Sink): number {
    return dst.remaining === 0 ? 0 : this.terminal.masterRead(dst);
  }

  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    const n = this.writeNow(src, task);
    if (isErrno(n) || src.remaining === 0) return n;
    if (file.nonblocking) return n > 0 ? n : EAGAIN;
    return this.writeRest(src, task, n);
  }
  /** At most AT_ONCE: a line that is too long swallows whatever comes. */
  private writeNow(src: Source, task: Task): number {
    const scratch = task.kernel.ioScratch;
    let total = 0;
    while (src.remaining > 0 && total < AT_ONCE) {
      const room = Math.min(this.terminal.masterRoom, src.remaining);
      if (room === 0) break;
      const n = src.take(scratch, 0, room);
      if (n <= 0) return total > 0 ? total : n;
      this.terminal.masterWrite(scratch, 0, n);
      total += n;
    }
    return total;
  }
  private *writeRest(src: Source, task: Task, already: number): Blocking {
    const { terminal } = this;
    let total = already;
    while (src.remaining > 0) {
      const wake = yield terminal.masterRoom > 0 ? TURN : waitFor(terminal.masterQueue, POLLOUT | POLLWRNORM);
      const n = this.writeNow(src, task);
      if (isErrno(n)) return total > 0 ? total : n;
      total += n;
      if (wake === 'signal' && src.remaining > 0) return total > 0 ? total : ERESTARTSYS;
    }
    return total;
  }

  override poll(): number {
    return this.terminal.masterPoll();
  }

  override ioctl(file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    const { terminal } = this;
    switch (command) {
      case TIOCGPTN:
        return task.writeU32(argument, terminal.index);
      case TIOCSPTLCK: {
        const lock = task.readU32(argument);
        if (isErrno(lock)) return lock;
        terminal.locked = lock !== 0;
        return 0;
      }
      case TIOCGPTLCK:
        return task.writeU32(argument, terminal.locked ? 1 : 0);
      case TIOCPKT: {
        const on = task.readU32(argument);
        if (isErrno(on)) return on;
        terminal.packetMode = on !== 0;
        terminal.packetStatus = 0;
        return 0;
      }
      case TIOCGPKT:
        return task.writeU32(argument, terminal.packetMode ? 1 : 0);
      case TIOCSIG:
        if (argument < 1 || argument > NSIG) return EINVAL;
        terminal.signal(argument);
        return 0;
      case TIOCGPTPEER:
        return this.openPeer(task, argument);
      default:
        return terminalIoctl(task, terminal, { master: true, readable: file.readable }, command, argument);
    }
  }

  /** A descriptor of the slave, whatever its path has become. */
  private openPeer(task: Task, flags: number): number | Errno {
    if (!this.terminal.masterOpen) return EIO;
    const slave = new FileDescription(new SlaveFile(this.terminal), flags & ~(O_CLOEXEC | O_NOCTTY), this.slavePath);
    const fd = task.fds.install(slave, (flags & O_CLOEXEC) !== 0, task.openFileLimit);
    if (fd < 0) slave.release();
    else if ((flags & O_NOCTTY) === 0) controlAtOpen(task, this.terminal);
    return fd;
  }

  override release(): void {
    this.terminal.closeMaster();
  }
}
