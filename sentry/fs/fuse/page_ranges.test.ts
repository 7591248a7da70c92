import { PageRanges } from './page_ranges.ts';

test('says of every page what a set of pages says, whatever came before', () => {
  const ranges = new PageRanges();
  const pages = new Set<number>();
  let seed = 1;
  const below = (n: number): number => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed % n;
  };
  for (let step = 0; step < 2000; step++) {
    const from = below(60);
    const to = from + below(12);
    const adds = below(2) === 0;
    if (adds) ranges.add(from, to);
    else ranges.remove(from, to);
    for (let page = from; page < to; page++) {
      if (adds) pages.add(page);
      else pages.delete(page);
    }
    for (let page = 0; page < 75; page++) expect(ranges.has(page)).toBe(pages.has(page));
    const probe = below(75);
    let missing = probe;
    while (pages.has(missing)) missing++;
    expect(ranges.firstMissing(probe)).toBe(missing);
    expect(ranges.end).toBe(Math.max(0, ...[...pages].map((page) => page + 1)));
  }
});

test('a page far away is one run, and goes with everything from some page on', () => {
  const ranges = new PageRanges();
  ranges.add(2 ** 40, 2 ** 40 + 1);
  expect(ranges.has(2 ** 40)).toBe(true);
  expect(ranges.firstMissing(0)).toBe(0);
  ranges.remove(3, Number.POSITIVE_INFINITY);
  expect(ranges.end).toBe(0);
});
