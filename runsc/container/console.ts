/** Host terminals: making one, raw mode, and handing its master to who asked for it (--console-socket). */
import { errnoName } from '../../abi/errno.ts';
import { O_CLOEXEC, O_NOCTTY, O_RDWR } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { unixConnect } from '../../lib/unix_socket.ts';
import { RuntimeError, type WindowSize } from './types.ts';

// ioctl_tty(2), termios(3) as the kernel has it: four flag words, line discipline, 19 control characters.
const TCGETS = 0x5401;
const TCSETS = 0x5402;
const TIOCGWINSZ = 0x5413;
const TIOCGPTN = 0x80045430;
const TIOCSPTLCK = 0x40045431;
const TIOCGPTPEER = 0x5441;
const TERMIOS_SIZE = 36;
const C_CC = 17;
const VTIME = 5;
const VMIN = 6;
// termios(3)
const IFLAGS = 0o1 | 0o2 | 0o10 | 0o40 | 0o100 | 0o200 | 0o400 | 0o2000; // IGNBRK BRKINT PARMRK ISTRIP INLCR IGNCR ICRNL IXON
const OPOST = 0o1;
const LFLAGS = 0o10 | 0o100 | 0o2 | 0o1 | 0o100000; // ECHO ECHONL ICANON ISIG IEXTEN
const CSIZE_PARENB = 0o60 | 0o400;
const CS8 = 0o60;

export interface HostTerminal {
  readonly master: number;
  readonly slave: number;
  readonly name: string;
}

/** Both ends are the caller's to close. The slave is raw: the line discipline is the sandbox's. */
export function makeTerminal(): HostTerminal {
  const master = host.openat(-100, '/dev/ptmx', O_RDWR | O_NOCTTY | O_CLOEXEC);
  const fail = (what: string, errno: number): never => {
    if (master >= 0) host.close(master);
    throw new RuntimeError('Internal', `cannot make a terminal: ${what}: ${errnoName(errno)}`);
  };
  if (master < 0) fail('/dev/ptmx', master);
  const number = new Int32Array(1);
  const unlocked = host.ioctl(master, TIOCSPTLCK, number);
  if (unlocked < 0) fail('TIOCSPTLCK', unlocked);
  const named = host.ioctl(master, TIOCGPTN, number);
  if (named < 0) fail('TIOCGPTN', named);
  const slave = host.ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (slave < 0) fail('TIOCGPTPEER', slave);
  makeRaw(slave);
  return { master, slave, name: `/dev/pts/${number[0]}` };
}

export function closeTerminal(terminal: HostTerminal): void {
  host.close(terminal.master);
  host.close(terminal.slave);
}

/** Turns off everything that would change bytes on their way; how to restore what was, or null if it is no terminal. */
export function makeRaw(fd: number): (() => void) | null {
  const termios = new Uint8Array(TERMIOS_SIZE);
  if (host.ioctl(fd, TCGETS, termios) < 0) return null;
  const before = termios.slice();
  const view = new DataView(termios.buffer);
  const clear = (at: number, bits: number, set = 0): void => view.setUint32(at, (view.getUint32(at, true) & ~bits) | set, true);
  clear(0, IFLAGS);
  clear(4, OPOST);
  clear(8, CSIZE_PARENB, CS8);
  clear(12, LFLAGS);
  termios[C_CC + VMIN] = 1;
  termios[C_CC + VTIME] = 0;
  host.ioctl(fd, TCSETS, termios);
  return () => void host.ioctl(fd, TCSETS, before);
}

/** Null if it is no terminal or has no size. */
export function windowSize(fd: number): WindowSize | null {
  const size = new Uint16Array(4);
  if (host.ioctl(fd, TIOCGWINSZ, size) < 0 || size[0] === 0) return null;
  return { rows: size[0] as number, columns: size[1] as number };
}

/** The receiver gets the master beside the slave's name. */
export function sendMaster(socketPath: string, terminal: HostTerminal): void {
  const socket = unixConnect(socketPath);
  if (socket < 0) throw new RuntimeError('Internal', `cannot connect to console socket ${socketPath}: ${errnoName(socket)}`);
  const sent = host.sendWithFds(socket, Buffer.from(terminal.name), [terminal.master]);
  host.close(socket);
  if (sent < 0) throw new RuntimeError('Internal', `cannot send the terminal to ${socketPath}: ${errnoName(sent)}`);
}
