import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { type Blocking, TURN, type WaitEntry, WaitQueue } from './wait.ts';

test.each([3, 100])('%i entries are woken in the order in which they came, those that are still there', (count) => {
  const queue = new WaitQueue();
  const woken: number[] = [];
  const entries: WaitEntry[] = Array.from({ length: count }, (_, i) => ({
    events: i % 3 === 2 ? POLLOUT : POLLIN,
    wake: () => woken.push(i),
  }));
  for (const entry of entries) queue.add(entry);
  queue.remove(entries[1] as WaitEntry);
  queue.remove(entries[1] as WaitEntry);
  queue.notify(POLLIN);
  expect(woken).toEqual(entries.map((_, i) => i).filter((i) => i % 3 !== 2 && i !== 1));
  woken.length = 0;
  expect(queue.notifySome(POLLIN, 1)).toBe(1);
  expect(woken).toEqual([0]);
  for (const entry of entries) queue.remove(entry);
  expect(queue.empty).toBe(true);
  queue.add(entries[0] as WaitEntry);
  expect(queue.empty).toBe(false);
});

test('whoever lets others run goes on in turn', () => {
  const machine = new FakeMachine();
  const seen: string[] = [];
  function* work(name: string): Blocking {
    for (let i = 0; i < 3; i++) {
      seen.push(name);
      yield TURN;
    }
    return 7;
  }
  const [a, b] = [machine.process(), machine.process()];
  expect([machine.start(a, work('a')), machine.start(b, work('b'))]).toEqual([null, null]);
  expect(machine.result(a)).toBe(7);
  expect(machine.result(b)).toBe(7);
  expect(seen.join('')).toBe('ababab');
  expect(machine.kernel.turns.size).toBe(0);
});
