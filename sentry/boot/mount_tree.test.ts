import { ENOENT, isErrno } from '../../abi/errno.ts';
import type { MountMessage } from '../../proto/control.ts';
import type { Spec } from '../../proto/oci_spec.ts';
import { registerDevices } from '../fs/dev/register.ts';
import type { TmpDirectory } from '../fs/tmpfs/tmp_directory.ts';
import type { TmpFile } from '../fs/tmpfs/tmp_file.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import { IdMap, ROOT_USER_NAMESPACE, UserNamespace } from '../kernel/user_namespace.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { BufferIo } from '../vfs/io.ts';
import { inodeOf, MS_NOATIME, MS_RDONLY, MS_RELATIME } from '../vfs/path.ts';
import { registerFilesystems } from './filesystems.ts';
import { find } from './mount_points.ts';
import { buildMounts } from './mount_tree.ts';

const mount = (destination: string, type: string, options: string[] = []): MountMessage => ({
  destination,
  type,
  source: type,
  options,
  attach: '0',
  file: false,
  shared: false,
  overlay: false,
  store: '',
  overlay_size: 0,
  uid_mappings: [],
  gid_mappings: [],
});
const ROOT = mount('/', 'gofer', ['rw']);

function build(
  mounts: MountMessage[],
  linux: Spec['linux'] = {},
  terminal = false,
  prepare: (root: TmpFs) => void = () => {},
  userNamespace = ROOT_USER_NAMESPACE,
) {
  const { kernel, container } = new FakeMachine();
  registerDevices(kernel);
  registerFilesystems(kernel);
  const spec: Spec = { ociVersion: '1.0.2', root: { path: '' }, linux };
  const ipc = { id: 1 } as Parameters<typeof buildMounts>[0]['ipc'];
  const open = (): TmpFs => {
    const fs = new TmpFs(kernel, kernel.uniqueId());
    prepare(fs);
    return fs;
  };
  const ns = buildMounts({ kernel, container, ipc, userNamespace, spec, mounts, terminal, open });
  const at = (path: string) => find(ns.rootPath, path);
  const places = [...ns.mounts()].map((m) => `${m.fs.type}${(m.flags & MS_RDONLY) !== 0 ? ' ro' : ''}`);
  return { at, places, ns };
}

test('what every container expects is there, and mount points are made', () => {
  const { at, places } = build([ROOT, mount('/a/deep/place', 'tmpfs', ['ro'])]);
  expect(places).toEqual(['tmpfs', 'proc', 'tmpfs', 'devpts', 'tmpfs', 'tmpfs ro']);
  for (const path of ['/proc/self', '/dev/null', '/dev/pts/ptmx', '/dev/shm', '/a/deep/place'])
    expect([path, isErrno(at(path))]).toEqual([path, path === '/proc/self']);
  expect(at('/dev/console')).toBe(-2);
});

test('the spec’s own mounts take the places of the usual ones', () => {
  const { places } = build([ROOT, mount('/dev/', 'tmpfs', ['mode=700']), mount('/proc', 'proc')]);
  expect(places).toEqual(['tmpfs', 'tmpfs', 'devpts', 'tmpfs', 'proc']);
});

test('tmpcopyup: a tmpfs that begins with what lies at its place', () => {
  const prepare = (root: TmpFs): void => {
    const folder = root.root.mkdir('etc', { mode: 0o40750, uid: 5, gid: 6 }) as TmpDirectory;
    const file = folder.create('motd', { mode: 0o100640, uid: 7, gid: 8 }) as TmpFile;
    file.data.write(new BufferIo(Buffer.from('hello')), 0);
  };
  const { at, places } = build([ROOT, mount('/etc', 'tmpfs', ['tmpcopyup', 'gid=9', 'size=1m'])], {}, false, prepare);
  expect(places.at(-1)).toBe('tmpfs');
  const [root, file] = [at('/etc'), at('/etc/motd')];
  if (isErrno(root) || isErrno(file)) throw new Error('missing');
  expect(inodeOf(root).attributes()).toMatchObject({ mode: 0o40750, uid: 5, gid: 9 });
  expect(inodeOf(file).attributes()).toMatchObject({ mode: 0o100640, uid: 7, gid: 8, size: 5 });
  expect(root.mount.fs.stats()).toMatchObject({ type: 0x01021994, blocks: 256 });
  expect(inodeOf(root).unlink('motd', inodeOf(file))).toBe(0);
  expect(inodeOf(root).lookup('motd', null)).toBe(ENOENT);
  expect(() => build([ROOT, mount('/x', 'tmpfs', ['tmpcopyup', 'colour=blue'])])).toThrow('EINVAL');
});

test('read-only and masked paths; a console for terminals', () => {
  const { at } = build(
    [mount('/', 'gofer', ['ro'])],
    { readonlyPaths: ['/proc/sys', '/nowhere'], maskedPaths: ['/proc/meminfo', '/proc/bus'] },
    true,
  );
  const root = at('/');
  const sys = at('/proc/sys');
  const masked = at('/proc/bus');
  const file = at('/proc/meminfo');
  if (isErrno(root) || isErrno(sys) || isErrno(masked) || isErrno(file)) throw new Error('missing');
  expect([root, sys, masked].map((p) => p.mount.flags & MS_RDONLY)).toEqual([MS_RDONLY, MS_RDONLY, MS_RDONLY]);
  expect(inodeOf(file).attributes().rdev).toBe(0x103); // null
  expect(isErrno(at('/dev/console'))).toBe(false);
});

test('a mount that cannot be is named', () => {
  expect(() => build([ROOT, mount('/x', 'nfs')])).toThrow('mount /x (type nfs, options ): ENODEV');
  expect(() => build([ROOT, mount('/x', 'tmpfs', ['colour=blue'])])).toThrow('mount /x (type tmpfs, options colour=blue): EINVAL');
});

test('in a user namespace: what is made belongs to its root, and a mount may show other owners', () => {
  const users = new UserNamespace(ROOT_USER_NAMESPACE, 9, 0, 0, true);
  users.uids = new IdMap([{ inside: 0, kernel: 65_536, count: 1000 }]);
  users.gids = new IdMap([{ inside: 0, kernel: 131_072, count: 1000 }]);
  const volume = {
    ...mount('/volume', 'gofer'),
    uid_mappings: [{ from: 0, to: 65_536, count: 1000 }],
    gid_mappings: [{ from: 5, to: 131_072, count: 10 }],
  };
  const { at, ns } = build([ROOT, volume, mount('/scratch', 'tmpfs', ['uid=7'])], {}, false, () => {}, users);
  const owner = (path: string): unknown => {
    const place = at(path);
    if (isErrno(place)) return place;
    const { uid, gid } = inodeOf(place);
    return [uid, gid];
  };
  expect(ns.owner).toBe(users);
  expect([owner('/dev'), owner('/dev/null'), owner('/dev/pts/ptmx'), owner('/scratch')]).toEqual([
    [65_536, 131_072],
    [65_536, 131_072],
    [65_536, 131_072],
    [65_543, 131_072],
  ]);
  const mapped = [...ns.mounts()].filter((m) => m.idMap !== null);
  expect(mapped.map((m) => [m.idMap?.uids.toKernel(3), m.idMap?.gids.toKernel(5), m.userNamespace])).toEqual([
    [65_539, 131_072, ROOT_USER_NAMESPACE],
  ]);
});

test('fifos of the specification, and access times as mount(2) keeps them', () => {
  const devices = [
    { path: '/dev/queue', type: 'p', fileMode: 0o640, uid: 3 },
    { path: '/dev/disk', type: 'b', major: 8, minor: 0 },
  ];
  const { at, ns } = build([ROOT, mount('/a', 'tmpfs', ['noatime']), mount('/b', 'tmpfs', ['strictatime'])], { devices });
  const queue = at('/dev/queue');
  expect(isErrno(queue) ? queue : [inodeOf(queue).mode, inodeOf(queue).uid]).toEqual([0o010640, 3]);
  expect(at('/dev/disk')).toBe(ENOENT);
  const times = [...ns.mounts()].filter((m) => m.fs.type === 'tmpfs').map((m) => m.flags & (MS_NOATIME | MS_RELATIME));
  expect([times[0], ...times.slice(-2)]).toEqual([MS_RELATIME, MS_NOATIME, 0]);
});
