import { EAGAIN, EBADF, EDEADLK, EINVAL } from '../../abi/errno.ts';
import { F_GETLK, F_OFD_SETLK, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { Flock, LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN } from '../../abi/flock.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';
import { locksText } from './lock_text.ts';

function lock(u: FileUser, fd: number, command: number, l_type: number, l_start = 0, l_len = 0): number | null {
  return u.try('fcntl', fd, command, Flock.encode({ l_type, l_whence: 0, l_start, l_len, l_pid: 0 }));
}
function blocker(u: FileUser, fd: number, l_type: number, l_start = 0, l_len = 0): ReturnType<typeof Flock.read> {
  const raw = Flock.encode({ l_type, l_whence: 0, l_start, l_len, l_pid: 0 });
  const address = u.memory.place(raw);
  expect(u.call('fcntl', fd, F_GETLK, address)).toBe(0);
  return Flock.decode(u.memory.slice(address, Flock.size));
}

function pair(): { a: FileUser; b: FileUser; fa: number; fb: number } {
  const machine = new FileMachine();
  const [a, b] = [machine.user(), machine.user()];
  a.file('/db', '0123456789');
  return { a, b, fa: a.open('/db', O_RDWR), fb: b.open('/db', O_RDWR) };
}

test('shared and exclusive ranges', () => {
  const { a, b, fa, fb } = pair();
  expect(lock(a, fa, F_SETLK, F_RDLCK, 0, 10)).toBe(0);
  expect(lock(b, fb, F_SETLK, F_RDLCK, 5, 10)).toBe(0);
  expect(lock(b, fb, F_SETLK, F_WRLCK, 5, 10)).toBe(EAGAIN);
  expect(lock(b, fb, F_SETLK, F_WRLCK, 10, 10)).toBe(0);
  expect(blocker(b, fb, F_WRLCK, 0, 0)).toMatchObject({ l_type: F_RDLCK, l_start: 0, l_len: 10, l_pid: a.task.pid });
  expect(lock(a, fa, F_SETLK, F_UNLCK, 2, 3)).toBe(0);
  expect(blocker(b, fb, F_WRLCK, 2, 3)).toMatchObject({ l_type: F_UNLCK });
  expect(blocker(b, fb, F_WRLCK, 5, 1)).toMatchObject({ l_start: 5, l_len: 5 });
  expect(lock(a, a.open('/db', O_RDONLY), F_SETLK, F_WRLCK)).toBe(EBADF);
  expect(lock(a, fa, F_SETLK, F_WRLCK, -1, 5)).toBe(EINVAL);
});

test('closing any descriptor of the file gives up the locks of the process', () => {
  const { a, b, fa, fb } = pair();
  const other = a.open('/db', O_RDONLY);
  lock(a, fa, F_SETLK, F_WRLCK);
  expect(lock(b, fb, F_SETLK, F_WRLCK)).toBe(EAGAIN);
  a.call('close', other);
  expect(lock(b, fb, F_SETLK, F_WRLCK)).toBe(0);
});

test('waiting, and what ends it', () => {
  const { a, b, fa, fb } = pair();
  lock(a, fa, F_SETLK, F_WRLCK, 0, 1);
  expect(lock(b, fb, F_SETLKW, F_WRLCK, 0, 1)).toBeNull();
  expect(a.machine.result(b.task)).toBeNull();
  lock(a, fa, F_SETLK, F_UNLCK, 0, 1);
  expect(a.machine.result(b.task)).toBe(0);
  expect(lock(a, fa, F_SETLK, F_RDLCK, 0, 1)).toBe(EAGAIN);
});

test('a circle of waiters is a deadlock', () => {
  const { a, b, fa, fb } = pair();
  lock(a, fa, F_SETLK, F_WRLCK, 0, 1);
  lock(b, fb, F_SETLK, F_WRLCK, 1, 1);
  expect(lock(a, fa, F_SETLKW, F_WRLCK, 1, 1)).toBeNull();
  expect(lock(b, fb, F_SETLKW, F_WRLCK, 0, 1)).toBe(EDEADLK);
  b.call('close', fb);
  expect(a.machine.result(a.task)).toBe(0);
});

test('locks of an open file end with its last descriptor', () => {
  const { a, b, fa, fb } = pair();
  const copy = a.call('dup', fa);
  expect(lock(a, fa, F_OFD_SETLK, F_WRLCK)).toBe(0);
  expect(lock(b, fb, F_SETLK, F_RDLCK)).toBe(EAGAIN);
  expect(blocker(b, fb, F_RDLCK)).toMatchObject({ l_pid: -1 });
  a.call('close', fa);
  expect(lock(b, fb, F_SETLK, F_RDLCK)).toBe(EAGAIN);
  a.call('close', copy);
  expect(lock(b, fb, F_SETLK, F_RDLCK)).toBe(0);
});

test('flock', () => {
  const { a, b, fa, fb } = pair();
  expect(a.call('flock', fa, LOCK_SH)).toBe(0);
  expect(b.call('flock', fb, LOCK_SH)).toBe(0);
  expect(b.call('flock', fb, LOCK_EX | LOCK_NB)).toBe(EAGAIN);
  expect(a.call('flock', fa, 0)).toBe(EINVAL);
  expect(b.try('flock', fb, LOCK_EX)).toBeNull();
  a.call('flock', fa, LOCK_UN);
  expect(a.machine.result(b.task)).toBe(0);
  expect(a.try('flock', fa, LOCK_SH)).toBeNull();
  b.call('close', fb);
  expect(a.machine.result(a.task)).toBe(0);
  a.call('close', fa);
  expect(a.machine.kernel.locks.inUse).toBe(false);
});

test('/proc/locks', () => {
  const { a, b, fa, fb } = pair();
  lock(a, fa, F_SETLK, F_WRLCK, 2, 3);
  lock(b, fb, F_OFD_SETLK, F_RDLCK, 10);
  b.call('flock', fb, LOCK_EX);
  const place = `00:0${a.machine.ns.root.fs.dev.toString(16)}:2`;
  expect(locksText(a.machine.kernel)).toBe(
    `1: POSIX  ADVISORY  WRITE ${a.task.pid} ${place} 2 4\n` +
      `2: OFDLCK ADVISORY  READ  -1 ${place} 10 EOF\n` +
      `3: FLOCK  ADVISORY  WRITE -1 ${place} 0 EOF\n`,
  );
});
