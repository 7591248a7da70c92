import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkCgroups, checkKernel, checkKvm, checkMemory, checkNamespaces, checkPrivilege, checkPtrace, checkSeccomp } from './checks.ts';

test.each([
  [checkKernel('6.1.0-13-amd64', 'x64'), 'ok'],
  [checkKernel('5.10.0', 'x64'), 'error'],
  [checkKernel('6.1.0', 'arm64'), 'error'],
  [checkPrivilege(0), 'ok'],
  [checkPrivilege(1000), 'error'],
  [checkSeccomp('kill_process kill_thread trap errno user_notif trace log allow'), 'ok'],
  [checkSeccomp('errno allow'), 'error'],
  [checkSeccomp(null), 'error'],
  [checkNamespaces('0'), 'error'],
  [checkNamespaces('100'), 'ok'],
  [checkPtrace('3'), 'warning'],
  [checkPtrace(null), 'ok'],
  [checkMemory(1 << 20), 'warning'],
  [checkCgroups([]), 'error'],
  [checkCgroups([{ mountPoint: '/c', type: 'cgroup', options: ['memory', 'cpu', 'pids'] }]), 'ok'],
  [checkCgroups([{ mountPoint: '/c', type: 'cgroup', options: ['memory'] }]), 'warning'],
])('%j', (finding, status) => {
  expect(finding.status).toBe(status);
  // Whatever is wrong comes with a way to mend it.
  expect(finding.mend !== '').toBe(status !== 'ok');
});

test('cgroup version 2 is known by its controllers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cgroup-'));
  writeFileSync(join(folder, 'cgroup.controllers'), 'cpu memory pids\n');
  expect(checkCgroups([{ mountPoint: folder, type: 'cgroup2', options: [] }])).toMatchObject({ status: 'ok', found: 'version 2' });
  rmSync(folder, { recursive: true });
});

test('what KVM is worth here, and what auto takes', () => {
  const works = { entry: 1, paging: 0, sameClock: true, roundTrip: 1500, trap: 2000, message: '' };
  expect(checkKvm(works)).toMatchObject({ status: 'ok', found: expect.stringContaining('platform auto takes it') });
  expect(checkKvm({ ...works, roundTrip: 28_000 }).found).toContain('auto takes systrap');
  const none = { ...works, entry: 0, message: 'no permission to open /dev/kvm' };
  expect(checkKvm(none)).toMatchObject({ status: 'note', found: expect.stringContaining('no permission to open /dev/kvm: not needed') });
});
