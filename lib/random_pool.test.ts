import { RandomPool } from './random_pool.ts';

test('numbers below the limit, each byte used once, one call for many', () => {
  let calls = 0;
  const pool = new RandomPool((bytes) => {
    calls++;
    for (let i = 0; i < bytes.length; i++) bytes[i] = i;
  });
  const numbers = Array.from({ length: 128 }, () => pool.below(2 ** 48));
  expect(new Set(numbers).size).toBe(numbers.length);
  expect(numbers[0]).toBe(0x00_01_02_03_04_05);
  expect(calls).toBe(1);
  expect(pool.below(7)).toBeLessThan(7);
  expect(calls).toBe(2);
});
