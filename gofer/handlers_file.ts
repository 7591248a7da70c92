/** Open files by the standard messages: lopen, lcreate, read, write, fsync, locks. */
import { EBADF, EBUSY, EINVAL, EMSGSIZE, EPROTO } from '../abi/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../abi/fcntl.ts';
import { S_IFREG } from '../abi/stat.ts';
import { P9_LOCK_SUCCESS, P9_LOCK_TYPE_UNLCK } from '../lib/p9/constants.ts';
import {
  Rfsync,
  Rgetlock,
  Rlcreate,
  Rlock,
  Rlopen,
  Rread,
  Rwrite,
  Tfsync,
  Tgetlock,
  Tlcreate,
  Tlock,
  Tlopen,
  Tread,
  Twrite,
} from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { Fid, Node } from './fid.ts';
import { statQid } from './handlers_session.ts';
import { checkChange, makeObject, openObject } from './objects.ts';

function open(c: Connection): number {
  const m = c.read(Tlopen);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.openFd >= 0 || fid.xattr !== null) return EBUSY;
  const fd =
    fid.isDirectory && (m.flags & O_ACCMODE) === O_RDONLY
      ? c.calls.openDirectory(fid.fd)
      : openObject(c, fid.fd, fid.mode, fid.mount, m.flags);
  if (fd < 0) return fd;
  fid.openFd = fd;
  fid.told = 0;
  const r = c.calls.stat(fd, c.statAddress);
  return r < 0 ? r : c.reply(Rlopen, { qid: statQid(c, fid.mount), iounit: 0 });
}

/** The fid stands for the directory before and for the open new file afterwards. */
function create(c: Connection): number {
  const m = c.read(Tlcreate);
  if (m === null) return EPROTO;
  const directory = c.fid(m.fid);
  if (typeof directory === 'number') return directory;
  const refused = checkChange(directory, m.name);
  if (refused !== 0) return refused;
  if (directory.openFd >= 0) return EBUSY;
  const mode = S_IFREG | (m.mode & 0o7777);
  const path = makeObject(c, directory, { name: m.name, mode, umask: 0, uid: directory.uid, gid: m.gid, target: '' });
  if (path < 0) return path;
  const fid = new Fid(new Node(path), directory.mount, mode, directory.uid);
  fid.openFd = openObject(c, path, mode, directory.mount, m.flags);
  if (fid.openFd < 0) {
    const failure = fid.openFd;
    fid.release(c.calls);
    return failure;
  }
  fid.parent = directory.node.share();
  fid.name = m.name;
  c.unbind(m.fid)?.release(c.calls);
  c.bind(m.fid, fid);
  return c.reply(Rlcreate, { qid: statQid(c, fid.mount), iounit: 0 });
}

function read(c: Connection): number {
  const m = c.read(Tread);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.xattr !== null) {
    if (fid.xattr.writing) return EBADF;
    const start = Math.min(m.offset, fid.xattr.value.length);
    return c.reply(Rread, { data: fid.xattr.value.subarray(start, Math.min(start + m.count, start + c.channel.out.limit - 11)) });
  }
  if (fid.openFd < 0 || !fid.isRegular) return EBADF;
  const { out } = c.channel;
  c.begin(Rread);
  const length = out.take(4);
  const n = c.calls.host.pread(fid.openFd, out.bytes, out.at, Math.min(m.count, out.room), Math.min(m.offset, Number.MAX_SAFE_INTEGER));
  if (n < 0) return n;
  out.view.setUint32(length, n, true);
  out.take(n);
  return 0;
}

function write(c: Connection): number {
  const m = c.read(Twrite);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.xattr !== null) {
    const { xattr } = fid;
    if (!xattr.writing) return EBADF;
    if (m.offset !== xattr.written) return EINVAL;
    if (m.data.length > xattr.value.length - xattr.written) return EMSGSIZE;
    xattr.value.set(m.data, xattr.written);
    xattr.written += m.data.length;
    return c.reply(Rwrite, { count: m.data.length });
  }
  if (fid.openFd < 0 || !fid.isRegular) return EBADF;
  if (m.offset > Number.MAX_SAFE_INTEGER) return EINVAL;
  const n = c.calls.host.pwrite(fid.openFd, m.data, 0, m.data.length, m.offset);
  return n < 0 ? n : c.reply(Rwrite, { count: n });
}

function fsync(c: Connection): number {
  const m = c.read(Tfsync);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.openFd < 0 && !fid.isDirectory) return EBADF;
  const fd = fid.openFd < 0 ? c.calls.openDirectory(fid.fd) : fid.openFd;
  if (fd < 0) return fd;
  const r = c.calls.fsync(fd);
  if (fd !== fid.openFd) c.calls.close(fd);
  return r < 0 ? r : c.reply(Rfsync, {});
}

/** Locks are the client's affair: it alone has processes. So each is granted, and none is known. */
function lock(c: Connection): number {
  const m = c.read(Tlock);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (m.type > P9_LOCK_TYPE_UNLCK) return EINVAL;
  return c.reply(Rlock, { status: P9_LOCK_SUCCESS });
}
function getlock(c: Connection): number {
  const m = c.read(Tgetlock);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  return typeof fid === 'number' ? fid : c.reply(Rgetlock, { ...m, type: P9_LOCK_TYPE_UNLCK });
}

export const FILE_HANDLERS: Readonly<Record<number, Handler>> = {
  [Tlopen.type]: open,
  [Tlcreate.type]: create,
  [Tread.type]: read,
  [Twrite.type]: write,
  [Tfsync.type]: fsync,
  [Tlock.type]: lock,
  [Tgetlock.type]: getlock,
};
