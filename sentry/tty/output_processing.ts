/** The output side of a line discipline: OPOST and the column count that tabs and erasing need (termios(3)). */
import { OCRNL, OLCUC, ONLCR, ONLRET, ONOCR, OPOST, TABDLY, XTABS } from '../../abi/termios.ts';
import type { ByteQueue } from './byte_queue.ts';
import type { Termios } from './termios.ts';

const BS = 8;
const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB_STOP = 8;

export function isControl(c: number): boolean {
  return c < 32 || c === 127;
}

/** The second and later bytes of a UTF-8 character. */
export function isContinuation(c: number): boolean {
  return (c & 0xc0) === 0x80;
}

export class OutputProcessor {
  /** Where the cursor is, as far as the discipline knows. */
  column = 0;
  /** Column at which the current input line began. */
  lineColumn = 0;
  private readonly out: ByteQueue;

  constructor(out: ByteQueue) {
    this.out = out;
  }

  /** Bytes that the application writes. */
  write(termios: Termios, bytes: Uint8Array, start: number, end: number): void {
    if ((termios.c_oflag & OPOST) === 0) {
      this.out.push(bytes, start, end);
      return;
    }
    let run = start;
    for (let i = start; i < end; i++) {
      const c = bytes[i] as number;
      if (c >= SPACE && c < 127 && (termios.c_oflag & OLCUC) === 0) {
        this.column++;
        continue;
      }
      this.out.push(bytes, run, i);
      this.put(termios, c);
      run = i + 1;
    }
    this.out.push(bytes, run, end);
  }

  /** One byte, by the flags if OPOST is on. */
  put(termios: Termios, c: number): void {
    const flags = termios.c_oflag;
    if ((flags & OPOST) === 0) {
      this.out.pushByte(c);
      return;
    }
    if (c === LF) this.newline(flags);
    else if (c === CR) this.carriageReturn(flags);
    else if (c === TAB) this.tab(flags);
    else this.plain(flags, c);
  }

  private newline(flags: number): void {
    if ((flags & ONLRET) !== 0) this.column = 0;
    if ((flags & ONLCR) !== 0) {
      this.column = 0;
      this.out.pushByte(CR);
    }
    this.lineColumn = this.column;
    this.out.pushByte(LF);
  }

  private carriageReturn(flags: number): void {
    if ((flags & ONOCR) !== 0 && this.column === 0) return;
    if ((flags & OCRNL) !== 0) {
      if ((flags & ONLRET) !== 0) this.column = this.lineColumn = 0;
      this.out.pushByte(LF);
      return;
    }
    this.column = this.lineColumn = 0;
    this.out.pushByte(CR);
  }

  private tab(flags: number): void {
    const spaces = TAB_STOP - (this.column & (TAB_STOP - 1));
    this.column += spaces;
    if ((flags & TABDLY) !== XTABS) this.out.pushByte(TAB);
    else for (let i = 0; i < spaces; i++) this.out.pushByte(SPACE);
  }

  private plain(flags: number, given: number): void {
    let c = given;
    if (c === BS) {
      if (this.column > 0) this.column--;
    } else if (!isControl(c)) {
      if ((flags & OLCUC) !== 0 && c >= 97 && c <= 122) c -= 32;
      if (!isContinuation(c)) this.column++;
    }
    this.out.pushByte(c);
  }
}
