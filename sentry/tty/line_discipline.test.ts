import { SIGINT, SIGQUIT, SIGTSTP } from '../../abi/signal.ts';
import {
  ECHO,
  ECHOCTL,
  ECHOE,
  ECHOK,
  ECHOKE,
  ECHONL,
  ECHOPRT,
  ICANON,
  ICRNL,
  IGNCR,
  INLCR,
  IUTF8,
  IXANY,
  IXON,
  NOFLSH,
  OCRNL,
  OLCUC,
  ONLRET,
  ONOCR,
  OPOST,
  VEOL,
  XTABS,
} from '../../abi/termios.ts';
import { byteString, bytesOf } from '../../lib/byte_string.ts';
import { BufferIo } from '../vfs/io.ts';
import { LineDiscipline } from './line_discipline.ts';
import { defaultTermios, type Termios } from './termios.ts';

interface Change {
  iflag?: [on: number, off: number];
  oflag?: [on: number, off: number];
  lflag?: [on: number, off: number];
  cc?: Record<number, number>;
}

function termios(change: Change): Termios {
  const t = defaultTermios();
  const mix = (value: number, [on, off]: [number, number] = [0, 0]): number => (value | on) & ~off;
  const c_cc = t.c_cc.slice();
  for (const [i, c] of Object.entries(change.cc ?? {})) c_cc[Number(i)] = c;
  return {
    ...t,
    c_cc,
    c_iflag: mix(t.c_iflag, change.iflag),
    c_oflag: mix(t.c_oflag, change.oflag),
    c_lflag: mix(t.c_lflag, change.lflag),
  };
}

class Line {
  readonly signals: number[] = [];
  readonly discipline = new LineDiscipline({ signal: (s) => this.signals.push(s), flow: () => {}, flushed: () => {} });

  constructor(change: Change = {}) {
    this.discipline.setTermios(termios(change));
  }
  type(text: string): this {
    const bytes = bytesOf(text);
    expect(this.discipline.receive(bytes, 0, bytes.length)).toBe(bytes.length);
    return this;
  }
  print(text: string): this {
    const bytes = bytesOf(text);
    this.discipline.write(bytes, 0, bytes.length);
    return this;
  }
  /** What the master sees. */
  get shown(): string {
    let out = '';
    while (this.discipline.output.length > 0) {
      const run = this.discipline.output.front();
      out += byteString(run);
      this.discipline.output.drop(run.length);
    }
    return out;
  }
  /** Successive reads of the application. */
  reads(limit = 4096): string[] {
    const out: string[] = [];
    const canonical = (this.discipline.termios.c_lflag & ICANON) !== 0;
    while (this.discipline.readable(1)) {
      const bytes = new Uint8Array(limit);
      const { input } = this.discipline;
      const n = canonical ? input.readLine(new BufferIo(bytes), limit) : input.readRaw(new BufferIo(bytes), limit);
      out.push(byteString(bytes, 0, n));
    }
    return out;
  }
}

const RAW: Change = { iflag: [0, ICRNL | IXON], oflag: [0, OPOST], lflag: [0, ICANON | ECHO] };

test.each<[string, Change, string, string[], string]>([
  ['a line', {}, 'ls\r', ['ls\n'], 'ls\r\n'],
  ['nothing before the end of the line', {}, 'ls', [], 'ls'],
  ['two lines are two reads', {}, 'a\nb\n', ['a\n', 'b\n'], 'a\r\nb\r\n'],
  ['erase', {}, 'abc\x7f\x7fd\n', ['ad\n'], 'abc\b \b\b \bd\r\n'],
  ['erase stops at the start of the line', {}, 'a\x7f\x7f\x7f\n', ['\n'], 'a\b \b\r\n'],
  ['erase of a control character takes two columns', {}, '\x01\x7f\n', ['\n'], '^A\b \b\b \b\r\n'],
  ['erase without ECHOE shows the character', { lflag: [0, ECHOE] }, 'ab\x7f\n', ['a\n'], 'ab^?\r\n'],
  ['ECHOPRT', { lflag: [ECHOPRT, 0] }, 'abc\x7f\x7fd\n', ['ad\n'], 'abc\\cb/d\r\n'],
  ['erase of a tab', {}, 'a\t\x7fb\n', ['ab\n'], 'a\t\b\b\b\b\b\b\bb\r\n'],
  ['erase of UTF-8', { iflag: [IUTF8, 0] }, 'a\xc3\xa9\x7f\n', ['a\n'], 'a\xc3\xa9\b \b\r\n'],
  ['erase of bytes', {}, 'a\xc3\xa9\x7f\x7f\n', ['a\n'], 'a\xc3\xa9\b \b\b \b\r\n'],
  ['word erase', {}, 'make  all\x17x\n', ['make  x\n'], `make  all${'\b \b'.repeat(3)}x\r\n`],
  ['word erase over blanks', {}, 'make all  \x17\n', ['make \n'], `make all  ${'\b \b'.repeat(5)}\r\n`],
  ['kill', {}, 'abc\x15d\n', ['d\n'], `abc${'\b \b'.repeat(3)}d\r\n`],
  ['kill without ECHOKE', { lflag: [0, ECHOKE] }, 'abc\x15d\n', ['d\n'], 'abc^U\r\nd\r\n'],
  ['kill without ECHOK', { lflag: [0, ECHOKE | ECHOK] }, 'abc\x15d\n', ['d\n'], 'abc^Ud\r\n'],
  ['end of file', {}, '\x04', [''], ''],
  ['end of file pushes what there is', {}, 'ab\x04cd\n', ['ab', 'cd\n'], 'abcd\r\n'],
  ['VEOL', { cc: { [VEOL]: 0x3b } }, 'a;b\n', ['a;', 'b\n'], 'a;b\r\n'],
  ['literal next', {}, 'a\x16\x03\n', ['a\x03\n'], 'a^\b^C\r\n'],
  ['literal end of file', {}, '\x16\x04\n', ['\x04\n'], '^\b^D\r\n'],
  ['reprint', {}, 'ab\x12c\n', ['abc\n'], 'ab^R\r\nabc\r\n'],
  ['no echo', { lflag: [0, ECHO] }, 'secret\n', ['secret\n'], ''],
  ['no echo but ECHONL', { lflag: [ECHONL, ECHO] }, 'secret\n', ['secret\n'], '\r\n'],
  ['control characters as they are', { lflag: [0, ECHOCTL] }, '\x01\n', ['\x01\n'], '\x01\r\n'],
  ['IGNCR', { iflag: [IGNCR, 0] }, 'a\rb\n', ['ab\n'], 'ab\r\n'],
  ['carriage return stays', { iflag: [0, ICRNL] }, 'a\rb\n', ['a\rb\n'], 'a^Mb\r\n'],
  ['INLCR', { iflag: [INLCR, ICRNL] }, 'a\n', [], 'a^M'],
  ['raw', RAW, 'a\x03\r\x7f', ['a\x03\r\x7f'], ''],
])('%s', (_name, change, typed, reads, shown) => {
  const line = new Line({ ...change, lflag: change.lflag ?? [0, 0] });
  if (change === RAW) line.discipline.setTermios(termios({ ...RAW, lflag: [0, ICANON | ECHO | 1] }));
  line.type(typed);
  expect(line.shown).toBe(shown);
  expect(line.reads()).toEqual(reads);
});

test.each<[string, Change, string, string]>([
  ['ONLCR', {}, 'a\nb', 'a\r\nb'],
  ['no OPOST', { oflag: [0, OPOST] }, 'a\nb', 'a\nb'],
  ['OCRNL', { oflag: [OCRNL, 0] }, 'a\rb', 'a\nb'],
  ['ONOCR', { oflag: [ONOCR, 0] }, '\ra\r', 'a\r'],
  ['ONLRET keeps the column at 0', { oflag: [ONLRET | ONOCR, 0] }, 'a\n\r', 'a\r\n'],
  ['XTABS', { oflag: [XTABS, 0] }, 'ab\tc\t', 'ab      c       '],
  ['OLCUC', { oflag: [OLCUC, 0] }, 'aBc', 'ABC'],
])('output: %s', (_name, change, written, shown) => {
  expect(new Line(change).print(written).shown).toBe(shown);
});

test.each<[string, number]>([
  ['\x03', SIGINT],
  ['\x1c', SIGQUIT],
  ['\x1a', SIGTSTP],
])('%j raises a signal and empties the line', (c, signal) => {
  const line = new Line().type(`ab${c}cd\n`);
  expect(line.signals).toEqual([signal]);
  expect(line.reads()).toEqual(['cd\n']);
  expect(line.shown).toBe(`^${String.fromCharCode(c.charCodeAt(0) + 64)}cd\r\n`);
});

test('NOFLSH keeps the line', () => {
  const line = new Line({ lflag: [NOFLSH, 0] }).type('ab\x03cd\n');
  expect(line.reads()).toEqual(['abcd\n']);
});

test('STOP holds output and echo until START', () => {
  const line = new Line().type('\x13x');
  expect(line.discipline.write(bytesOf('out'), 0, 3)).toBe(0);
  expect(line.shown).toBe('');
  line.type('\x11');
  expect(line.shown).toBe('x');
  expect(line.print('out').shown).toBe('out');
});

test('IXANY: any character starts output again', () => {
  const line = new Line({ iflag: [IXANY, 0] }).type('\x13');
  expect(line.discipline.stopped).toBe(true);
  line.type('y');
  expect(line.discipline.stopped).toBe(false);
});

test('TCOOFF is not undone by START', () => {
  const line = new Line();
  line.discipline.stop(true);
  line.type('\x11');
  expect(line.discipline.stopped).toBe(true);
  line.discipline.start(true);
  expect(line.discipline.stopped).toBe(false);
});

test('reads shorter than the line leave the rest; an end of file behind a full read is not read alone', () => {
  expect(new Line().type('abcdef\n').reads(4)).toEqual(['abcd', 'ef\n']);
  expect(new Line().type('abc\x04').reads(3)).toEqual(['abc']);
});

test('an overlong line can still be ended; behind a complete line input waits', () => {
  const line = new Line().type(`${'x'.repeat(5000)}\n`);
  const [read, ...rest] = line.reads(8192);
  expect([read?.length, read?.endsWith('\n'), rest]).toEqual([4096, true, []]);
  line.type('a\n');
  const many = bytesOf('y'.repeat(5000));
  expect(line.discipline.receive(many, 0, many.length)).toBeLessThan(4096);
});

test('raw input fills up to the buffer and no further', () => {
  const line = new Line({ lflag: [0, ICANON | ECHO] });
  const many = bytesOf('y'.repeat(5000));
  expect(line.discipline.receive(many, 0, many.length)).toBe(4095);
  expect(line.reads().join('').length).toBe(4095);
});

test('what was typed in raw mode is a line after the change to canonical mode, and the other way round', () => {
  const line = new Line({ lflag: [0, ICANON | ECHO] }).type('abc');
  line.discipline.setTermios(termios({}));
  expect(line.reads()).toEqual(['abc']);
  line.type('de');
  expect(line.reads()).toEqual([]);
  line.discipline.setTermios(termios({ lflag: [0, ICANON] }));
  expect(line.reads()).toEqual(['de']);
});
