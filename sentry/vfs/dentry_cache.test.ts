import { ENOENT } from '../../abi/errno.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { FileMachine } from '../testing/fake_files.ts';
import type { Dentry } from './path.ts';

test('a flood of missing names does not stay', () => {
  const u = new FileMachine().user();
  const { fs } = u.machine.ns.root;
  u.call('mkdir', '/d', 0o755);
  u.file('/d/open', 'content');
  u.file('/d/closed', 'c');
  const fd = u.open('/d/open', O_RDONLY);
  fs.sweepAt = 100;
  for (let i = 0; i < 500; i++) expect(u.stat(`/d/none${i}`)).toBe(ENOENT);
  const directory = fs.rootDentry?.children?.get('d') as Dentry;
  // The step is wide: one sweep has run, at the hundredth name.
  expect(directory.children?.has('none0')).toBe(false);
  expect(directory.children?.has('none499')).toBe(true);
  expect(directory.children?.has('closed')).toBe(false);
  expect(directory.children?.has('open')).toBe(true);
  expect(u.content('/d/closed')).toBe('c');
  expect(u.call('rename', '/d/open', '/d/moved')).toBe(0);
  expect(u.read(fd)).toBe('content');
  u.call('close', fd);
});

test('what was missing is there once it is made, however', () => {
  const u = new FileMachine().user();
  for (const path of ['/a', '/b', '/c', '/e', '/f']) expect(u.stat(path)).toBe(ENOENT);
  u.file('/a', 'a');
  u.call('link', '/a', '/b');
  u.call('symlink', 'a', '/c');
  u.call('mkdir', '/e', 0o755);
  u.call('rename', '/b', '/f');
  for (const path of ['/a', '/c', '/f']) expect(u.content(path)).toBe('a');
  expect(u.stat('/b')).toBe(ENOENT);
  expect(u.stat('/e')).toMatchObject({ st_nlink: 2 });
});
