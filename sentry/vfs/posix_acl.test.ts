import { EINVAL, EOPNOTSUPP } from '../../abi/errno.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import { PosixAcl } from './posix_acl.ts';

const USER_OBJ = 1;
const USER = 2;
const GROUP_OBJ = 4;
const GROUP = 8;
const MASK = 16;
const OTHER = 32;
type Row = readonly [tag: number, perm: number, id?: number];

function bytes(rows: readonly Row[], version = 2): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 + 8 * rows.length));
  view.setUint32(0, version, true);
  for (const [i, [tag, perm, id = 0xffff_ffff]] of rows.entries()) {
    view.setUint16(4 + 8 * i, tag, true);
    view.setUint16(6 + 8 * i, perm, true);
    view.setUint32(8 + 8 * i, id, true);
  }
  return new Uint8Array(view.buffer);
}
const acl = (rows: readonly Row[]): PosixAcl => PosixAcl.parse(bytes(rows)) as PosixAcl;
const as = (fsuid: number, fsgid: number, groups: number[] = []) => ({ ...rootCredentials(), fsuid, fsgid, groups });

const FULL: readonly Row[] = [
  [USER_OBJ, 6],
  [USER, 7, 7],
  [USER, 0, 8],
  [GROUP_OBJ, 4],
  [GROUP, 2, 50],
  [MASK, 6],
  [OTHER, 1],
];

test('a list comes back as it went in', () => {
  expect(acl(FULL).encode()).toEqual(bytes(FULL));
  expect(acl(FULL)).toMatchObject({ mode: 0o661, isMinimal: false });
  expect(acl([FULL[0] as Row, FULL[3] as Row, FULL[6] as Row])).toMatchObject({ mode: 0o641, isMinimal: true });
});

test('what is none', () => {
  expect(PosixAcl.parse(bytes(FULL, 1))).toBe(EOPNOTSUPP);
  const bad: (readonly Row[])[] = [
    [],
    FULL.slice(1),
    FULL.slice(0, -1),
    FULL.filter(([tag]) => tag !== MASK),
    [...FULL].reverse(),
    [[USER_OBJ, 8], ...FULL.slice(1)],
  ];
  for (const rows of bad) expect(PosixAcl.parse(bytes(rows))).toBe(EINVAL);
  expect(PosixAcl.parse(bytes(FULL).subarray(0, 11))).toBe(EINVAL);
});

test('who gets what', () => {
  const list = acl(FULL);
  expect(list.grants({ uid: 1, gid: 2 }, as(1, 9), 6)).toBe(true); // the owner: no mask
  expect(list.grants({ uid: 1, gid: 2 }, as(1, 9), 1)).toBe(false);
  expect(list.grants({ uid: 1, gid: 2 }, as(7, 9), 6)).toBe(true);
  expect(list.grants({ uid: 1, gid: 2 }, as(7, 9), 1)).toBe(false); // masked
  expect(list.grants({ uid: 1, gid: 2 }, as(8, 50), 2)).toBe(false); // a user's entry comes before groups
  expect(list.grants({ uid: 1, gid: 2 }, as(9, 2), 4)).toBe(true);
  expect(list.grants({ uid: 1, gid: 2 }, as(9, 2, [50]), 2)).toBe(true); // one group of several suffices
  expect(list.grants({ uid: 1, gid: 2 }, as(9, 2, [50]), 6)).toBe(false); // but not two together
  expect(list.grants({ uid: 1, gid: 2 }, as(9, 50), 1)).toBe(false); // members are not others
  expect(list.grants({ uid: 1, gid: 2 }, as(9, 9), 1)).toBe(true);
});

test('chmod and inheritance move owner, mask and others', () => {
  expect(acl(FULL).withMode(0o705)).toMatchObject({ mode: 0o705 });
  expect(acl(FULL).withMode(0o725).grants({ uid: 1, gid: 2 }, as(7, 9), 4)).toBe(false);
  expect(acl(FULL).withMode(0o705).grants({ uid: 1, gid: 2 }, as(7, 9), 4)).toBe(true); // no mask: the user is one of the others
  expect(acl(FULL).withMode(0o705).grants({ uid: 1, gid: 2 }, as(7, 2), 4)).toBe(false);
  expect(acl(FULL).inherited(0o640)).toMatchObject({ mode: 0o640 });
});
