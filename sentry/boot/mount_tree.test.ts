import { isErrno } from '../../abi/errno.ts';
import type { MountMessage } from '../../proto/control.ts';
import type { Spec } from '../../proto/oci_spec.ts';
import { registerDevices } from '../fs/dev/register.ts';
import { TmpFs } from '../fs/tmpfs/tmpfs.ts';
import { FakeMachine } from '../testing/fake_task.ts';
import { inodeOf, MS_RDONLY } from '../vfs/path.ts';
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
});
const ROOT = mount('/', 'gofer', ['rw']);

function build(mounts: MountMessage[], linux: Spec['linux'] = {}, terminal = false) {
  const { kernel, container } = new FakeMachine();
  registerDevices(kernel);
  registerFilesystems(kernel);
  const spec: Spec = { ociVersion: '1.0.2', root: { path: '' }, linux };
  const ipc = { id: 1 } as Parameters<typeof buildMounts>[0]['ipc'];
  const ns = buildMounts({ kernel, container, ipc, spec, mounts, terminal, open: () => new TmpFs(kernel, kernel.uniqueId()) });
  const at = (path: string) => find(ns.rootPath, path);
  const places = [...ns.mounts()].map((m) => `${m.fs.type}${(m.flags & MS_RDONLY) !== 0 ? ' ro' : ''}`);
  return { at, places };
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
