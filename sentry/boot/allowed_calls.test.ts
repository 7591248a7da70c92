import { compileFilter } from '../../lib/host_call_filter.ts';
import { ALLOWED_CALLS, NETWORK_CALLS } from './allowed_calls.ts';

const FORBIDDEN = [
  'execve',
  'execveat',
  'fork',
  'vfork',
  'clone3',
  'socket',
  'connect',
  'bind',
  'mount',
  'unshare',
  'setns',
  'bpf',
  'io_uring_setup',
];

test('the list is short, without doubles, and holds nothing that makes processes or reaches out', () => {
  const names = ALLOWED_CALLS.map((c) => c.name);
  expect(new Set(names).size).toBe(names.length);
  expect(new Set(ALLOWED_CALLS.map((c) => c.nr)).size).toBe(names.length);
  expect(names.filter((n) => FORBIDDEN.includes(n))).toEqual([]);
  expect(names.length).toBeLessThan(90);
  for (const call of ALLOWED_CALLS) expect(call.reason.length).toBeGreaterThan(3);
});
test('a network of its own needs no call that opens a socket', () => {
  expect(NETWORK_CALLS.none).toEqual([]);
  expect(NETWORK_CALLS.sandbox.map((c) => c.name)).not.toContain('socket');
  for (const calls of Object.values(NETWORK_CALLS)) for (const call of calls) expect(call.reason.length).toBeGreaterThan(3);
});
test('it fits a filter', () => {
  expect(compileFilter([...ALLOWED_CALLS, ...NETWORK_CALLS.host]).length / 8).toBeLessThan(4096);
});
