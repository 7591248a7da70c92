/** The Sentry's gofer filesystem against a real gofer process, checked with the host's own view of the same folder. */
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { EACCES, EEXIST, EIO, ELOOP, ENODATA, ENOENT, ENOTEMPTY, EOPNOTSUPP, EPERM, EROFS, ESTALE } from '../abi/errno.ts';
import { O_APPEND, O_RDONLY, O_RDWR, O_WRONLY, RENAME_EXCHANGE, SEEK_DATA, SEEK_HOLE } from '../abi/fcntl.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../abi/stat.ts';
import { host } from '../lib/host.ts';
import type { GoferFilesystem } from '../sentry/fs/gofer/filesystem.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';
import { rootCredentials } from '../sentry/kernel/credentials.ts';
import type { Kernel } from '../sentry/kernel/kernel.ts';
import type { Task } from '../sentry/kernel/task.ts';
import type { SyscallResult } from '../sentry/kernel/wait.ts';
import type { FileDescription } from '../sentry/vfs/file.ts';
import type { FilesystemStats, Inode, OpenContext } from '../sentry/vfs/inode.ts';
import { BufferIo } from '../sentry/vfs/io.ts';
import { buildGofer, type GoferProcess, idleKernel, inode, mountGofer, open, startGofer, temporaryFolder } from './gofer_process.ts';

const OWNER = { uid: 1234, gid: 2345 };
let kernel: Kernel;
let gofer: GoferProcess;
const folder = temporaryFolder();
const at = (path: string): string => join(folder.path, path);
let task: Task;
const logged: string[] = [];

beforeAll(() => {
  buildGofer();
  kernel = idleKernel((line) => logged.push(line));
  task = { kernel, creds: rootCredentials() } as Task;
});
afterAll(() => folder.remove());

/** Each way of caching gets its own gofer. */
function mounted(exclusive: boolean): GoferFilesystem {
  gofer = startGofer([{ name: '/', path: folder.path }]);
  return mountGofer(kernel, gofer.socket, '/', exclusive);
}
/** Runs a transfer to its end, waiting for the worker where it waits. */
function finish(result: SyscallResult): number {
  if (typeof result === 'number') return result;
  for (;;) {
    const step = result.next('ready');
    if (step.done) return step.value;
    kernel.poll.wait(1000);
  }
}
function write(file: FileDescription, text: string): number {
  return finish(file.impl.write(new BufferIo(Buffer.from(text)), file, task));
}
function read(file: FileDescription, count = 100, offset = 0): string {
  const bytes = new Uint8Array(count);
  const n = finish(file.impl.pread(new BufferIo(bytes), offset, file, task));
  return n < 0 ? `errno ${n}` : Buffer.from(bytes.subarray(0, n)).toString();
}
function names(of: Inode): string[] {
  const file = open(of, O_RDONLY);
  const found: string[] = [];
  file.impl.readdir(file, (name) => found.push(name) > 0, task);
  file.release();
  return found.sort();
}

describe.each([
  ['exclusive', true],
  ['shared', false],
])('%s mount', (kind, exclusive) => {
  let fs: GoferFilesystem;
  let root: GoferInode;
  beforeAll(() => {
    mkdirSync(at(kind));
    fs = mounted(exclusive);
    root = inode(fs.root.lookup(kind, null));
  });
  afterAll(async () => {
    fs.release();
    expect(await gofer.exited).toBe(0);
  });

  test('creates every kind of file with owner and mode', () => {
    const made = inode(root.create('file', { mode: 0o4751, ...OWNER }));
    inode(root.mkdir('dir', { mode: 0o1777, ...OWNER }));
    inode(root.mknod('fifo', { mode: S_IFIFO | 0o622, ...OWNER }, 0));
    inode(root.mknod('socket', { mode: S_IFSOCK | 0o755, ...OWNER }, 0));
    inode(root.symlink('link', 'some/where', { mode: 0o777, ...OWNER }));
    const expected = { file: S_IFREG | 0o4751, dir: S_IFDIR | 0o1777, fifo: S_IFIFO | 0o622, socket: S_IFSOCK | 0o755 };
    for (const [name, mode] of Object.entries(expected)) {
      const { mode: found, uid, gid } = lstatSync(at(`${kind}/${name}`));
      expect([name, found, uid, gid]).toEqual([name, mode, 1234, 2345]);
    }
    expect(lstatSync(at(`${kind}/link`)).uid).toBe(1234);
    expect(readlinkSync(at(`${kind}/link`))).toBe('some/where');
    expect(inode(root.lookup('link', null)).readlink()).toBe('some/where');
    expect(made.attributes()).toMatchObject({ mode: S_IFREG | 0o4751, uid: 1234, gid: 2345, size: 0, nlink: 1 });
    expect(root.create('file', { mode: 0o600, ...OWNER })).toBe(EEXIST);
    expect(root.mknod('null', { mode: 0o020666, ...OWNER }, 0x103)).toBe(EPERM);
    expect(names(root)).toEqual(['.', '..', 'dir', 'fifo', 'file', 'link', 'socket']);
  });

  test('reads, writes, appends, truncates', () => {
    const file = open(inode(root.lookup('file', null)), O_RDWR);
    expect(write(file, 'hello ')).toBe(6);
    expect(write(file, 'world')).toBe(5);
    expect(file.inode).toBeNull();
    expect(read(file)).toBe('hello world');
    expect(read(file, 3, 8)).toBe('rld');
    expect(read(file, 3, 11)).toBe('');
    expect(readFileSync(at(`${kind}/file`), 'utf8')).toBe('hello world');
    expect(inode(root.lookup('file', null)).attributes().size).toBe(11);
    const appender = open(inode(root.lookup('file', null)), O_WRONLY | O_APPEND);
    expect(write(appender, '!')).toBe(1);
    expect(read(file)).toBe('hello world!');
    expect(file.impl.truncate(file, 5, task.creds)).toBe(0);
    expect(read(file)).toBe('hello');
    expect(finish(file.impl.sync(file, false))).toBe(0);
    file.release();
    appender.release();
  });

  test('large transfers, holes, other sizes', () => {
    const big = inode(root.create('big', { mode: 0o600, ...OWNER }));
    const file = open(big, O_RDWR);
    const bytes = new Uint8Array(3_000_001).map((_, i) => i % 251);
    expect(finish(file.impl.write(new BufferIo(bytes), file, task))).toBe(bytes.length);
    expect(Buffer.compare(readFileSync(at(`${kind}/big`)), bytes)).toBe(0);
    const back = new Uint8Array(bytes.length + 10);
    expect(finish(file.impl.pread(new BufferIo(back), 0, file, task))).toBe(bytes.length);
    expect(Buffer.compare(back.subarray(0, bytes.length), bytes)).toBe(0);
    expect(big.attributes().size).toBe(bytes.length);
    file.impl.truncate(file, 100_000_000, task.creds);
    expect(file.impl.seek(file, 0, SEEK_HOLE)).toBeGreaterThan(0);
    expect(file.impl.seek(file, 50_000_000, SEEK_DATA)).toBe(-6);
    expect(file.impl.allocate(file, 0, 0, 4096, task.creds, task)).toBe(0);
    file.release();
    expect(big.attributes().size).toBe(100_000_000);
  });

  test('copies between files are the host’s', () => {
    const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) & 255));
    writeFileSync(at(`${kind}/original`), content);
    const from = open(inode(root.lookup('original', null)), O_RDONLY);
    const copied = inode(root.create('copied', { mode: 0o644, ...OWNER }));
    const to = open(copied, O_RDWR);
    const copy = (source: number, target: number, count: number, input = from): number =>
      finish(to.impl.copyFrom(input, source, to, target, count, task) ?? Number.NaN);
    expect(copy(1000, 5000, 250_000)).toBe(250_000);
    expect(copy(299_000, 0, 2000)).toBe(1000); // the file ends
    expect(copy(300_000, 0, 100)).toBe(0);
    const expected = Buffer.alloc(255_000);
    content.copy(expected, 5000, 1000, 251_000);
    content.copy(expected, 0, 299_000);
    expect(readFileSync(at(`${kind}/copied`)).equals(expected)).toBe(true);
    expect(copied.attributes().size).toBe(255_000);
    expect(copy(0, 300_000, 1000, to)).toBe(1000); // within one file
    const reader = open(copied, O_RDONLY);
    expect(finish(reader.impl.copyFrom(from, 0, reader, 0, 100, task) ?? Number.NaN)).not.toBe(100); // not for writing
    for (const file of [from, to, reader]) file.release();
  });

  test('data that is not in the page cache comes through the worker', () => {
    const file = open(inode(root.lookup('big', null)), O_RDONLY);
    const map = file.impl.mapping(file, false, 1);
    if (typeof map === 'number') throw new Error('mapping');
    host.fsync(map.hostFd);
    host.syscall(221 /* fadvise64 */, map.hostFd, 0, 0, 4 /* POSIX_FADV_DONTNEED */);
    const result = file.impl.pread(new BufferIo(new Uint8Array(1_000_000)), 0, file, task);
    expect(finish(result)).toBe(1_000_000);
    file.release();
  });

  test('attributes change', () => {
    const file = inode(root.lookup('file', null));
    const time = { sec: 1_000_000_000, nsec: 123_456_789 };
    expect(file.setAttributes({ mode: 0o640, uid: 7, gid: 8, size: 3, mtime: time, atime: { sec: -5, nsec: 1 } })).toBe(0);
    const s = statSync(at(`${kind}/file`), { bigint: true });
    expect([s.mode & 0o7777n, s.uid, s.gid, s.size]).toEqual([0o640n, 7n, 8n, 3n]);
    expect(s.mtimeNs).toBe(1_000_000_000_123_456_789n);
    expect(s.atimeNs).toBe(-4_999_999_999n);
    expect(file.attributes()).toMatchObject({ mode: S_IFREG | 0o640, uid: 7, gid: 8, size: 3, mtime: time, atime: { sec: -5, nsec: 1 } });
    expect(inode(root.lookup('link', null)).setAttributes({ uid: 9 })).toBe(0);
    expect(lstatSync(at(`${kind}/link`)).uid).toBe(9);
    expect(inode(root.lookup('link', null)).setAttributes({ mode: 0 })).toBe(EOPNOTSUPP);
  });

  test('links, renames, removals', () => {
    const file = inode(root.lookup('file', null));
    const dir = inode(root.lookup('dir', null));
    expect(dir.link('second', file)).toBe(0);
    expect(file.attributes().nlink).toBe(2);
    expect(inode(dir.lookup('second', null))).toBe(file);
    expect(root.unlink('file', file)).toBe(0);
    expect(root.lookup('file', null)).toBe(ENOENT);
    expect(file.attributes().nlink).toBe(1);
    expect(dir.rename('second', file, root, 'third', null, 0)).toBe(0);
    expect(inode(root.lookup('third', null)).ino).toBe(file.ino);
    expect(root.rmdir('dir', dir)).toBe(0);
    const a = inode(root.mkdir('a', { mode: 0o755, ...OWNER }));
    const b = inode(root.create('b', { mode: 0o644, ...OWNER }));
    expect(root.rename('a', a, root, 'b', b, RENAME_EXCHANGE)).toBe(0);
    expect(inode(root.lookup('a', null)).isRegular).toBe(true);
    expect(b.name).toBe('a');
    inode(a.create('inside', { mode: 0o644, ...OWNER }));
    expect(root.rmdir('b', a)).toBe(ENOTEMPTY);
    expect(existsSync(at(`${kind}/b/inside`))).toBe(true);
    expect(root.rename('b', a, root, 'renamed', null, 0)).toBe(0);
    const empty = inode(root.mkdir('empty', { mode: 0o755, ...OWNER }));
    expect(root.rmdir('empty', empty)).toBe(0);
    expect(empty.refresh()).toBe(0);
    expect(empty.lookup('x', null)).toBe(ENOENT);
    const reader = open(empty, O_RDONLY);
    expect(reader.impl.readdir(reader, () => true, task)).toBe(ENOENT);
    reader.release();
    expect(inode(a.lookup('inside', null)).name).toBe('inside');
  });

  test('an open file outlives its name', () => {
    const victim = inode(root.create('victim', { mode: 0o644, ...OWNER }));
    const file = open(victim, O_RDWR);
    write(file, 'still here');
    expect(root.unlink('victim', victim)).toBe(0);
    expect(victim.attributes()).toMatchObject({ nlink: 0, size: 10 });
    expect(read(file)).toBe('still here');
    expect(victim.setAttributes({ mode: 0o600 })).toBe(0);
    expect(victim.attributes().mode & 0o777).toBe(0o600);
    file.release();
    const temporary = inode(root.tmpfile({ mode: 0o640, ...OWNER }));
    const open2 = open(temporary, O_RDWR);
    write(open2, 'temp');
    expect(temporary.attributes()).toMatchObject({ nlink: 0, uid: 1234, size: 4 });
    expect(root.link('named', temporary)).toBe(0);
    expect(readFileSync(at(`${kind}/named`), 'utf8')).toBe('temp');
    open2.release();
  });

  test('extended attributes', () => {
    const file = inode(root.lookup('third', null));
    expect(file.setXattr('user.colour', Buffer.from('blue'), 0)).toBe(0);
    expect(file.listXattrs()).toEqual(['user.colour']);
    expect(Buffer.from(file.getXattr('user.colour') as Uint8Array).toString()).toBe('blue');
    expect(file.getXattr('user.none')).toBe(ENODATA);
    expect(file.getXattr('security.selinux')).toBe(ENODATA);
    expect(file.setXattr('trusted.overlay.opaque', Buffer.from('y'), 0)).toBe(EOPNOTSUPP);
    expect(file.removeXattr('user.colour')).toBe(0);
    expect(file.removeXattr('user.colour')).toBe(ENODATA);
  });

  test('what is neither file nor directory is not opened', () => {
    for (const name of ['fifo', 'socket', 'link']) {
      const found = inode(root.lookup(name, null));
      expect(typeof found.open(O_RDONLY, {} as OpenContext)).toBe('number');
    }
  });

  test('statfs', () => {
    expect(fs.stats()).toMatchObject({ namelen: 255 });
    expect((fs.stats() as FilesystemStats).blocks).toBeGreaterThan(0);
  });
});

test('an exclusive mount asks once', () => {
  const fs = mounted(true);
  const { client } = fs;
  mkdirSync(at('deep/a/b/c'), { recursive: true });
  writeFileSync(at('deep/a/b/c/file'), 'x'.repeat(100));
  for (let i = 0; i < 50; i++) symlinkSync(`t${i}`, at(`deep/l${i}`));
  const names1 = ['deep', 'a', 'b', 'c', 'file'];
  const before = client.roundTrips;
  let found: GoferInode = fs.root;
  for (const [index, name] of names1.entries()) found = inode(found.lookup(name, null, { names: names1, index }));
  expect(found.attributes().size).toBe(100);
  expect(client.roundTrips - before).toBe(1);
  const missing = ['deep', 'a', 'none', 'x'];
  const a = inode(inode(fs.root.lookup('deep', null, { names: missing, index: 0 })).lookup('a', null, { names: missing, index: 1 }));
  expect(a.lookup('none', null, { names: missing, index: 2 })).toBe(ENOENT);
  expect(client.roundTrips - before).toBe(2);

  const long = ['deep', 'x'.repeat(300), 'a'];
  expect(inode(fs.root.lookup('deep', null, { names: long, index: 0 })).isDirectory).toBe(true);

  const file = open(found, O_RDONLY);
  file.release();
  const opened = client.roundTrips;
  open(found, O_RDONLY).release();
  expect(client.roundTrips).toBe(opened);

  const deep = inode(fs.root.lookup('deep', null));
  const listed = client.roundTrips;
  expect(names(deep)).toHaveLength(53);
  expect(client.roundTrips - listed).toBe(1);
  for (let i = 0; i < 50; i++) expect(inode(deep.lookup(`l${i}`, null)).readlink()).toBe(`t${i}`);
  expect(deep.lookup('nothing', null)).toBe(ENOENT);
  expect(client.roundTrips - listed).toBe(1);
  fs.release();
});

test('a shared mount sees what others do', () => {
  const fs = mounted(false);
  const root = fs.root;
  writeFileSync(at('other'), 'one');
  const first = inode(root.lookup('other', null));
  writeFileSync(at('other'), 'longer');
  chmodSync(at('other'), 0o604);
  expect(first.revalidate(root, 'other')).toBe(true);
  expect(first.attributes()).toMatchObject({ size: 6, mode: S_IFREG | 0o604 });
  const file = open(first, O_RDONLY);
  truncateSync(at('other'), 2);
  expect(first.attributes().size).toBe(2); // fstat asks the descriptor
  writeFileSync(at('new'), 'replaced');
  renameSync(at('new'), at('other'));
  expect(first.revalidate(root, 'other')).toBe(false);
  expect(inode(root.lookup('other', null)).attributes().size).toBe(8);
  expect(first.attributes().nlink).toBe(0);
  expect(first.setAttributes({ mode: 0o600 })).toBe(0); // by its fid: not the new file
  expect(statSync(at('other')).mode & 0o777).toBe(0o644);
  file.release();
  rmSync(at('other'));
  expect(root.lookup('other', null)).toBe(ENOENT);
  // The mode of the directory itself is no older than the last look into it.
  mkdirSync(at('judged'));
  const judged = inode(root.lookup('judged', null));
  chmodSync(at('judged'), 0o700);
  expect(judged.lookup('x', null)).toBe(ENOENT);
  expect(judged.mode & 0o777).toBe(0o700);
  chmodSync(folder.path, 0o711);
  expect(root.lookup('x', null)).toBe(ENOENT);
  expect(root.mode & 0o777).toBe(0o711);
  // Opening again what was just open costs no more than looking whether it is the same.
  writeFileSync(at('again'), 'x');
  const again1 = inode(root.lookup('again', null));
  open(again1, O_RDONLY).release();
  const opens = fs.client.roundTrips;
  const second = open(again1, O_RDONLY);
  expect(read(second)).toBe('x');
  second.release();
  expect(fs.client.roundTrips).toBe(opens);
  // A walk of several names revalidates in one round trip.
  mkdirSync(at('s/t/u'), { recursive: true });
  const chain = ['s', 't', 'u'];
  let found: GoferInode = root;
  const inodes = chain.map((name, index) => (found = inode(found.lookup(name, null, { names: chain, index }))));
  const again = [...chain];
  const before = fs.client.roundTrips;
  for (const [index, name] of again.entries()) {
    const parent = index === 0 ? root : (inodes[index - 1] as GoferInode);
    expect((inodes[index] as GoferInode).revalidate(parent, name, { names: again, index })).toBe(true);
  }
  expect(fs.client.roundTrips - before).toBe(1);
  fs.release();
});

test('trees deeper than one message reaches', () => {
  const names = Array.from({ length: 300 }, (_, i) => `d${i}`);
  mkdirSync(at(names.join('/')), { recursive: true });
  for (const exclusive of [true, false]) {
    const fs = mounted(exclusive);
    let found = fs.root;
    for (const name of names) found = inode(found.lookup(name, null));
    fs.shrink(); // no fid but the root's is left
    expect(found.lookup('none', null)).toBe(ENOENT);
    expect(found.setAttributes({ mode: 0o711 })).toBe(0);
    fs.shrink();
    let again = fs.root;
    for (const [index, name] of names.entries()) again = inode(again.lookup(name, null, { names, index }));
    expect(again.attributes().mode & 0o777).toBe(0o711);
    fs.release();
  }
});

test('hard links of the host are one inode', () => {
  writeFileSync(at('h1'), 'x');
  linkSync(at('h1'), at('h2'));
  const fs = mounted(true);
  const one = inode(fs.root.lookup('h1', null));
  expect(inode(fs.root.lookup('h2', null))).toBe(one);
  expect(fs.root.unlink('h1', one)).toBe(0);
  expect(one.setAttributes({ mode: 0o611 })).toBe(0);
  expect(statSync(at('h2')).mode & 0o777).toBe(0o611);
  fs.release();
});

test('a read-only mount refuses every change itself', () => {
  mkdirSync(at('ro'));
  writeFileSync(at('ro/file'), 'x');
  gofer = startGofer([{ name: 'ro', path: at('ro'), readonly: true }]);
  const fs = mountGofer(kernel, gofer.socket, 'ro', true);
  const root = fs.root;
  const file = inode(root.lookup('file', null));
  const options = { mode: 0o644, ...OWNER };
  expect(root.create('x', options)).toBe(EROFS);
  expect(root.mkdir('x', options)).toBe(EROFS);
  expect(root.symlink('x', 'y', options)).toBe(EROFS);
  expect(root.mknod('x', { ...options, mode: S_IFIFO }, 0)).toBe(EROFS);
  expect(root.tmpfile(options)).toBe(EROFS);
  expect(root.link('x', file)).toBe(EROFS);
  expect(root.unlink('file', file)).toBe(EROFS);
  expect(root.rename('file', file, root, 'x', null, 0)).toBe(EROFS);
  expect(file.setAttributes({ size: 0 })).toBe(EROFS);
  expect(file.setXattr('user.x', Buffer.from('y'), 0)).toBe(EROFS);
  expect(file.open(O_RDWR, {} as OpenContext)).toBe(EROFS);
  const open1 = open(file, O_RDONLY);
  expect(read(open1)).toBe('x');
  // The descriptor that came over has no more rights than the mount.
  const map = open1.impl.mapping(open1, false, 1);
  if (typeof map === 'number') throw new Error('mapping');
  expect(host.fcntl(map.hostFd, 3 /* F_GETFL */) & 3).toBe(O_RDONLY);
  expect(host.write(map.hostFd, Uint8Array.of(1))).toBe(-9);
  expect(host.ftruncate(map.hostFd, 0)).toBe(-22);
  open1.release();
  fs.release();
  expect(readdirSync(at('ro'))).toEqual(['file']);
});

test('a single file can be a mount', () => {
  writeFileSync(at('single'), 'alone');
  gofer = startGofer([{ name: 'hosts', path: at('single') }]);
  const fs = mountGofer(kernel, gofer.socket, 'hosts', false);
  expect(fs.root.mode & S_IFMT).toBe(S_IFREG);
  expect(typeof fs.root.lookup('x', null)).toBe('number');
  const file = open(fs.root, O_RDWR);
  expect(read(file)).toBe('alone');
  write(file, 'A');
  expect(fs.root.refresh()).toBe(0);
  file.release();
  fs.release();
  expect(readFileSync(at('single'), 'utf8')).toBe('Alone');
});

test('links lead nowhere', () => {
  symlinkSync('/etc', at('out'));
  symlinkSync('..', at('up'));
  const fs = mounted(true);
  const out = inode(fs.root.lookup('out', null));
  expect(out.mode & S_IFMT).toBe(S_IFLNK);
  expect(out.lookup('passwd', null)).toBe(ELOOP);
  expect(inode(fs.root.lookup('up', null)).lookup('etc', null)).toBe(ELOOP);
  for (const name of ['..', '.', '', 'a/b', '../etc']) expect(fs.root.lookup(name, null)).toBeLessThan(0);
  expect([EACCES, ESTALE]).not.toContain(fs.root.lookup('up', null));
  fs.release();
});

test('a dead gofer gives EIO at once, and one line in the log', async () => {
  const fs = mounted(false);
  logged.length = 0;
  expect(inode(fs.root.mkdir('before', { mode: 0o755, ...OWNER })).isDirectory).toBe(true);
  gofer.child.kill('SIGKILL');
  await gofer.exited;
  expect(fs.root.lookup('before', null)).toBe(EIO);
  expect(fs.root.mkdir('after', { mode: 0o755, ...OWNER })).toBe(EIO);
  expect(logged).toEqual([expect.stringMatching(/^gofer: .*EIO/)]);
});
