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

export class HostTerminal {
  readonly terminal: Terminal;
  private readonly kernel: Kernel;
  private readonly stream: HostStream;
  private readonly chunk = new Uint8Array(CHUNK);
  private readonly entry: WaitEntry = { events: POLLIN | POLLOUT, wake: () => this.pump() };
  /** What the host descriptor is watched for. */
  private watched = 0;
  private inputOpen = true;
  private closed = false;
  private done: (() => void) | null = null;

  /** The bridge owns hostFd (open for reading and writing) and the terminal's master side. */
  constructor(kernel: Kernel, terminal: Terminal, hostFd: number) {
    this.kernel = kernel;
    this.terminal = terminal;
    this.stream = new HostStream(kernel.host, hostFd);
    terminal.masterQueue.add(this.entry);
    this.watch(POLLIN);
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
    this.watch(0);
    this.terminal.masterQueue.remove(this.entry);
    this.terminal.closeMaster();
    this.stream.restore();
    this.kernel.host.close(this.stream.fd);
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
    this.watch((waitOut ? POLLOUT : 0) | (waitIn ? POLLIN : 0));
  }

  /** Guest to host. True: the host cannot take more now. */
  private pumpOut(): boolean {
    const { output } = this.terminal.line;
    while (output.length > 0) {
      const run = output.front();
      const n = this.stream.write(run, run.length);
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
      const n = this.stream.read(this.chunk, Math.min(CHUNK, this.terminal.masterRoom));
      if (n === EAGAIN) return true;
      if (n === EINTR) continue;
      if (n <= 0) {
        this.inputOpen = false;
        this.close();
        return false;
      }
      this.terminal.masterWrite(this.chunk, 0, n);
      if (this.closed) return false;
    }
    return false;
  }

  private watch(events: number): void {
    const { poll } = this.kernel;
    const { fd } = this.stream;
    if (events === this.watched) return;
    if (this.watched === 0) poll.add(fd, events, (ready) => this.ready(ready));
    else if (events === 0) poll.remove(fd);
    else poll.modify(fd, events);
    this.watched = events;
  }
  private ready(events: number): void {
    // A hang-up without data to read is the end of the other side; epoll reports it whatever is asked for.
    if ((events & (POLLHUP | POLLERR)) !== 0 && (events & POLLIN) === 0) this.close();
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
