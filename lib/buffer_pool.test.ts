import { BufferPool } from './buffer_pool.ts';
import { ByteRing } from './byte_ring.ts';

test('a buffer that was given back is used again, within the limit', () => {
  const pool = new BufferPool(16_384);
  const a = pool.take(5000);
  expect([a.length, a.buffer.byteLength]).toEqual([5000, 8192]);
  pool.give(a);
  const b = pool.take(8192);
  expect(b.buffer).toBe(a.buffer);
  expect(pool.take(8192).buffer).not.toBe(a.buffer);
  for (let i = 0; i < 4; i++) pool.give(pool.take(4096 << (i % 2)));
  pool.give(new Uint8Array(16)); // too small
  pool.give(new Uint8Array(5000)); // no power of two: not from a pool
  pool.give(new Uint8Array(32_768)); // beyond the limit
  expect(pool.take(20_000).buffer.byteLength).toBe(32_768);
});

test('a ring over a pool gives back what it does not need', () => {
  const pool = new BufferPool(1 << 20);
  const ring = new ByteRing(pool);
  const out: number[] = [];
  const take = {
    put: (bytes: Uint8Array, start: number, end: number) => out.push(...bytes.subarray(start, end)) - out.length + end - start,
  };
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 10; i++) ring.append(new Uint8Array(1000).fill(i));
    ring.drain(take, 10_000);
    ring.clear();
  }
  expect(out).toHaveLength(30_000);
  expect(out[29_999]).toBe(9);
  expect(pool.take(16_384).buffer).not.toBe(pool.take(16_384).buffer);
});
