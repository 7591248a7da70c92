/** Going through a tree on an exclusive mount: what is fetched ahead, that it is right, and that changes of our own are seen in it. */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ENOENT } from '../abi/errno.ts';
import { O_RDONLY, O_WRONLY } from '../abi/fcntl.ts';
import type { GoferFilesystem } from '../sentry/fs/gofer/filesystem.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';
import { rootCredentials } from '../sentry/kernel/credentials.ts';
import type { Kernel } from '../sentry/kernel/kernel.ts';
import type { Task } from '../sentry/kernel/task.ts';
import type { Inode } from '../sentry/vfs/inode.ts';
import { BufferIo } from '../sentry/vfs/io.ts';
import { buildGofer, type GoferProcess, idleKernel, inode, mountGofer, open, startGofer, temporaryFolder } from './gofer_process.ts';

const DIRECTORIES = 40;
const FILES = 6;
const OPTIONS = { mode: 0o644, uid: 0, gid: 0 };
const folder = temporaryFolder(true);
const at = (path: string): string => join(folder.path, path);
let kernel: Kernel;
let task: Task;
let gofer: GoferProcess;
let fs: GoferFilesystem;

beforeAll(() => {
  buildGofer();
  kernel = idleKernel();
  task = { kernel, creds: rootCredentials() } as Task;
  for (let d = 0; d < DIRECTORIES; d++) {
    mkdirSync(at(`tree/d${d}/sub`), { recursive: true });
    for (let f = 0; f < FILES; f++) writeFileSync(at(`tree/d${d}/f${f}`), `${d} ${f}`);
    writeFileSync(at(`tree/d${d}/sub/deep`), `${d}`);
    symlinkSync(`target${d}`, at(`tree/d${d}/link`));
  }
});
afterAll(() => folder.remove());
beforeEach(() => {
  gofer = startGofer([{ name: '/', path: folder.path }]);
  fs = mountGofer(kernel, gofer.socket, '/', true);
});
afterEach(async () => {
  fs.release();
  expect(await gofer.exited).toBe(0);
});

function content(of: Inode): string {
  const file = open(of, O_RDONLY);
  const bytes = new Uint8Array(100);
  const n = file.impl.pread(new BufferIo(bytes), 0, file, task) as number;
  file.release();
  return Buffer.from(bytes.subarray(0, n)).toString();
}
function names(of: Inode): string[] {
  const file = open(of, O_RDONLY);
  const found: string[] = [];
  file.impl.readdir(file, (name) => found.push(name) > 0, task);
  file.release();
  return found.filter((name) => name !== '.' && name !== '..');
}
/** As tar does: a directory's names, then each in turn. Says what it has seen. */
function goThrough(directory: Inode, path: string, seen: Map<string, string>): void {
  for (const name of names(directory)) {
    const child = inode(directory.lookup(name, null));
    const place = `${path}/${name}`;
    if (child.isDirectory) goThrough(child, place, seen);
    else seen.set(place, child.isSymlink ? `-> ${child.readlink()}` : content(child));
  }
}
function onTheHost(path: string, seen: Map<string, string>): Map<string, string> {
  for (const entry of readdirSync(at(path), { withFileTypes: true })) {
    const place = `${path}/${entry.name}`;
    if (entry.isDirectory()) onTheHost(place, seen);
    else seen.set(place, entry.isSymbolicLink() ? `-> ${readlinkSync(at(place))}` : readFileSync(at(place), 'latin1'));
  }
  return seen;
}

test('a whole tree takes a few round trips, and is what the host shows', () => {
  const tree = inode(fs.root.lookup('tree', null));
  const before = fs.client.roundTrips;
  const seen = new Map<string, string>();
  goThrough(tree, 'tree', seen);
  // 81 directories are listed, 280 files opened.
  expect(fs.client.roundTrips - before).toBeLessThan(60);
  expect([...seen].sort()).toEqual([...onTheHost('tree', new Map())].sort());
});

test('single directories and files bring nothing with them', () => {
  const tree = inode(fs.root.lookup('tree', null));
  names(tree);
  const before = fs.client.roundTrips;
  for (const name of ['d7', 'd3']) {
    const directory = inode(tree.lookup(name, null));
    expect(content(inode(directory.lookup('f4', null)))).toBe(`${name.slice(1)} 4`);
    expect(content(inode(directory.lookup('f1', null)))).toBe(`${name.slice(1)} 1`);
  }
  const asked = fs.client.roundTrips - before;
  expect(asked).toBe(8); // a look-up and an open each: nothing was listed, nothing was there
});

test('changes of our own show in what was fetched ahead', () => {
  const tree = inode(fs.root.lookup('tree', null));
  const order = names(tree);
  const directories = order.map((name) => inode(tree.lookup(name, null)));
  // The third of them comes with others behind it.
  for (const directory of directories.slice(0, 3)) names(directory);
  const [changed, other, moved] = directories.slice(3, 6) as [GoferInode, GoferInode, GoferInode];
  inode(changed.create('new', OPTIONS));
  expect(names(changed)).toContain('new');
  const file = inode(other.lookup('f0', null));
  const writer = open(file, O_WRONLY);
  expect(writer.impl.pwrite(new BufferIo(Buffer.from('longer than before')), 0, writer, task)).toBe(18);
  writer.release();
  expect(inode(other.lookup('f0', null)).attributes().size).toBe(18);
  expect(other.unlink('f1', inode(other.lookup('f1', null)))).toBe(0);
  expect(other.lookup('f1', null)).toBe(ENOENT);
  expect(names(other)).not.toContain('f1');
  expect(tree.rename(moved.name, moved, tree, 'elsewhere', null, 0)).toBe(0);
  expect(names(inode(tree.lookup('elsewhere', null)))).toContain('sub');
  const seen = new Map<string, string>();
  goThrough(tree, 'tree', seen);
  expect([...seen].sort()).toEqual([...onTheHost('tree', new Map())].sort());
});

test('a file that is removed is not kept by a descriptor that was fetched ahead', () => {
  const tree = inode(fs.root.lookup('tree', null));
  const directory = inode(tree.lookup(names(tree)[20] as string, null));
  const files = names(directory).filter((name) => name.startsWith('f'));
  for (const name of files.slice(0, 3)) content(inode(directory.lookup(name, null)));
  const next = files[3] as string;
  const open = (): string[] =>
    readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return [readlinkSync(`/proc/self/fd/${fd}`)];
      } catch {
        return [];
      }
    });
  expect(open().some((path) => path.endsWith(`/${next}`))).toBe(true);
  expect(directory.unlink(next, inode(directory.lookup(next, null)))).toBe(0);
  expect(open().some((path) => path.includes(`/${next}`))).toBe(false);
});
