/** Names and attributes by the standard messages: walk, readlink, getattr, setattr. */
import { EINVAL, ENOENT, EPROTO } from '../abi/errno.ts';
import { byteString } from '../lib/byte_string.ts';
import { Attr, attrMode } from '../lib/p9/attr.ts';
import { isPlainName, P9_GETATTR_BASIC, P9_GETATTR_BTIME, P9_MAX_STRING } from '../lib/p9/constants.ts';
import type { Qid } from '../lib/p9/message.ts';
import { Rgetattr, Rreadlink, Rsetattr, Rwalk, Tgetattr, Treadlink, Tsetattr, Twalk } from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { Fid, Node } from './fid.ts';
import { statQid } from './handlers_session.ts';
import { setAttributes } from './objects.ts';
import { notDirectory } from './place.ts';

/** One step: the fid that `name` means in `from`, in no table yet, with struct statx in c.stat; or an errno. */
function step(c: Connection, from: Fid, name: string): Fid | number {
  if (!isPlainName(name)) return EINVAL; // "..": clients resolve it themselves
  if (!from.isDirectory) return notDirectory(from.mode);
  const fd = c.calls.openPath(from.fd, name);
  if (fd < 0) return fd;
  const r = c.calls.stat(fd, c.statAddress);
  if (r < 0) {
    c.calls.close(fd);
    return r;
  }
  const fid = new Fid(new Node(fd), from.mount, attrMode(c.stat, 0), from.uid);
  fid.parent = from.node.share();
  fid.name = name;
  return fid;
}

function copyFid(from: Fid): Fid {
  const fid = new Fid(from.node.share(), from.mount, from.mode, from.uid);
  fid.parent = from.parent?.share() ?? null;
  fid.name = from.name;
  return fid;
}

function walk(c: Connection): number {
  const m = c.read(Twalk);
  if (m === null) return EPROTO;
  const from = c.fid(m.fid);
  if (typeof from === 'number') return from;
  if (m.newfid !== m.fid) {
    const taken = c.checkNew(m.newfid);
    if (taken !== 0) return taken;
  }
  let at = copyFid(from);
  const wqid: Qid[] = [];
  for (const name of m.wname) {
    const next = step(c, at, name);
    if (typeof next === 'number') {
      at.release(c.calls);
      // The first name decides between an error and a partial answer, which leaves newfid alone.
      return wqid.length === 0 ? next : c.reply(Rwalk, { wqid });
    }
    at.release(c.calls);
    at = next;
    wqid.push(statQid(c, at.mount));
  }
  if (m.newfid === m.fid) c.unbind(m.fid)?.release(c.calls);
  c.bind(m.newfid, at);
  return c.reply(Rwalk, { wqid });
}

function readlink(c: Connection): number {
  const m = c.read(Treadlink);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (!fid.isSymlink) return EINVAL;
  const buffer = new Uint8Array(P9_MAX_STRING);
  const n = c.calls.readlink(fid.fd, c.calls.host.addressOf(buffer), buffer.length);
  return n < 0 ? n : c.reply(Rreadlink, { target: byteString(buffer, 0, n) });
}

function getattr(c: Connection): number {
  const m = c.read(Tgetattr);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  const r = c.calls.stat(fid.fd, c.statAddress);
  if (r < 0) return r;
  const a = Attr.read(c.stat);
  return c.reply(Rgetattr, {
    valid: P9_GETATTR_BASIC | (a.stx_mask & P9_GETATTR_BTIME),
    qid: statQid(c, fid.mount),
    mode: a.stx_mode,
    uid: a.stx_uid,
    gid: a.stx_gid,
    nlink: a.stx_nlink,
    rdev: ((a.stx_rdev_minor & 0xff) | (a.stx_rdev_major << 8) | ((a.stx_rdev_minor & ~0xff) << 12)) >>> 0,
    size: a.stx_size,
    blksize: a.stx_blksize,
    blocks: a.stx_blocks,
    atime_sec: a.stx_atime_sec,
    atime_nsec: a.stx_atime_nsec,
    mtime_sec: a.stx_mtime_sec,
    mtime_nsec: a.stx_mtime_nsec,
    ctime_sec: a.stx_ctime_sec,
    ctime_nsec: a.stx_ctime_nsec,
    btime_sec: a.stx_btime_sec,
    btime_nsec: a.stx_btime_nsec,
    gen: 0,
    data_version: 0,
  });
}

function setattr(c: Connection): number {
  const m = c.read(Tsetattr);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.xattr !== null) return ENOENT;
  const r = setAttributes(c, fid.fd, fid.mode, fid.mount, m);
  return r < 0 ? r : c.reply(Rsetattr, {});
}

export const WALK_HANDLERS: Readonly<Record<number, Handler>> = {
  [Twalk.type]: walk,
  [Treadlink.type]: readlink,
  [Tgetattr.type]: getattr,
  [Tsetattr.type]: setattr,
};
