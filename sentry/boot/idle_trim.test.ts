import type { Kernel } from '../kernel/kernel.ts';
import { TimerQueue } from '../kernel/timer_queue.ts';
import { IdleTrim } from './idle_trim.ts';

function rig() {
  const timers = new TimerQueue(() => {});
  const clock = { now: 0 };
  const kernel = {
    rounds: 0,
    timers,
    now: () => clock.now,
    due: Number.POSITIVE_INFINITY,
    resume: () => {},
    atRound(round: number, then: () => void) {
      this.due = round;
      this.resume = then;
    },
  };
  let trims = 0;
  new IdleTrim(kernel as unknown as Kernel, () => trims++);
  const second = (rounds: number): number => {
    kernel.rounds += rounds;
    if (kernel.rounds >= kernel.due) {
      kernel.due = Number.POSITIVE_INFINITY;
      kernel.resume();
    }
    clock.now += 1e9;
    timers.fireDue(clock.now);
    return trims;
  };
  return { second, timers };
}

test('trims once when rest has come, and then leaves the sandbox asleep', () => {
  const { second, timers } = rig();
  expect(second(5000)).toBe(0);
  expect(second(5000)).toBe(0);
  expect(second(10)).toBe(1);
  expect(timers.next).toBe(Number.POSITIVE_INFINITY);
  expect(second(10)).toBe(1);
});

test('a busy time makes it trim again', () => {
  const { second } = rig();
  expect(second(0)).toBe(1);
  expect(second(1000)).toBe(1);
  expect(second(30_000)).toBe(2); // looks a second after the busy time, which was quiet
  expect(second(1000)).toBe(2);
});
