/** An open slave: what a shell has as its descriptors 0 to 2. */
import { EAGAIN, EIO, ENOTTY, ERESTARTSYS, isErrno } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { SIGTTIN, SIGTTOU } from '../../abi/signal.ts';
import { ICANON, TIOCSPGRP, TOSTOP, VMIN, VTIME } from '../../abi/termios.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, type WaitQueue, waitFor } from '../kernel/wait.ts';
import { type FileDescription, FileImpl } from '../vfs/file.ts';
import type { Sink, Source } from '../vfs/io.ts';
import { checkBackground } from './job_control.ts';
import type { Terminal } from './terminal.ts';
import { terminalIoctl } from './tty_ioctl.ts';

/** VTIME counts tenths of a second. */
const TENTH = 100_000_000;
const CHUNK = 65536;

export class SlaveFile extends FileImpl {
  readonly terminal: Terminal;
  override readonly queue: WaitQueue;
  private readonly generation: number;

  constructor(terminal: Terminal) {
    super();
    this.terminal = terminal;
    this.queue = terminal.slaveQueue;
    this.generation = terminal.generation;
    terminal.openSlave();
  }
  /** The terminal was hung up after this was opened. */
  private get hungUp(): boolean {
    return this.generation !== this.terminal.generation;
  }

  override read(dst: Sink, file: FileDescription, task: Task): SyscallResult {
    if (this.hungUp) return 0;
    const background = checkBackground(task, this.terminal, SIGTTIN);
    if (background !== 0) return background;
    if (dst.remaining === 0) return 0;
    const { c_lflag, c_cc } = this.terminal.line.termios;
    const min = c_cc[VMIN] as number;
    const time = c_cc[VTIME] as number;
    if ((c_lflag & ICANON) !== 0 || (min <= 1 && time === 0)) {
      const n = this.terminal.slaveRead(dst, dst.remaining);
      return n === EAGAIN && (c_lflag & ICANON) === 0 && min === 0 ? 0 : n;
    }
    const n = this.terminal.slaveRead(dst, dst.remaining);
    if (isErrno(n) && n !== EAGAIN) return n;
    const got = Math.max(0, n);
    if (got >= Math.max(1, min) || dst.remaining === 0) return got;
    if (file.nonblocking) return got > 0 ? got : EAGAIN;
    return this.readTimed(dst, task, got, min, time * TENTH);
  }

  /** Non-canonical reads with VMIN above one or VTIME (termios(3)). The task is the only one between two yields. */
  private *readTimed(dst: Sink, task: Task, already: number, min: number, time: number): Blocking {
    const { terminal } = this;
    let got = already;
    // With MIN the timer runs between bytes only; without, it is an overall one.
    let deadline = min === 0 ? task.kernel.now() + time : got > 0 && time > 0 ? task.kernel.now() + time : undefined;
    for (;;) {
      const wake = yield waitFor(terminal.slaveQueue, POLLIN | POLLRDNORM, deadline);
      if (this.hungUp) return got;
      const background = checkBackground(task, terminal, SIGTTIN);
      if (background !== 0) return got > 0 ? got : background;
      const n = terminal.slaveRead(dst, dst.remaining);
      if (isErrno(n) && n !== EAGAIN) return got > 0 ? got : n;
      got += Math.max(0, n);
      if (got >= Math.max(1, min) || dst.remaining === 0) return got;
      if (wake === 'timeout') return got;
      if (wake === 'signal') return got > 0 ? got : ERESTARTSYS;
      if (n > 0 && time > 0) deadline = task.kernel.now() + time;
    }
  }

  override write(src: Source, file: FileDescription, task: Task): SyscallResult {
    if (this.hungUp) return EIO;
    if ((this.terminal.line.termios.c_lflag & TOSTOP) !== 0) {
      const background = checkBackground(task, this.terminal, SIGTTOU);
      if (background !== 0) return background;
    }
    const n = this.writeNow(src, task);
    if (isErrno(n) || src.remaining === 0) return n;
    if (file.nonblocking) return n > 0 ? n : EAGAIN;
    return this.writeRest(src, task, n);
  }

  private writeNow(src: Source, task: Task): number {
    const { terminal } = this;
    const scratch = task.kernel.ioScratch;
    let total = 0;
    while (src.remaining > 0) {
      const room = Math.min(terminal.slaveRoom, CHUNK);
      if (room === 0) break;
      const n = src.take(scratch, 0, Math.min(room, src.remaining));
      if (n <= 0) return total > 0 ? total : n;
      terminal.slaveWrite(scratch, 0, n);
      total += n;
    }
    return total;
  }

  private *writeRest(src: Source, task: Task, already: number): Blocking {
    let total = already;
    while (src.remaining > 0) {
      const wake = yield waitFor(this.terminal.slaveQueue, POLLOUT | POLLWRNORM);
      if (this.hungUp) return total > 0 ? total : EIO;
      const n = this.writeNow(src, task);
      if (isErrno(n)) return total > 0 ? total : n;
      total += n;
      if (wake === 'signal' && src.remaining > 0) return total > 0 ? total : ERESTARTSYS;
    }
    return total;
  }

  override poll(_file: FileDescription): number {
    if (this.hungUp) return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
    return this.terminal.slavePoll();
  }

  override ioctl(file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    if (this.hungUp) return command === TIOCSPGRP ? ENOTTY : EIO;
    return terminalIoctl(task, this.terminal, { master: false, readable: file.readable }, command, argument);
  }

  override release(): void {
    this.terminal.closeSlave();
  }
}
