import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { planMounts } from './mount_plan.ts';
import type { Spec } from './spec.ts';

let bundle: string;
beforeAll(() => {
  bundle = mkdtempSync(join(tmpdir(), 'plan-'));
  mkdirSync(join(bundle, 'rootfs'));
  mkdirSync(join(bundle, 'data'));
  writeFileSync(join(bundle, 'hosts'), '');
});
afterAll(() => rmSync(bundle, { recursive: true }));

const MAPPING = { containerID: 0, hostID: 65_536, size: 65_536 };

const spec = (more: Partial<Spec>): Spec => ({ ociVersion: '1.0.2', root: { path: 'rootfs' }, ...more });

test('root, folders and files are served, the rest is the sandbox’s', () => {
  const mounts = [
    { destination: '/proc', type: 'proc', source: 'proc' },
    { destination: '/data', type: 'bind', source: 'data', options: ['rbind', 'ro'] },
    { destination: 'etc/hosts', source: join(bundle, 'hosts'), options: ['bind'] },
  ];
  const plan = planMounts(bundle, spec({ mounts }), { overlay2: 'root:memory', directfs: false });
  expect(plan.mounts).toMatchObject([
    { destination: '/', type: 'gofer', attach: '0', overlay: true, file: false, shared: false },
    { destination: '/proc', type: 'proc', attach: '' },
    { destination: '/data', type: 'gofer', attach: '1', overlay: false, file: false, shared: true, options: ['rbind', 'ro'] },
    { destination: '/etc/hosts', type: 'gofer', attach: '2', file: true, shared: true },
  ]);
  // Under an overlay nothing of the host is ever written.
  expect(plan.trees.map((t) => [t.attach, t.readonly, t.exclusive])).toEqual([
    ['0', true, true],
    ['1', true, false],
    ['2', false, false],
  ]);
  plan.close();
});

test('without overlay the root is written, unless the spec says read-only', () => {
  const writable = planMounts(bundle, spec({}), { overlay2: 'none', directfs: false });
  expect(writable.trees[0]?.readonly).toBe(false);
  writable.close();
  const fixed = planMounts(bundle, spec({ root: { path: 'rootfs', readonly: true } }), { overlay2: 'none', directfs: false });
  expect([fixed.trees[0]?.readonly, fixed.mounts[0]?.options]).toEqual([true, ['ro']]);
  fixed.close();
});

test.each([
  [{ root: { path: 'nowhere' } }, 'root.path: cannot open'],
  [{ root: { path: 'hosts' } }, 'is not a folder'],
  [{ mounts: [{ destination: '/x', type: 'bind' }] }, 'mounts[0].source: is missing'],
  [{ mounts: [{ destination: '/x', type: 'bind', source: '/does/not/exist' }] }, 'mounts[0].source: cannot open /does/not/exist: ENOENT'],
  [
    { mounts: [{ destination: '/x', type: 'bind', source: '/', options: ['idmap'] }] },
    'mounts[0]: idmap without mappings needs a container with a user namespace',
  ],
  [
    { mounts: [{ destination: '/x', type: 'bind', source: '/', uidMappings: [MAPPING] }] },
    'mounts[0]: uidMappings and gidMappings go together',
  ],
  [
    { mounts: [{ destination: '/x', type: 'tmpfs', options: ['idmap'] }] },
    'mounts[0]: id-mapped mounts are only supported for bind mounts',
  ],
  [{ linux: { namespaces: [{ type: 'user' }], uidMappings: [MAPPING] } }, 'linux.gidMappings: is missing'],
  [{ linux: { uidMappings: [MAPPING] } }, 'linux.uidMappings: there is no user namespace'],
])('what is not there is named', (more, message) => {
  expect(() => planMounts(bundle, spec(more), { overlay2: 'root:memory', directfs: false })).toThrow(message);
});

test('a mapped mount says whose numbers are whose, and its gofer whom it may make owners', () => {
  const linux = { namespaces: [{ type: 'user' }], uidMappings: [MAPPING], gidMappings: [{ ...MAPPING, hostID: 131_072 }] };
  const source = bundle;
  const mounts = [
    { destination: '/own', type: 'bind', source, options: ['rbind', 'ridmap'] },
    { destination: '/given', type: 'bind', source, uidMappings: [{ containerID: 5, hostID: 65_536, size: 1 }], gidMappings: [MAPPING] },
    { destination: '/plain', type: 'bind', source },
  ];
  const plan = planMounts(bundle, spec({ linux, mounts }), { overlay2: 'none', directfs: false });
  const all = { from: 0, to: 65_536, count: 65_536 };
  expect(plan.mounts.map((m) => [m.uid_mappings, m.gid_mappings])).toEqual([
    [[], []],
    [[all], [{ ...all, to: 131_072 }]],
    [[{ from: 5, to: 65_536, count: 1 }], [all]],
    [[], []],
  ]);
  const span = (first: number, count = 65_536) => [{ first, count }];
  const container = { uids: span(65_536), gids: span(131_072) };
  expect(plan.trees.map((t) => t.owners)).toEqual([
    container,
    { uids: span(0), gids: span(0) },
    { uids: span(5, 1), gids: span(0) },
    container,
  ]);
  plan.close();
});
