/** The standard messages of 9P2000.L on a real gofer, one by one, as a client that knows no extension would send them. */
import { lstatSync, mkdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { EBADF, EBUSY, EEXIST, EINVAL, ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EROFS } from '../abi/errno.ts';
import { AT_REMOVEDIR, O_RDONLY, O_RDWR, O_WRONLY } from '../abi/fcntl.ts';
import { S_IFDIR, S_IFIFO, S_IFREG } from '../abi/stat.ts';
import { host } from '../lib/host.ts';
import { Channel } from '../lib/p9/channel.ts';
import * as C from '../lib/p9/constants.ts';
import type { Body, Message } from '../lib/p9/message.ts';
import * as p9 from '../lib/p9/messages.ts';
import { buildGofer, type GoferProcess, startGofer, temporaryFolder } from './gofer_process.ts';

const folder = temporaryFolder();
const at = (path: string): string => join(folder.path, path);
const NO_TIMES = { atime_sec: 0, atime_nsec: 0, mtime_sec: 0, mtime_nsec: 0 };
const ROOT = 1;
let gofer: GoferProcess;
let channel: Channel;
let nextFid = 10;

beforeAll(() => {
  buildGofer();
  mkdirSync(at('rw/dir'), { recursive: true });
  mkdirSync(at('ro'));
  writeFileSync(at('ro/file'), 'fixed');
  gofer = startGofer([
    { name: '/', path: at('rw') },
    { name: 'ro', path: at('ro'), readonly: true },
  ]);
  channel = new Channel(host, gofer.socket, 65536);
  ok(call(p9.Tversion, { msize: 65536, version: C.P9_VERSION }, p9.Rversion));
  attach(ROOT, '/');
});
afterAll(async () => {
  channel.close();
  expect(await gofer.exited).toBe(0);
  folder.remove();
});

function call<T, R>(request: Message<T>, body: Parameters<Message<T>['write']>[1], answer: Message<R>): Body<Message<R>> | number {
  channel.begin(request.type, 7);
  request.write(channel.out, body);
  channel.send();
  const type = channel.receive();
  expect(channel.tag).toBe(7);
  if (type === p9.Rlerror.type) return -(p9.Rlerror.read(channel.in)?.ecode ?? 0);
  expect(type).toBe(answer.type);
  return answer.read(channel.in) as Body<Message<R>>;
}
function ok<T>(value: T | number): T {
  if (typeof value === 'number') throw new Error(`errno ${value}`);
  return value;
}
function attach(fid: number, aname: string): void {
  ok(call(p9.Tattach, { fid, afid: C.P9_NOFID, uname: '', aname, n_uname: 1000 }, p9.Rattach));
}
function walk(names: string[], from = ROOT): number {
  const newfid = nextFid++;
  ok(call(p9.Twalk, { fid: from, newfid, wname: names }, p9.Rwalk));
  return newfid;
}
const clunk = (fid: number): unknown => call(p9.Tclunk, { fid }, p9.Rclunk);
const getattr = (fid: number): Body<typeof p9.Rgetattr> => ok(call(p9.Tgetattr, { fid, request_mask: C.P9_GETATTR_BASIC }, p9.Rgetattr));

test('a file: create, write, read, attributes, fsync, remove', () => {
  const fid = walk([]);
  ok(call(p9.Tlcreate, { fid, name: 'new', flags: O_RDWR, mode: 0o640, gid: 2000 }, p9.Rlcreate));
  expect(statSync(at('rw/new'))).toMatchObject({ mode: S_IFREG | 0o640, uid: 1000, gid: 2000 });
  expect(ok(call(p9.Twrite, { fid, offset: 2, data: Buffer.from('hello') }, p9.Rwrite)).count).toBe(5);
  expect(Buffer.from(ok(call(p9.Tread, { fid, offset: 0, count: 100 }, p9.Rread)).data).toString()).toBe('\0\0hello');
  expect(ok(call(p9.Tread, { fid, offset: 7, count: 100 }, p9.Rread)).data).toHaveLength(0);
  expect(getattr(fid)).toMatchObject({
    mode: S_IFREG | 0o640,
    uid: 1000,
    gid: 2000,
    size: 7,
    nlink: 1,
    valid: C.P9_GETATTR_BASIC | C.P9_GETATTR_BTIME,
  });
  ok(call(p9.Tfsync, { fid, datasync: 1 }, p9.Rfsync));
  const valid = C.P9_SETATTR_MODE | C.P9_SETATTR_SIZE | C.P9_SETATTR_MTIME | C.P9_SETATTR_MTIME_SET | C.P9_SETATTR_ATIME;
  const times = { ...NO_TIMES, mtime_sec: 12345, mtime_nsec: 678 };
  ok(call(p9.Tsetattr, { fid, valid, mode: 0o600, uid: 0, gid: 0, size: 3, ...times }, p9.Rsetattr));
  const after = getattr(fid);
  expect(after).toMatchObject({ mode: S_IFREG | 0o600, size: 3, mtime_sec: 12345, mtime_nsec: 678, uid: 1000 });
  expect(Math.abs(after.atime_sec - Date.now() / 1000)).toBeLessThan(60);
  expect(call(p9.Tlopen, { fid, flags: O_RDONLY }, p9.Rlopen)).toBe(EBUSY);
  ok(call(p9.Tremove, { fid }, p9.Rremove));
  expect(call(p9.Tgetattr, { fid, request_mask: 1 }, p9.Rgetattr)).toBe(EBADF);
  expect(call(p9.Twalk, { fid: ROOT, newfid: 5, wname: ['new'] }, p9.Rwalk)).toBe(ENOENT);
});

test('walks: whole, in part, onto itself', () => {
  mkdirSync(at('rw/dir/sub'));
  expect(ok(call(p9.Twalk, { fid: ROOT, newfid: 5, wname: ['dir', 'sub'] }, p9.Rwalk)).wqid.map((q) => q.type)).toEqual([C.QTDIR, C.QTDIR]);
  ok(clunk(5));
  expect(ok(call(p9.Twalk, { fid: ROOT, newfid: 5, wname: ['dir', 'none', 'x'] }, p9.Rwalk)).wqid).toHaveLength(1);
  expect(clunk(5)).toBe(EBADF);
  const fid = walk([]);
  ok(call(p9.Twalk, { fid, newfid: fid, wname: ['dir'] }, p9.Rwalk));
  expect(getattr(fid).mode & 0o170000).toBe(S_IFDIR);
  expect(call(p9.Trename, { fid, dfid: ROOT, name: 'moved' }, p9.Rrename)).toEqual({});
  expect(lstatSync(at('rw/moved')).isDirectory()).toBe(true);
  ok(call(p9.Trename, { fid, dfid: ROOT, name: 'dir' }, p9.Rrename));
  expect(call(p9.Tlcreate, { fid: ROOT, name: 'dir', flags: 0, mode: 0o600, gid: 0 }, p9.Rlcreate)).toBe(EEXIST);
  ok(clunk(fid));
});

test('names: mkdir, symlink, mknod, link, rename, unlink', () => {
  ok(call(p9.Tmkdir, { dfid: ROOT, name: 'd', mode: 0o2750, gid: 3000 }, p9.Rmkdir));
  expect(statSync(at('rw/d'))).toMatchObject({ mode: S_IFDIR | 0o2750, uid: 1000, gid: 3000 });
  ok(call(p9.Tsymlink, { dfid: ROOT, name: 'l', symtgt: '/any/where', gid: 3000 }, p9.Rsymlink));
  expect(readlinkSync(at('rw/l'))).toBe('/any/where');
  const link = walk(['l']);
  expect(ok(call(p9.Treadlink, { fid: link }, p9.Rreadlink)).target).toBe('/any/where');
  expect(call(p9.Treadlink, { fid: ROOT }, p9.Rreadlink)).toBe(EINVAL);
  ok(call(p9.Tmknod, { dfid: ROOT, name: 'p', mode: S_IFIFO | 0o600, major: 0, minor: 0, gid: 0 }, p9.Rmknod));
  expect(lstatSync(at('rw/p')).isFIFO()).toBe(true);
  writeFileSync(at('rw/f'), 'f');
  const file = walk(['f']);
  const d = walk(['d']);
  ok(call(p9.Tlink, { dfid: d, fid: file, name: 'again' }, p9.Rlink));
  expect(getattr(file).nlink).toBe(2);
  expect(call(p9.Tunlinkat, { dirfd: ROOT, name: 'd', flags: AT_REMOVEDIR }, p9.Runlinkat)).toBe(ENOTEMPTY);
  ok(call(p9.Trenameat, { olddirfid: d, oldname: 'again', newdirfid: ROOT, newname: 'g' }, p9.Rrenameat));
  expect(readFileSync(at('rw/g'), 'utf8')).toBe('f');
  ok(call(p9.Tunlinkat, { dirfd: ROOT, name: 'd', flags: AT_REMOVEDIR }, p9.Runlinkat));
  for (const name of ['l', 'p', 'g']) ok(call(p9.Tunlinkat, { dirfd: ROOT, name, flags: 0 }, p9.Runlinkat));
  expect(call(p9.Tmkdir, { dfid: file, name: 'x', mode: 0, gid: 0 }, p9.Rmkdir)).toBe(ENOTDIR);
  for (const fid of [link, file, d]) ok(clunk(fid));
});

test('extended attributes by their fids', () => {
  writeFileSync(at('rw/x'), '');
  const writer = walk(['x']);
  ok(call(p9.Txattrcreate, { fid: writer, name: 'user.name', attr_size: 5, flags: 0 }, p9.Rxattrcreate));
  ok(call(p9.Twrite, { fid: writer, offset: 0, data: Buffer.from('val') }, p9.Rwrite));
  ok(call(p9.Twrite, { fid: writer, offset: 3, data: Buffer.from('ue') }, p9.Rwrite));
  ok(clunk(writer));
  const file = walk(['x']);
  expect(ok(call(p9.Txattrwalk, { fid: file, newfid: 6, name: 'user.name' }, p9.Rxattrwalk)).size).toBe(5);
  expect(Buffer.from(ok(call(p9.Tread, { fid: 6, offset: 1, count: 100 }, p9.Rread)).data).toString()).toBe('alue');
  ok(clunk(6));
  expect(ok(call(p9.Txattrwalk, { fid: file, newfid: 6, name: '' }, p9.Rxattrwalk)).size).toBe('user.name'.length + 1);
  ok(clunk(6));
  expect(call(p9.Txattrwalk, { fid: file, newfid: 6, name: 'trusted.x' }, p9.Rxattrwalk)).toBe(EOPNOTSUPP);
  const short = walk(['x']);
  ok(call(p9.Txattrcreate, { fid: short, name: 'user.y', attr_size: 5, flags: 0 }, p9.Rxattrcreate));
  expect(clunk(short)).toBe(EINVAL); // less was written than announced
  ok(clunk(file));
});

test('statfs, locks, flush, auth', () => {
  expect(ok(call(p9.Tstatfs, { fid: ROOT }, p9.Rstatfs))).toMatchObject({ namelen: 255, fsid: 0 });
  const lock = { fid: ROOT, type: C.P9_LOCK_TYPE_WRLCK, start: 0, length: 10, proc_id: 1, client_id: 'me' };
  expect(ok(call(p9.Tlock, { ...lock, flags: 0 }, p9.Rlock)).status).toBe(C.P9_LOCK_SUCCESS);
  expect(ok(call(p9.Tgetlock, lock, p9.Rgetlock)).type).toBe(C.P9_LOCK_TYPE_UNLCK);
  expect(call(p9.Tflush, { oldtag: 3 }, p9.Rflush)).toEqual({});
  expect(call(p9.Tauth, { afid: 9, uname: '', aname: '', n_uname: 0 }, p9.Rauth)).toBe(ENOENT);
});

test('mounts of one connection do not mix, and a read-only one stays so', () => {
  attach(2, 'ro');
  const file = walk(['file'], 2);
  expect(call(p9.Tlink, { dfid: ROOT, fid: file, name: 'x' }, p9.Rlink)).toBe(-18);
  expect(call(p9.Trenameat, { olddirfid: 2, oldname: 'file', newdirfid: ROOT, newname: 'x' }, p9.Rrenameat)).toBe(EROFS);
  expect(call(p9.Tlopen, { fid: file, flags: O_WRONLY }, p9.Rlopen)).toBe(EROFS);
  expect(call(p9.Tlopen, { fid: file, flags: 0o1000 /* O_TRUNC */ }, p9.Rlopen)).toBe(EROFS);
  expect(call(p9.Tsetattr, { fid: file, valid: 1, mode: 0o777, uid: 0, gid: 0, size: 0, ...NO_TIMES }, p9.Rsetattr)).toBe(EROFS);
  expect(call(p9.Txattrcreate, { fid: file, name: 'user.x', attr_size: 1, flags: 0 }, p9.Rxattrcreate)).toBe(EROFS);
  expect(call(p9.Tremove, { fid: file }, p9.Rremove)).toBe(EROFS);
  expect(readFileSync(at('ro/file'), 'utf8')).toBe('fixed');
});
