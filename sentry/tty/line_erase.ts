/** Erasing in canonical mode: the ERASE, WERASE and KILL characters and what they show (termios(3), ECHOE … ECHOPRT). */
import { ECHO, ECHOCTL, ECHOE, ECHOK, ECHOKE, ECHOPRT, IUTF8, VERASE, VKILL } from '../../abi/termios.ts';
import type { InputBuffer } from './input_buffer.ts';
import { isContinuation, isControl } from './output_processing.ts';
import type { Termios } from './termios.ts';

export type Erase = 'character' | 'word' | 'line';

/** How erasing shows itself: a character in the visible form of echo, or one byte as it is. */
export interface EraseEcho {
  echo(c: number): void;
  raw(c: number): void;
}

const BS = 8;
const TAB = 9;
const LF = 10;
const SPACE = 32;
const BACKSLASH = 0x5c;
const SLASH = 0x2f;

/**
 * Takes characters off the line that is being edited. `erasing`: an ECHOPRT run is open; the result is whether one is open
 * now. `lineColumn`: where the line began on the screen.
 */
export function eraseInput(
  what: Erase,
  input: InputBuffer,
  termios: Termios,
  lineColumn: number,
  erasing: boolean,
  show: EraseEcho,
): boolean {
  if (input.lineIsEmpty) return erasing;
  const { c_lflag } = termios;
  const echoes = (c_lflag & ECHO) !== 0;
  const visible = (c_lflag & ECHOK) !== 0 && (c_lflag & ECHOKE) !== 0 && (c_lflag & ECHOE) !== 0;
  if (what === 'line' && (!echoes || !visible)) {
    input.head = input.lineEnd;
    if (!echoes) return erasing;
    if (erasing) show.raw(SLASH);
    show.echo(termios.c_cc[VKILL] as number);
    if ((c_lflag & ECHOK) !== 0) show.raw(LF);
    return false;
  }
  let open = erasing;
  let inWord = false;
  while (!input.lineIsEmpty) {
    const start = characterStart(input, (termios.c_iflag & IUTF8) !== 0);
    if (start < 0) break; // half a character
    const c = input.at(start);
    if (what === 'word') {
      if (isWordByte(c)) inWord = true;
      else if (inWord) break;
    }
    const end = input.head;
    input.head = start;
    if (echoes) open = showErased(what, input, start, end, termios, lineColumn, open, show);
    if (what === 'character') break;
  }
  if (input.lineIsEmpty && echoes && open) {
    show.raw(SLASH);
    open = false;
  }
  return open;
}

/** Position of the last character's first byte, or -1 if the line begins in the middle of it. */
function characterStart(input: InputBuffer, utf8: boolean): number {
  let at = input.head;
  do at--;
  while (utf8 && isContinuation(input.at(at)) && at !== input.lineEnd);
  return utf8 && isContinuation(input.at(at)) ? -1 : at;
}

function isWordByte(c: number): boolean {
  return (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 || c >= 0xc0;
}

function showErased(
  what: Erase,
  input: InputBuffer,
  start: number,
  end: number,
  termios: Termios,
  lineColumn: number,
  erasing: boolean,
  show: EraseEcho,
): boolean {
  const { c_lflag } = termios;
  const c = input.at(start);
  if ((c_lflag & ECHOPRT) !== 0) {
    if (!erasing) show.raw(BACKSLASH);
    show.echo(c);
    for (let at = start + 1; at < end; at++) show.raw(input.at(at));
    return true;
  }
  if (what === 'character' && (c_lflag & ECHOE) === 0) show.echo(termios.c_cc[VERASE] as number);
  else if (c === TAB) showErasedTab(input, (c_lflag & ECHOCTL) !== 0, lineColumn, (termios.c_iflag & IUTF8) !== 0, show);
  else {
    const width = isControl(c) ? ((c_lflag & ECHOCTL) !== 0 ? 2 : 0) : 1;
    for (let i = 0; i < width; i++) {
      show.raw(BS);
      show.raw(SPACE);
      show.raw(BS);
    }
  }
  return erasing;
}

/** Goes back over a tab: its width depends on what stands before it, up to the previous tab or the start of the line. */
function showErasedTab(input: InputBuffer, caretForm: boolean, lineColumn: number, utf8: boolean, show: EraseEcho): void {
  let width = 0;
  let at = input.head;
  let afterTab = false;
  while (at !== input.lineEnd && !afterTab) {
    at--;
    const c = input.at(at);
    if (c === TAB) afterTab = true;
    else if (isControl(c)) width += caretForm ? 2 : 0;
    else if (!utf8 || !isContinuation(c)) width++;
  }
  const column = afterTab ? width : width + lineColumn;
  for (let back = 8 - (column & 7); back > 0; back--) show.raw(BS);
}
