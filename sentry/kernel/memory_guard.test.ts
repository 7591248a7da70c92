import type { PlatformMemory } from '../../platforms/platform.ts';
import type { Kernel } from './kernel.ts';
import { MemoryAccount } from './memory_account.ts';
import { type MemoryGroup, MemoryGuard } from './memory_guard.ts';

const MIB = 1 << 20;

/** A kernel whose processes have so many MiB each; what the guard tells the platform. */
function world(limit: number, used: () => number, promised = 0) {
  const timers: (() => void)[] = [];
  const granted: { bytes: number; zone: number }[] = [];
  const memoryHeld = new MemoryAccount();
  let trims = 0;
  const trim = (): number => {
    trims++;
    return promised;
  };
  const memory: PlatformMemory = { grant: (bytes, zone) => void granted.push({ bytes, zone }), trim };
  const group: MemoryGroup = { limit: () => limit, used };
  const kernel = {
    containers: new Map([['c', { processes: [] }]]),
    timers: { add: (_when: number, fire: () => void) => timers.push(fire) },
    now: () => 0,
    log: () => {},
    memoryHeld,
  } as unknown as Kernel;
  return { guard: new MemoryGuard(kernel, memory, [group]), granted, memoryHeld, timers, trims: () => trims };
}

test('what the limit leaves is given, less a reserve', () => {
  const { guard, granted, trims } = world(320 * MIB, () => 50 * MIB);
  guard.settle();
  expect(granted).toEqual([{ bytes: (320 - 50 - 16) * MIB, zone: 20 * MIB }]);
  expect(trims()).toBe(1);
});

test('what is given and not touched yet is not given twice', () => {
  const { guard, granted } = world(320 * MIB, () => 50 * MIB, 100 * MIB);
  guard.settle();
  expect(granted).toEqual([{ bytes: (320 - 50 - 16 - 100) * MIB, zone: 20 * MIB }]);
});

test('without a limit nothing ends', () => {
  const { guard, granted, trims } = world(Number.POSITIVE_INFINITY, () => 1e12);
  guard.settle();
  expect(granted).toEqual([{ bytes: Number.POSITIVE_INFINITY, zone: 0 }]);
  expect(trims()).toBe(0);
});

test('with nobody to end, a little of the reserve is given', () => {
  const { guard, granted } = world(320 * MIB, () => 319 * MIB);
  guard.settle();
  expect(granted).toEqual([{ bytes: MIB, zone: 20 * MIB }]);
});

test('files in memory are looked at when they have grown by some MiB, once', () => {
  const { guard, granted, memoryHeld, timers } = world(320 * MIB, () => 0);
  guard.settle();
  const container = new MemoryAccount(memoryHeld);
  for (let i = 0; i < 4; i++) container.add(MIB);
  expect(timers).toHaveLength(0);
  for (let i = 0; i < 3; i++) container.add(MIB);
  expect(timers).toHaveLength(1);
  timers[0]?.();
  expect(granted).toHaveLength(2);
  container.add(MIB);
  expect(timers).toHaveLength(1);
});
