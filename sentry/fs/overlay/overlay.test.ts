import { EEXIST, ENODATA, ENOENT, ENOTEMPTY } from '../../../abi/errno.ts';
import { AT_FDCWD, O_APPEND, O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY } from '../../../abi/fcntl.ts';
import { PROT_READ } from '../../../abi/mman.ts';
import { FileMachine, type FileUser } from '../../testing/fake_files.ts';
import { type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import { OverlayFs } from './overlay_fs.ts';

function image(...populate: ((u: FileUser) => void)[]): { u: FileUser; lowers: FileUser[] } {
  const lowers = populate.map((fill) => {
    const lower = new FileMachine().user();
    fill(lower);
    return lower;
  });
  const roots: Inode[] = lowers.map((l) => l.machine.ns.root.fs.root);
  const machine = new FileMachine(({ kernel }) => new OverlayFs(kernel, kernel.uniqueId(), roots));
  return { u: machine.user(), lowers };
}

function base(u: FileUser): void {
  u.call('mkdir', '/etc', 0o755);
  u.call('mkdir', '/etc/sub', 0o750);
  u.file('/etc/passwd', 'root:x:0:0');
  u.file('/etc/group', 'root:x:0:');
  u.file('/etc/sub/deep', 'deep');
  u.call('symlink', 'passwd', '/etc/link');
  u.file('/big', 'x'.repeat(200_000));
  u.call('link', '/big', '/big2');
  u.call('setxattr', '/etc/passwd', 'user.tag', Buffer.from('t'), 1, 0);
}

test('the lower layer shows through, with its inode numbers', () => {
  const { u, lowers } = image(base);
  expect(u.content('/etc/passwd')).toBe('root:x:0:0');
  expect(u.content('/etc/link')).toBe('root:x:0:0');
  expect(u.list('/etc').sort()).toEqual(['group', 'link', 'passwd', 'sub']);
  const above = u.stat('/etc/passwd');
  const below = lowers[0]?.stat('/etc/passwd');
  expect(above).toMatchObject({ st_ino: (below as { st_ino: number }).st_ino, st_mode: 0o100644 });
  expect(u.stat('/etc/nothing')).toBe(ENOENT);
});

test('writing leaves the lower file alone; readers that were open see the new content', () => {
  const { u, lowers } = image(base);
  const early = u.open('/etc/passwd', O_RDONLY);
  expect(u.read(early, 4)).toBe('root');
  const before = u.stat('/etc/passwd') as { st_ino: number };
  const fd = u.open('/etc/passwd', O_WRONLY | O_APPEND);
  u.write(fd, '\nme');
  expect(u.content('/etc/passwd')).toBe('root:x:0:0\nme');
  expect(u.read(early)).toBe(':x:0:0\nme');
  expect(u.stat('/etc/passwd')).toMatchObject({ st_ino: before.st_ino, st_size: 13 });
  expect(lowers[0]?.content('/etc/passwd')).toBe('root:x:0:0');
  const big = u.open('/big', O_RDWR);
  expect(u.call('pwrite64', big, Buffer.from('Y'), 1, 100_000)).toBe(1);
  expect((u.content('/big2') as string).slice(99_999, 100_002)).toBe('xYx');
  expect(u.stat('/big2')).toMatchObject({ st_nlink: 2, st_size: 200_000 });
});

test('truncation at open copies nothing', () => {
  const { u } = image(base);
  u.call('close', u.open('/big', O_WRONLY | O_TRUNC));
  expect(u.stat('/big')).toMatchObject({ st_size: 0, st_blocks: 0 });
  u.call('truncate', '/etc/group', 4);
  expect(u.content('/etc/group')).toBe('root');
});

test('attributes change without the content', () => {
  const { u, lowers } = image(base);
  expect(u.call('chmod', '/big', 0o600)).toBe(0);
  expect(u.call('chown', '/etc', 5, 6)).toBe(0);
  expect(u.stat('/big')).toMatchObject({ st_mode: 0o100600, st_size: 200_000 });
  expect(u.stat('/etc')).toMatchObject({ st_uid: 5, st_gid: 6 });
  expect(lowers[0]?.stat('/big')).toMatchObject({ st_mode: 0o100644 });
  expect(u.fetch(8, (a) => u.call('getxattr', '/etc/passwd', 'user.tag', a, 8))).toBe('t');
  expect(u.call('setxattr', '/etc/passwd', 'user.more', Buffer.from('m'), 1, 0)).toBe(0);
  expect(u.fetch(64, (a) => u.call('listxattr', '/etc/passwd', a, 64))).toBe('user.tag\0user.more\0');
});

test('removing and making again', () => {
  const { u } = image(base);
  expect(u.call('rmdir', '/etc')).toBe(ENOTEMPTY);
  expect(u.call('unlink', '/etc/passwd')).toBe(0);
  expect(u.stat('/etc/passwd')).toBe(ENOENT);
  expect(u.list('/etc').sort()).toEqual(['group', 'link', 'sub']);
  u.file('/etc/passwd', 'new');
  expect(u.content('/etc/passwd')).toBe('new');
  for (const path of ['/etc/sub/deep', '/etc/group', '/etc/link', '/etc/passwd']) expect(u.call('unlink', path)).toBe(0);
  expect(u.call('rmdir', '/etc/sub')).toBe(0);
  expect(u.call('rmdir', '/etc')).toBe(0);
  u.call('mkdir', '/etc', 0o755);
  expect(u.list('/etc')).toEqual([]);
  expect(u.stat('/etc/passwd')).toBe(ENOENT);
});

test('directories of the lower layer move with what is in them', () => {
  const { u } = image(base);
  u.file('/etc/upper', 'u');
  expect(u.call('rename', '/etc', '/conf')).toBe(0);
  expect(u.stat('/etc')).toBe(ENOENT);
  expect(u.content('/conf/sub/deep')).toBe('deep');
  expect(u.list('/conf').sort()).toEqual(['group', 'link', 'passwd', 'sub', 'upper']);
  expect(u.call('mkdir', '/etc', 0o755)).toBe(0);
  expect(u.list('/etc')).toEqual([]);
  expect(u.call('renameat2', AT_FDCWD, '/conf/sub', AT_FDCWD, '/etc', 2)).toBe(0);
  expect(u.content('/etc/deep')).toBe('deep');
  expect(u.call('rename', '/conf/passwd', '/etc/deep')).toBe(0);
  expect(u.content('/etc/deep')).toBe('root:x:0:0');
});

test('reading a directory while it is emptied', () => {
  const { u } = image((l) => {
    l.call('mkdir', '/d', 0o755);
    for (let i = 0; i < 50; i++) l.file(`/d/f${i}`, '');
  });
  const fd = u.open('/d', O_DIRECTORY);
  const seen: string[] = [];
  for (let some = u.entries(fd, 200); some.length > 0; some = u.entries(fd, 200)) {
    for (const name of some) if (name.startsWith('f')) expect(u.call('unlink', `/d/${name}`)).toBe(0);
    seen.push(...some);
  }
  expect(seen).toHaveLength(52);
  expect(u.call('rmdir', '/d')).toBe(0);
});

test('several layers: merged directories, whiteouts, opaque directories', () => {
  const top = (l: FileUser): void => {
    l.call('mkdir', '/etc', 0o755);
    l.file('/etc/passwd', 'top');
    l.call('mknod', '/etc/group', 0o020000, 0);
    l.call('mkdir', '/etc/sub', 0o755);
    l.call('setxattr', '/etc/sub', 'trusted.overlay.opaque', Buffer.from('y'), 1, 0);
    l.file('/etc/sub/fresh', 'f');
  };
  const { u } = image(top, base);
  expect(u.list('/etc').sort()).toEqual(['link', 'passwd', 'sub']);
  expect(u.content('/etc/link')).toBe('top');
  expect(u.stat('/etc/group')).toBe(ENOENT);
  expect(u.list('/etc/sub')).toEqual(['fresh']);
  expect(u.open('/etc/group', O_CREAT | O_RDWR)).toBeGreaterThanOrEqual(0);
  expect(u.call('mkdir', '/etc/group', 0o755)).toBe(EEXIST);
});

test('mappings: of the lower file until it is written', () => {
  const { u } = image(base);
  const fd = u.open('/big', O_RDONLY);
  const file = u.task.fds.get(fd) as FileDescription;
  const before = file.impl.mapping(file, false, PROT_READ) as { hostFd: number };
  u.call('pwrite64', u.open('/big', O_RDWR), Buffer.from('Z'), 1, 0);
  const after = file.impl.mapping(file, false, PROT_READ) as { hostFd: number };
  expect(after.hostFd).not.toBe(before.hostFd);
  expect(file.impl).toBeInstanceOf(FileImpl);
});

test('known paths cost the lower layer nothing', () => {
  const { u, lowers } = image(base);
  u.stat('/etc/sub/deep');
  u.list('/etc');
  let asked = 0;
  const { root } = (lowers[0] as FileUser).machine.ns.root.fs;
  const etc = root.lookup('etc', null) as Inode;
  for (const inode of [root, etc]) {
    const { lookup } = inode;
    inode.lookup = (...args) => {
      asked++;
      return lookup.apply(inode, args);
    };
  }
  u.stat('/etc/sub/deep');
  u.stat('/etc/missing');
  u.stat('/etc/missing2');
  expect(asked).toBe(0);
});

test('a write takes file capabilities', () => {
  const cap = Buffer.from([0, 0, 0, 2, ...new Uint8Array(16)]);
  const { u } = image((l) => {
    l.file('/ping', 'elf');
    l.call('setxattr', '/ping', 'security.capability', cap, 20, 0);
  });
  u.file('/own', 'elf');
  u.call('setxattr', '/own', 'security.capability', cap, 20, 0);
  for (const path of ['/ping', '/own']) {
    expect(u.call('chmod', path, 0o755)).toBe(0);
    expect(u.call('getxattr', path, 'security.capability', 0, 0)).toBe(20);
    u.write(u.open(path, O_WRONLY), 'x');
    expect(u.call('getxattr', path, 'security.capability', 0, 0)).toBe(ENODATA);
  }
});
