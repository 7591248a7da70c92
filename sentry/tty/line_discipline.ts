/**
 * The line discipline N_TTY (termios(3)): between the bytes of the line (the master's side) and the application (the slave's).
 * It knows nothing of tasks: the terminal gives it somewhere to send signals and learns of changes through `LineEvents`.
 */

import { SIGINT, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import {
  ECHO,
  ECHOCTL,
  ECHONL,
  EXTPROC,
  ICANON,
  ICRNL,
  IEXTEN,
  IGNCR,
  INLCR,
  ISIG,
  ISTRIP,
  IUCLC,
  IXANY,
  IXON,
  NOFLSH,
  PARMRK,
  VEOF,
  VEOL,
  VEOL2,
  VERASE,
  VINTR,
  VKILL,
  VLNEXT,
  VQUIT,
  VREPRINT,
  VSTART,
  VSTOP,
  VSUSP,
  VWERASE,
} from '../../abi/termios.ts';
import { ByteQueue } from './byte_queue.ts';
import { InputBuffer } from './input_buffer.ts';
import { type Erase, eraseInput } from './line_erase.ts';
import { isControl, OutputProcessor } from './output_processing.ts';
import { defaultTermios, type Termios } from './termios.ts';

const LF = 10;
const CR = 13;
const BS = 8;
const TAB = 9;
const CARET = 94;
/** Most bytes that wait for the master's reader; a writer waits from there on, and echo is dropped. */
export const OUTPUT_CAP = 65536;

export interface LineEvents {
  /** ISIG: to the foreground process group. */
  signal(signal: number): void;
  /** Output was stopped or started again by the line. */
  flow(stopped: boolean): void;
  /** A signal character has emptied input and output. */
  flushed(): void;
}

export class LineDiscipline {
  termios: Termios = defaultTermios();
  readonly input = new InputBuffer();
  /** Towards the master. */
  readonly output = new ByteQueue();
  /** Output is held: by the STOP character, or by TCXONC. */
  stopped = false;
  stoppedByCall = false;
  private readonly processor = new OutputProcessor(this.output);
  private readonly events: LineEvents;
  /** Echo that waits for output to start again: a queue of bytes as typed. */
  private readonly heldEcho: (() => void)[] = [];
  private literalNext = false;
  /** Between the \ and the / of ECHOPRT. */
  private erasing = false;

  constructor(events: LineEvents) {
    this.events = events;
  }

  private has(lflag: number): boolean {
    return (this.termios.c_lflag & lflag) !== 0;
  }
  private is(index: number, c: number): boolean {
    return c !== 0 && this.termios.c_cc[index] === c;
  }

  /** Bytes that arrive on the line, bytes[start..end): how many were taken. Fewer: the reader has to catch up. */
  receive(bytes: Uint8Array, start: number, end: number): number {
    for (let i = start; i < end; i++) {
      // A full buffer without a complete line goes on: only so can the line be ended or erased.
      if (this.input.room <= 1 && !(this.has(ICANON) && !this.input.hasLine)) return i - start;
      this.receiveByte(bytes[i] as number);
    }
    return end - start;
  }

  private receiveByte(given: number): void {
    const { c_iflag } = this.termios;
    let c = given;
    if ((c_iflag & ISTRIP) !== 0) c &= 0x7f;
    if ((c_iflag & IUCLC) !== 0 && this.has(IEXTEN) && c >= 65 && c <= 90) c += 32;
    if (this.has(EXTPROC)) this.store(c);
    else if (this.literalNext) {
      this.literalNext = false;
      this.character(c);
    } else if (!this.flowControl(c) && !this.signalCharacter(c)) this.translated(c);
  }

  /** START and STOP. */
  private flowControl(c: number): boolean {
    if ((this.termios.c_iflag & IXON) === 0) return false;
    if (this.is(VSTART, c)) {
      this.start();
      return true;
    }
    if (this.is(VSTOP, c)) {
      this.stop();
      return true;
    }
    const signals = this.has(ISIG) && (this.is(VINTR, c) || this.is(VQUIT, c) || this.is(VSUSP, c));
    if ((this.termios.c_iflag & IXANY) !== 0 && this.stopped && !this.stoppedByCall && !signals) this.start();
    return false;
  }

  private signalCharacter(c: number): boolean {
    if (!this.has(ISIG)) return false;
    const signal = this.is(VINTR, c) ? SIGINT : this.is(VQUIT, c) ? SIGQUIT : this.is(VSUSP, c) ? SIGTSTP : 0;
    if (signal === 0) return false;
    if (!this.has(NOFLSH)) {
      this.input.clear();
      this.output.clear();
      this.heldEcho.length = 0;
      this.erasing = false;
      this.events.flushed();
    }
    if ((this.termios.c_iflag & IXON) !== 0) this.start();
    if (this.has(ECHO)) this.echo(c);
    this.events.signal(signal);
    return true;
  }

  private translated(given: number): void {
    const { c_iflag } = this.termios;
    let c = given;
    if (c === CR) {
      if ((c_iflag & IGNCR) !== 0) return;
      if ((c_iflag & ICRNL) !== 0) c = LF;
    } else if (c === LF && (c_iflag & INLCR) !== 0) c = CR;
    if (!this.has(ICANON) || !this.editing(c)) this.character(c);
  }

  /** The characters that edit or end a line in canonical mode. */
  private editing(c: number): boolean {
    const extended = this.has(IEXTEN);
    if (this.is(VERASE, c)) this.erase('character');
    else if (this.is(VKILL, c)) this.erase('line');
    else if (extended && this.is(VWERASE, c)) this.erase('word');
    else if (extended && this.is(VLNEXT, c)) this.beginLiteral();
    else if (extended && this.is(VREPRINT, c) && this.has(ECHO)) this.reprint(c);
    else if (c === LF) {
      if (this.has(ECHO) || this.has(ECHONL)) this.echoRaw(LF);
      this.input.endLine(LF);
    } else if (this.is(VEOF, c)) this.input.endLine(null);
    else if (this.is(VEOL, c) || (extended && this.is(VEOL2, c))) {
      if (this.has(ECHO)) this.echoTyped(c);
      if ((this.termios.c_iflag & PARMRK) !== 0 && c === 0xff) this.input.put(c);
      this.input.endLine(c);
    } else return false;
    return true;
  }

  /** Anything else: it is stored, and shown. */
  private character(c: number): void {
    if (this.has(ECHO)) {
      this.finishErasing();
      if (c === LF) this.echoRaw(LF);
      else this.echoTyped(c);
    }
    if ((this.termios.c_iflag & PARMRK) !== 0 && c === 0xff) this.input.put(c);
    this.store(c);
  }

  private store(c: number): void {
    this.input.put(c);
    if (!this.has(ICANON)) this.input.lineEnd = this.input.tail;
  }

  private beginLiteral(): void {
    this.literalNext = true;
    if (!this.has(ECHO)) return;
    this.finishErasing();
    if (!this.has(ECHOCTL)) return;
    this.echoRaw(CARET);
    this.echoRaw(BS);
  }

  private reprint(c: number): void {
    this.finishErasing();
    this.echo(c);
    this.echoRaw(LF);
    for (let at = this.input.lineEnd; at < this.input.head; at++) this.echo(this.input.at(at));
  }

  private erase(what: Erase): void {
    this.erasing = eraseInput(what, this.input, this.termios, this.processor.lineColumn, this.erasing, {
      echo: (c) => this.echo(c),
      raw: (c) => this.echoRaw(c),
    });
  }

  private finishErasing(): void {
    if (!this.erasing) return;
    this.erasing = false;
    this.echoRaw(0x2f);
  }

  /** The first character of a line remembers where the line began. */
  private echoTyped(c: number): void {
    if (this.input.lineIsEmpty) this.deferred(() => (this.processor.lineColumn = this.processor.column));
    this.echo(c);
  }

  /** Control characters as ^X. */
  private echo(c: number): void {
    if (this.has(ECHOCTL) && isControl(c) && c !== TAB) {
      this.echoRaw(CARET);
      this.echoRaw(c ^ 0x40);
    } else this.echoRaw(c);
  }

  private echoRaw(c: number): void {
    this.deferred(() => this.processor.put(this.termios, c));
  }

  /** Echo is output: it waits while output is stopped, and what finds no room is lost. */
  private deferred(put: () => void): void {
    if (this.output.length + this.heldEcho.length >= OUTPUT_CAP) return;
    if (this.stopped) this.heldEcho.push(put);
    else put();
  }

  /** Bytes that the application writes: how many were taken; 0 while output is stopped or the master does not read. */
  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.stopped) return 0;
    const n = Math.min(end - start, OUTPUT_CAP - this.output.length);
    if (n <= 0) return 0;
    this.processor.write(this.termios, bytes, start, start + n);
    return n;
  }

  stop(byCall = false): void {
    if (byCall) this.stoppedByCall = true;
    if (this.stopped) return;
    this.stopped = true;
    this.events.flow(true);
  }

  start(byCall = false): void {
    if (byCall) this.stoppedByCall = false;
    if (!this.stopped || this.stoppedByCall) return;
    this.stopped = false;
    for (const put of this.heldEcho.splice(0)) put();
    this.events.flow(false);
  }

  /** True if a read would give something: a line, or in non-canonical mode the `least` bytes asked for. */
  readable(least: number): boolean {
    return this.has(ICANON) ? this.input.hasLine : this.input.count >= least;
  }

  setTermios(termios: Termios): void {
    const old = this.termios;
    this.termios = termios;
    if (((old.c_lflag ^ termios.c_lflag) & (ICANON | EXTPROC)) !== 0) {
      this.input.changeMode(this.has(ICANON));
      this.literalNext = false;
      this.erasing = false;
    }
    if ((old.c_iflag & IXON) !== 0 && (termios.c_iflag & IXON) === 0) this.start();
  }
}
