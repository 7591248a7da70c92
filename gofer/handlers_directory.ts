/** Directories by the standard messages: readdir, mkdir, symlink, mknod, link, unlinkat, remove, rename, renameat. */
import { EBADF, EINVAL, ENOTDIR, EOPNOTSUPP, EPROTO, EROFS, type Errno, ESTALE } from '../abi/errno.ts';
import { AT_REMOVEDIR, RENAME_EXCHANGE, RENAME_NOREPLACE } from '../abi/fcntl.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { ByteString } from '../lib/byte_string.ts';
import { attrIdentity } from '../lib/p9/attr.ts';
import { QTDIR, QTFILE, QTSYMLINK } from '../lib/p9/constants.ts';
import {
  Rlink,
  Rmkdir,
  Rmknod,
  Rreaddir,
  Rremove,
  Rrename,
  Rrenameat,
  Rrenamex,
  Rsymlink,
  Runlinkat,
  Tlink,
  Tmkdir,
  Tmknod,
  Treaddir,
  Tremove,
  Trename,
  Trenameat,
  Trenamex,
  Tsymlink,
  Tunlinkat,
} from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import type { Fid } from './fid.ts';
import { statQid } from './handlers_session.ts';
import { type Creation, checkChange, makeObject, sameMount } from './objects.ts';

const DT_DIR = 4;
const DT_LNK = 10;

/** Offsets are counts of entries: the host's own may need 64 bits. Going back reads the directory again from its start. */
function readdir(c: Connection): number {
  const m = c.read(Treaddir);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (!fid.isDirectory) return ENOTDIR;
  if (fid.openFd < 0) return EBADF;
  if (m.offset !== fid.told) {
    const fd = c.calls.openDirectory(fid.fd);
    if (fd < 0) return fd;
    fid.closeFile(c.calls);
    fid.openFd = fd;
  }
  const { out } = c.channel;
  c.begin(Rreaddir);
  const length = out.take(4);
  const start = out.at;
  // An entry of the host takes 24 bytes or more, and at most as many more on the wire: half the room always suffices.
  const room = Math.min(m.count, out.room) >> 1;
  let n: number;
  do {
    n = c.dirents.fill(fid.openFd, room);
    if (n < 0) return n;
    while (c.dirents.next()) if (++fid.told > m.offset) putEntry(c, fid.told);
  } while (n > 0 && out.at === start);
  out.view.setUint32(length, out.at - start, true);
  return 0;
}

function putEntry(c: Connection, offset: number): void {
  const { dirents } = c;
  const { out } = c.channel;
  out.u8(dirents.type === DT_DIR ? QTDIR : dirents.type === DT_LNK ? QTSYMLINK : QTFILE);
  out.u32(0);
  out.u32(dirents.inoLow);
  out.u32(dirents.inoHigh);
  out.u64(offset);
  out.u8(dirents.type);
  out.u16(dirents.nameLength);
  out.raw(dirents.nameBytes);
}

/** The request's directory, checked for a change; or an errno. */
function changeable(c: Connection, number: number, name: ByteString): Fid | Errno {
  const directory = c.fid(number);
  if (typeof directory === 'number') return directory;
  const refused = checkChange(directory, name);
  return refused === 0 ? directory : refused;
}

/** Makes an object for a standard message, which wants no more than its qid (then in c.stat). 0 or an errno. */
function make(c: Connection, dfid: number, name: ByteString, mode: number, gid: number, target: ByteString): Fid | number {
  const directory = changeable(c, dfid, name);
  if (typeof directory === 'number') return directory;
  const what: Creation = { name, mode, umask: 0, uid: directory.uid, gid, target };
  const fd = makeObject(c, directory, what);
  if (fd < 0) return fd;
  c.calls.close(fd);
  return directory;
}
function mkdir(c: Connection): number {
  const m = c.read(Tmkdir);
  if (m === null) return EPROTO;
  const made = make(c, m.dfid, m.name, S_IFDIR | (m.mode & 0o7777), m.gid, '');
  return typeof made === 'number' ? made : c.reply(Rmkdir, { qid: statQid(c, made.mount) });
}
function symlink(c: Connection): number {
  const m = c.read(Tsymlink);
  if (m === null) return EPROTO;
  const made = make(c, m.dfid, m.name, S_IFLNK | 0o777, m.gid, m.symtgt);
  return typeof made === 'number' ? made : c.reply(Rsymlink, { qid: statQid(c, made.mount) });
}
function mknod(c: Connection): number {
  const m = c.read(Tmknod);
  if (m === null) return EPROTO;
  const mode = (m.mode & S_IFMT) === 0 ? S_IFREG | m.mode : m.mode;
  const made = make(c, m.dfid, m.name, mode & (S_IFMT | 0o7777), m.gid, '');
  return typeof made === 'number' ? made : c.reply(Rmknod, { qid: statQid(c, made.mount) });
}

function link(c: Connection): number {
  const m = c.read(Tlink);
  if (m === null) return EPROTO;
  const directory = changeable(c, m.dfid, m.name);
  if (typeof directory === 'number') return directory;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  const r = sameMount(fid, directory) || c.calls.link(fid.fd, directory.fd, m.name);
  return r < 0 ? r : c.reply(Rlink, {});
}

function unlinkat(c: Connection): number {
  const m = c.read(Tunlinkat);
  if (m === null) return EPROTO;
  const directory = changeable(c, m.dirfd, m.name);
  if (typeof directory === 'number') return directory;
  const r = c.calls.unlink(directory.fd, m.name, m.flags & AT_REMOVEDIR);
  return r < 0 ? r : c.reply(Runlinkat, {});
}

/** Where a fid was found, if that is still what the name means there: ESTALE otherwise, EOPNOTSUPP if it is not known. */
function checkOrigin(c: Connection, fid: Fid): number {
  if (fid.parent === null) return EOPNOTSUPP;
  let r = c.calls.stat(fid.fd, c.statAddress);
  if (r < 0) return r;
  const identity = attrIdentity(c.stat, 0, fid.mount.device);
  r = c.calls.statName(fid.parent.fd, fid.name, c.statAddress);
  if (r < 0) return r;
  return attrIdentity(c.stat, 0, fid.mount.device) === identity ? 0 : ESTALE;
}

/** Removes the object and, whatever comes of that, the fid. */
function remove(c: Connection): number {
  const m = c.read(Tremove);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  c.unbind(m.fid);
  let r = fid.mount.readonly ? EROFS : checkOrigin(c, fid);
  if (r === 0 && fid.parent !== null) r = c.calls.unlink(fid.parent.fd, fid.name, fid.isDirectory ? AT_REMOVEDIR : 0);
  fid.release(c.calls);
  return r < 0 ? r : c.reply(Rremove, {});
}

function rename(c: Connection): number {
  const m = c.read(Trename);
  if (m === null) return EPROTO;
  const directory = changeable(c, m.dfid, m.name);
  if (typeof directory === 'number') return directory;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  const r = sameMount(fid, directory) || checkOrigin(c, fid);
  if (r < 0 || fid.parent === null) return r;
  const done = c.calls.rename(fid.parent.fd, fid.name, directory.fd, m.name, 0);
  if (done < 0) return done;
  fid.parent.release(c.calls);
  fid.parent = directory.node.share();
  fid.name = m.name;
  return c.reply(Rrename, {});
}

interface RenameRequest {
  readonly olddirfid: number;
  readonly oldname: ByteString;
  readonly newdirfid: number;
  readonly newname: ByteString;
}
function moveName(c: Connection, m: RenameRequest, flags: number): number {
  const from = changeable(c, m.olddirfid, m.oldname);
  if (typeof from === 'number') return from;
  const to = changeable(c, m.newdirfid, m.newname);
  if (typeof to === 'number') return to;
  // RENAME_WHITEOUT would make a device node.
  if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE)) !== 0) return EINVAL;
  return sameMount(from, to) || c.calls.rename(from.fd, m.oldname, to.fd, m.newname, flags);
}
function renameat(c: Connection): number {
  const m = c.read(Trenameat);
  const r = m === null ? EPROTO : moveName(c, m, 0);
  return r < 0 ? r : c.reply(Rrenameat, {});
}
function renamex(c: Connection): number {
  const m = c.extended ? c.read(Trenamex) : null;
  const r = m === null ? EPROTO : moveName(c, m, m.flags);
  return r < 0 ? r : c.reply(Rrenamex, {});
}

export const DIRECTORY_HANDLERS: Readonly<Record<number, Handler>> = {
  [Treaddir.type]: readdir,
  [Tmkdir.type]: mkdir,
  [Tsymlink.type]: symlink,
  [Tmknod.type]: mknod,
  [Tlink.type]: link,
  [Tunlinkat.type]: unlinkat,
  [Tremove.type]: remove,
  [Trename.type]: rename,
  [Trenameat.type]: renameat,
  [Trenamex.type]: renamex,
};
