/** ioctl_tty(2) on either side of a pseudoterminal. */
import { EFAULT, EINVAL, EIO, ENOTTY, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import { SIGTTOU } from '../../abi/signal.ts';
import {
  FIONREAD,
  ICANON,
  KernelTermios,
  N_TTY,
  TCFLSH,
  TCGETA,
  TCGETS,
  TCGETS2,
  TCIFLUSH,
  TCIOFF,
  TCIOFLUSH,
  TCION,
  TCOFLUSH,
  TCOOFF,
  TCOON,
  TCSBRK,
  TCSBRKP,
  TCSETA,
  TCSETAF,
  TCSETAW,
  TCSETS,
  TCSETS2,
  TCSETSF,
  TCSETSF2,
  TCSETSW,
  TCSETSW2,
  TCXONC,
  Termio,
  Termios2,
  TIOCEXCL,
  TIOCGDEV,
  TIOCGETD,
  TIOCGEXCL,
  TIOCGLCKTRMIOS,
  TIOCGPGRP,
  TIOCGSID,
  TIOCGWINSZ,
  TIOCNOTTY,
  TIOCNXCL,
  TIOCOUTQ,
  TIOCSCTTY,
  TIOCSETD,
  TIOCSLCKTRMIOS,
  TIOCSPGRP,
  TIOCSTI,
  TIOCSWINSZ,
  TIOCVHANGUP,
  VSTART,
  VSTOP,
  Winsize,
} from '../../abi/termios.ts';
import { CAP_SYS_ADMIN, CAP_SYS_TTY_CONFIG, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { checkBackground, foregroundGroup, giveUpControlling, sessionOf, setControlling, setForegroundGroup } from './job_control.ts';
import type { Terminal } from './terminal.ts';
import { decodeTermios, encodeTermio, encodeTermios, unlockedTermios, widenTermio } from './termios.ts';

export interface Side {
  readonly master: boolean;
  readonly readable: boolean;
}

/** Commands that a background process of the terminal may not use. */
const CHANGES: ReadonlySet<number> = new Set([
  TCSETA,
  TCSETAW,
  TCSETAF,
  TCSETS,
  TCSETSW,
  TCSETSF,
  TCSETS2,
  TCSETSW2,
  TCSETSF2,
  TCSBRK,
  TCSBRKP,
  TCXONC,
  TCFLSH,
]);

/** What both sides answer; ENOTTY for the rest. */
export function terminalIoctl(task: Task, terminal: Terminal, side: Side, command: number, argument: number): number {
  if (!side.master && CHANGES.has(command)) {
    const background = checkBackground(task, terminal, SIGTTOU);
    if (background !== 0) return background;
  }
  switch (command) {
    case TCGETS:
      return task.copyOut(argument, encodeTermios(terminal.line.termios, false));
    case TCGETS2:
      return task.copyOut(argument, encodeTermios(terminal.line.termios, true));
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
      return setTermios(task, terminal, argument, false, command === TCSETSF);
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
      return setTermios(task, terminal, argument, true, command === TCSETSF2);
    case TCGETA:
      return task.copyOut(argument, encodeTermio(terminal.line.termios));
    case TCSETA:
    case TCSETAW:
    case TCSETAF: {
      const raw = task.readBytes(argument, Termio.size);
      if (isErrno(raw)) return EFAULT;
      if (command === TCSETAF) terminal.flushInput();
      terminal.setTermios(decodeTermios(widenTermio(raw, terminal.line.termios), false, terminal.line.termios));
      return 0;
    }
    case TIOCGLCKTRMIOS:
      return task.copyOut(argument, encodeTermios(terminal.lockedSettings ?? unlockedTermios(), false));
    case TIOCSLCKTRMIOS: {
      if (!hasCap(task.creds, CAP_SYS_ADMIN)) return EPERM;
      const raw = task.readBytes(argument, KernelTermios.size);
      if (isErrno(raw)) return EFAULT;
      terminal.lockedSettings = { ...unlockedTermios(), ...KernelTermios.decode(raw) };
      return 0;
    }
    case TIOCGWINSZ:
      return task.copyOut(argument, Winsize.encode(terminal.winsize));
    case TIOCSWINSZ: {
      const raw = task.readBytes(argument, Winsize.size);
      if (isErrno(raw)) return raw;
      terminal.setWinsize(Winsize.decode(raw));
      return 0;
    }
    case FIONREAD:
      return task.writeU32(argument, side.master ? terminal.outputLength : inputLength(terminal));
    case TIOCOUTQ:
      return task.writeU32(argument, 0);
    case TCFLSH:
      return flush(terminal, side, argument);
    case TCXONC:
      return flowControl(terminal, argument);
    case TCSBRK:
    case TCSBRKP:
      return 0; // what was written is with the master already
    default:
      return jobControlIoctl(task, terminal, side, command, argument);
  }
}

function jobControlIoctl(task: Task, terminal: Terminal, side: Side, command: number, argument: number): number {
  switch (command) {
    case TIOCGPGRP:
      return give(task, argument, foregroundGroup(task, terminal, !side.master));
    case TIOCSPGRP: {
      const raw = task.readBytes(argument, 4);
      if (isErrno(raw)) return raw;
      return setForegroundGroup(task, terminal, new DataView(raw.buffer).getInt32(0, true));
    }
    case TIOCGSID:
      return give(task, argument, sessionOf(task, terminal, !side.master));
    case TIOCSCTTY:
      return side.master ? ENOTTY : setControlling(task, terminal, argument === 1, side.readable);
    case TIOCNOTTY:
      return side.master ? ENOTTY : giveUpControlling(task, terminal);
    case TIOCVHANGUP:
      if (!hasCap(task.creds, CAP_SYS_ADMIN) && !hasCap(task.creds, CAP_SYS_TTY_CONFIG)) return EPERM;
      terminal.hangUp();
      return 0;
    case TIOCSTI:
      return EIO; // as with dev.tty.legacy_tiocsti = 0: typing for others is an attack
    default:
      return plainIoctl(task, terminal, command, argument);
  }
}

function plainIoctl(task: Task, terminal: Terminal, command: number, argument: number): number {
  switch (command) {
    case TIOCEXCL:
    case TIOCNXCL:
      terminal.exclusive = command === TIOCEXCL;
      return 0;
    case TIOCGEXCL:
      return task.writeU32(argument, terminal.exclusive ? 1 : 0);
    case TIOCGDEV:
      return task.writeU32(argument, terminal.rdev);
    case TIOCGETD:
      return task.writeU32(argument, N_TTY);
    case TIOCSETD: {
      const discipline = task.readBytes(argument, 4);
      if (isErrno(discipline)) return discipline;
      return discipline.every((b) => b === N_TTY) ? 0 : EINVAL;
    }
    default:
      return ENOTTY;
  }
}

function give(task: Task, address: number, value: number): number {
  return value < 0 ? value : task.writeU32(address, value);
}

function inputLength(terminal: Terminal): number {
  const { input, termios } = terminal.line;
  return (termios.c_lflag & ICANON) !== 0 ? input.lineBytes : input.count;
}

function setTermios(task: Task, terminal: Terminal, address: number, second: boolean, flushFirst: boolean): 0 | Errno {
  const raw = task.readBytes(address, second ? Termios2.size : KernelTermios.size);
  if (isErrno(raw)) return EFAULT;
  if (flushFirst) terminal.flushInput();
  terminal.setTermios(decodeTermios(raw, second, terminal.line.termios));
  return 0;
}

/** What one side calls input is the other side's output. */
function flush(terminal: Terminal, side: Side, which: number): 0 | Errno {
  if (which !== TCIFLUSH && which !== TCOFLUSH && which !== TCIOFLUSH) return EINVAL;
  const input = which !== TCOFLUSH;
  const output = which !== TCIFLUSH;
  if (side.master ? output : input) terminal.flushInput();
  if (side.master ? input : output) terminal.flushOutput();
  return 0;
}

function flowControl(terminal: Terminal, action: number): 0 | Errno {
  const { line } = terminal;
  const { c_cc } = line.termios;
  if (action === TCOOFF) line.stop(true);
  else if (action === TCOON) line.start(true);
  else if (action === TCIOFF) sendByte(terminal, c_cc[VSTOP] as number);
  else if (action === TCION) sendByte(terminal, c_cc[VSTART] as number);
  else return EINVAL;
  return 0;
}

function sendByte(terminal: Terminal, byte: number): void {
  if (byte !== 0 && terminal.slaveRoom > 0) terminal.slaveWrite(Uint8Array.of(byte), 0, 1);
}
