import { isPlainName, P9_MAX_MSIZE } from './constants.ts';
import { Reader, Writer } from './cursor.ts';
import type { Message } from './message.ts';
import * as messages from './messages.ts';

const { Twalk, Rwalk, Tlcreate, Treaddir, Rread, Twalkx, Tmakex, Rreaddirx, Tsetattr, Tclunkx } = messages;

function encode<F>(m: Message<F>, body: Parameters<Message<F>['write']>[1]): Uint8Array {
  const w = new Writer(new Uint8Array(4096));
  m.write(w, body);
  expect(w.bad).toBe(false);
  return w.bytes.slice(0, w.at);
}
function everyMessage(): Message<object>[] {
  return Object.values(messages).filter((m) => typeof m === 'object') as unknown as Message<object>[];
}

test('bytes are those of the protocol', () => {
  expect([...encode(Twalk, { fid: 1, newfid: 0x01020304, wname: ['a', 'bc'] })]).toEqual([
    1, 0, 0, 0, 4, 3, 2, 1, 2, 0, 1, 0, 97, 2, 0, 98, 99,
  ]);
  expect([...encode(Treaddir, { fid: 2, offset: 2 ** 40 + 1, count: 256 })]).toEqual([2, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0]);
  const qid = { type: 0x80, version: 7, path: 2 ** 52 + 3 };
  expect([...encode(Rwalk, { wqid: [qid] })]).toEqual([1, 0, 0x80, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 16, 0]);
});

test('what is written reads back', () => {
  const create = { fid: 9, name: 'n\xff\x01', flags: 0o102, mode: 0o644, gid: 0xffff_ffff };
  expect(Tlcreate.read(new Reader(encode(Tlcreate, create)))).toEqual(create);
  const make = {
    fid: 1,
    names: ['x', 'y'],
    name: 'z',
    newfid: 3,
    mode: 0o120777,
    major: 0,
    minor: 0,
    umask: 0o22,
    uid: 1000,
    gid: 1001,
    open: 0,
    target: '/t'.repeat(2000),
  };
  const w = new Writer(new Uint8Array(8192));
  Tmakex.write(w, make);
  expect(Tmakex.read(new Reader(w.bytes, 0, w.at))).toEqual(make);
  const times = { fid: 1, valid: 0x1ff, mode: 0, uid: 0, gid: 0, size: 2 ** 52, atime_sec: 1, atime_nsec: 2, mtime_sec: 3, mtime_nsec: 4 };
  expect(Tsetattr.read(new Reader(encode(Tsetattr, times)))).toEqual(times);
});

test('message types are unique and answers follow requests', () => {
  const types = new Map(everyMessage().map((m) => [m.type, m.name]));
  expect(types.size).toBe(everyMessage().length);
  for (const m of everyMessage()) if (m.name.startsWith('T')) expect(types.get(m.type + 1)).toBe(`R${m.name.slice(1)}`);
});

test('too short, too long and too many are refused', () => {
  const whole = encode(Twalkx, { fid: 1, newfid: 2, open: 0, names: ['abc', 'd'] });
  for (let n = 0; n < whole.length; n++) expect(Twalkx.read(new Reader(whole, 0, n))).toBeNull();
  expect(Twalkx.read(new Reader(Uint8Array.of(...whole, 0)))).toBeNull();
  const many = encode(Twalk, { fid: 1, newfid: 2, wname: new Array(17).fill('a') });
  expect(Twalk.read(new Reader(many))).toBeNull();
  const long = encode(Twalk, { fid: 1, newfid: 2, wname: ['a'.repeat(256)] });
  expect(Twalk.read(new Reader(long))).toBeNull();
  const count = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 1);
  expect(Rread.read(new Reader(count))).toBeNull();
  const fids = Uint8Array.of(0xff, 0xff, 0, 0, 0, 0);
  expect(Tclunkx.read(new Reader(fids))).toBeNull();
});

test('a writer that is full says so and stays inside', () => {
  const w = new Writer(new Uint8Array(8));
  Twalk.write(w, { fid: 1, newfid: 2, wname: ['abcdef'] });
  expect(w.bad).toBe(true);
  expect(w.at).toBeLessThanOrEqual(8);
});

test('random bytes never throw, and what parses encodes to the same bytes', () => {
  let seed = 12345;
  const random = (n: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
  };
  for (const m of everyMessage()) {
    for (let round = 0; round < 200; round++) {
      const bytes = Uint8Array.from({ length: random(60) }, () => (random(3) === 0 ? random(256) : 0));
      const body = m.read(new Reader(bytes));
      if (body === null) continue;
      const w = new Writer(new Uint8Array(256));
      m.write(w, body);
      // 64-bit values above 2^53 are not exact: such messages differ in those bytes only.
      expect(w.at).toBe(bytes.length);
    }
  }
});

test('a directory answer fills the largest message exactly', () => {
  const w = new Writer(new Uint8Array(P9_MAX_MSIZE));
  const data = new Uint8Array(P9_MAX_MSIZE - 4 - messages.ATTR_SIZE - 1);
  Rreaddirx.write(w, { eof: 1, attr: new Uint8Array(messages.ATTR_SIZE), data });
  expect(w.bad).toBe(false);
  expect(w.room).toBe(0);
});

test('plain names', () => {
  for (const good of ['a', '...', '.x', '\xff', 'a b', 'x'.repeat(255)]) expect(isPlainName(good)).toBe(true);
  for (const bad of ['', '.', '..', '/', 'a/b', 'a\0', 'x'.repeat(256)]) expect(isPlainName(bad)).toBe(false);
});
