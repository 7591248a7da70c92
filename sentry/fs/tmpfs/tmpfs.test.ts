import { EFBIG, EINVAL, ENOSPC, ENXIO, EOPNOTSUPP, type Errno, isErrno } from '../../../abi/errno.ts';
import { FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE } from '../../../abi/fallocate.ts';
import { O_APPEND, O_CREAT, O_RDWR, SEEK_DATA, SEEK_END, SEEK_HOLE, SEEK_SET } from '../../../abi/fcntl.ts';
import { PROT_READ } from '../../../abi/mman.ts';
import { FileMachine, type FileUser } from '../../testing/fake_files.ts';
import type { FileDescription } from '../../vfs/file.ts';
import { DEFAULT_TMPFS_OPTIONS, parseTmpFsOptions, TmpFs } from './tmpfs.ts';

function limited(size: number | null, inodes: number | null = null): FileUser {
  return new FileMachine(({ kernel }) => new TmpFs(kernel, kernel.uniqueId(), { ...DEFAULT_TMPFS_OPTIONS, size, inodes })).user();
}

test('files grow from the array into a memfd without a seam', () => {
  const u = limited(null);
  const fd = u.open('/f', O_CREAT | O_RDWR);
  let expected = '';
  for (let i = 0; i < 40; i++) {
    const part = String.fromCharCode(97 + (i % 26)).repeat(3000);
    expect(u.write(fd, part)).toBe(3000);
    expected += part;
  }
  expect(u.content('/f')).toBe(expected);
  expect(u.call('lseek', fd, 59_990, SEEK_SET)).toBe(59_990);
  expect(u.read(fd, 20)).toBe(expected.slice(59_990, 60_010));
  u.call('ftruncate', fd, 10);
  u.call('ftruncate', fd, 12);
  expect(u.content('/f')).toBe(`${expected.slice(0, 10)}\0\0`);
});

test('holes read as zeros, in the array and in the memfd', () => {
  const u = limited(null);
  const fd = u.open('/f', O_CREAT | O_RDWR);
  u.call('pwrite64', fd, Buffer.from('a'), 1, 10);
  expect(u.content('/f')).toBe(`${'\0'.repeat(10)}a`);
  u.call('pwrite64', fd, Buffer.from('b'), 1, 1 << 20);
  expect(u.fstat(fd)).toMatchObject({ st_size: (1 << 20) + 1, st_blocks: 16 });
  expect(u.call('lseek', fd, 4096, SEEK_DATA)).toBe(1 << 20);
  expect(u.call('lseek', fd, 0, SEEK_HOLE)).toBe(4096);
  expect(u.call('lseek', fd, 2 << 20, SEEK_DATA)).toBe(ENXIO);
  expect(u.call('lseek', fd, 0, SEEK_END)).toBe((1 << 20) + 1);
  expect(u.call('lseek', fd, -1, SEEK_SET)).toBe(EINVAL);
});

test('a mapping and the calls see the same bytes', () => {
  const u = limited(null);
  const fd = u.open('/f', O_CREAT | O_RDWR);
  u.write(fd, 'hello');
  const file = u.task.fds.get(fd) as FileDescription;
  const mapping = file.impl.mapping(file, true, PROT_READ);
  if (isErrno(mapping)) throw new Error('no mapping');
  u.machine.kernel.host.pwrite(mapping.hostFd, Buffer.from('J'), 0, 1, 0);
  expect(u.content('/f')).toBe('Jello');
  u.call('pwrite64', fd, Buffer.from('y'), 1, 4);
  const back = new Uint8Array(5);
  u.machine.kernel.host.pread(mapping.hostFd, back, 0, 5, 0);
  expect(Buffer.from(back).toString()).toBe('Jelly');
});

test('the memfd goes with the last opener', () => {
  const u = limited(null);
  const { hosted } = u.machine.ns.root.fs as TmpFs;
  const fd = u.open('/f', O_CREAT | O_RDWR);
  u.write(fd, 'x'.repeat(100_000));
  u.call('unlink', '/f');
  expect(hosted.size).toBe(1);
  u.call('close', fd);
  expect(hosted.size).toBe(0);
});

test('size limits', () => {
  const u = limited(64 << 10);
  const fd = u.open('/f', O_CREAT | O_RDWR);
  expect(u.write(fd, 'x'.repeat(60_000))).toBe(60_000);
  const other = u.open('/g', O_CREAT | O_RDWR);
  expect(u.write(other, 'x'.repeat(8192))).toBe(ENOSPC);
  u.call('ftruncate', fd, 0);
  expect(u.write(other, 'x'.repeat(8192))).toBe(8192);
  u.call('close', other);
  u.call('unlink', '/g');
  expect(u.call('pwrite64', fd, Buffer.from('x'.repeat(40_000)), 40_000, 0)).toBe(40_000);
  expect(u.call('fallocate', fd, 0, 0, 1 << 20)).toBe(ENOSPC);
});

test('limits of inodes', () => {
  const u = limited(null, 3);
  expect(u.call('mkdir', '/a', 0o755)).toBe(0);
  expect(u.call('symlink', 'x', '/b')).toBe(0);
  expect(u.open('/c', O_CREAT)).toBe(ENOSPC);
  u.call('unlink', '/b');
  expect(u.open('/c', O_CREAT)).toBeGreaterThanOrEqual(0);
});

test.each([100, 100_000])('fallocate at %i', (at) => {
  const u = limited(null);
  const fd = u.open('/f', O_CREAT | O_RDWR);
  u.call('pwrite64', fd, Buffer.from('x'.repeat(10)), 10, at);
  expect(u.call('fallocate', fd, FALLOC_FL_KEEP_SIZE, 0, at + 8192)).toBe(0);
  expect(u.fstat(fd)).toMatchObject({ st_size: at + 10 });
  expect(u.call('fallocate', fd, 0, 0, at + 20)).toBe(0);
  expect(u.fstat(fd)).toMatchObject({ st_size: at + 20 });
  expect(u.call('fallocate', fd, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, at, 5)).toBe(0);
  expect((u.content('/f') as string).slice(at, at + 10)).toBe('\0\0\0\0\0xxxxx');
  expect(u.call('fallocate', fd, FALLOC_FL_PUNCH_HOLE, at, 5)).toBe(EOPNOTSUPP);
  expect(u.call('fallocate', fd, 0, 0, 0)).toBe(EINVAL);
  expect(u.call('ftruncate', fd, 2 ** 60)).toBe(EFBIG);
});

test('O_APPEND writes at the end, pwrite too', () => {
  const u = limited(null);
  u.file('/f', 'abc');
  const fd = u.open('/f', O_RDWR | O_APPEND);
  expect(u.call('pwrite64', fd, Buffer.from('d'), 1, 0)).toBe(1);
  expect(u.content('/f')).toBe('abcd');
});

test('options', () => {
  expect(parseTmpFsOptions('size=64k,mode=700,uid=3,nr_inodes=5')).toEqual({ size: 65536, inodes: 5, mode: 0o700, uid: 3, gid: 0 });
  expect(parseTmpFsOptions('')).toEqual(DEFAULT_TMPFS_OPTIONS);
  expect(parseTmpFsOptions('size=0,rw')).toEqual(DEFAULT_TMPFS_OPTIONS);
  for (const bad of ['size=x', 'mode=9', 'what=1']) expect(parseTmpFsOptions(bad) as Errno).toBe(EINVAL);
});
