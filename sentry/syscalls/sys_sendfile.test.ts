import { EAGAIN, EBADF, EINVAL, ESPIPE } from '../../abi/errno.ts';
import { F_SETFL, O_APPEND, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../abi/fcntl.ts';
import { FileMachine, type FileUser } from '../testing/fake_files.ts';

function user(): FileUser {
  const u = new FileMachine().user();
  u.file('/in', 'abcdefghij');
  u.file('/out', '');
  return u;
}
function pipe(u: FileUser): [number, number] {
  const pair = u.memory.place(8);
  expect(u.call('pipe2', pair, 0)).toBe(0);
  return [u.memory.i32(pair), u.memory.i32(pair + 4)];
}
function offset(u: FileUser, value: number): number {
  const bytes = new Uint8Array(8);
  bytes[0] = value;
  return u.memory.place(bytes);
}

test('sendfile', () => {
  const u = user();
  const [src, dst] = [u.open('/in', O_RDONLY), u.open('/out', O_WRONLY)];
  expect(u.call('sendfile', dst, src, 0, 4)).toBe(4);
  expect(u.read(src, 2)).toBe('ef');
  const at = offset(u, 1);
  expect(u.call('sendfile', dst, src, at, 100)).toBe(9);
  expect(u.memory.u64(at)).toBe(10n);
  expect(u.read(src, 2)).toBe('gh');
  expect(u.content('/out')).toBe('abcdbcdefghij');
  expect(u.call('sendfile', src, dst, 0, 1)).toBe(EBADF);
  expect(u.call('sendfile', u.open('/out', O_WRONLY | O_APPEND), src, 0, 1)).toBe(EINVAL);
});

test('copy_file_range', () => {
  const u = user();
  const [src, dst] = [u.open('/in', O_RDONLY), u.open('/out', O_RDWR)];
  expect(u.call('copy_file_range', src, 0, dst, offset(u, 5), 3, 0)).toBe(3);
  expect(u.content('/out')).toBe('\0\0\0\0\0abc');
  expect(u.call('copy_file_range', dst, offset(u, 0), dst, offset(u, 2), 3, 0)).toBe(EINVAL);
  expect(u.call('copy_file_range', src, offset(u, 100), dst, 0, 3, 0)).toBe(0);
  const [reader] = pipe(u);
  expect(u.call('copy_file_range', reader, 0, dst, 0, 3, 0)).toBe(EINVAL);
});

test('splice and tee', () => {
  const u = user();
  const [r1, w1] = pipe(u);
  const [r2, w2] = pipe(u);
  const src = u.open('/in', O_RDONLY);
  expect(u.call('splice', src, offset(u, 2), w1, 0, 6, 0)).toBe(6);
  expect(u.call('tee', r1, w2, 4, 0)).toBe(4);
  expect(u.read(r2, 10)).toBe('cdef');
  expect(u.call('splice', r1, 0, w2, 0, 2, 0)).toBe(2);
  const dst = u.open('/out', O_RDWR);
  expect(u.call('splice', r1, 0, dst, 0, 100, 0)).toBe(4);
  expect(u.content('/out')).toBe('efgh');
  expect(u.call('splice', r1, 0, dst, 0, 100, 2)).toBe(EAGAIN);
  expect(u.call('splice', src, 0, dst, 0, 1, 0)).toBe(EINVAL);
  expect(u.call('splice', r2, offset(u, 0), dst, 0, 1, 0)).toBe(ESPIPE);
  u.call('close', w1);
  expect(u.call('splice', r1, 0, dst, 0, 100, 0)).toBe(0);
});

test('sendfile into a full pipe waits, or tells how much', () => {
  const u = user();
  u.file('/big', 'x'.repeat(100_000));
  const [r, w] = pipe(u);
  const src = u.open('/big', O_RDONLY);
  u.call('fcntl', w, F_SETFL, O_NONBLOCK);
  expect(u.call('sendfile', w, src, 0, 100_000)).toBe(65_536);
  u.call('fcntl', w, F_SETFL, 0);
  expect(u.try('sendfile', w, src, 0, 100_000)).toBeNull();
  const other = u.machine.user();
  other.task.fds = u.task.fds;
  expect(other.read(r, 65_536)).toHaveLength(65_536);
  expect(u.machine.result(u.task)).toBe(100_000 - 65_536);
});
