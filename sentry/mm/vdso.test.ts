import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { withoutClocks } from './vdso.ts';

/** This process's own vDSO. */
function ownVdso(): Uint8Array {
  const line = readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .find((l) => l.endsWith('[vdso]'));
  const [start, end] =
    (line ?? '')
      .split(' ')[0]
      ?.split('-')
      .map((n) => Number.parseInt(n, 16)) ?? [];
  const image = Buffer.alloc((end ?? 0) - (start ?? 0));
  const fd = openSync('/proc/self/mem', 'r');
  readSync(fd, image, 0, image.length, start ?? 0);
  closeSync(fd);
  return image;
}

test('each clock of a vDSO becomes its system call', () => {
  const image = ownVdso();
  const patches = withoutClocks(image);
  const calls = patches.map(({ code }) => (code[1] as number) | ((code[2] as number) << 8));
  expect([...new Set(calls)].sort((a, b) => a - b)).toEqual([96, 201, 228, 229]);
  for (const { offset } of patches) expect(offset).toBeGreaterThan(64);
});
test('what is no vDSO, or a broken one, is left alone', () => {
  expect(withoutClocks(new Uint8Array(0))).toEqual([]);
  expect(withoutClocks(new Uint8Array(8192).fill(0xff))).toEqual([]);
  const image = ownVdso();
  for (let cut = 0; cut < image.length; cut += 97) expect(Array.isArray(withoutClocks(image.subarray(0, cut)))).toBe(true);
});
