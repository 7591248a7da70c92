/**
 * What the gofer's round trips cost: prints one line each. Needs root.
 * esbuild bench/gofer_cost.ts --bundle --platform=node --external:esbuild --outfile=dist/gofer_cost.cjs && node dist/gofer_cost.cjs [FOLDER]
 * With FOLDER it also lists and looks up everything below it once, as `find -size` would on an exclusive mount.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { O_RDONLY } from '../abi/fcntl.ts';
import { buildGofer, idleKernel, mountGofer, startGofer, temporaryFolder } from '../integration/gofer_process.ts';
import type { GoferInode } from '../sentry/fs/gofer/inode.ts';
import { FileDescription } from '../sentry/vfs/file.ts';
import { BufferIo } from '../sentry/vfs/io.ts';

buildGofer();
const folder = temporaryFolder();
const at = (path: string): string => join(folder.path, path);
const kernel = idleKernel((line) => console.error(line));

function measure(what: string, rounds: number, run: (i: number) => void): void {
  for (let i = 0; i < Math.min(rounds, 200); i++) run(i);
  const times = new Float64Array(5);
  for (let set = 0; set < times.length; set++) {
    const start = kernel.now();
    for (let i = 0; i < rounds; i++) run(i);
    times[set] = (kernel.now() - start) / rounds / 1000;
  }
  times.sort();
  console.log(`${what.padEnd(56)} ${(times[2] as number).toFixed(1).padStart(9)} µs`);
}
function inode(value: unknown): GoferInode {
  if (typeof value === 'number') throw new Error(`errno ${value}`);
  return value as GoferInode;
}

mkdirSync(at('a/b/c/d'), { recursive: true });
writeFileSync(at('a/b/c/d/file'), 'x'.repeat(65536));
mkdirSync(at('thousand'));
for (let i = 0; i < 1000; i++) writeFileSync(at(`thousand/name-${i}`), '');
symlinkSync('x', at('link'));
mkdirSync(at('made'));

const gofer = startGofer([{ name: '/', path: folder.path }]);
const fs = mountGofer(kernel, gofer.socket, '/', false);
const { root } = fs;
const path = ['a', 'b', 'c', 'd', 'file'];
measure('attributes of a known object', 5000, () => root.refresh());
measure('look up one name', 5000, () => inode(root.lookup('a', null)));
measure('look up a name that is not there', 5000, () => root.lookup('none', null));
measure('cold path of 5 names', 3000, () => {
  const names = [...path];
  let found: GoferInode = root;
  for (const [index, name] of names.entries()) found = inode(found.lookup(name, null, { names, index }));
});
const names = [...path];
let file: GoferInode = root;
for (const [index, name] of names.entries()) file = inode(file.lookup(name, null, { names, index }));
measure('open and close, descriptor donated', 3000, () => {
  const impl = file.open(O_RDONLY, {} as never);
  if (typeof impl === 'number') throw new Error('open');
  impl.release({} as never);
  fs.dropIdle(file);
});
const made = inode(root.lookup('made', null));
const files: GoferInode[] = [];
let serial = 0;
measure('create a file', 500, () => files.push(inode(made.create(`n${serial++}`, { mode: 0o644, uid: 0, gid: 0 }))));
measure('unlink a file', 500, () => {
  const file = files.pop();
  if (file !== undefined) made.unlink(file.name, file);
});
measure('create, write 100 bytes, close, unlink', 1000, (i) => {
  const file = inode(made.create(`f${i}`, { mode: 0o644, uid: 0, gid: 0 }));
  const impl = file.open(2, {} as never);
  if (typeof impl === 'number') throw new Error('open');
  const description = new FileDescription(impl, 2);
  impl.write(new BufferIo(new Uint8Array(100)), description, { kernel } as never);
  description.release();
  made.unlink(`f${i}`, file);
});
measure('list 1000 files with attributes', 30, () => {
  const impl = inode(root.lookup('thousand', null)).open(O_RDONLY, {} as never);
  if (typeof impl === 'number') throw new Error('open');
  impl.readdir({ position: 0, path: null } as never, () => true, {} as never);
});
const impl = file.open(O_RDONLY, {} as never);
if (typeof impl === 'number') throw new Error('open');
const description = new FileDescription(impl, O_RDONLY);
const page = new Uint8Array(4096);
measure('pread 4 KiB through the donated descriptor', 20000, () => impl.pread(new BufferIo(page), 8192, description, { kernel } as never));
const block = new Uint8Array(65536);
measure('pread 64 KiB', 5000, () => impl.pread(new BufferIo(block), 0, description, { kernel } as never));
measure('fstat of an open file (shared mount)', 20000, () => file.attributes());

/** How many objects are below a directory, each looked up and its attributes asked for. */
function visit(directory: GoferInode): number {
  const impl = directory.open(O_RDONLY, {} as never);
  if (typeof impl === 'number') throw new Error('open');
  const found: string[] = [];
  impl.readdir({ position: 0, path: null } as never, (name) => found.push(name) > 0, {} as never);
  let count = 0;
  for (const name of found) {
    if (name === '.' || name === '..') continue;
    const child = inode(directory.lookup(name, null));
    count += child.attributes().nlink > 0 && child.isDirectory ? 1 + visit(child) : 1;
  }
  return count;
}
const tree = process.argv[2];
if (tree !== undefined) {
  const other = mountGofer(kernel, startGofer([{ name: '/', path: tree }]).socket, '/', true);
  const start = kernel.now();
  const count = visit(other.root);
  const us = (kernel.now() - start) / 1000 / count;
  console.log(`${tree}: ${count} objects, ${other.client.roundTrips} round trips, ${us.toFixed(1)} µs each`);
  other.release();
}
fs.release();
gofer.exited.then(() => folder.remove());
