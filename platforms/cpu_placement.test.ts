import type { Host } from '../lib/host.ts';
import { CpuPlacement, type PlacedThread } from './cpu_placement.ts';

/** A host with these CPUs, on which time passes by hand; `masks` is what each thread may use. */
function fakeHost(cpus: number) {
  const state = { now: 1e9, cpu: 2, cpus, masks: new Map<number, number>() };
  const host = {
    monotonicNow: () => state.now,
    syscall(nr: number, ...args: (number | Uint8Array | Uint32Array | null)[]): number {
      if (nr === 204) (args[2] as Uint8Array)[0] = state.cpus;
      if (nr === 309) (args[0] as Uint32Array)[0] = state.cpu;
      if (nr === 203) state.masks.set(args[0] as number, (args[2] as Uint8Array)[0] as number);
      return 0;
    },
  } as unknown as Host;
  return { state, host };
}
function setup(spins: boolean, cpus = 0b1111) {
  const { state, host } = fakeHost(cpus);
  const threads: { -readonly [K in keyof PlacedThread]: PlacedThread[K] }[] = [];
  const placement = new CpuPlacement(host, threads, spins);
  const add = (tid: number) => {
    const thread = { tid, running: true, placement: placement.started(null) };
    threads.push(thread);
    placement.resumed();
    return thread;
  };
  /** One tick in which each thread makes so many calls. */
  const tick = (...calls: number[]) => {
    for (const [i, n] of calls.entries()) for (let k = 0; k < n; k++) placement.stopped(threads[i] as PlacedThread);
    state.now += 5e6;
    placement.round(true);
  };
  return { state, placement, add, tick };
}
const HOME = 1 << 2;
const ALL = 0b1111;

test('the kernel thread stays where it is, threads start there', () => {
  const { state, add } = setup(false);
  expect(state.masks.get(0)).toBe(HOME);
  expect(add(10).placement.cpu).toBe(2);
});
test('a thread that computes is set free, one that calls comes back', () => {
  const { state, add, tick } = setup(false);
  add(10);
  tick(5);
  tick(5);
  expect(state.masks.has(10)).toBe(false);
  tick(0);
  expect(state.masks.get(10)).toBe(ALL);
  tick(20);
  tick(1);
  expect(state.masks.get(10)).toBe(HOME);
});
test('a thread runs where the application allows it, and the kernel thread comes to it', () => {
  const { state, placement, add, tick } = setup(true);
  const thread = add(10);
  const other = add(11);
  placement.restrict(thread, [1, 3, 64]);
  expect(state.masks.get(10)).toBe(0b1010);
  tick(1, 20);
  tick(20, 20);
  tick(20, 20);
  expect(state.masks.get(10)).toBe(0b1010); // somebody else is at home
  other.running = false;
  tick(20, 0);
  expect(state.masks.get(0)).toBe(1 << 1);
  expect(state.masks.get(10)).toBe(1 << 1);
  expect(placement.started(thread).allowed).toEqual([1, 3]);
  placement.restrict(thread, [0]);
  expect(state.masks.get(10)).toBe(1);
  placement.restrict(thread, [3]);
  placement.hurry(thread);
  expect(state.masks.get(10)).toBe(1 << 1); // at home
  placement.relax(thread);
  expect(state.masks.get(10)).toBe(1 << 3);
  placement.restrict(thread, [77]); // none of ours
  expect(placement.started(thread).allowed).toBeNull();
});
test('nothing ticks while nobody runs at home', () => {
  const { state, placement, add, tick } = setup(false);
  expect(placement.deadline(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
  add(10);
  tick(1);
  expect(placement.deadline(Number.POSITIVE_INFINITY)).toBe(state.now + 5e6);
  expect(placement.deadline(state.now + 1000)).toBe(state.now + 1000);
  tick(0);
  tick(0);
  expect(placement.deadline(Number.POSITIVE_INFINITY)).toBe(Number.POSITIVE_INFINITY);
});
test('of two that contend for the CPU, the rare caller leaves', () => {
  const { state, add, tick } = setup(false);
  add(10);
  add(11);
  for (let i = 0; i < 8; i++) tick(100, 10);
  expect(state.masks.get(11)).toBe(ALL);
  expect(state.masks.has(10)).toBe(false);
});
test('the kernel thread parts from who calls often, as long as that pays', () => {
  const { state, placement, add, tick } = setup(true);
  const thread = add(10);
  tick(1);
  expect(placement.spinOf(thread.placement)).toBe(0);
  tick(500);
  tick(3);
  tick(500);
  expect(state.masks.get(0)).toBe(HOME); // one tick says nothing
  tick(500);
  expect(state.masks.get(0)).toBe(1);
  expect(placement.expecting).toBe(true);
  expect(placement.spinOf(thread.placement)).toBeGreaterThan(0);
  expect(placement.shares(thread.placement)).toBe(false);
  tick(100);
  tick(2000);
  for (const calls of [3, 0, 2000, 3, 0, 3, 2000]) tick(calls); // slices that somebody else had
  expect(state.masks.get(0)).toBe(1);
  expect(state.masks.has(10)).toBe(false);
  for (let i = 0; i < 4; i++) tick(300); // no more than before
  expect(placement.expecting).toBe(false);
  expect(state.masks.get(0)).toBe(HOME);
  for (let i = 0; i < 4; i++) tick(500);
  expect(state.masks.get(0)).toBe(1);
  thread.running = false;
  expect(placement.expecting).toBe(false);
});
test('threads that take turns stay together, and do not look for what their calls wait for', () => {
  const { state, placement, add, tick } = setup(true, 0b110);
  const [one, other] = [add(10), add(11)];
  const turns = (n: number) => {
    for (let i = 0; i < n; i++) for (const thread of [one, other]) placement.stopped(thread);
    tick(0);
  };
  turns(1);
  turns(200);
  turns(200);
  expect(state.masks.get(0)).toBe(1 << 1);
  for (let i = 0; i < 6; i++) turns(800);
  expect(state.masks.get(0)).toBe(1 << 1);
  expect(state.masks.has(10) || state.masks.has(11)).toBe(false);
  expect(placement.shares(one.placement)).toBe(true);
  const together = placement.spinOf(one.placement);
  tick(2000);
  expect(placement.shares(one.placement)).toBe(false);
  expect(placement.spinOf(one.placement)).toBeGreaterThan(together);
});
test('being apart that brings nothing ends, and the next trial comes later', () => {
  const { state, add, tick } = setup(true, 0b110);
  add(10);
  tick(1);
  for (let i = 0; i < 6; i++) tick(500);
  expect(state.masks.get(0)).toBe(HOME);
  let again = 0;
  for (let i = 0; i < 140; i++) {
    tick(500);
    if (state.masks.get(0) !== HOME) again++;
  }
  expect(again).toBeGreaterThan(0);
  expect(again).toBeLessThan(12);
});
test('what has passed is compared again, less and less often', () => {
  const { state, add, tick } = setup(true, 0b110);
  add(10);
  tick(1);
  const moves: number[] = [];
  for (let i = 0, last = false; i < 600; i++) {
    const isApart = state.masks.get(0) === 1 << 1;
    if (isApart !== last) moves.push(i);
    last = isApart;
    tick(isApart ? 2000 : 500);
  }
  const apart = moves.map((at, i) => (moves[i + 1] ?? 600) - at).filter((_, i) => i % 2 === 0);
  const together = moves
    .slice(1)
    .map((at, i) => at - (moves[i] as number))
    .filter((_, i) => i % 2 === 1);
  expect(apart.slice(0, 3)).toEqual([65, 129, 257]);
  expect(Math.max(...together)).toBeLessThan(6);
});
test('where the kernel thread gains nothing apart, one caller gets a CPU of its own', () => {
  const { state, placement, add, tick } = setup(true, 0b110);
  const thread = add(10);
  tick(1);
  for (let i = 0; i < 6; i++) tick(500);
  expect(state.masks.get(0)).toBe(HOME);
  tick(500);
  expect(state.masks.get(10)).toBe(1 << 1);
  for (let i = 0; i < 44; i++) tick(2000);
  expect(state.masks.get(10)).toBe(1 << 1);
  expect(state.masks.get(0)).toBe(HOME);
  expect(placement.expecting).toBe(true);
  thread.running = false; // it waits for long
  const other = add(11);
  for (let i = 0; i < 5; i++) tick(0, 20);
  expect(thread.placement.heat.cpu).toBe(-1);
  other.running = false;
  thread.running = true;
  tick(1);
  expect(state.masks.get(10)).toBe(HOME);
});
test('callers that take turns with one that has a CPU of its own come to it', () => {
  const { state, placement, add, tick } = setup(true, 0b110);
  const one = add(10);
  tick(1);
  for (let i = 0; i < 8; i++) tick(500);
  for (let i = 0; i < 50; i++) tick(2000);
  expect(state.masks.get(10)).toBe(1 << 1);
  const other = add(11);
  for (let i = 0; i < 4; i++) {
    for (let k = 0; k < 1000; k++) for (const thread of [one, other]) placement.stopped(thread);
    tick(0);
  }
  expect([state.masks.get(0), state.masks.get(10), state.masks.get(11)]).toEqual([HOME, 1 << 1, 1 << 1]);
  expect(placement.spinOf(other.placement)).toBeGreaterThan(0);
});
