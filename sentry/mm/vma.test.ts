import { type Vma, VmaSet } from './vma.ts';

function vma(start: number, end: number, prot = 3): Vma {
  return { start, end, prot, maxProt: 7, shared: false, advice: 0, file: null, offset: 0, label: '' };
}
const ranges = (set: VmaSet) => set.all.map((v) => [v.start, v.end, v.prot]);

test('neighbours that agree are merged, others are not', () => {
  const set = new VmaSet();
  set.add(vma(0x1000, 0x2000));
  set.add(vma(0x3000, 0x4000));
  set.add(vma(0x2000, 0x3000));
  set.add(vma(0x4000, 0x5000, 1));
  expect(ranges(set)).toEqual([
    [0x1000, 0x4000, 3],
    [0x4000, 0x5000, 1],
  ]);
  expect(set.bytes).toBe(0x4000);
});

test('take cuts rows at both ends', () => {
  const set = new VmaSet();
  set.add(vma(0x1000, 0x9000));
  expect(set.take(0x3000, 0x5000).map((v) => [v.start, v.end])).toEqual([[0x3000, 0x5000]]);
  expect(ranges(set)).toEqual([
    [0x1000, 0x3000, 3],
    [0x5000, 0x9000, 3],
  ]);
  expect(set.find(0x4000)).toBeNull();
  expect(set.covers(0x1000, 0x3000)).toBe(true);
  expect(set.covers(0x1000, 0x6000)).toBe(false);
});

test('update splits and merges back', () => {
  const set = new VmaSet();
  set.add(vma(0x1000, 0x9000));
  set.update(0x2000, 0x3000, (v) => ({ ...v, prot: 1 }));
  expect(set.all.length).toBe(3);
  set.update(0x2000, 0x3000, (v) => ({ ...v, prot: 3 }));
  expect(ranges(set)).toEqual([[0x1000, 0x9000, 3]]);
});

test('findHole takes the highest hole that is large enough', () => {
  const set = new VmaSet();
  expect(set.findHole(0x1000, 0x1000, 0x10000)).toBe(0xf000);
  set.add(vma(0xe000, 0x10000));
  expect(set.findHole(0x1000, 0x1000, 0x10000)).toBe(0xd000);
  set.add(vma(0x4000, 0xc000));
  expect(set.findHole(0x2000, 0x1000, 0x10000)).toBe(0xc000);
  expect(set.findHole(0x3000, 0x1000, 0x10000)).toBe(0x1000);
  expect(set.findHole(0x4000, 0x1000, 0x10000)).toBe(-1);
  // A row that straddles the top bounds the first hole.
  expect(set.findHole(0x1000, 0x1000, 0x8000)).toBe(0x3000);
});

test('random mappings agree with a page map', () => {
  const set = new VmaSet();
  const pages = new Map<number, number>();
  let seed = 42;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
  for (let i = 0; i < 2000; i++) {
    const start = random(64);
    const end = start + 1 + random(16);
    const prot = random(4);
    set.take(start * 4096, end * 4096);
    for (let p = start; p < end; p++) pages.delete(p);
    if (random(3) !== 0) {
      set.add(vma(start * 4096, end * 4096, prot));
      for (let p = start; p < end; p++) pages.set(p, prot);
    }
    for (let p = 0; p < 80; p++) expect(set.find(p * 4096)?.prot).toBe(pages.get(p));
    expect(set.bytes).toBe(pages.size * 4096);
  }
});
