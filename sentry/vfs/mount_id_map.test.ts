import { CAP_DAC_OVERRIDE, CAP_FOWNER, hasCapOver, hasCapOverUser, rootCredentials } from '../kernel/credentials.ts';
import { IdMap, NO_ID, ROOT_USER_NAMESPACE, UserNamespace } from '../kernel/user_namespace.ts';
import { isUnmapped, isUnmappedMaker, MountIdMap } from './mount_id_map.ts';

function namespace(parent: UserNamespace, inside: number, kernel: number, count: number): UserNamespace {
  const made = new UserNamespace(parent, 1, 0, 0, true);
  made.uids = new IdMap([{ inside, kernel, count }]);
  made.gids = made.uids;
  return made;
}

test('the caller is translated once, to the numbers of the filesystem', () => {
  const map = MountIdMap.ofNamespace(namespace(ROOT_USER_NAMESPACE, 0, 10_000, 1000), ROOT_USER_NAMESPACE);
  const user = { ...rootCredentials(0n), fsuid: 10_005, fsgid: 10_006, groups: [10_007, 7] };
  const here = map.credentials(user);
  expect([here.fsuid, here.fsgid, here.groups]).toEqual([5, 6, [7]]);
  expect(map.credentials(user)).toBe(here);
  expect(isUnmappedMaker(here)).toBe(false);
  const stranger = map.credentials({ ...user, fsuid: 5 });
  expect([stranger.fsuid, isUnmappedMaker(stranger)]).toEqual([NO_ID, true]);
});

test('privileges count over objects whose owner and group have a number on the mount', () => {
  const map = MountIdMap.ofNamespace(namespace(ROOT_USER_NAMESPACE, 0, 10_000, 1000), ROOT_USER_NAMESPACE);
  const root = map.credentials(rootCredentials());
  const objects = [
    { uid: 5, gid: 5 },
    { uid: 5, gid: 2000 },
    { uid: 2000, gid: 5 },
  ];
  expect(objects.map((o) => hasCapOver(root, CAP_DAC_OVERRIDE, o))).toEqual([true, false, false]);
  expect(objects.map((o) => hasCapOverUser(root, CAP_FOWNER, o.uid))).toEqual([true, true, false]);
  expect(objects.map((o) => isUnmapped(root, o))).toEqual([false, true, true]);
});

test('a filesystem of a user namespace: its own numbers come first', () => {
  const own = namespace(ROOT_USER_NAMESPACE, 0, 5000, 100);
  const map = MountIdMap.ofNamespace(namespace(ROOT_USER_NAMESPACE, 10, 70_000, 1000), own);
  expect([5010, 5099, 5009, 5100, 10].map((id) => map.uids.toKernel(id))).toEqual([70_000, 70_089, NO_ID, NO_ID, NO_ID]);
  expect(map.uids.fromKernel(70_089)).toBe(5099);
});
