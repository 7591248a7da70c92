/** The settings of a terminal, as TCGETS shows them. */
import {
  B38400,
  baudRate,
  CREAD,
  CS8,
  CSIZE,
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ICANON,
  ICRNL,
  IEXTEN,
  ISIG,
  IXON,
  KernelTermios,
  N_TTY,
  ONLCR,
  OPOST,
  PARENB,
  Termio,
  Termios2,
  type Termios2 as Termios2Value,
} from '../../abi/termios.ts';

/** Control characters by index: ^C ^\ DEL ^U ^D, TIME 0, MIN 1, -, ^Q ^S ^Z, -, ^R ^O ^W ^V, -. 0 switches one off. */
const DEFAULT_CC = [3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0, 0, 0];

/** Immutable: TCSETS makes a new one. */
export type Termios = Termios2Value;

/** How a fresh pseudoterminal starts. */
export function defaultTermios(): Termios {
  return {
    c_iflag: ICRNL | IXON,
    c_oflag: OPOST | ONLCR,
    c_cflag: B38400 | CS8 | CREAD,
    c_lflag: ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    c_line: N_TTY,
    c_cc: Uint8Array.from(DEFAULT_CC),
    c_ispeed: 38400,
    c_ospeed: 38400,
  };
}

export function encodeTermios(termios: Termios, second: boolean): Uint8Array {
  return second ? Termios2.encode(termios) : KernelTermios.encode(termios);
}

/** TCGETA. */
export function encodeTermio(termios: Termios): Uint8Array {
  const { c_iflag, c_oflag, c_cflag, c_lflag, c_line, c_cc } = termios;
  const low = (flags: number): number => flags & 0xffff;
  return Termio.encode({
    c_iflag: low(c_iflag),
    c_oflag: low(c_oflag),
    c_cflag: low(c_cflag),
    c_lflag: low(c_lflag),
    c_line,
    c_cc: c_cc.slice(0, 8),
  });
}
/** TCSETA: what a struct termio cannot say stays as it is. As for TCSETS, in TCSETS's form. */
export function widenTermio(raw: Uint8Array, old: Termios): Uint8Array {
  const given = Termio.decode(raw);
  const join = (before: number, low: number): number => ((before & 0xffff_0000) | low) >>> 0;
  const c_cc = old.c_cc.slice();
  c_cc.set(given.c_cc);
  return KernelTermios.encode({
    c_iflag: join(old.c_iflag, given.c_iflag),
    c_oflag: join(old.c_oflag, given.c_oflag),
    c_cflag: join(old.c_cflag, given.c_cflag),
    c_lflag: join(old.c_lflag, given.c_lflag),
    c_line: given.c_line,
    c_cc,
  });
}

/** What TCSETS or TCSETS2 asks for, as a pseudoterminal takes it: eight bits, no parity, receiver on; the line discipline stays. */
export function decodeTermios(raw: Uint8Array, second: boolean, old: Termios): Termios {
  const given = second ? Termios2.decode(raw) : { ...KernelTermios.decode(raw), c_ispeed: old.c_ispeed, c_ospeed: old.c_ospeed };
  const rate = baudRate(given.c_cflag);
  return {
    ...given,
    c_line: old.c_line,
    c_cflag: ((given.c_cflag & ~(CSIZE | PARENB)) | CS8 | CREAD) >>> 0,
    c_ispeed: rate ?? given.c_ispeed,
    c_ospeed: rate ?? given.c_ospeed,
  };
}

/** Nothing locked: what TIOCGLCKTRMIOS shows until somebody has set it. */
export function unlockedTermios(): Termios {
  return { ...defaultTermios(), c_iflag: 0, c_oflag: 0, c_cflag: 0, c_lflag: 0, c_line: 0, c_cc: new Uint8Array(DEFAULT_CC.length) };
}
/** `wanted`, as far as `locked` leaves it. */
export function keepLocked(old: Termios, wanted: Termios, locked: Termios): Termios {
  const keep = (before: number, now: number, mask: number): number => ((now & ~mask) | (before & mask)) >>> 0;
  return {
    ...wanted,
    c_iflag: keep(old.c_iflag, wanted.c_iflag, locked.c_iflag),
    c_oflag: keep(old.c_oflag, wanted.c_oflag, locked.c_oflag),
    c_cflag: keep(old.c_cflag, wanted.c_cflag, locked.c_cflag),
    c_lflag: keep(old.c_lflag, wanted.c_lflag, locked.c_lflag),
    c_cc: wanted.c_cc.map((character, i) => (locked.c_cc[i] === 0 ? character : (old.c_cc[i] as number))),
  };
}
