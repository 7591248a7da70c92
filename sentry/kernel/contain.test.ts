import { HostPoll } from '../../platforms/host_poll.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { BROKEN_EVENT, contain } from './contain.ts';
import { exitGroup } from './exit.ts';
import { TimerQueue } from './timer_queue.ts';

function boom(): never {
  throw new TypeError('boom');
}

test('a timer that throws is gone; the others fire, and who waits for it is told', () => {
  const log: string[] = [];
  const timers = new TimerQueue((what, error) => log.push(`${what} ${(error as Error).message}`));
  let fired = 0;
  let told = 0;
  timers.add(1, boom, () => told++);
  timers.add(2, () => fired++);
  timers.add(3, boom, boom);
  timers.fireDue(10);
  expect([fired, told]).toEqual([1, 1]);
  expect(log).toEqual(['timer boom', 'timer boom', 'timer boom']);
  expect(timers.next).toBe(Number.POSITIVE_INFINITY);
});

test('a handler of a host descriptor that keeps throwing is no longer called', () => {
  const calls: number[] = [];
  // One descriptor, 7, that is always readable.
  const poll = new HostPoll({
    epollCreate: () => 3,
    epollCtl: (_fd: number, op: number) => {
      calls.push(op);
      return 0;
    },
    syscall: () => 9,
    pollWait: (_fd: number, view: DataView) => {
      view.setUint32(0, 1, true);
      view.setInt32(4, 7, true);
      return 1;
    },
  } as never);
  const broken: string[] = [];
  poll.onBroken = (what) => broken.push(what);
  poll.add(7, 1, boom);
  for (let i = 0; i < 20; i++) poll.wait(0);
  expect(broken).toHaveLength(8);
  expect(broken[0]).toContain('host descriptor 7');
  expect(calls.slice(-2)).toEqual([1, 2]); // added, removed
});

test('a process ends although steps of its end throw', () => {
  const machine = new FakeMachine();
  const lines: string[] = [];
  Object.assign(machine.kernel, { log: (line: string) => lines.push(line) });
  const task = machine.process();
  task.exitHooks.push(boom);
  let later = false;
  task.exitHooks.push(() => {
    later = true;
  });
  task.fs.release = boom;
  exitGroup(task.group, 9);
  expect(task.state).toBe('dead');
  expect(task.group.tasks).toHaveLength(0);
  expect(later).toBe(true);
  expect(lines.filter((line) => line.startsWith(BROKEN_EVENT))).toHaveLength(2);
});

test('exited() of a thread whose end throws stays inside the kernel', () => {
  const machine = new FakeMachine();
  const lines: string[] = [];
  Object.assign(machine.kernel, { log: (line: string) => lines.push(line) });
  const task = machine.process();
  Object.defineProperty(task.group, 'tasks', { get: boom });
  task.fake.data = task;
  machine.kernel.exited(task.fake, 'test');
  expect(lines.some((line) => line.startsWith(BROKEN_EVENT))).toBe(true);
});

test('contain logs what was thrown, with its stack', () => {
  const lines: string[] = [];
  contain((line) => lines.push(line), 'step', boom);
  expect(lines[0]).toMatch(/^broken event: step: TypeError: boom\n {4}at /);
});
