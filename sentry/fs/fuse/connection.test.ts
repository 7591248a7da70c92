/** The server's side of a connection, with messages that no server should send. */
import { EAGAIN, ECONNABORTED, EINVAL, EIO, ELOOP, ENODEV, ENOENT } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { ROOT_USER_NAMESPACE } from '../../kernel/user_namespace.ts';
import { FakeMachine, type FakeTask } from '../../testing/fake_task.ts';
import { Dentry } from '../../vfs/path.ts';
import { FuseConnection } from './connection.ts';
import { FuseFilesystem } from './filesystem.ts';
import type { FuseInode } from './inode.ts';
import { parseFuseOptions } from './mount_options.ts';
import { lookupRequest } from './names.ts';
import type { FuseRequest } from './request.ts';

const ROOM = 1 << 20;

function mounted(options = '') {
  const machine = new FakeMachine();
  const task = machine.process() as FakeTask;
  const parsed = parseFuseOptions(`fd=3,rootmode=40000,user_id=0,group_id=0${options}`, ROOT_USER_NAMESPACE);
  if (typeof parsed === 'number') throw new Error('options');
  const connection = new FuseConnection(machine.kernel, parsed, ROOT_USER_NAMESPACE, machine.kernel.rootPidNamespace);
  const fs = new FuseFilesystem(machine.kernel, connection);
  connection.start();
  return { machine, task, connection, fs };
}

function answer(unique: number, body: Uint8Array, error = 0, len = 16 + body.length): Uint8Array {
  const out = new Uint8Array(16 + body.length);
  F.FuseOutHeader.write(new DataView(out.buffer), 0, { len, error, unique });
  out.set(body, 16);
  return out;
}

const NOTHING = new Uint8Array(0);
const INIT = F.FuseInitOut.encode({
  major: 7,
  minor: 31,
  max_readahead: 0,
  flags: 0,
  max_background: 1,
  congestion_threshold: 1,
  max_write: 131072,
  time_gran: 1,
  max_pages: 0,
});

/** A live connection, and a LOOKUP that the server has read. */
function asked() {
  const world = mounted();
  const { connection, task, fs } = world;
  const init = connection.next(ROOM) as Uint8Array;
  const { opcode, unique } = F.FuseInHeader.decode(init);
  expect(opcode).toBe(F.FUSE_INIT);
  expect(connection.receive(answer(unique, INIT))).toBe(80);
  const request: FuseRequest = lookupRequest(fs.root, 'name');
  request.begin(task);
  const header = F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array);
  expect(header).toMatchObject({ opcode: F.FUSE_LOOKUP, nodeid: 1n, uid: 0, gid: 0 });
  return { ...world, request, unique: header.unique };
}

function entry(change: { nodeid?: bigint; mode?: number; size?: number; nlink?: number }): Uint8Array {
  const { nodeid = 2n, mode = 0o100644, size = 0, nlink = 1 } = change;
  const out = new Uint8Array(F.FuseEntryOut.size);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, nodeid, true);
  const at = F.FuseEntryOut.offsets.__attr;
  view.setUint32(at + F.FuseAttr.offsets.mode, mode, true);
  view.setUint32(at + F.FuseAttr.offsets.nlink, nlink, true);
  view.setBigUint64(at + F.FuseAttr.offsets.size, BigInt(size), true);
  return out;
}

test('nothing but INIT is sent before it is answered', () => {
  const { connection, task, fs } = mounted();
  lookupRequest(fs.root, 'early').begin(task);
  const init = F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array);
  expect(connection.next(ROOM)).toBe(EAGAIN);
  connection.receive(answer(init.unique, INIT));
  expect(F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array).opcode).toBe(F.FUSE_LOOKUP);
});

test.each([
  ['another major version', new Uint8Array([8, 0, 0, 0, 31, 0, 0, 0, ...new Array(56).fill(0)])],
  ['nothing but a version', new Uint8Array([7, 0, 0, 0, 31, 0, 0, 0])],
])('INIT with %s ends the connection', (_what, body) => {
  const { connection } = mounted();
  const { unique } = F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array);
  connection.receive(answer(unique, body));
  expect(connection.state).toBe('dead');
  expect(connection.next(ROOM)).toBe(ENODEV);
});

test.each([
  ['no type', { mode: 0o644 }],
  ['bits beyond the mode', { mode: 0x1_0000 | 0o100644 }],
  ['a size beyond 2^53', { size: 2 ** 60 }],
  ['the root', { nodeid: 1n, mode: 0o40755 }],
])('an entry with %s is EIO', (_what, change) => {
  const { connection, request, unique, fs } = asked();
  expect(connection.receive(answer(unique, entry(change)))).toBe(16 + F.FuseEntryOut.size);
  expect(request.error).toBe(EIO);
  expect(fs.nodes.size).toBe(1);
});

test('messages whose form is wrong are refused, and their request does not wait for ever', () => {
  const { connection, request, unique } = asked();
  expect(connection.receive(new Uint8Array(15))).toBe(EINVAL);
  expect(connection.receive(answer(unique, NOTHING, 0, 17))).toBe(EINVAL);
  expect(connection.receive(answer(unique, NOTHING, 1))).toBe(EINVAL);
  expect(connection.receive(answer(unique, NOTHING, -512))).toBe(EINVAL);
  expect(connection.receive(answer(unique + 2, NOTHING, -2))).toBe(ENOENT);
  expect(request.done).toBe(false);
  expect(connection.receive(answer(unique, new Uint8Array(127)))).toBe(EINVAL);
  expect(request).toMatchObject({ done: true, error: EIO });
  expect(connection.receive(answer(unique, entry({})))).toBe(ENOENT);
});

test('an answer whose asker is gone is counted all the same, and given back', () => {
  const { connection, request, unique, fs, machine } = asked();
  request.abandon();
  expect(F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array)).toMatchObject({ opcode: F.FUSE_INTERRUPT, unique: unique + 1 });
  connection.receive(answer(unique, entry({})));
  expect(fs.nodes.find(2n)?.lookups).toBe(1);
  machine.kernel.rootPidNamespace.tasks.clear();
  machine.advance(1e9);
  expect(F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array)).toMatchObject({ opcode: F.FUSE_FORGET, nodeid: 2n });
});

test('the same number with another type is another object', () => {
  const { connection, unique, fs, task } = asked();
  connection.receive(answer(unique, entry({})));
  const first = fs.nodes.find(2n);
  const again = lookupRequest(fs.root, 'name');
  again.begin(task);
  connection.receive(answer(F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array).unique, entry({ mode: 0o40755 })));
  expect(fs.nodes.find(2n)).not.toBe(first);
  expect(first?.gone).toBe(true);
  expect(fs.nodes.find(2n)?.lookups).toBe(2);
});

test('forgotten nodes beyond a number go before requests', () => {
  const { connection, task, fs } = asked();
  const opcodes = (count: number): number[] =>
    Array.from({ length: count }, () => F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array).opcode);
  for (let i = 0; i < 65_536; i++) connection.forget(BigInt(i + 10), 1);
  lookupRequest(fs.root, 'first').begin(task);
  expect(opcodes(1)).toEqual([F.FUSE_LOOKUP]);
  lookupRequest(fs.root, 'second').begin(task);
  connection.forget(9n, 1);
  expect(opcodes(3)).toEqual([F.FUSE_BATCH_FORGET, F.FUSE_LOOKUP, F.FUSE_BATCH_FORGET]);
});

/** A directory's dentry below `parent`, as a server tells of it that answers every look-up with the node `nodeid`. */
function found(world: ReturnType<typeof asked>, parent: Dentry, name: string, nodeid: bigint): { error: number; dentry: Dentry } {
  const { connection, task } = world;
  const request = lookupRequest(parent.inode as FuseInode, name);
  request.begin(task);
  const { unique } = F.FuseInHeader.decode(connection.next(ROOM) as Uint8Array);
  connection.receive(answer(unique, entry({ nodeid, mode: 0o40755 })));
  const dentry = new Dentry(name, parent, request.error === 0 ? (request.value as FuseInode) : null);
  parent.adopt(dentry);
  return { error: request.error, dentry };
}

test('a directory does not lie in itself, nor in what lies in it', () => {
  const world = asked();
  const { fs } = world;
  fs.rootDentry = new Dentry('', null, fs.root);
  const outer = found(world, fs.rootDentry, 'outer', 5n).dentry;
  expect(found(world, outer, 'itself', 5n).error).toBe(ELOOP);
  const inner = found(world, outer, 'inner', 6n).dentry;
  expect(found(world, inner, 'outer', 5n).error).toBe(ELOOP);
  expect((outer.inode as FuseInode).parent).toBe(fs.root);
  expect(fs.nodes.dentryOf(inner.inode as FuseInode)).toBe(inner);
  // Another name for it elsewhere is what a server may say.
  expect(found(world, fs.rootDentry, 'other', 6n).error).toBe(0);
});

test('the dentry of a directory is found however deep it lies', () => {
  const world = asked();
  const { fs } = world;
  fs.rootDentry = new Dentry('', null, fs.root);
  let deepest = fs.rootDentry;
  for (let depth = 0; depth < 20_000; depth++) {
    const inode = fs.nodes.receive({
      nodeid: BigInt(depth + 10),
      generation: 0n,
      entryValid: 0,
      attrValid: 0,
      attributes: fs.root.attributes(),
    });
    inode.parent = deepest.inode as FuseInode;
    const dentry = new Dentry('', deepest, inode);
    deepest.adopt(dentry);
    deepest = dentry;
  }
  expect(fs.nodes.dentryOf(deepest.inode as FuseInode)).toBe(deepest);
});

test('pages are kept of a file that is as long as a number goes', () => {
  const { connection, unique, fs } = asked();
  const size = 2 ** 52;
  connection.receive(answer(unique, entry({ size })));
  const page = new Uint8Array(4096).fill(7);
  const head = F.FuseNotifyStore.encode({ nodeid: 2n, offset: size - 4096, size: 4096 });
  const message = answer(0, Buffer.concat([head, page]), F.FUSE_NOTIFY_STORE);
  expect(connection.receive(message)).toBe(message.length);
  const pages = fs.nodes.find(2n)?.cachedPages;
  expect([pages?.firstMissing(0, size), pages?.firstMissing(size - 4096, 8192)]).toEqual([0, -1]);
  pages?.invalidate();
  expect(pages?.firstMissing(size - 4096, 4096)).toBe(size / 4096 - 1);
  pages?.release();
});

test('the end of the connection ends every wait', () => {
  const { connection, request, task, fs } = asked();
  const queued = lookupRequest(fs.root, 'other');
  queued.begin(task);
  connection.abort();
  expect([request.error, queued.error]).toEqual([ECONNABORTED, ECONNABORTED]);
  expect(connection.next(ROOM)).toBe(ENODEV);
});

test.each([
  ['nothing', ''],
  ['no descriptor', 'rootmode=40000,user_id=0,group_id=0'],
  ['a root of no type', 'fd=3,rootmode=755,user_id=0,group_id=0'],
  ['an unknown option', 'fd=3,rootmode=40000,user_id=0,group_id=0,blue'],
  ['a number that is none', 'fd=x,rootmode=40000,user_id=0,group_id=0'],
])('mount options with %s are refused', (_what, text) => {
  expect(parseFuseOptions(text, ROOT_USER_NAMESPACE)).toBe(EINVAL);
});
