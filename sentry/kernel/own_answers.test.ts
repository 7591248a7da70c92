import { SI_USER, SIGUSR1, SIGUSR2, SS_AUTODISARM } from '../../abi/signal.ts';
import { FakeMachine, type FakeTask } from '../testing/fake_task.ts';
import { lendAnswers, lendMask, recallAnswers, tellNumbers } from './own_answers.ts';
import type { SeccompState } from './seccomp.ts';
import { sendToGroup, sendToTask } from './signal_send.ts';
import { signalBit } from './signal_state.ts';

/** A task whose thread can answer, and what it has been lent: its mask. */
function setUp(): { task: FakeTask; own: { mask: bigint | null; keeps: boolean; told: unknown[] } } {
  const machine = new FakeMachine();
  machine.process();
  const task = machine.process();
  const own = {
    mask: null as bigint | null,
    keeps: false,
    robustList: 0,
    clearChildTid: 0,
    told: [] as unknown[],
    tellNumbers: (numbers: unknown) => own.told.push(numbers),
    lendMask: (mask: bigint) => {
      own.mask = mask;
    },
    recallMask: () => {
      const { mask } = own;
      own.mask = null;
      return mask;
    },
  };
  Object.assign(task.fake, { own });
  task.signalMask = signalBit(SIGUSR1);
  task.state = 'app';
  return { task, own };
}
const filter = {} as SeccompState;

test('who asks for the mask takes it back, who looks at it does not', () => {
  const { task, own } = setUp();
  lendMask(task);
  expect(own.mask).toBe(signalBit(SIGUSR1));
  own.mask = signalBit(SIGUSR2) | 0x100n; // SIGKILL cannot be blocked
  expect(task.maskNow).toBe(signalBit(SIGUSR2));
  expect(own.mask).not.toBeNull();
  expect(task.signalMask).toBe(signalBit(SIGUSR2));
  expect(own.mask).toBeNull();
  expect([task.signalMask, task.maskNow]).toEqual([signalBit(SIGUSR2), signalBit(SIGUSR2)]);
  lendMask(task);
  task.signalMask = 1n;
  expect([own.mask, task.signalMask]).toEqual([null, 1n]);
});

test('a signal that is sent is looked at against the mask of now', () => {
  const { task, own } = setUp();
  lendMask(task);
  sendToTask(task, { signal: SIGUSR1, code: SI_USER });
  expect([own.mask, task.fake.interrupts]).toEqual([null, 0]);

  const other = setUp();
  lendMask(other.task);
  other.own.mask = 0n;
  sendToTask(other.task, { signal: SIGUSR1, code: SI_USER });
  expect([other.own.mask, other.task.fake.interrupts]).toEqual([null, 1]);
});

test('a signal of the process takes back the masks of all threads, where none wants it', () => {
  const { task, own } = setUp();
  lendMask(task);
  sendToGroup(task.group, { signal: SIGUSR1, code: SI_USER });
  expect(own.mask).toBeNull();
});

test('no mask is lent where a signal waits, with a stack that disarms itself, or where somebody looks at every call', () => {
  const waits = setUp();
  sendToTask(waits.task, { signal: SIGUSR1, code: SI_USER });
  lendMask(waits.task);
  expect(waits.own.mask).toBeNull();
  const filtered = setUp();
  filtered.task.seccomp = filter;
  lendAnswers(filtered.task);
  tellNumbers(filtered.task);
  expect([filtered.own.mask, filtered.own.keeps, filtered.own.told]).toEqual([null, false, []]);
  const disarmed = setUp();
  disarmed.task.altStack = { address: 0, size: 65536, flags: SS_AUTODISARM };
  lendMask(disarmed.task);
  expect(disarmed.own.mask).toBeNull();
});

test('all that was lent is taken back', () => {
  const { task, own } = setUp();
  lendAnswers(task);
  expect([own.mask, own.keeps]).toEqual([signalBit(SIGUSR1), true]);
  recallAnswers(task);
  expect([own.mask, own.keeps, own.told]).toEqual([null, false, [{ pid: task.pid, tid: task.tid }, null]]);
});
