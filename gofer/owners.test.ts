import { Owners } from './owners.ts';

const CAPS = 'security.capability';
function caps(revision: number, root?: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(root === undefined ? 20 : 24));
  view.setUint32(0, revision, true);
  if (root !== undefined) view.setUint32(20, root, true);
  return new Uint8Array(view.buffer);
}

test('without a list everything is allowed', () => {
  const anybody = new Owners(null);
  expect([anybody.mayOwn(0, 0), anybody.mayHave(0o6755, 0, 0), anybody.maySetXattr(CAPS, caps(0x0200_0000))]).toEqual([true, true, true]);
});

test('with a list: owners, set-id bits and file capabilities count for those on it alone', () => {
  const owners = new Owners({ uids: [{ first: 65_536, count: 65_536 }], gids: [{ first: 1000, count: 1 }] });
  expect([owners.mayOwn(65_536, 1000), owners.mayOwn(131_071, undefined), owners.mayOwn(undefined, undefined)]).toEqual([true, true, true]);
  expect([owners.mayOwn(0, 1000), owners.mayOwn(131_072, 1000), owners.mayOwn(65_536, 999), owners.mayOwn(0xffff_ffff, 1000)]).toEqual(
    Array(4).fill(false),
  );
  expect([owners.mayHave(0o755, 0, 0), owners.mayHave(0o4755, 65_536, 0), owners.mayHave(0o2755, 0, 1000)]).toEqual([true, true, true]);
  expect([owners.mayHave(0o4755, 0, 1000), owners.mayHave(0o2755, 65_536, 0)]).toEqual([false, false]);
  expect([owners.maySetXattr('user.a', new Uint8Array(1)), owners.maySetXattr(CAPS, caps(0x0300_0000, 65_536))]).toEqual([true, true]);
  expect(
    [caps(0x0200_0000), caps(0x0300_0000, 0), caps(0x0200_0000, 65_536), new Uint8Array(2)].map((c) => owners.maySetXattr(CAPS, c)),
  ).toEqual(Array(4).fill(false));
});
