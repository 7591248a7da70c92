import { EINVAL, EPERM } from '../../abi/errno.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { CAP_CHOWN, CAP_KILL, credentialsIn, hasCap, hasCapIn, hasCapOver, rootCredentials } from './credentials.ts';
import { IdMap, NO_ID, OVERFLOW_ID, ROOT_USER_NAMESPACE, UserNamespace } from './user_namespace.ts';
import { idMapText, writeIdMap, writeSetgroups } from './user_namespace_change.ts';

function below(parent = ROOT_USER_NAMESPACE, owner = 1000): UserNamespace {
  return new UserNamespace(parent, 7, owner, owner, true);
}

test('maps translate both ways, in ranges', () => {
  const map = new IdMap([
    { inside: 0, kernel: 1000, count: 1 },
    { inside: 10, kernel: 100_000, count: 5 },
  ]);
  expect([map.toKernel(0), map.toKernel(12), map.toKernel(15), map.toKernel(1)]).toEqual([1000, 100_002, NO_ID, NO_ID]);
  expect([map.fromKernel(1000), map.fromKernel(100_004), map.fromKernel(0)]).toEqual([0, 14, NO_ID]);
  expect(map.shown(0)).toBe(OVERFLOW_ID);
  expect([map.rangeToKernel(10, 5), map.rangeToKernel(10, 6)]).toEqual([100_000, null]);
});

test('capabilities reach down, not up; who made a namespace has them all in it', () => {
  const child = below();
  const grandchild = below(child, 1000);
  const user = { ...rootCredentials(0n), uid: 1000, euid: 1000 };
  const inside = credentialsIn(user, child);
  expect(hasCap(inside, CAP_KILL)).toBe(false);
  expect(hasCapIn(inside, CAP_KILL, child)).toBe(true);
  expect(hasCapIn(inside, CAP_KILL, grandchild)).toBe(true);
  expect(hasCapIn(inside, CAP_KILL, ROOT_USER_NAMESPACE)).toBe(false);
  expect(hasCapIn(user, CAP_KILL, child)).toBe(true);
  expect(hasCapIn({ ...user, euid: 1001 }, CAP_KILL, child)).toBe(false);
  expect(hasCapIn(rootCredentials(), CAP_KILL, grandchild)).toBe(true);
});

test('over an object: both of its numbers have names', () => {
  const child = below();
  child.uids = new IdMap([{ inside: 0, kernel: 1000, count: 1 }]);
  child.gids = new IdMap([{ inside: 0, kernel: 1000, count: 1 }]);
  const creds = credentialsIn(rootCredentials(), child);
  expect(hasCapOver(creds, CAP_CHOWN, { uid: 1000, gid: 1000 })).toBe(true);
  expect(hasCapOver(creds, CAP_CHOWN, { uid: 1000, gid: 0 })).toBe(false);
});

test('who may write what into a map', () => {
  const user = { ...rootCredentials(0n), uid: 1000, euid: 1000, gid: 1000, egid: 1000 };
  const machine = new FakeMachine();
  const child = below();
  const own = machine.process(credentialsIn(user, child));
  expect(writeIdMap(child, 'gids', '0 1000 1', own, own.creds)).toBe(EPERM);
  expect(writeIdMap(child, 'uids', '0 1000 2', own, own.creds)).toBe(EPERM);
  expect(writeIdMap(child, 'uids', '0 1000 1 1', own, own.creds)).toBe(EINVAL);
  expect(writeIdMap(child, 'uids', '0 4294967295 1', own, own.creds)).toBe(EINVAL);
  expect(writeIdMap(child, 'uids', '0 1000 1', own, own.creds)).toBe(0);
  expect(writeIdMap(child, 'uids', '0 1000 1', own, own.creds)).toBe(EPERM);
  expect(writeSetgroups(child, 'deny\n', own.creds)).toBe(0);
  expect(writeSetgroups(child, 'allow', own.creds)).toBe(EPERM);
  expect(writeIdMap(child, 'gids', '0 1000 1', own, own.creds)).toBe(0);
  expect(idMapText(child, 'uids', own)).toBe('         0       1000          1\n');
  // Below: numbers go through both maps.
  const grandchild = below(child, 1000);
  const deep = machine.process(credentialsIn(own.creds, grandchild));
  expect(writeIdMap(grandchild, 'uids', '5 0 1', deep, deep.creds)).toBe(0);
  expect(grandchild.uids.toKernel(5)).toBe(1000);
  expect(idMapText(grandchild, 'uids', machine.process())).toBe('         5       1000          1\n');
  // A stranger of another namespace.
  const stranger = machine.process({ ...user, euid: 5 });
  expect(writeIdMap(below(child), 'uids', '0 0 1', stranger, stranger.creds)).toBe(EPERM);
  // A file that somebody without power has opened, written by root.
  expect(writeIdMap(below(), 'uids', '0 0 1', machine.process(), credentialsIn(user, below()))).toBe(EPERM);
  const fresh = below();
  expect(writeIdMap(fresh, 'uids', '0 0 1', machine.process(), credentialsIn(user, fresh))).toBe(EPERM);
  expect(writeIdMap(fresh, 'uids', '0 0 1', machine.process(), rootCredentials())).toBe(0);
});
