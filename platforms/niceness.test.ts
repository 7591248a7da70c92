import type { Host } from '../lib/host.ts';
import { Niceness } from './niceness.ts';

/** A host that notes nice values, and whose RLIMIT_NICE is `limit`. */
function setup(limit: bigint) {
  const values: [number, number][] = [];
  const host = {
    syscall(nr: number, ...args: unknown[]): number {
      if (nr === 302) (args[3] as BigUint64Array)[0] = limit;
      if (nr === 141) values.push([args[1] as number, args[2] as number]);
      return 0;
    },
  } as unknown as Host;
  return { values, niceness: new Niceness(host) };
}

test('a weak thread is as strong as others while the kernel thread waits for it', () => {
  const { values, niceness } = setup(20n);
  const thread = { tid: 5, nice: 0 };
  niceness.hurry(thread);
  niceness.set(thread, 0);
  expect(values).toEqual([]);
  niceness.set(thread, 10);
  niceness.hurry(thread);
  const child = { tid: 6, nice: 0 };
  niceness.inherit(child, thread);
  niceness.relax(thread);
  expect(values).toEqual([
    [5, 10],
    [5, 0],
    [6, 10],
    [5, 10],
  ]);
  niceness.set(thread, 0);
  expect(values.at(-1)).toEqual([5, 0]);
});
test('nothing becomes weaker that could not become strong again', () => {
  const { values, niceness } = setup(10n);
  const thread = { tid: 5, nice: 0 };
  niceness.set(thread, 10);
  niceness.hurry(thread);
  expect(values).toEqual([]);
});
