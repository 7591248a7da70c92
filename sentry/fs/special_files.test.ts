import { EAGAIN, EBADF, EINVAL, EPERM, ESRCH } from '../../abi/errno.ts';
import { F_ADD_SEALS, F_GET_SEALS, O_NONBLOCK } from '../../abi/fcntl.ts';
import { F_SEAL_GROW, F_SEAL_SEAL, F_SEAL_WRITE } from '../../abi/memfd.ts';
import { MFD_ALLOW_SEALING, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SIGUSR1, SIGUSR2 } from '../../abi/signal.ts';
import { sendToGroup, sendToTask } from '../kernel/signal_send.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';
import type { FileDescription } from '../vfs/file.ts';

function user(): FileUser {
  return new FileMachine().user();
}
function fileOf(u: FileUser, fd: number): FileDescription {
  return u.task.fds.get(fd) as FileDescription;
}
function poll(u: FileUser, fd: number): number {
  return fileOf(u, fd).impl.poll(fileOf(u, fd), u.task) & POLLIN;
}
/** struct itimerspec: interval, value, in ns below a second. */
function itimer(interval: number, value: number): Uint8Array {
  const out = new Uint8Array(32);
  const view = new DataView(out.buffer);
  view.setBigUint64(8, BigInt(interval), true);
  view.setBigUint64(24, BigInt(value), true);
  return out;
}
function counter(u: FileUser, fd: number): bigint | number {
  const at = u.memory.place(8);
  const n = u.call('read', fd, at, 8);
  return n < 0 ? n : u.memory.u64(at);
}

test('timerfd: once, periodic, missed expirations are counted', () => {
  const u = user();
  const fd = u.call('timerfd_create', 1, O_NONBLOCK);
  expect(counter(u, fd)).toBe(EAGAIN);
  expect(u.call('timerfd_settime', fd, 0, itimer(0, 1000), 0)).toBe(0);
  u.machine.advance(999);
  expect(poll(u, fd)).toBe(0);
  u.machine.advance(1);
  expect(poll(u, fd)).toBe(POLLIN);
  expect(counter(u, fd)).toBe(1n);
  u.call('timerfd_settime', fd, 0, itimer(100, 50), 0);
  u.machine.advance(1000);
  expect(counter(u, fd)).toBe(10n); // 50, 150 … 950
  u.machine.advance(60);
  expect(counter(u, fd)).toBe(1n);
  const old = u.memory.place(32);
  expect(u.call('timerfd_gettime', fd, old)).toBe(0);
  expect([u.memory.u64(old + 8), u.memory.u64(old + 24)]).toEqual([100n, 90n]);
  expect(fileOf(u, fd).impl.describe()).toContain('it_interval: (0, 100)');
  expect(u.call('timerfd_settime', fd, 0, itimer(0, 0), old)).toBe(0);
  u.machine.advance(1000);
  expect(counter(u, fd)).toBe(EAGAIN);
  expect(u.call('timerfd_create', 99, 0)).toBe(EINVAL);
  expect(u.call('timerfd_gettime', 99, old)).toBe(EBADF);
});

test('timerfd: a blocking read, an absolute time in the past', () => {
  const u = user();
  const fd = u.call('timerfd_create', 0, 0);
  u.call('timerfd_settime', fd, 0, itimer(0, 5000), 0);
  expect(u.try('read', fd, u.memory.place(8), 8)).toBeNull();
  u.machine.advance(6000); // the wall clock's grain
  expect(u.machine.result(u.task)).toBe(8);
  u.call('timerfd_settime', fd, 1, itimer(0, 5), 0);
  u.machine.advance(0);
  expect(counter(u, fd)).toBe(1n);
});

test('signalfd takes blocked signals, thread and process', () => {
  const u = user();
  const mask = new Uint8Array(8);
  mask[1] = 0b1010; // SIGUSR1, SIGUSR2
  u.task.signalMask = 0b1010_0000_0000n;
  const fd = u.call('signalfd4', -1, mask, 8, O_NONBLOCK);
  const at = u.memory.place(512);
  expect(u.call('read', fd, at, 128)).toBe(EAGAIN);
  expect(poll(u, fd)).toBe(0);
  sendToTask(u.task, { signal: SIGUSR1, code: 0, pid: 7 });
  sendToGroup(u.task.group, { signal: SIGUSR2, code: -1, value: 5n });
  expect(poll(u, fd)).toBe(POLLIN);
  expect(u.call('read', fd, at, 127)).toBe(EINVAL);
  expect(u.call('read', fd, at, 512)).toBe(256);
  expect([u.memory.u32(at), u.memory.u32(at + 12), u.memory.u32(at + 128), u.memory.u32(at + 128 + 44)]).toEqual([SIGUSR1, 7, SIGUSR2, 5]);
  const ep = u.call('epoll_create1', 0);
  const event = new Uint8Array(12);
  event[0] = POLLIN;
  u.call('epoll_ctl', ep, 1, fd, event);
  expect(u.try('epoll_wait', ep, at, 4, -1)).toBeNull();
  sendToGroup(u.task.group, { signal: SIGUSR1, code: 0 });
  expect(u.machine.result(u.task)).toBe(1);
});

test('pidfd: readable at the end, signals, files of another process', () => {
  const u = user();
  const other = u.machine.user();
  const fd = u.call('pidfd_open', other.task.pid, 0);
  expect(u.task.fds.isCloexec(fd)).toBe(true);
  expect(poll(u, fd)).toBe(0);
  expect(u.call('pidfd_open', 4000, 0)).toBe(ESRCH);
  expect(u.call('pidfd_open', other.task.pid, 1)).toBe(EINVAL);
  other.file('/f', 'theirs');
  const theirs = other.open('/f', 0);
  const mine = u.call('pidfd_getfd', fd, theirs, 0);
  expect(u.read(mine)).toBe('theirs');
  expect(u.call('pidfd_getfd', fd, 99, 0)).toBe(EBADF);
  other.task.signalMask = ~0n;
  expect(u.call('pidfd_send_signal', fd, SIGUSR1, 0, 0)).toBe(0);
  expect(other.task.group.pending.set).not.toBe(0n);
  other.task.group.zombie = true;
  other.task.group.exitEvents.notify(POLLIN);
  expect(poll(u, fd)).toBe(POLLIN);
});

test('memfd: bytes, size, seals', () => {
  const u = user();
  const fd = u.call('memfd_create', 'name', MFD_ALLOW_SEALING);
  expect(u.write(fd, 'hello')).toBe(5);
  expect(u.call('lseek', fd, 0, 0)).toBe(0);
  expect(u.read(fd)).toBe('hello');
  expect(u.call('ftruncate', fd, 100)).toBe(0);
  expect(u.fstat(fd)).toMatchObject({ st_size: 100, st_mode: 0o100777 });
  const file = fileOf(u, fd);
  expect(file.path?.dentry.name).toBe('/memfd:name (deleted)');
  expect(u.call('fcntl', fd, F_ADD_SEALS, F_SEAL_GROW)).toBe(0);
  expect(u.call('ftruncate', fd, 101)).toBe(EPERM);
  expect(u.call('fcntl', fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL)).toBe(0);
  expect(u.write(fd, 'x')).toBe(EPERM);
  expect(file.impl.mapping(file, true, PROT_READ | PROT_WRITE)).toBe(EPERM);
  expect(file.impl.mapping(file, true, PROT_READ)).toMatchObject({ offset: 0 });
  expect(u.call('fcntl', fd, F_GET_SEALS, 0)).toBe(F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  expect(u.call('fcntl', fd, F_ADD_SEALS, F_SEAL_GROW)).toBe(EPERM);
  const plain = u.call('memfd_create', 'plain', 0);
  expect(u.call('fcntl', plain, F_ADD_SEALS, F_SEAL_GROW)).toBe(EPERM);
  expect(u.call('memfd_create', 'x'.repeat(250), 0)).toBe(EINVAL);
  u.call('close', fd);
});
