import { EACCES, EBADF, EFBIG, EINVAL, EISDIR, ENODATA, ENOENT, EOPNOTSUPP, EPERM, ERANGE, EROFS } from '../../abi/errno.ts';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { setLen64 } from '../../abi/struct.ts';
import { type Credentials, rootCredentials } from '../kernel/credentials.ts';
import { RLIMIT_FSIZE } from '../kernel/rlimits.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';
import { MS_RDONLY } from '../vfs/path.ts';

const UTIME_OMIT = 0x3ffffffe;
const UTIME_NOW = 0x3fffffff;

function root(): FileUser {
  return new FileMachine().user();
}
function plain(id: number, groups: number[] = []): Credentials {
  const caps = { effective: 0n, permitted: 0n, inheritable: 0n, bounding: 0n, ambient: 0n };
  const ids = { uid: id, euid: id, suid: id, fsuid: id, gid: id, egid: id, sgid: id, fsgid: id };
  return { ...rootCredentials(), ...ids, groups, caps };
}
function times(...values: [number, number, number, number]): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) setLen64(view, i * 8, value);
  return bytes;
}

test('chmod and chown', () => {
  const r = root();
  const u = r.machine.user(plain(7, [8]));
  r.file('/f', '');
  expect(u.call('chmod', '/f', 0o777)).toBe(EPERM);
  expect(r.call('chmod', '/f', 0o6755)).toBe(0);
  expect(r.stat('/f')).toMatchObject({ st_mode: 0o106755 });
  expect(r.call('chown', '/f', 7, -1)).toBe(0);
  expect(r.stat('/f')).toMatchObject({ st_mode: 0o100755, st_uid: 7, st_gid: 0 });
  expect(u.call('chown', '/f', 8, -1)).toBe(EPERM);
  expect(u.call('chown', '/f', -1, 8)).toBe(0);
  expect(u.call('chown', '/f', -1, 9)).toBe(EPERM);
  expect(u.call('chmod', '/f', 0o2755)).toBe(0);
  r.call('chown', '/f', -1, 9);
  expect(u.call('chmod', '/f', 0o2755)).toBe(0);
  expect(u.stat('/f')).toMatchObject({ st_mode: 0o100755 });
  r.call('symlink', 'f', '/l');
  expect(r.call('fchmodat2', AT_FDCWD, '/l', 0o600, AT_SYMLINK_NOFOLLOW)).toBe(EOPNOTSUPP);
  expect(r.call('lchown', '/l', 3, 3)).toBe(0);
  expect(r.lstat('/l')).toMatchObject({ st_uid: 3 });
  expect(r.stat('/f')).toMatchObject({ st_uid: 7 });
});

test('a write takes setuid from a file of another', () => {
  const r = root();
  const u = r.machine.user(plain(7));
  r.file('/f', 'x');
  r.call('chmod', '/f', 0o4777);
  const fd = u.open('/f', O_RDWR);
  u.write(fd, 'y');
  expect(r.stat('/f')).toMatchObject({ st_mode: 0o100777 });
  r.call('chmod', '/f', 0o4777);
  r.file('/f', 'root may');
  expect(r.stat('/f')).toMatchObject({ st_mode: 0o104777 });
});

test('new files: umask, set-group-id directories', () => {
  const r = root();
  r.call('mkdir', '/d', 0o777);
  r.call('chown', '/d', 0, 50);
  r.call('chmod', '/d', 0o2777);
  const u = r.machine.user(plain(7));
  u.file('/d/f', '', 0o666);
  expect(u.stat('/d/f')).toMatchObject({ st_uid: 7, st_gid: 50, st_mode: 0o100644 });
  u.call('mkdir', '/d/e', 0o777);
  expect(u.stat('/d/e')).toMatchObject({ st_gid: 50, st_mode: 0o042755 });
  expect(u.call('umask', 0o77)).toBe(0o22);
});

test('times', () => {
  const r = root();
  const u = r.machine.user(plain(7));
  r.file('/f', '', 0o666);
  r.call('chmod', '/f', 0o666);
  expect(r.call('utimensat', AT_FDCWD, '/f', times(1, 2, 3, 999_999_999), 0)).toBe(0);
  expect(r.stat('/f')).toMatchObject({ st_atime: 1, st_atime_nsec: 2, st_mtime: 3, st_mtime_nsec: 999_999_999 });
  expect(r.call('utimensat', AT_FDCWD, '/f', times(0, UTIME_OMIT, -5, 0), 0)).toBe(0);
  expect(r.stat('/f')).toMatchObject({ st_atime: 1, st_mtime: -5 });
  expect(r.call('utimensat', AT_FDCWD, '/f', times(0, 1e9, 0, 0), 0)).toBe(EINVAL);
  expect(r.call('utimensat', AT_FDCWD, '/none', times(0, UTIME_OMIT, 0, UTIME_OMIT), 0)).toBe(0);
  expect(u.call('utimensat', AT_FDCWD, '/f', times(1, 1, 1, 1), 0)).toBe(EPERM);
  expect(u.call('utimensat', AT_FDCWD, '/f', times(0, UTIME_NOW, 0, UTIME_NOW), 0)).toBe(0);
  expect(r.stat('/f')).toMatchObject({ st_mtime: 1_700_000_000 });
  expect(u.call('utime', '/f', 0)).toBe(0);
  r.call('chmod', '/f', 0o644);
  expect(u.call('utime', '/f', 0)).toBe(EACCES);
});

test('access asks as the real user', () => {
  const r = root();
  r.file('/f', '', 0o600);
  expect(r.call('access', '/f', 4)).toBe(0);
  expect(r.call('access', '/f', 1)).toBe(EACCES);
  const setuid = r.machine.user({ ...rootCredentials(), uid: 7, gid: 7 });
  expect(setuid.call('access', '/f', 4)).toBe(EACCES);
  expect(setuid.call('faccessat2', AT_FDCWD, '/f', 4, 0x200)).toBe(0);
  expect(r.call('access', '/none', 0)).toBe(ENOENT);
  expect(r.call('access', '/f', 8)).toBe(EINVAL);
});

test('read-only mounts', () => {
  const r = root();
  r.file('/f', 'x');
  r.machine.ns.root.flags |= MS_RDONLY;
  expect(r.open('/f', O_RDWR)).toBe(EROFS);
  expect(r.call('access', '/f', 2)).toBe(EROFS);
  expect(r.call('unlink', '/f')).toBe(EROFS);
  expect(r.call('mkdir', '/d', 0o755)).toBe(EROFS);
  expect(r.call('chmod', '/f', 0o600)).toBe(EROFS);
  expect(r.call('truncate', '/f', 0)).toBe(EROFS);
  expect(r.content('/f')).toBe('x');
});

test('sizes and their limit', () => {
  const r = root();
  r.file('/f', '12345');
  r.call('mkdir', '/d', 0o755);
  expect(r.call('truncate', '/d', 0)).toBe(EISDIR);
  expect(r.call('truncate', '/f', -1)).toBe(EINVAL);
  expect(r.call('ftruncate', r.open('/f', O_RDONLY), 0)).toBe(EINVAL);
  r.task.group.limits.set(RLIMIT_FSIZE, { soft: 8, hard: 8 });
  const fd = r.open('/f', O_RDWR);
  expect(r.call('pwrite64', fd, Buffer.from('123456'), 6, 5)).toBe(3);
  expect(r.call('pwrite64', fd, Buffer.from('1'), 1, 8)).toBe(EFBIG);
  expect(r.call('ftruncate', fd, 9)).toBe(EFBIG);
  expect(r.task.pending.count).toBe(1);
});

test('extended attributes', () => {
  const r = root();
  const u = r.machine.user(plain(7));
  r.file('/f', '');
  r.call('symlink', 'f', '/l');
  const value = Buffer.from('value');
  expect(r.call('setxattr', '/f', 'user.a', value, 5, 2)).toBe(ENODATA);
  expect(r.call('setxattr', '/f', 'user.a', value, 5, 1)).toBe(0);
  expect(r.call('setxattr', '/f', 'trusted.b', value, 5, 0)).toBe(0);
  expect(r.call('lsetxattr', '/l', 'user.a', value, 5, 0)).toBe(EPERM);
  expect(r.call('setxattr', '/f', 'none', value, 5, 0)).toBe(EOPNOTSUPP);
  expect(u.call('setxattr', '/f', 'user.a', value, 5, 0)).toBe(EACCES);
  expect(u.call('getxattr', '/f', 'user.a', 0, 0)).toBe(5);
  expect(u.call('getxattr', '/f', 'user.a', u.memory.place(2), 2)).toBe(ERANGE);
  expect(u.call('getxattr', '/f', 'trusted.b', 0, 0)).toBe(ENODATA);
  expect(u.call('listxattr', '/f', 0, 0)).toBe(7);
  expect(r.call('listxattr', '/f', 0, 0)).toBe(17);
  expect(r.call('removexattr', '/f', 'user.a')).toBe(0);
  expect(r.call('fgetxattr', 99, 'user.a', 0, 0)).toBe(EBADF);
});
