import { EBADF, EINVAL, EMFILE, ENOTTY, EPERM } from '../../abi/errno.ts';
import {
  F_DUPFD,
  F_DUPFD_CLOEXEC,
  F_GETFD,
  F_GETFL,
  F_GETOWN,
  F_SETFD,
  F_SETFL,
  F_SETOWN,
  O_APPEND,
  O_CLOEXEC,
  O_LARGEFILE,
  O_NONBLOCK,
  O_PATH,
  O_RDWR,
} from '../../abi/fcntl.ts';
import { FIOCLEX, FIONBIO, FIONREAD } from '../../abi/ioctl.ts';
import { RLIMIT_NOFILE } from '../kernel/rlimits.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

function user(): FileUser {
  const u = new FileMachine().user();
  u.file('/f', 'content');
  return u;
}

test('descriptor numbers', () => {
  const u = user();
  const fd = u.open('/f', O_RDWR);
  expect(fd).toBe(0);
  expect(u.call('dup', fd)).toBe(1);
  expect(u.call('dup2', fd, 5)).toBe(5);
  expect(u.call('dup2', fd, fd)).toBe(fd);
  expect(u.call('dup2', 77, 77)).toBe(EBADF);
  expect(u.call('dup3', fd, fd, 0)).toBe(EINVAL);
  expect(u.call('dup3', fd, 6, O_CLOEXEC)).toBe(6);
  expect(u.call('fcntl', 6, F_GETFD, 0)).toBe(1);
  expect(u.call('fcntl', fd, F_DUPFD, 5)).toBe(7);
  expect(u.call('fcntl', fd, F_DUPFD_CLOEXEC, 0)).toBe(2);
  expect(u.call('fcntl', fd, F_DUPFD, -1)).toBe(EINVAL);
  expect(u.call('dup2', fd, -1)).toBe(EBADF);
  u.task.group.limits.set(RLIMIT_NOFILE, { soft: 3, hard: 3 });
  expect(u.call('dup', fd)).toBe(EMFILE);
  expect(u.call('dup2', fd, 3)).toBe(EBADF);
  expect(u.call('close_range', 1, 0xffffffff, 0)).toBe(0);
  expect(u.call('close', 1)).toBe(EBADF);
  expect(u.call('close', 0)).toBe(0);
});

test('duplicates share position and status flags, not close-on-exec', () => {
  const u = user();
  const fd = u.open('/f', O_RDWR);
  const copy = u.call('dup', fd);
  expect(u.read(fd, 3)).toBe('con');
  expect(u.read(copy, 3)).toBe('ten');
  expect(u.call('fcntl', fd, F_SETFL, O_APPEND | O_NONBLOCK)).toBe(0);
  expect(u.call('fcntl', copy, F_GETFL, 0)).toBe(O_RDWR | O_APPEND | O_NONBLOCK | O_LARGEFILE);
  u.call('fcntl', fd, F_SETFD, 1);
  expect(u.call('fcntl', copy, F_GETFD, 0)).toBe(0);
  u.call('fcntl', fd, F_SETOWN, -42);
  expect(u.call('fcntl', fd, F_GETOWN, 0)).toBe(-42);
});

test('requests that every file knows', () => {
  const u = user();
  const fd = u.open('/f', O_RDWR);
  u.read(fd, 2);
  const word = u.memory.place(4);
  expect(u.call('ioctl', fd, FIONREAD, word)).toBe(0);
  expect(u.memory.u32(word)).toBe(5);
  expect(u.call('ioctl', fd, FIONBIO, Uint8Array.of(1, 0, 0, 0))).toBe(0);
  expect(u.call('fcntl', fd, F_GETFL, 0) & O_NONBLOCK).toBe(O_NONBLOCK);
  expect(u.call('ioctl', fd, FIOCLEX, 0)).toBe(0);
  expect(u.call('fcntl', fd, F_GETFD, 0)).toBe(1);
  expect(u.call('ioctl', fd, 0x5401, word)).toBe(ENOTTY);
});

test('a descriptor of a place alone', () => {
  const u = user();
  const fd = u.open('/f', O_PATH);
  expect(u.call('fcntl', fd, F_GETFL, 0)).toBe(O_PATH);
  expect(u.call('fcntl', fd, F_SETFL, 0)).toBe(EBADF);
  expect(u.call('ioctl', fd, FIONREAD, 0)).toBe(EBADF);
  expect(u.call('lseek', fd, 0, 0)).toBe(EBADF);
  expect(u.call('fchmod', fd, 0o600)).toBe(EBADF);
  expect(u.fstat(fd)).toMatchObject({ st_size: 7 });
  expect(u.call('linkat', fd, '', -100, '/g', 0x1000)).toBe(0);
  expect(u.call('link', '/g', '/')).toBeLessThan(0);
  expect(u.call('mknod', '/dev0', 0o040755, 0)).toBe(EPERM);
});
