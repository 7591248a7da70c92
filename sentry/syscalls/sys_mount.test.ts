import { EBUSY, EINVAL, ELOOP, ENODEV, ENOENT, ENOTDIR, EPERM, EXDEV } from '../../abi/errno.ts';
import { AT_FDCWD, O_PATH, O_RDONLY } from '../../abi/fcntl.ts';
import { MNT_DETACH, MS_BIND, MS_MOVE, MS_REC, MS_REMOUNT, MS_SHARED } from '../../abi/mount.ts';
import { registerTmpFs } from '../fs/tmpfs/register.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import { ROOT_USER_NAMESPACE } from '../kernel/user_namespace.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';
import { cloneNamespace } from '../vfs/mount.ts';
import { mountInfoText, mountsText } from '../vfs/mount_info.ts';
import { MS_RDONLY } from '../vfs/path.ts';

function user(): FileUser {
  const machine = new FileMachine();
  registerTmpFs(machine.kernel);
  const u = machine.user();
  for (const dir of ['/a', '/a/sub', '/b', '/m']) u.call('mkdir', dir, 0o755);
  u.file('/a/f', 'in a');
  u.file('/a/sub/g', 'in sub');
  return u;
}
function mounts(u: FileUser): string {
  return mountsText(u.machine.ns, u.task.fs.root);
}

test('mount, hide, unmount', () => {
  const u = user();
  expect(u.call('mount', 'none', '/a', 'tmpfs', 0, 'size=64k')).toBe(0);
  expect(u.stat('/a/f')).toBe(ENOENT);
  u.file('/a/x', 'x');
  expect(u.call('chdir', '/a')).toBe(0);
  expect(u.cwd()).toBe('/a');
  expect(u.call('umount2', '/a', 0)).toBe(EBUSY);
  expect(u.stat('../b')).toMatchObject({ st_nlink: 2 });
  u.call('chdir', '/');
  expect(u.call('rmdir', '/a')).toBe(EBUSY);
  expect(u.call('rename', '/a/x', '/b/x')).toBe(EXDEV);
  expect(mounts(u)).toBe('root / tmpfs rw 0 0\nnone /a tmpfs rw,relatime,size=64k 0 0\n');
  expect(u.call('umount2', '/a', 0)).toBe(0);
  expect(u.content('/a/f')).toBe('in a');
  expect(u.call('umount2', '/a', 0)).toBe(EINVAL);
  expect(u.call('mount', 'none', '/a', 'what', 0, 0)).toBe(ENODEV);
  expect(u.call('mount', 'none', '/a/f', 'tmpfs', 0, 0)).toBe(ENOTDIR);
  const plain = u.machine.user({ ...rootCredentials(0n) });
  expect(plain.call('mount', 'none', '/a', 'tmpfs', 0, 0)).toBe(EPERM);
});

test('bind mounts, of directories, trees and files', () => {
  const u = user();
  u.call('mount', 't', '/a/sub', 'tmpfs', 0, 0);
  u.file('/a/sub/inner', 'i');
  expect(u.call('mount', '/a', '/b', 0, MS_BIND, 0)).toBe(0);
  expect(u.content('/b/f')).toBe('in a');
  expect(u.content('/b/sub/g')).toBe('in sub');
  expect(u.call('mount', '/a', '/m', 0, MS_BIND | MS_REC, 0)).toBe(0);
  expect(u.content('/m/sub/inner')).toBe('i');
  u.file('/over', 'over');
  expect(u.call('mount', '/over', '/a/f', 0, MS_BIND, 0)).toBe(0);
  expect(u.content('/a/f')).toBe('over');
  expect(u.call('unlink', '/a/f')).toBe(EBUSY);
  expect(u.call('mount', 0, '/b', 0, MS_REMOUNT | MS_BIND | MS_RDONLY, 0)).toBe(0);
  expect(u.call('mkdir', '/b/new', 0o755)).toBeLessThan(0);
  expect(u.call('mkdir', '/a/new', 0o755)).toBe(0);
  const lines = mountInfoText(u.machine.ns, u.task.fs.root).split('\n');
  expect(lines[2]).toMatch(/^\d+ \d+ 0:\d+ \/a \/b ro - tmpfs root ro$/);
  expect(u.call('umount2', '/m', 0)).toBe(EBUSY);
  expect(u.call('umount2', '/m', MNT_DETACH)).toBe(0);
  expect(u.stat('/m/sub')).toBe(ENOENT);
});

test('stacks: the last one wins, and comes off first', () => {
  const u = user();
  for (const name of ['one', 'two']) {
    u.call('mount', name, '/m', 'tmpfs', 0, 0);
    u.file(`/m/${name}`, '');
  }
  expect(u.list('/m')).toEqual(['two']);
  u.call('umount2', '/m', 0);
  expect(u.list('/m')).toEqual(['one']);
});

test('move', () => {
  const u = user();
  u.call('mount', 't', '/a', 'tmpfs', 0, 0);
  u.file('/a/x', 'x');
  u.call('mkdir', '/a/d', 0o755);
  expect(u.call('mount', '/a', '/a/d', 0, MS_MOVE, 0)).toBe(ELOOP);
  expect(u.call('mount', '/a', '/b', 0, MS_MOVE, 0)).toBe(0);
  expect(u.content('/b/x')).toBe('x');
  expect(u.content('/a/f')).toBe('in a');
  expect(u.call('mount', '/a', '/m', 0, MS_MOVE, 0)).toBe(EINVAL);
});

test('pivot_root as container runtimes do it', () => {
  const u = user();
  u.call('mount', 'new', '/m', 'tmpfs', 0, 0);
  u.file('/m/only', '');
  const oldRoot = u.open('/', O_RDONLY);
  u.call('chdir', '/m');
  expect(u.call('pivot_root', '.', '.')).toBe(0);
  expect(u.call('fchdir', oldRoot)).toBe(0);
  expect(u.call('umount2', '.', MNT_DETACH)).toBe(0);
  expect(u.call('chdir', '/')).toBe(0);
  expect(u.list('/')).toEqual(['only']);
  expect(u.call('pivot_root', '/', '/')).toBe(EBUSY);
});

test('chroot: no way out by dots', () => {
  const u = user();
  u.call('symlink', '/f', '/a/abs');
  expect(u.call('chroot', '/a')).toBe(0);
  expect(u.call('chdir', '/')).toBe(0);
  expect(u.list('../../..')).toEqual(['sub', 'f', 'abs']);
  expect(u.content('/abs')).toBe('in a');
  expect(u.cwd()).toBe('/');
});

test('namespaces are copies', () => {
  const u = user();
  u.call('mount', 't', '/a', 'tmpfs', 0, 0);
  const { ns, translate } = cloneNamespace(u.machine.kernel, u.machine.ns, ROOT_USER_NAMESPACE);
  const other = u.machine.user();
  other.task.namespaces = { ...other.task.namespaces, mount: ns };
  other.task.fs.root = translate(other.task.fs.root);
  other.task.fs.cwd = translate(other.task.fs.cwd);
  expect(other.call('umount2', '/a', 0)).toBe(0);
  expect(other.content('/a/f')).toBe('in a');
  expect(u.stat('/a/f')).toBe(ENOENT);
  expect(u.call('mount', 0, '/', 0, MS_SHARED | MS_REC, 0)).toBe(0);
  expect(mountInfoText(u.machine.ns, u.task.fs.root)).toContain('shared:');
});

test('openat2: staying beneath', () => {
  const u = user();
  u.call('symlink', '../b', '/a/out');
  u.call('symlink', '/f', '/a/abs');
  u.call('mount', 't', '/a/sub', 'tmpfs', 0, 0);
  const dir = u.open('/a', O_PATH);
  const open = (path: string, resolve: number): number => {
    const how = new Uint8Array(24);
    how[16] = resolve;
    return u.call('openat2', dir, path, how, 24);
  };
  expect(open('f', 8)).toBeGreaterThanOrEqual(0);
  expect(open('out', 8)).toBe(EXDEV);
  expect(open('../b', 8)).toBe(EXDEV);
  expect(open('/a/f', 8)).toBe(EXDEV);
  expect(open('abs', 16)).toBeGreaterThanOrEqual(0);
  expect(open('/f', 16)).toBeGreaterThanOrEqual(0);
  expect(open('../../../f', 16)).toBeGreaterThanOrEqual(0);
  expect(open('abs', 4)).toBe(ELOOP);
  expect(open('sub', 1)).toBe(EXDEV);
  expect(open('f', 24)).toBe(EINVAL);
  expect(u.call('openat', AT_FDCWD, '/a/f', 0, 0)).toBeGreaterThanOrEqual(0);
});

test('mounting by descriptors', () => {
  const u = user();
  const context = u.call('fsopen', 'tmpfs', 1);
  expect(u.call('fsconfig', context, 1, 'source', 'src', 0)).toBe(0);
  expect(u.call('fsconfig', context, 1, 'size', '64k', 0)).toBe(0);
  expect(u.call('fsmount', context, 0, 0)).toBe(EINVAL);
  expect(u.call('fsconfig', context, 6, 0, 0, 0)).toBe(0);
  const tree = u.call('fsmount', context, 0, 2);
  expect(u.call('move_mount', tree, '', AT_FDCWD, '/m', 4)).toBe(0);
  u.call('close', tree);
  u.file('/m/x', 'x');
  expect(mounts(u)).toContain('src /m tmpfs rw,nosuid,relatime,size=64k 0 0');
  const copy = u.call('open_tree', AT_FDCWD, '/m', 1);
  expect(u.call('openat', copy, 'x', 0, 0)).toBeGreaterThanOrEqual(0);
  const readOnly = new Uint8Array(32);
  readOnly[0] = 1;
  expect(u.call('mount_setattr', copy, '', 0x1000, readOnly, 32)).toBe(0);
  expect(u.call('move_mount', copy, '', AT_FDCWD, '/b', 4)).toBe(0);
  expect(u.content('/b/x')).toBe('x');
  expect(u.call('mkdir', '/b/d', 0o755)).toBeLessThan(0);
  expect(u.call('mkdir', '/m/d', 0o755)).toBe(0);
  expect(u.call('move_mount', AT_FDCWD, '/b', AT_FDCWD, '/a', 0)).toBe(0);
  expect(u.content('/a/x')).toBe('x');
  expect(u.call('fsopen', 'what', 0)).toBe(ENODEV);
  const dropped = u.call('open_tree', AT_FDCWD, '/m', 1);
  const { fs } = u.machine.ns.root.children[0] as { fs: { mounts: number } };
  expect(fs.mounts).toBe(3);
  u.call('close', dropped);
  expect(fs.mounts).toBe(2);
});
