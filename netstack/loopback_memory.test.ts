import { BufferPool } from '../lib/buffer_pool.ts';
import { LoopbackMemory } from './loopback_memory.ts';

test('a small packet is exchanged for the next of its length; a large one goes to the pool; what lies here is bounded', () => {
  const pool = new BufferPool(1 << 20);
  const memory = new LoopbackMemory(pool);
  const small = memory.take(100);
  memory.give(small);
  expect(memory.take(101)).not.toBe(small);
  expect(memory.take(100)).toBe(small);
  expect(memory.take(100)).not.toBe(small);
  const large = memory.take(8192);
  memory.give(large);
  expect(pool.take(8192).buffer).toBe(large.buffer);
  memory.give(small);
  for (let i = 0; i < 600; i++) memory.give(new Uint8Array(2000));
  expect(memory.take(100)).not.toBe(small);
});
