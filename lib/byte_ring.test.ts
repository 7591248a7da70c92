import { ByteRing } from './byte_ring.ts';

class Giver {
  next = 0;
  limit = Number.POSITIVE_INFINITY;
  take(into: Uint8Array, start: number, end: number): number {
    const n = Math.min(end - start, this.limit);
    if (n === 0) return -14;
    for (let i = 0; i < n; i++) into[start + i] = this.next++ & 0xff;
    this.limit -= n;
    return n;
  }
}
class Taker {
  readonly got: number[] = [];
  limit = Number.POSITIVE_INFINITY;
  put(bytes: Uint8Array, start: number, end: number): number {
    const n = Math.min(end - start, this.limit);
    if (n === 0) return -14;
    for (let i = 0; i < n; i++) this.got.push(bytes[start + i] as number);
    this.limit -= n;
    return n;
  }
}

test('bytes come out as they went in, across the end and through growth', () => {
  const ring = new ByteRing();
  const giver = new Giver();
  const taker = new Taker();
  for (const [into, out] of [
    [4000, 3000],
    [3000, 2000],
    [9000, 10_000],
    [1, 1000],
    [70_000, 100_000],
  ] as const) {
    expect(ring.fill(giver, into)).toBe(into);
    ring.drain(taker, out);
  }
  expect(ring.length).toBe(0);
  expect(taker.got.every((byte, i) => byte === (i & 0xff))).toBe(true);
  expect(taker.got).toHaveLength(86_001);
});

test('a fault in the middle counts what was moved, at the start it is the result', () => {
  const ring = new ByteRing();
  const giver = new Giver();
  giver.limit = 10;
  expect(ring.fill(giver, 100)).toBe(10);
  expect(ring.fill(giver, 100)).toBe(-14);
  const taker = new Taker();
  taker.limit = 4;
  expect(ring.drain(taker, 100)).toBe(4);
  expect(ring.drain(taker, 100)).toBe(-14);
  expect(ring.length).toBe(6);
});

test('peek leaves bytes, dropTail and drop take them', () => {
  const ring = new ByteRing();
  ring.append(Uint8Array.of(1, 2, 3, 4, 5));
  const taker = new Taker();
  expect(ring.peek(taker, 2, 2)).toBe(2);
  ring.dropTail(1);
  ring.drop(1);
  ring.drain(taker, 9);
  expect(taker.got).toEqual([3, 4, 2, 3, 4]);
});
