import { compileFilter } from '../../lib/host_call_filter.ts';
import { type PlatformKind, platformCalls } from '../../platforms/select.ts';
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

const KINDS: readonly PlatformKind[] = ['systrap', 'ptrace', 'kvm'];

test.each(KINDS)('%s: the list is short, without doubles, and holds nothing that makes processes or reaches out', (kind) => {
  const calls = [...platformCalls(kind), ...ALLOWED_CALLS];
  // A call may have several rows only if each limits its arguments.
  const rows = calls.map(({ name, when }) => (when === undefined ? name : JSON.stringify([name, when])));
  expect(new Set(rows).size).toBe(rows.length);
  const names = new Set(calls.map((c) => c.name));
  expect(new Set(calls.map((c) => c.nr)).size).toBe(names.size);
  expect([...names].filter((n) => FORBIDDEN.includes(n))).toEqual([]);
  expect(names.size).toBeLessThan(90);
  for (const call of calls) expect(call.reason.length).toBeGreaterThan(3);
});
test('a network of its own needs no call that opens a socket', () => {
  expect(NETWORK_CALLS.none).toEqual([]);
  expect(NETWORK_CALLS.sandbox.map((c) => c.name)).not.toContain('socket');
  for (const calls of Object.values(NETWORK_CALLS)) for (const call of calls) expect(call.reason.length).toBeGreaterThan(3);
});
test.each(KINDS)('%s: it fits a filter', (kind) => {
  expect(compileFilter([...platformCalls(kind), ...ALLOWED_CALLS, ...NETWORK_CALLS.host]).length / 8).toBeLessThan(4096);
});
test('what another platform needs is not allowed', () => {
  const names = (kind: PlatformKind): string[] => [...platformCalls(kind), ...ALLOWED_CALLS].map((c) => c.name);
  expect(names('systrap')).not.toContain('ptrace');
  for (const name of ['ptrace', 'kill', 'wait4', 'socketpair']) expect(names('kvm')).not.toContain(name);
  const KVM_IOCTL = 0xae;
  const calls = [...platformCalls('systrap'), ...ALLOWED_CALLS].filter((c) => c.name === 'ioctl');
  const requests = calls.flatMap((c) => c.when?.[0]?.values ?? [KVM_IOCTL << 8]);
  expect(requests.filter((value) => ((value >> 8) & 0xff) === KVM_IOCTL)).toEqual([]);
});
