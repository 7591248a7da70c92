/**
 * A bridge between a terminal outside (a host pty that docker, containerd or the user's shell holds) and a pseudoterminal of the
 * sandbox, of which the bridge is the master. Bytes go both ways as they are; who cannot take more makes the other side wait.
 *
 * Interface: `finish` after the last process has ended: everything it wrote reaches the host, then the bridge closes.
 */
import { EAGAIN, EINTR, type Errno } from '../../abi/errno.ts';
import { O_RDWR } from '../../abi/fcntl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT } from '../../abi/poll.ts';
import { DevptsFilesystem } from '../fs/devpts/devpts.ts';
import { HostStream } from '../fs/host_stream.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { WaitEntry } from '../kernel/wait.ts';
import { FileDescription } from '../vfs/file.ts';
import type { Mount } from '../vfs/path.ts';
import { SlaveFile } from './slave_file.ts';
import { Terminal } from './terminal.ts';

const CHUNK = 4096;

/** One host descriptor in the kernel's poll. */
class Watch {
  private readonly kernel: Kernel;
  private readonly fd: number;
  private readonly ready: (events: number) => void;
  private watched = 0;

  constructor(kernel: Kernel, fd: number, ready: (events: number) => void) {
    this.kernel = kernel;
    this.fd = fd;
    this.ready = ready;
  }
  /** 0: not at all. What cannot be watched (regular files) is always ready and never says EAGAIN. */
  set(events: number): void {
    const { poll } = this.kernel;
    if (events === this.watched) return;
    if (this.watched === 0) {
      if (poll.add(this.fd, events, this.ready) < 0) return;
    } else if (events === 0) poll.remove(this.fd);
    else poll.modify(this.fd, events);
    this.watched = events;
  }
}

export class HostTerminal {
  readonly terminal: Terminal;
  private readonly kernel: Kernel;
  private readonly input: HostStream;
  /** The same as `input` for a host pty. */
  private readonly output: HostStream;
  private readonly inputWatch: Watch;
  private readonly outputWatch: Watch;
  private readonly chunk = new Uint8Array(CHUNK);
  private readonly entry: WaitEntry = { events: POLLIN | POLLOUT, wake: () => this.pump() };
  private inputOpen = true;
  private closed = false;
  private done: (() => void) | null = null;

  /**
   * The bridge owns the host descriptors and the terminal's master side. One descriptor: a host pty, open for reading and writing, whose
   * hang-up hangs up the terminal. Two (fifos): the end of the input alone changes nothing.
   */
  constructor(kernel: Kernel, terminal: Terminal, inputFd: number, outputFd = inputFd) {
    this.kernel = kernel;
    this.terminal = terminal;
    this.input = new HostStream(kernel.host, inputFd);
    this.output = outputFd === inputFd ? this.input : new HostStream(kernel.host, outputFd);
    this.inputWatch = new Watch(kernel, inputFd, (events) => this.ready(events));
    this.outputWatch = outputFd === inputFd ? this.inputWatch : new Watch(kernel, outputFd, () => this.pump());
    terminal.masterQueue.add(this.entry);
    this.inputWatch.set(POLLIN);
  }

  private get isPty(): boolean {
    return this.input === this.output;
  }

  /** Window size of the outer terminal, in characters. */
  resize(rows: number, columns: number): void {
    this.terminal.setWinsize({ ws_row: rows & 0xffff, ws_col: columns & 0xffff, ws_xpixel: 0, ws_ypixel: 0 });
  }

  /** Passes on what is left, then closes both sides and calls `done`. */
  finish(done: () => void): void {
    if (this.closed) {
      done();
      return;
    }
    this.done = done;
    this.inputOpen = false;
    this.pump();
  }

  /** At once: the application is hung up, what it wrote is lost. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.inputWatch.set(0);
    this.outputWatch.set(0);
    this.terminal.masterQueue.remove(this.entry);
    this.terminal.closeMaster();
    for (const stream of this.isPty ? [this.input] : [this.input, this.output]) {
      stream.restore();
      this.kernel.host.close(stream.fd);
    }
    this.done?.();
    this.done = null;
  }

  private pump(): void {
    if (this.closed) return;
    const waitOut = this.pumpOut();
    if (this.closed) return;
    const waitIn = this.pumpIn();
    if (this.closed) return;
    if (this.done !== null && this.terminal.outputLength === 0) {
      this.close();
      return;
    }
    const out = waitOut ? POLLOUT : 0;
    const into = waitIn ? POLLIN : 0;
    if (this.isPty) this.inputWatch.set(into | out);
    else {
      this.inputWatch.set(into);
      this.outputWatch.set(out);
    }
  }

  /** Guest to host. True: the host cannot take more now. */
  private pumpOut(): boolean {
    const { output } = this.terminal.line;
    while (output.length > 0) {
      const run = output.front();
      const n = this.output.write(run, run.length);
      if (n === EAGAIN) return true;
      if (n === EINTR) continue;
      if (n <= 0) {
        this.close(); // nobody is left out there
        return false;
      }
      this.terminal.masterConsumed(n);
    }
    return false;
  }

  /** Host to guest. True: nothing more for now; false: the guest has no room, or the input has ended. */
  private pumpIn(): boolean {
    while (this.inputOpen && this.terminal.masterRoom > 0) {
      const n = this.input.read(this.chunk, Math.min(CHUNK, this.terminal.masterRoom));
      if (n === EAGAIN) return true;
      if (n === EINTR) continue;
      if (n <= 0) {
        this.inputOpen = false;
        if (this.isPty) this.close();
        return false;
      }
      this.terminal.masterWrite(this.chunk, 0, n);
      if (this.closed) return false;
    }
    return false;
  }

  private ready(events: number): void {
    // A hang-up without data to read is the end of the other side; epoll reports it whatever is asked for.
    if (this.isPty && (events & (POLLHUP | POLLERR)) !== 0 && (events & POLLIN) === 0) this.close();
    else this.pump();
  }
}

/** A pair in the devpts that `mount` shows, for a process that is about to start. */
export interface NewTerminal {
  readonly terminal: Terminal;
  /** The slave, open for reading and writing; /dev/pts/N by name. One reference, the caller's. */
  readonly slave: FileDescription;
}

/** `uid`, `gid`: who will own the slave. ENOSPC: too many pairs. */
export function createTerminal(mount: Mount, uid: number, gid: number): NewTerminal | Errno {
  if (!(mount.fs instanceof DevptsFilesystem)) throw new Error('not a devpts mount');
  const terminal = mount.fs.create(uid, gid);
  if (!(terminal instanceof Terminal)) return terminal;
  terminal.locked = false;
  return { terminal, slave: new FileDescription(new SlaveFile(terminal), O_RDWR, mount.fs.slavePath(mount, terminal)) };
}
