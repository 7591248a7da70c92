/**
 * A pseudoterminal pair (pty(7)): the line discipline in the middle, the master's side towards a terminal emulator (or a host
 * terminal's bridge), the slave's side towards the application, and what job control knows of it.
 */
import { EAGAIN, EIO } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { SI_KERNEL, SIGCONT, SIGHUP, SIGWINCH } from '../../abi/signal.ts';
import { makedev } from '../../abi/stat.ts';
import {
  EXTPROC,
  ICANON,
  IXON,
  TIOCPKT_DOSTOP,
  TIOCPKT_FLUSHREAD,
  TIOCPKT_FLUSHWRITE,
  TIOCPKT_IOCTL,
  TIOCPKT_NOSTOP,
  TIOCPKT_START,
  TIOCPKT_STOP,
  VMIN,
  VSTART,
  VSTOP,
  VTIME,
  type Winsize,
} from '../../abi/termios.ts';
import type { ControllingTerminal, ProcessGroup, Session } from '../kernel/session.ts';
import { sendToGroup, sendToProcessGroup } from '../kernel/signal_send.ts';
import { WaitQueue } from '../kernel/wait.ts';
import type { Sink } from '../vfs/io.ts';
import { ByteQueue } from './byte_queue.ts';
import { LineDiscipline, type LineEvents, OUTPUT_CAP } from './line_discipline.ts';
import { keepLocked, type Termios } from './termios.ts';

/** UNIX98 pseudoterminal slaves (majors 136 to 143 on Linux, whose minors go beyond 255 in the first). */
export const PTS_MAJOR = 136;
/** Most bytes that the master has written and the discipline has not taken. */
const INCOMING_CAP = 65536;

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;

export class Terminal implements ControllingTerminal, LineEvents {
  /** /dev/pts/N. */
  readonly index: number;
  readonly rdev: number;
  readonly line: LineDiscipline;
  /** Waiters on the slave's and on the master's side. */
  readonly slaveQueue = new WaitQueue();
  readonly masterQueue = new WaitQueue();
  session: Session | null = null;
  foreground: ProcessGroup | null = null;
  winsize: Winsize = { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
  /** TIOCSPTLCK: the slave cannot be opened. */
  locked = true;
  /** TIOCEXCL. */
  exclusive = false;
  masterOpen = true;
  /** Open descriptions of the slave. */
  slaveCount = 0;
  /** Raised by a hang-up: descriptions opened before are dead. */
  generation = 0;
  packetMode = false;
  packetStatus = 0;
  private readonly incoming = new ByteQueue();
  /** The last slave was closed and none has been opened since: the master reads what is left, then EIO. */
  private slaveGone = false;
  private readonly onMasterClose: () => void;

  /** onMasterClose: the pair ends, its number is free. */
  constructor(index: number, onMasterClose: () => void) {
    this.index = index;
    this.rdev = makedev(PTS_MAJOR, index);
    this.onMasterClose = onMasterClose;
    this.line = new LineDiscipline(this);
  }

  // LineEvents

  signal(signal: number): void {
    if (this.foreground !== null) sendToProcessGroup(this.foreground, { signal, code: SI_KERNEL });
  }
  flow(stopped: boolean): void {
    this.reportPacket(stopped ? TIOCPKT_STOP : TIOCPKT_START, stopped ? TIOCPKT_START : TIOCPKT_STOP);
    if (!stopped) this.slaveQueue.notify(WRITABLE);
  }
  flushed(): void {
    this.reportPacket(TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE, 0);
    this.slaveQueue.notify(WRITABLE);
    this.masterQueue.notify(WRITABLE);
  }
  private reportPacket(set: number, clear: number): void {
    if (!this.packetMode) return;
    this.packetStatus = (this.packetStatus & ~clear) | set;
    this.masterQueue.notify(POLLPRI | READABLE);
  }

  // The master's side

  /** Room for bytes that masterWrite takes. */
  get masterRoom(): number {
    return INCOMING_CAP - this.incoming.length;
  }
  /** Bytes for the master that wait to be read. */
  get outputLength(): number {
    return this.line.output.length;
  }
  /** The caller has looked at masterRoom. */
  masterWrite(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.incoming.push(bytes, start, end);
    this.feed();
  }
  /** Moves what the master wrote into the discipline as far as there is room; tells both sides. */
  private feed(): void {
    const before = this.line.output.length;
    while (this.incoming.length > 0) {
      const run = this.incoming.front();
      const n = this.line.receive(run, 0, run.length);
      this.incoming.drop(n);
      if (n < run.length) break;
    }
    if (this.line.readable(1)) this.slaveQueue.notify(READABLE);
    if (this.line.output.length > before) this.masterQueue.notify(READABLE);
  }
  /** EAGAIN: nothing yet. EIO: nothing, and no slave is left. */
  masterRead(dst: Sink): number {
    if (this.packetMode && this.packetStatus !== 0) {
      const n = dst.put(Uint8Array.of(this.packetStatus));
      if (n > 0) this.packetStatus = 0;
      return n;
    }
    const { output } = this.line;
    if (output.length === 0) return this.slaveGone ? EIO : EAGAIN;
    let total = 0;
    if (this.packetMode) {
      total = dst.put(Uint8Array.of(0));
      if (total <= 0) return total;
    }
    while (output.length > 0 && dst.remaining > 0) {
      const n = dst.put(output.front());
      if (n < 0) return total > 0 ? total : n;
      output.drop(n);
      total += n;
    }
    if (!this.line.stopped) this.slaveQueue.notify(WRITABLE);
    return total;
  }
  /** Drops `n` bytes of output that a bridge has passed on. */
  masterConsumed(n: number): void {
    this.line.output.drop(n);
    if (!this.line.stopped) this.slaveQueue.notify(WRITABLE);
  }
  masterPoll(): number {
    let events = this.masterRoom > 0 ? WRITABLE : 0;
    if (this.line.output.length > 0) events |= READABLE;
    if (this.packetMode && this.packetStatus !== 0) events |= POLLPRI | READABLE;
    return this.slaveGone ? events | POLLHUP : events;
  }
  /** The master is closed: the application loses its terminal. */
  closeMaster(): void {
    if (!this.masterOpen) return;
    this.masterOpen = false;
    this.hangUp();
    this.masterQueue.notify(POLLHUP | POLLERR);
    this.onMasterClose();
  }

  // The slave's side

  openSlave(): void {
    this.slaveCount++;
    this.slaveGone = false;
  }
  closeSlave(): void {
    if (--this.slaveCount > 0) return;
    this.slaveGone = true;
    this.exclusive = false;
    this.masterQueue.notify(POLLHUP);
  }
  /** Bytes in line mode or raw mode, at most `limit`; EAGAIN if there is no line or no byte. */
  slaveRead(dst: Sink, limit: number): number {
    const { line } = this;
    if (!line.readable(1)) return EAGAIN;
    const n = (line.termios.c_lflag & ICANON) !== 0 ? line.input.readLine(dst, limit) : line.input.readRaw(dst, limit);
    if (this.incoming.length > 0) this.feed();
    this.masterQueue.notify(WRITABLE);
    return n;
  }
  /** Bytes of output that can be taken now. */
  get slaveRoom(): number {
    return this.line.stopped ? 0 : Math.max(0, OUTPUT_CAP - this.line.output.length);
  }
  /** The caller has looked at slaveRoom. */
  slaveWrite(bytes: Uint8Array, start: number, end: number): void {
    this.line.write(bytes, start, end);
    this.masterQueue.notify(READABLE);
  }
  slavePoll(): number {
    const { c_cc, c_lflag } = this.line.termios;
    const least = (c_lflag & ICANON) === 0 && c_cc[VTIME] === 0 ? Math.max(1, c_cc[VMIN] as number) : 1;
    return (this.line.readable(least) ? READABLE : 0) | (this.slaveRoom > 0 ? WRITABLE : 0);
  }

  // Settings

  /** TIOCSLCKTRMIOS: settings that TCSETS leaves as they are; the bits and characters that are not 0. */
  lockedSettings: Termios | null = null;

  setTermios(wanted: Termios): void {
    const old = this.line.termios;
    const termios = this.lockedSettings === null ? wanted : keepLocked(old, wanted, this.lockedSettings);
    this.line.setTermios(termios);
    this.packetForTermios(old, termios);
    if (this.incoming.length > 0) this.feed();
    this.slaveQueue.notify(READABLE | WRITABLE);
    if (this.line.output.length > 0) this.masterQueue.notify(READABLE);
  }
  private packetForTermios(old: Termios, now: Termios): void {
    const plain = (t: Termios): boolean => (t.c_iflag & IXON) !== 0 && t.c_cc[VSTOP] === 19 && t.c_cc[VSTART] === 17;
    if (plain(old) !== plain(now)) {
      if (plain(now)) this.reportPacket(TIOCPKT_DOSTOP, TIOCPKT_NOSTOP);
      else this.reportPacket(TIOCPKT_NOSTOP, TIOCPKT_DOSTOP);
    }
    if (((old.c_lflag | now.c_lflag) & EXTPROC) !== 0) this.reportPacket(TIOCPKT_IOCTL, 0);
  }
  /** SIGWINCH for the foreground if it changes. */
  setWinsize(size: Winsize): void {
    const { ws_row, ws_col, ws_xpixel, ws_ypixel } = this.winsize;
    if (ws_row === size.ws_row && ws_col === size.ws_col && ws_xpixel === size.ws_xpixel && ws_ypixel === size.ws_ypixel) return;
    this.winsize = size;
    this.signal(SIGWINCH);
  }
  /** TCIFLUSH as the slave sees it. */
  flushInput(): void {
    this.incoming.clear();
    this.line.input.clear();
    this.reportPacket(TIOCPKT_FLUSHREAD, 0);
    this.masterQueue.notify(WRITABLE);
  }
  /** TCOFLUSH as the slave sees it. */
  flushOutput(): void {
    this.line.output.clear();
    this.reportPacket(TIOCPKT_FLUSHWRITE, 0);
    this.slaveQueue.notify(WRITABLE);
  }

  // Job control

  /** Becomes the controlling terminal of `session`; `group` is in the foreground. */
  control(session: Session, group: ProcessGroup): void {
    this.session = session;
    this.foreground = group;
    session.attach(this);
  }
  /** The session has it no longer; no signal. */
  uncontrol(): void {
    if (this.session?.terminal === this) this.session.terminal = null;
    this.session = null;
    this.foreground = null;
  }
  /** The line goes, not the terminal: whoever has it open may go on. */
  disassociate(): void {
    const { foreground } = this;
    this.uncontrol();
    if (foreground !== null) sendToProcessGroup(foreground, { signal: SIGHUP, code: SI_KERNEL });
  }
  /** tty hang-up (vhangup(2), the master is closed): every open slave is dead, the session leader hears of it. */
  hangUp(): void {
    const { session, foreground } = this;
    this.uncontrol();
    this.generation++;
    this.line.input.clear();
    this.incoming.clear();
    this.line.stoppedByCall = false;
    this.line.start();
    this.slaveQueue.notify(READABLE | WRITABLE | POLLHUP | POLLERR);
    if (session === null) return;
    sendToGroup(session.leader, { signal: SIGHUP, code: SI_KERNEL });
    sendToGroup(session.leader, { signal: SIGCONT, code: SI_KERNEL });
    session.lastForeground = foreground;
  }
}
