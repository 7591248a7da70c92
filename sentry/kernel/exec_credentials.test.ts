import { SECBIT_KEEP_CAPS, SECBIT_NOROOT } from '../../abi/capability.ts';
import { CREDENTIAL_CALLS } from '../syscalls/sys_creds.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { ALL_CAPS, CAP_NET_RAW, CAP_SETUID, type Credentials, rootCredentials } from './credentials.ts';
import { transform } from './exec_credentials.ts';

const NONE = { permitted: 0n, inheritable: 0n, effective: false };
const PLAIN = { mode: 0o755, uid: 0, gid: 0 };
const NET_RAW = 1n << BigInt(CAP_NET_RAW);

function user(changes: Partial<Credentials['caps']> = {}): Credentials {
  const caps = { effective: 0n, permitted: 0n, inheritable: 0n, bounding: ALL_CAPS, ambient: 0n, ...changes };
  return { ...rootCredentials(), uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000, caps };
}

test('root gets what the bounding set leaves', () => {
  const bounded = rootCredentials(0xffn);
  expect(transform(bounded, PLAIN, NONE).caps).toMatchObject({ permitted: 0xffn, effective: 0xffn });
  expect(transform({ ...bounded, securebits: SECBIT_NOROOT }, PLAIN, NONE).caps).toMatchObject({ permitted: 0n, effective: 0n });
});

test('set-user-ID root', () => {
  const next = transform(user(), { mode: 0o4755, uid: 0, gid: 0 }, NONE);
  expect([next.uid, next.euid, next.suid, next.fsuid]).toEqual([1000, 0, 0, 0]);
  expect(next.caps).toMatchObject({ permitted: ALL_CAPS, effective: ALL_CAPS });
  // With capabilities of its own it gets those alone.
  const limited = transform(user(), { mode: 0o4755, uid: 0, gid: 0 }, { permitted: NET_RAW, inheritable: 0n, effective: true });
  expect(limited.caps).toMatchObject({ permitted: NET_RAW, effective: NET_RAW });
});

test('file and ambient capabilities', () => {
  expect(transform(user(), PLAIN, { permitted: NET_RAW, inheritable: 0n, effective: true }).caps).toMatchObject({
    permitted: NET_RAW,
    effective: NET_RAW,
  });
  const ambient = user({ permitted: NET_RAW, inheritable: NET_RAW, ambient: NET_RAW });
  expect(transform(ambient, PLAIN, NONE).caps).toMatchObject({ permitted: NET_RAW, effective: NET_RAW, ambient: NET_RAW });
  expect(transform(ambient, { mode: 0o2755, uid: 0, gid: 5 }, NONE).caps).toMatchObject({ permitted: 0n, ambient: 0n });
  expect(transform(user({ inheritable: NET_RAW }), PLAIN, { permitted: 0n, inheritable: NET_RAW, effective: false }).caps).toMatchObject({
    permitted: NET_RAW,
    effective: 0n,
  });
});

test('setuid away from root drops capabilities, unless they are kept', () => {
  const machine = new FakeMachine();
  const task = machine.process();
  expect(machine.call(task, CREDENTIAL_CALLS.setresuid, 0xffffffff, 1000, 0xffffffff)).toBe(0);
  expect(task.creds.caps).toMatchObject({ effective: 0n, permitted: ALL_CAPS });
  expect(machine.call(task, CREDENTIAL_CALLS.setresuid, 0xffffffff, 0, 0xffffffff)).toBe(0);
  expect(task.creds.caps.effective).toBe(ALL_CAPS);
  task.creds = { ...task.creds, securebits: SECBIT_KEEP_CAPS };
  expect(machine.call(task, CREDENTIAL_CALLS.setuid, 1000)).toBe(0);
  expect(task.creds).toMatchObject({ uid: 1000, euid: 1000, suid: 1000, fsuid: 1000 });
  expect(task.creds.caps).toMatchObject({ effective: 0n, permitted: ALL_CAPS });
  expect(machine.call(task, CREDENTIAL_CALLS.setuid, 0)).toBe(-1);
});

test('set*id without privilege moves between the three numbers', () => {
  const machine = new FakeMachine();
  const task = machine.process({ ...user(), suid: 7 });
  expect(machine.call(task, CREDENTIAL_CALLS.setuid, 7)).toBe(0);
  expect(task.creds).toMatchObject({ uid: 1000, euid: 7, suid: 7, fsuid: 7 });
  expect(machine.call(task, CREDENTIAL_CALLS.setreuid, 0xffffffff, 1000)).toBe(0);
  expect(task.creds).toMatchObject({ euid: 1000, suid: 7 });
  expect(machine.call(task, CREDENTIAL_CALLS.setfsuid, 9)).toBe(1000);
  expect(task.creds.fsuid).toBe(1000);
  expect(machine.call(task, CREDENTIAL_CALLS.setresuid, 9, 0xffffffff, 0xffffffff)).toBe(-1);
});

test('a capability is enough to become anyone', () => {
  const machine = new FakeMachine();
  const setuid = 1n << BigInt(CAP_SETUID);
  const task = machine.process(user({ effective: setuid, permitted: setuid }));
  expect(machine.call(task, CREDENTIAL_CALLS.setresuid, 5, 6, 7)).toBe(0);
  expect(task.creds).toMatchObject({ uid: 5, euid: 6, suid: 7, fsuid: 6 });
});
