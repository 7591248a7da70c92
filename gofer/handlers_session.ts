/** Conversation: version, attach, flush, clunk. */
import { EINVAL, ENOENT, EPERM, EPROTO } from '../abi/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../abi/stat.ts';
import { getLen64 } from '../abi/struct.ts';
import { attrIdentity, attrMode } from '../lib/p9/attr.ts';
import {
  P9_MAX_MSIZE,
  P9_MIN_MSIZE,
  P9_NOFID,
  P9_VERSION,
  P9_VERSION_EXTENDED,
  P9_VERSION_UNKNOWN,
  QTDIR,
  QTFILE,
  QTSYMLINK,
} from '../lib/p9/constants.ts';
import type { Qid } from '../lib/p9/message.ts';
import {
  Rattach,
  Rclunk,
  Rclunkx,
  Rdirectx,
  Rflush,
  Rstatfs,
  Rversion,
  Tattach,
  Tauth,
  Tclunk,
  Tclunkx,
  Tdirectx,
  Tflush,
  Tstatfs,
  Tversion,
} from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { Fid, type Mount, Node } from './fid.ts';
import { finishXattr } from './handlers_xattr.ts';

/** The qid of what c.stat describes. Versions change with the modification time: caching clients compare them. */
export function statQid(c: Connection, mount: Mount): Qid {
  const mode = attrMode(c.stat, 0) & S_IFMT;
  return {
    type: mode === S_IFDIR ? QTDIR : mode === S_IFLNK ? QTSYMLINK : QTFILE,
    version: (c.stat.getUint32(112, true) ^ c.stat.getUint32(120, true)) >>> 0, // stx_mtime
    path: attrIdentity(c.stat, 0, mount.device),
  };
}

function version(c: Connection): number {
  const m = c.read(Tversion);
  if (m === null) return EPROTO;
  if (m.msize < P9_MIN_MSIZE) return EINVAL;
  c.clear();
  const msize = Math.min(m.msize, P9_MAX_MSIZE);
  c.extended = m.version === P9_VERSION_EXTENDED;
  c.versioned = c.extended || m.version === P9_VERSION;
  c.channel.setLimit(msize);
  return c.reply(Rversion, { msize, version: c.versioned ? m.version : P9_VERSION_UNKNOWN });
}

function attach(c: Connection): number {
  const m = c.read(Tattach);
  if (m === null) return EPROTO;
  if (m.afid !== P9_NOFID) return EINVAL;
  const mount = c.mounts.get(m.aname);
  if (mount === undefined) return ENOENT;
  let r: number = c.checkNew(m.fid);
  if (r < 0) return r;
  r = c.calls.stat(mount.rootFd, c.statAddress);
  if (r < 0) return r;
  const fd = c.calls.host.dup(mount.rootFd);
  if (fd < 0) return fd;
  c.bind(m.fid, new Fid(new Node(fd), mount, attrMode(c.stat, 0), m.n_uname));
  return c.reply(Rattach, { qid: statQid(c, mount) });
}

/** directfs: only the root of a mount whose configuration says so, and only a directory. */
function direct(c: Connection): number {
  const m = c.extended ? c.read(Tdirectx) : null;
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (!fid.mount.direct || !fid.isDirectory) return EPERM;
  const fd = c.calls.host.dup(fid.mount.rootFd);
  if (fd < 0) return fd;
  c.donate(fd);
  return c.reply(Rdirectx, {});
}

function clunk(c: Connection): number {
  const m = c.read(Tclunk);
  if (m === null) return EPROTO;
  const fid = c.anyFid(m.fid);
  if (typeof fid === 'number') return fid;
  c.unbind(m.fid);
  const r = finishXattr(c, fid);
  fid.release(c.calls);
  return r < 0 ? r : c.reply(Rclunk, {});
}

/** Unknown fids among them are not an error: the client is cleaning up. */
function clunkMany(c: Connection): number {
  const m = c.extended ? c.read(Tclunkx) : null;
  if (m === null) return EPROTO;
  for (const number of m.fids) c.unbind(number)?.release(c.calls);
  return c.reply(Rclunkx, {});
}

function statfs(c: Connection): number {
  const m = c.read(Tstatfs);
  if (m === null) return EPROTO;
  const fid = c.anyFid(m.fid);
  if (typeof fid === 'number') return fid;
  const bytes = new Uint8Array(120); // struct statfs
  const r = c.calls.statfs(fid.fd, bytes);
  if (r < 0) return r;
  const view = new DataView(bytes.buffer);
  return c.reply(Rstatfs, {
    type: view.getUint32(0, true),
    bsize: view.getUint32(8, true),
    blocks: getLen64(view, 16),
    bfree: getLen64(view, 24),
    bavail: getLen64(view, 32),
    files: getLen64(view, 40),
    ffree: getLen64(view, 48),
    fsid: 0, // the host's own number tells the client nothing it may know
    namelen: view.getUint32(64, true),
  });
}

export const SESSION_HANDLERS: Readonly<Record<number, Handler>> = {
  [Tversion.type]: version,
  // "None is needed", as clients of 9P2000.L understand it.
  [Tauth.type]: (c) => (c.read(Tauth) === null ? EPROTO : ENOENT),
  [Tattach.type]: attach,
  // Requests are answered in order, one at a time: what is to be flushed has been answered.
  [Tflush.type]: (c) => (c.read(Tflush) === null ? EPROTO : c.reply(Rflush, {})),
  [Tdirectx.type]: direct,
  [Tclunk.type]: clunk,
  [Tclunkx.type]: clunkMany,
  [Tstatfs.type]: statfs,
};
