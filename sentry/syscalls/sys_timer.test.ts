import { ERESTART_RESTARTBLOCK } from '../../abi/errno.ts';
import { SIGALRM, SIGPROF, SIGUSR1, SIGXCPU } from '../../abi/signal.ts';
import { RLIMIT_CPU } from '../kernel/rlimits.ts';
import { setSignalMask } from '../kernel/signal_send.ts';
import { ALL_SIGNALS, signalBit } from '../kernel/signal_state.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { TIME_CALLS } from './sys_time.ts';
import { TIMER_CALLS } from './sys_timer.ts';

const SECOND = 1e9;

function world(): { machine: FakeMachine; task: FakeTask } {
  const machine = new FakeMachine();
  const task = machine.process();
  setSignalMask(task, ALL_SIGNALS);
  return { machine, task };
}

/** Two timespecs or timevals. */
function words(task: FakeTask, ...values: number[]): number {
  return task.memory.place(new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer));
}
function read(task: FakeTask, address: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => Number(task.memory.u64(address + 8 * i)));
}

test('alarm fires once and tells what was left', () => {
  const { machine, task } = world();
  expect(machine.call(task, TIMER_CALLS.alarm, 10)).toBe(0);
  machine.advance(3.4 * SECOND);
  expect(machine.call(task, TIMER_CALLS.alarm, 2)).toBe(7);
  machine.advance(2 * SECOND);
  expect(task.group.pending.take(ALL_SIGNALS)?.signal).toBe(SIGALRM);
  machine.advance(20 * SECOND);
  expect(task.group.pending.set).toBe(0n);
});

test('setitimer repeats; getitimer counts down', () => {
  const { machine, task } = world();
  expect(machine.call(task, TIMER_CALLS.setitimer, 0, words(task, 2, 0, 1, 500_000), 0)).toBe(0);
  const out = task.memory.place(32);
  machine.advance(1 * SECOND);
  machine.call(task, TIMER_CALLS.getitimer, 0, out);
  expect(read(task, out, 4)).toEqual([2, 0, 0, 500_000]);
  for (let i = 0; i < 3; i++) {
    machine.advance(2 * SECOND);
    expect(task.group.pending.take(ALL_SIGNALS)?.signal).toBe(SIGALRM);
  }
});

test('a POSIX timer counts what its pending signal stands for', () => {
  const { machine, task } = world();
  const event = new DataView(new ArrayBuffer(64));
  event.setUint32(0, 77, true);
  event.setInt32(8, SIGUSR1, true);
  const id = task.memory.place(4);
  expect(machine.call(task, TIMER_CALLS.timer_create, 1, task.memory.place(new Uint8Array(event.buffer)), id)).toBe(0);
  expect(machine.call(task, TIMER_CALLS.timer_settime, task.memory.i32(id), 0, words(task, 1, 0, 1, 0), 0)).toBe(0);
  machine.advance(3 * SECOND);
  expect(task.group.pending.take(signalBit(SIGUSR1))).toMatchObject({ value: 77n, overrun: 2, code: -2 });
  expect(machine.call(task, TIMER_CALLS.timer_getoverrun, task.memory.i32(id))).toBe(2);
  expect(machine.call(task, TIMER_CALLS.timer_delete, task.memory.i32(id))).toBe(0);
  expect(machine.call(task, TIMER_CALLS.timer_delete, task.memory.i32(id))).toBe(-22);
});

test('CPU time drives ITIMER_PROF and RLIMIT_CPU', () => {
  const { machine, task } = world();
  machine.call(task, TIMER_CALLS.setitimer, 2, words(task, 0, 0, 1, 0), 0);
  task.group.limits.set(RLIMIT_CPU, { soft: 2, hard: Number.POSITIVE_INFINITY });
  task.group.timers.limitChanged();
  machine.advance(5 * SECOND);
  expect(task.group.pending.set).toBe(0n);
  task.fake.used = 1.5 * SECOND;
  machine.advance(1.5 * SECOND);
  expect(task.group.pending.set).toBe(signalBit(SIGPROF));
  task.fake.used = 2.1 * SECOND;
  machine.advance(2.1 * SECOND);
  expect(task.group.pending.set).toBe(signalBit(SIGPROF) | signalBit(SIGXCPU));
});

test('an interrupted nanosleep tells what is left and goes on with it', () => {
  const { machine, task } = world();
  const rest = task.memory.place(16);
  expect(machine.call(task, TIME_CALLS.nanosleep, words(task, 3, 0), rest)).toBeNull();
  machine.advance(1 * SECOND);
  task.blocked?.notify('signal');
  expect(machine.result(task)).toBe(ERESTART_RESTARTBLOCK);
  expect(read(task, rest, 2)).toEqual([2, 0]);
  expect(machine.start(task, task.restart?.() ?? -1)).toBeNull();
  machine.advance(2 * SECOND);
  expect(machine.result(task)).toBe(0);
});

test('an absolute sleep into the past returns at once', () => {
  const { machine, task } = world();
  expect(machine.call(task, TIME_CALLS.clock_nanosleep, 0, 1, words(task, 5, 0), 0)).toBe(0);
  expect(machine.call(task, TIME_CALLS.clock_nanosleep, 1, 1, words(task, 1001, 0), 0)).toBeNull();
  machine.advance(1 * SECOND);
  expect(machine.result(task)).toBe(0);
});
