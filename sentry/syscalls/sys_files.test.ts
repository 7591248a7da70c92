import {
  EACCES,
  EBADF,
  EBUSY,
  EEXIST,
  EINVAL,
  EISDIR,
  ELOOP,
  ENAMETOOLONG,
  ENOENT,
  ENOTDIR,
  ENOTEMPTY,
  ENXIO,
  EPERM,
} from '../../abi/errno.ts';
import {
  AT_FDCWD,
  AT_REMOVEDIR,
  O_APPEND,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_NOFOLLOW,
  O_PATH,
  O_RDWR,
  O_TMPFILE,
  O_TRUNC,
  O_WRONLY,
} from '../../abi/fcntl.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

function user(): FileUser {
  return new FileMachine().user();
}
function nobody(u: FileUser): FileUser {
  const caps = { effective: 0n, permitted: 0n, inheritable: 0n, bounding: 0n, ambient: 0n };
  const ids = { uid: 1000, euid: 1000, suid: 1000, fsuid: 1000, gid: 1000, egid: 1000, sgid: 1000, fsgid: 1000 };
  return u.machine.user({ ...rootCredentials(), ...ids, caps });
}

test('write, read back, stat', () => {
  const u = user();
  u.file('/hello', 'world');
  expect(u.content('/hello')).toBe('world');
  expect(u.stat('/hello')).toMatchObject({ st_size: 5, st_mode: 0o100644, st_nlink: 1, st_blocks: 8 });
  expect(u.stat('/missing')).toBe(ENOENT);
  expect(u.stat('/hello/x')).toBe(ENOTDIR);
  expect(u.stat('/hello/')).toBe(ENOTDIR);
});

test('open flags', () => {
  const u = user();
  u.file('/f', 'abc');
  u.call('mkdir', '/d', 0o755);
  expect(u.open('/f', O_CREAT | O_EXCL | O_RDWR)).toBe(EEXIST);
  expect(u.open('/d', O_RDWR)).toBe(EISDIR);
  expect(u.open('/f', O_DIRECTORY)).toBe(ENOTDIR);
  expect(u.open('/d/', O_CREAT | O_RDWR)).toBe(EISDIR);
  expect(u.open('/new/', O_CREAT | O_RDWR)).toBe(EISDIR);
  expect(u.open('', 0)).toBe(ENOENT);
  expect(u.open('/f', O_TMPFILE | O_RDWR)).toBe(ENOTDIR);
  expect(u.open('/d', O_TMPFILE)).toBe(EINVAL);
  const place = u.open('/f', O_PATH);
  expect(u.read(place)).toBe(EBADF);
  const tmp = u.open('/d', O_TMPFILE | O_RDWR);
  expect(u.write(tmp, 'x')).toBe(1);
  expect(u.list('/d')).toEqual([]);
  const fd = u.open('/f', O_WRONLY | O_APPEND);
  u.write(fd, 'def');
  expect(u.read(fd)).toBe(EBADF);
  expect(u.content('/f')).toBe('abcdef');
  u.call('close', u.open('/f', O_WRONLY | O_TRUNC));
  expect(u.content('/f')).toBe('');
  expect(u.call('mknod', '/sock', 0o140644, 0)).toBe(0);
  expect(u.open('/sock', 0)).toBe(ENXIO);
});

test('symbolic links', () => {
  const u = user();
  u.call('mkdir', '/a', 0o755);
  u.file('/a/f', 'x');
  u.call('symlink', 'f', '/a/rel');
  u.call('symlink', '/a', '/abs');
  u.call('symlink', 'loop', '/loop');
  u.call('symlink', '/nowhere', '/dangling');
  expect(u.content('/abs/rel')).toBe('x');
  expect(u.readlink('/abs')).toBe('/a');
  expect(u.stat('/loop')).toBe(ELOOP);
  expect(u.lstat('/loop')).toMatchObject({ st_mode: 0o120777, st_size: 4 });
  expect(u.open('/abs', O_NOFOLLOW)).toBe(ELOOP);
  expect(u.open('/abs', O_NOFOLLOW | O_DIRECTORY)).toBe(ENOTDIR);
  expect(u.lstat('/abs/')).toMatchObject({ st_mode: 0o040755 });
  expect(u.open('/dangling', O_CREAT | O_EXCL | O_RDWR)).toBe(EEXIST);
  expect(u.open('/dangling', O_CREAT | O_RDWR)).toBeGreaterThanOrEqual(0);
  expect(u.stat('/nowhere')).toMatchObject({ st_size: 0 });
});

test('long names, dots, the working directory', () => {
  const u = user();
  expect(u.open('x'.repeat(256), O_CREAT)).toBe(ENAMETOOLONG);
  expect(u.open('x'.repeat(255), O_CREAT)).toBeGreaterThanOrEqual(0);
  expect(u.stat(`/${'a/'.repeat(2048)}`)).toBe(ENAMETOOLONG);
  u.call('mkdir', 'd', 0o755);
  u.call('mkdir', 'd/e', 0o755);
  expect(u.call('chdir', 'd/e/../e/.')).toBe(0);
  expect(u.cwd()).toBe('/d/e');
  expect(u.call('rmdir', '/d/e')).toBe(0);
  expect(u.cwd()).toBe(ENOENT);
  expect(u.open('x', O_CREAT | O_RDWR)).toBe(ENOENT);
  expect(u.call('chdir', '../..')).toBe(0);
  expect(u.cwd()).toBe('/');
  expect(u.call('mkdir', '/', 0o755)).toBe(EEXIST);
  expect(u.call('mkdir', 'new/', 0o755)).toBe(0);
  expect(u.call('rmdir', '.')).toBe(EINVAL);
  expect(u.call('rmdir', 'd/..')).toBe(ENOTEMPTY);
  expect(u.call('rmdir', '/')).toBe(EBUSY);
});

test('unlink and open files', () => {
  const u = user();
  u.file('/f', 'still here');
  const fd = u.open('/f', 0);
  expect(u.call('unlink', '/f')).toBe(0);
  expect(u.read(fd)).toBe('still here');
  expect(u.fstat(fd)).toMatchObject({ st_nlink: 0 });
  expect(u.call('unlink', '/f')).toBe(ENOENT);
  u.call('mkdir', '/d', 0o755);
  expect(u.call('unlink', '/d')).toBe(EISDIR);
  u.file('/d/f', '');
  expect(u.call('rmdir', '/d')).toBe(ENOTEMPTY);
  expect(u.call('unlinkat', AT_FDCWD, '/d/f', AT_REMOVEDIR)).toBe(ENOTDIR);
  expect(u.call('unlink', '/d/f')).toBe(0);
  expect(u.call('rmdir', '/d')).toBe(0);
});

test('hard links', () => {
  const u = user();
  u.file('/a', '1');
  expect(u.call('link', '/a', '/b')).toBe(0);
  expect(u.stat('/b')).toMatchObject({ st_nlink: 2 });
  expect(u.call('link', '/a', '/b')).toBe(EEXIST);
  u.call('mkdir', '/d', 0o755);
  expect(u.call('link', '/d', '/e')).toBe(EPERM);
  u.call('unlink', '/a');
  expect(u.stat('/b')).toMatchObject({ st_nlink: 1 });
});

test('rename', () => {
  const u = user();
  u.call('mkdir', '/d', 0o755);
  u.call('mkdir', '/d/sub', 0o755);
  u.call('mkdir', '/empty', 0o755);
  u.file('/f', 'f');
  u.file('/g', 'g');
  expect(u.call('rename', '/d', '/d/sub/x')).toBe(EINVAL);
  expect(u.call('rename', '/d/sub', '/d')).toBe(ENOTEMPTY);
  expect(u.call('rename', '/f', '/d')).toBe(EISDIR);
  expect(u.call('rename', '/d', '/f')).toBe(ENOTDIR);
  expect(u.call('rename', '/f', '/g')).toBe(0);
  expect(u.content('/g')).toBe('f');
  expect(u.stat('/f')).toBe(ENOENT);
  expect(u.call('rename', '/empty', '/d')).toBe(ENOTEMPTY);
  expect(u.call('rename', '/d', '/empty')).toBe(0);
  expect(u.list('/empty')).toEqual(['sub']);
  expect(u.call('renameat2', AT_FDCWD, '/g', AT_FDCWD, '/empty', 2)).toBe(0);
  expect(u.stat('/g/sub')).toMatchObject({ st_nlink: 2 });
  expect(u.content('/empty')).toBe('f');
  expect(u.call('renameat2', AT_FDCWD, '/g', AT_FDCWD, '/empty', 1)).toBe(EEXIST);
  expect(u.call('rename', '/.', '/x')).toBe(EBUSY);
});

test('permissions of another user', () => {
  const root = user();
  const u = nobody(root);
  root.file('/secret', 's', 0o600);
  root.call('mkdir', '/closed', 0o700);
  root.call('mkdir', '/tmp', 0o777);
  root.memory; // umask took the write bits
  expect(u.content('/secret')).toBe(EACCES);
  expect(u.stat('/closed/x')).toBe(EACCES);
  expect(u.open('/mine', O_CREAT | O_RDWR)).toBeGreaterThanOrEqual(0); // the tmpfs root is 1777
  root.file('/theirs', '');
  expect(u.call('unlink', '/theirs')).toBe(EPERM); // sticky
  expect(u.call('unlink', '/mine')).toBe(0);
});

test('readdir keeps its place while names come and go', () => {
  const u = user();
  u.call('mkdir', '/d', 0o755);
  for (let i = 0; i < 100; i++) u.file(`/d/f${i}`, '');
  const fd = u.open('/d', O_DIRECTORY);
  const seen = u.entries(fd, 256);
  for (const name of seen) if (name.startsWith('f')) u.call('unlink', `/d/${name}`);
  u.file('/d/late', '');
  for (let some = u.entries(fd, 256); some.length > 0; some = u.entries(fd, 256)) seen.push(...some);
  expect(seen.sort()).toEqual(['.', '..', 'late', ...Array.from({ length: 100 }, (_, i) => `f${i}`)].sort());
});
