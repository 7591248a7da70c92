import { Attr } from '../../../lib/p9/attr.ts';
import { ATTR_SIZE } from '../../../lib/p9/messages.ts';
import { Listing, readEntries } from './listing.ts';

const NONE = {
  stx_mask: 0xfff,
  stx_blksize: 4096,
  stx_attributes: 0n,
  stx_nlink: 1,
  stx_uid: 5,
  stx_gid: 6,
  stx_mode: 0o100644,
  stx_ino: 77n,
  stx_size: 0,
  stx_blocks: 0,
  stx_attributes_mask: 0n,
  stx_atime_sec: -1,
  stx_atime_nsec: 5,
  stx_btime_sec: 0,
  stx_btime_nsec: 0,
  stx_ctime_sec: 0,
  stx_ctime_nsec: 0,
  stx_mtime_sec: 1,
  stx_mtime_nsec: 2,
  stx_rdev_major: 0,
  stx_rdev_minor: 0,
  stx_dev_major: 0,
  stx_dev_minor: 9,
};
const text = (s: string): number[] => [s.length & 255, s.length >> 8, ...Buffer.from(s, 'latin1')];
const entry = (name: string, target = '', change = {}): number[] => [
  ...Attr.encode({ ...NONE, ...change }),
  ...text(name),
  ...text(target),
];

test('entries are found by name, with attributes', () => {
  const listing = new Listing(9);
  expect(listing.add(Uint8Array.from([...entry('a'), ...entry('l\xff', '../x', { stx_mode: 0o120777 })]))).toBe(true);
  expect(listing.add(Uint8Array.from(entry('b', '', { stx_size: 2 ** 40, stx_ino: 2n ** 33n })))).toBe(true);
  expect(listing.names).toEqual(['a', 'l\xff', 'b']);
  expect(listing.modes).toEqual([0o100644, 0o120777, 0o100644]);
  expect(listing.find('l\xff')).toMatchObject({ target: '../x' });
  expect(listing.find('a')).toMatchObject({ attributes: { ino: 77, uid: 5, gid: 6, atime: { sec: -1, nsec: 5 } } });
  expect(listing.find('b')).toMatchObject({ attributes: { ino: 2 ** 33, size: 2 ** 40 } });
  expect(listing.find('c')).toBeNull();
  listing.outdate('a');
  expect(listing.find('a')).toBe('outdated');
  listing.forget('b');
  expect(listing.find('b')).toBeNull();
  expect(listing.inos[2]).toBe(0);
});

test('names alone, as getdents64 gives them', () => {
  const dirent = (ino: number, type: number, name: string): number[] => {
    const length = (19 + name.length + 8) & ~7;
    const bytes = Buffer.alloc(length);
    bytes.writeBigUInt64LE(BigInt(ino), 0);
    bytes.writeUInt16LE(length, 16);
    bytes[18] = type;
    bytes.write(name, 19, 'latin1');
    return [...bytes];
  };
  const good = [...dirent(1, 4, '.'), ...dirent(2, 4, '..'), ...dirent(2 ** 33, 8, 'file\xff'), ...dirent(9, 10, 'link')];
  const listing = new Listing(9);
  expect(listing.addNames(Uint8Array.from(good))).toBe(true);
  expect(listing).toMatchObject({ names: ['file\xff', 'link'], inos: [2 ** 33, 9], modes: [0o100000, 0o120000] });
  const whole = new Set([24, 48, 80, 104]);
  for (let length = 1; length < good.length; length++) {
    expect(new Listing(9).addNames(Uint8Array.from(good.slice(0, length)))).toBe(whole.has(length));
  }
  expect(new Listing(9).addNames(Uint8Array.from(dirent(1, 8, 'a/b')))).toBe(false);
});

test('what a broken gofer could send is refused', () => {
  const good = entry('name', 'target');
  for (let length = 1; length < good.length; length++) expect(new Listing(0).add(Uint8Array.from(good.slice(0, length)))).toBe(false);
  for (const name of ['', '.', '..', 'a/b', 'a\0']) expect(new Listing(0).add(Uint8Array.from(entry(name)))).toBe(false);
  const walked = [...Attr.encode(NONE), ...text('t')];
  for (let length = 1; length < walked.length; length++) expect(readEntries(Uint8Array.from(walked.slice(0, length)), 0)).toBeNull();
  expect(readEntries(Uint8Array.from(walked), 0)).toHaveLength(1);
  expect(walked.length).toBe(ATTR_SIZE + 3);
});

test('inode numbers of other devices, and large ones, stay apart', () => {
  const of = (change: object): number => {
    const entries = readEntries(Uint8Array.from([...Attr.encode({ ...NONE, ...change }), 0, 0]), 9);
    return entries?.[0]?.attributes.ino ?? -1;
  };
  const numbers = [
    of({}),
    of({ stx_dev_minor: 10 }),
    of({ stx_dev_minor: 11 }),
    of({ stx_ino: 77n | (1n << 63n) }),
    of({ stx_ino: 77n | (1n << 62n) }),
  ];
  expect(new Set(numbers).size).toBe(numbers.length);
  for (const ino of numbers) expect(Number.isSafeInteger(ino)).toBe(true);
});
