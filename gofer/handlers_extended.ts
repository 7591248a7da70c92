/** The extension messages: one round trip for what an application asked for (lib/p9/messages.ts). */
import { EACCES, ECONNREFUSED, EINVAL, EMSGSIZE, ENOTDIR, EPROTO, EPROTOTYPE, type Errno, ESTALE } from '../abi/errno.ts';
import { O_RDONLY } from '../abi/fcntl.ts';
import { SOCK_STREAM } from '../abi/socket.ts';
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../abi/stat.ts';
import { attrMode } from '../lib/p9/attr.ts';
import { isPlainName, P9_MAX_STRING, P9_NO_OPEN, P9_NOFID, READDIRX_NAMES, READDIRX_RESTART } from '../lib/p9/constants.ts';
import type { Body } from '../lib/p9/message.ts';
import {
  ATTR_SIZE,
  Rconnectx,
  Rmakex,
  Rreaddirx,
  Rsetattrx,
  Rsyncfsx,
  Rwalkx,
  Tconnectx,
  Tmakex,
  Treaddirx,
  Tsetattrx,
  Tsyncfsx,
  Twalkx,
} from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { LARGEST_DIRENT } from './dirents.ts';
import { putEntries } from './entries.ts';
import { Fid, Node } from './fid.ts';
import { STATX_SIZE } from './host_calls.ts';
import { checkChange, makeObject, openObject, setAttributes } from './objects.ts';
import { notDirectory, walkPlace } from './place.ts';

/** Most bytes of an entry of Rwalkx. statx(2) writes behind the record; the target's length and bytes come there afterwards. */
const ENTRY_ROOM = Math.max(STATX_SIZE, ATTR_SIZE + 2 + P9_MAX_STRING);
/** Looks at a name that others exchange for a link and back. */
const MAX_LOOKS = 16;

/** Adds the object's entry to an answer; its mode, or an errno. `name`: address of a name in `fd`, 0 for the object of `fd` itself. */
function putEntry(c: Connection, fd: number, name: number): number {
  for (let i = 0; i < MAX_LOOKS; i++) {
    const r = look(c, fd, name);
    if (r !== EINVAL) return r;
  }
  return ESTALE;
}
/** As putEntry. EINVAL: the name has come to mean something else than a link meanwhile. */
function look(c: Connection, fd: number, name: number): number {
  const { out, outBase } = c.channel;
  if (out.room < ENTRY_ROOM) return EMSGSIZE;
  const at = out.at;
  const r = name === 0 ? c.calls.stat(fd, outBase + at) : c.calls.statPointer(fd, name, outBase + at);
  if (r < 0) return r;
  const mode = attrMode(out.view, at);
  let length = 0;
  if ((mode & S_IFMT) === S_IFLNK) {
    const target = outBase + at + ATTR_SIZE + 2;
    length = name === 0 ? c.calls.readlink(fd, target, P9_MAX_STRING) : c.calls.readlinkPointer(fd, name, target, P9_MAX_STRING);
    if (length < 0) return length;
  }
  out.view.setUint16(at + ATTR_SIZE, length, true);
  out.at = at + ATTR_SIZE + 2 + length;
  return mode;
}

/**
 * Walks the names of a Twalkx and adds their entries. The last object's fid, in no table; null if none is wanted; or why the walk ended
 * early.
 */
function walkNames(c: Connection, from: Fid, m: Body<typeof Twalkx>): Fid | null | number {
  const { calls } = c;
  const wanted = m.newfid !== P9_NOFID || m.open !== P9_NO_OPEN;
  let fd = from.fd;
  let { mode } = from;
  let failure = 0;
  for (let i = 0; i < m.names.length && failure === 0; i++) {
    const name = m.names[i] as string;
    if ((mode & S_IFMT) !== S_IFDIR) failure = notDirectory(mode);
    else if (!isPlainName(name)) failure = EINVAL;
    else if (i === m.names.length - 1 && !wanted) failure = Math.min(putEntry(c, fd, calls.namePointer(name)), 0);
    else {
      const next = calls.openPath(fd, name);
      if (next >= 0) {
        if (fd !== from.fd) calls.close(fd);
        fd = next;
        mode = putEntry(c, fd, 0);
      }
      failure = Math.min(next, mode, 0);
    }
  }
  if (failure === 0 && wanted) return new Fid(fd === from.fd ? from.node.share() : new Node(fd), from.mount, mode, from.uid);
  if (fd !== from.fd) calls.close(fd);
  return failure === 0 ? null : failure;
}

function walkx(c: Connection): number {
  const m = c.extended ? c.read(Twalkx) : null;
  if (m === null) return EPROTO;
  const from = c.fid(m.fid);
  if (typeof from === 'number') return from;
  const taken = m.newfid === P9_NOFID ? 0 : c.checkNew(m.newfid);
  if (taken !== 0) return taken;
  c.begin(Rwalkx);
  const { out, outBase } = c.channel;
  const header = out.take(5); // ecode[4] opened[1]
  const started = c.calls.stat(from.fd, outBase + out.at);
  if (started < 0) return started;
  out.take(ATTR_SIZE);
  const length = out.take(4);
  let result: Fid | null | number;
  if (m.names.length === 0) {
    const r = putEntry(c, from.fd, 0);
    if (r < 0) return r;
  }
  result = walkNames(c, from, m);
  let opened = 0;
  if (result !== null && typeof result !== 'number') {
    if (m.open !== P9_NO_OPEN) {
      const fd = openObject(c, result.fd, result.mode, result.mount, m.open);
      if (fd >= 0) c.donate(fd);
      opened = fd >= 0 ? 1 : 0;
      if (fd < 0) {
        result.release(c.calls);
        result = fd;
      }
    }
    if (typeof result !== 'number') {
      if (m.newfid === P9_NOFID) result.release(c.calls);
      else c.bind(m.newfid, result);
    }
  }
  out.view.setUint32(header, typeof result === 'number' ? -result : 0, true);
  out.bytes[header + 4] = opened;
  out.view.setUint32(length, out.at - length - 4, true);
  return 0;
}

/** The directory of a Treaddirx; `fresh`: it is in no table yet. */
function listedDirectory(c: Connection, m: Body<typeof Treaddirx>): { fid: Fid; fresh: boolean } | Errno {
  const fresh = m.newfid !== P9_NOFID;
  if (!fresh && m.names.length > 0) return EINVAL;
  const taken = fresh ? c.checkNew(m.newfid) : 0;
  if (taken !== 0) return taken;
  const fid = fresh ? walkPlace(c, m.fid, m.names) : c.fid(m.fid);
  return typeof fid === 'number' ? fid : { fid, fresh };
}

function readdirx(c: Connection): number {
  const m = c.extended ? c.read(Treaddirx) : null;
  if (m === null) return EPROTO;
  const directory = listedDirectory(c, m);
  if (typeof directory === 'number') return directory;
  const { fid, fresh } = directory;
  const r = listDirectory(c, fid, m.how, m.count);
  if (fresh) {
    if (r < 0) fid.release(c.calls);
    else c.bind(m.newfid, fid);
  }
  return r;
}

function listDirectory(c: Connection, fid: Fid, how: number, count: number): number {
  if (!fid.isDirectory) return ENOTDIR;
  if ((how & READDIRX_RESTART) !== 0) fid.closeFile(c.calls);
  if (fid.openFd < 0) {
    const fd = c.calls.openDirectory(fid.fd);
    if (fd < 0) return fd;
    fid.openFd = fd;
  }
  c.begin(Rreaddirx);
  const { out, outBase } = c.channel;
  const eof = out.take(1);
  const r = c.calls.stat(fid.openFd, outBase + out.at);
  if (r < 0) return r;
  out.take(ATTR_SIZE);
  const length = out.take(4);
  const start = out.at;
  const limit = Math.min(out.limit, start + count);
  if ((how & READDIRX_NAMES) !== 0) return listNames(c, fid, eof, length, limit);
  const n = putEntries(c, fid.openFd, limit);
  if (n < 0) return n;
  if (n === 0) fid.closeFile(c.calls);
  out.bytes[eof] = n === 0 ? 1 : 0;
  out.view.setUint32(length, out.at - start, true);
  return 0;
}

/** As listDirectory's end: names and no attributes, as they come from the host. */
function listNames(c: Connection, fid: Fid, eof: number, length: number, limit: number): number {
  const { out, outBase } = c.channel;
  const start = out.at;
  let n = -1;
  while (limit - out.at >= LARGEST_DIRENT && (n = c.calls.getdents(fid.openFd, outBase + out.at, limit - out.at)) > 0) out.at += n;
  if (n < 0) return n === -1 ? EINVAL : n;
  if (n === 0) fid.closeFile(c.calls);
  out.bytes[eof] = n === 0 ? 1 : 0;
  out.view.setUint32(length, out.at - start, true);
  return 0;
}

function makex(c: Connection): number {
  const m = c.extended ? c.read(Tmakex) : null;
  if (m === null) return EPROTO;
  const taken = m.newfid === P9_NOFID ? 0 : c.checkNew(m.newfid);
  if (taken !== 0) return taken;
  // In a store nothing has a name.
  const inStore = m.name === '' && m.names.length === 0 && m.newfid === P9_NOFID;
  const place = walkPlace(c, m.fid, m.names, inStore);
  if (typeof place === 'number') return place;
  const r = makeIn(c, place, m);
  place.release(c.calls);
  return r;
}

function makeIn(c: Connection, directory: Fid, m: Body<typeof Tmakex>): number {
  const temporary = m.name === '' && (m.mode & S_IFMT) === S_IFREG;
  const refused = checkChange(directory, temporary ? 'x' : m.name);
  if (refused !== 0) return refused;
  const { calls } = c;
  const fd = makeObject(c, directory, m);
  if (fd < 0) return fd;
  const fid = new Fid(new Node(fd), directory.mount, m.mode, directory.uid);
  let opened = c.donating ? 1 : 0;
  if (m.open !== P9_NO_OPEN && (m.mode & S_IFMT) === S_IFREG) {
    const open = openObject(c, fd, m.mode, directory.mount, m.open);
    if (open >= 0) {
      c.donate(open);
      opened = 1;
    }
  }
  if (m.newfid === P9_NOFID) fid.release(calls);
  else c.bind(m.newfid, fid);
  return c.reply(Rmakex, { opened, attr: new Uint8Array(c.stat.buffer, 0, ATTR_SIZE) });
}

function setattrx(c: Connection): number {
  const m = c.extended ? c.read(Tsetattrx) : null;
  if (m === null) return EPROTO;
  const place = walkPlace(c, m.fid, m.names);
  if (typeof place === 'number') return place;
  let r = setAttributes(c, place.fd, place.mode, place.mount, m);
  if (r === 0) r = c.calls.stat(place.fd, c.statAddress);
  place.release(c.calls);
  return r < 0 ? r : c.reply(Rsetattrx, { attr: new Uint8Array(c.stat.buffer, 0, ATTR_SIZE) });
}

function connectx(c: Connection): number {
  const m = c.extended ? c.read(Tconnectx) : null;
  if (m === null) return EPROTO;
  if (!c.hostObjects.connectSockets) return EACCES;
  if (m.type !== SOCK_STREAM) return EPROTOTYPE;
  const place = walkPlace(c, m.fid, m.names);
  if (typeof place === 'number') return place;
  const r = (place.mode & S_IFMT) === S_IFSOCK ? connectTo(c, place.fd) : ECONNREFUSED;
  place.release(c.calls);
  return r < 0 ? r : c.reply(Rconnectx, {});
}
/** A full backlog is the client's to wait for: EAGAIN. */
function connectTo(c: Connection, fd: number): number {
  const socket = c.calls.socket(SOCK_STREAM);
  if (socket < 0) return socket;
  const r = c.calls.connect(socket, fd);
  if (r < 0) c.calls.close(socket);
  else c.donate(socket);
  return r;
}

/** Waits for the disk, and with it whoever this gofer serves. */
function syncfsx(c: Connection): number {
  const m = c.extended ? c.read(Tsyncfsx) : null;
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  const fd = fid.isDirectory ? c.calls.openDirectory(fid.fd) : c.calls.reopen(fid.fd, O_RDONLY);
  if (fd < 0) return fd;
  const r = c.calls.syncfs(fd);
  c.calls.close(fd);
  return r < 0 ? r : c.reply(Rsyncfsx, {});
}

export const EXTENDED_HANDLERS: Readonly<Record<number, Handler>> = {
  [Twalkx.type]: walkx,
  [Treaddirx.type]: readdirx,
  [Tmakex.type]: makex,
  [Tsetattrx.type]: setattrx,
  [Tconnectx.type]: connectx,
  [Tsyncfsx.type]: syncfsx,
};
