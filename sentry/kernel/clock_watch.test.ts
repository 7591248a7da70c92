import { EAGAIN, ECANCELED } from '../../abi/errno.ts';
import { POLLIN } from '../../abi/poll.ts';
import { CLOCK_REALTIME } from '../../abi/time.ts';
import { makeTimerFile, type TimerFile } from '../fs/timerfd.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { BufferIo } from '../vfs/io.ts';

const SECOND = 1_000_000_000;

test('a timer that wants to know is cancelled when the wall clock is set, not when it is steered', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  const file = makeTimerFile(machine.kernel, { kind: 'realtime' }, CLOCK_REALTIME, 0);
  const timer = file.impl as TimerFile;
  timer.set({ interval: 0, value: machine.realtime + 3600 * SECOND }, true, 3);
  const pass = (ns: number, step: number): void => {
    machine.monotonic += ns;
    machine.realtime += ns + step;
    machine.kernel.timers.fireDue(machine.monotonic);
  };
  pass(5 * SECOND, 1_000_000);
  expect(timer.poll(file)).toBe(0);
  pass(5 * SECOND, -60 * SECOND);
  expect(timer.poll(file)).toBe(POLLIN);
  const read = (): number => timer.read(new BufferIo(new Uint8Array(8)), file, task);
  expect(read()).toBe(ECANCELED);
  expect(read()).toBe(EAGAIN);
  // Set again, it goes on as any other; released, nobody looks at the clock any more.
  timer.set({ interval: 0, value: machine.realtime + SECOND }, true, 3);
  pass(SECOND, 0);
  expect(read()).toBe(8);
  timer.release();
  expect(machine.kernel.timers.next).toBe(Number.POSITIVE_INFINITY);
});
