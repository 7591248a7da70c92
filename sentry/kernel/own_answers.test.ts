import { SI_USER, SIGUSR1, SIGUSR2, SS_AUTODISARM } from '../../abi/signal.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { lendReturn, recallAnswers, tellNumbers } from './own_answers.ts';
import type { SeccompState } from './seccomp.ts';
import { sendToTask } from './signal_send.ts';
import { signalBit } from './signal_state.ts';

/** A task whose thread can answer; what it was told. */
function setUp(): { task: FakeTask; lent: { now: boolean; returned: bigint | null }; told: unknown[] } {
  const machine = new FakeMachine();
  machine.process();
  const task = machine.process();
  const lent = { now: false, returned: null as bigint | null };
  const told: unknown[] = [];
  Object.assign(task.fake, {
    tellNumbers: (numbers: unknown) => told.push(numbers),
    frames: {
      pending: true,
      lend: () => {
        lent.now = true;
      },
      recall: () => {
        lent.now = false;
        return lent.returned;
      },
    },
  });
  task.signalMask = signalBit(SIGUSR1);
  task.frame = { signal: SIGUSR1, mask: 0n, savedMask: null, altStack: task.altStack };
  task.state = 'app';
  return { task, lent, told };
}
const filter = {} as SeccompState;

test('who asks for the mask learns what the thread’s own return has made of it', () => {
  const { task, lent } = setUp();
  lendReturn(task);
  expect(lent.now).toBe(true);
  lent.returned = signalBit(SIGUSR2) | 0x100n; // SIGKILL cannot be blocked
  expect(task.signalMask).toBe(signalBit(SIGUSR2));
  expect(lent.now).toBe(false);
  lent.returned = 0n;
  expect(task.signalMask).toBe(signalBit(SIGUSR2));
});

test('a signal that is sent to a thread in its handler is looked at against the mask of now', () => {
  const { task, lent } = setUp();
  lendReturn(task);
  sendToTask(task, { signal: SIGUSR1, code: SI_USER });
  expect([lent.now, task.fake.interrupts]).toEqual([false, 0]);

  const other = setUp();
  lendReturn(other.task);
  other.lent.returned = 0n;
  sendToTask(other.task, { signal: SIGUSR1, code: SI_USER });
  expect(other.task.fake.interrupts).toBe(1);
});

test('nothing is lent where a signal waits, an alternate stack was disarmed, or somebody looks at every call', () => {
  const { task, lent, told } = setUp();
  sendToTask(task, { signal: SIGUSR1, code: SI_USER });
  lendReturn(task);
  expect(lent.now).toBe(false);
  const filtered = setUp();
  filtered.task.seccomp = filter;
  lendReturn(filtered.task);
  tellNumbers(filtered.task);
  expect([filtered.lent.now, filtered.told]).toEqual([false, []]);
  const disarmed = setUp();
  disarmed.task.frame = { signal: SIGUSR1, mask: 0n, savedMask: null, altStack: { address: 0, size: 65536, flags: SS_AUTODISARM } };
  lendReturn(disarmed.task);
  expect(disarmed.lent.now).toBe(false);
  tellNumbers(task);
  recallAnswers(task);
  expect(told).toEqual([{ pid: task.pid, tid: task.tid }, null]);
});
