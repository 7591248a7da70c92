import { FakeMachine } from '../testing/fake_task.ts';
import { ClockTimer } from './clock_timer.ts';
import { MONOTONIC } from './clocks.ts';

/** How often `count` timers of 1 ns call in 10 ms, and what they say was missed. */
function calls(count: number): { calls: number; expirations: number } {
  const machine = new FakeMachine();
  let calls = 0;
  let expirations = 0;
  const timers = Array.from({ length: count }, () => {
    return new ClockTimer(machine.kernel, MONOTONIC, (times) => {
      calls++;
      expirations += times;
    });
  });
  for (const timer of timers) timer.start(1, 1);
  machine.advance(10e6);
  for (const timer of timers) timer.stop();
  expect(machine.kernel.repeatingTimers).toBe(0);
  return { calls, expirations };
}

test('one timer calls at most every 50 µs, and counts what expired meanwhile', () => {
  const one = calls(1);
  expect(one.calls).toBeGreaterThan(190);
  expect(one.calls).toBeLessThanOrEqual(201);
  expect(one.expirations).toBeGreaterThan(9.9e6);
});
test('a thousand call no more often than the kernel has time for', () => {
  expect(calls(1000).calls).toBeLessThanOrEqual(2000);
});
