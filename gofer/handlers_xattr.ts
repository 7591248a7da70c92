/** Extended attributes: Txattrwalk (read through a fid), Txattrcreate (written through one, stored at its clunk), Txattrx. */
import { E2BIG, EINVAL, EPERM, EPROTO, type Errno } from '../abi/errno.ts';
import type { ByteString } from '../lib/byte_string.ts';
import { P9_MAX_XATTR, XATTRX_GET, XATTRX_LIST, XATTRX_REMOVE, XATTRX_SET } from '../lib/p9/constants.ts';
import { Rxattrcreate, Rxattrwalk, Rxattrx, Txattrcreate, Txattrwalk, Txattrx } from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { Fid, type Mount } from './fid.ts';
import { checkXattrName, visibleXattrs } from './objects.ts';
import { walkPlace } from './place.ts';

/** The value of an attribute, or the list of names where `name` is empty. */
function readXattr(c: Connection, fd: number, mount: Mount, name: ByteString): Uint8Array | Errno {
  const buffer = new Uint8Array(P9_MAX_XATTR);
  if (name === '') {
    const n = c.calls.listXattrs(fd, buffer);
    return n < 0 ? (n as Errno) : visibleXattrs(buffer.subarray(0, n));
  }
  const refused = checkXattrName(name, false, mount);
  if (refused !== 0) return refused;
  const n = c.calls.getXattr(fd, name, buffer);
  return n < 0 ? (n as Errno) : buffer.slice(0, n);
}

function xattrWalk(c: Connection): number {
  const m = c.read(Txattrwalk);
  if (m === null) return EPROTO;
  const from = c.fid(m.fid);
  if (typeof from === 'number') return from;
  const taken = c.checkNew(m.newfid);
  if (taken !== 0) return taken;
  const value = readXattr(c, from.fd, from.mount, m.name);
  if (typeof value === 'number') return value;
  const fid = new Fid(from.node.share(), from.mount, from.mode, from.uid);
  fid.xattr = { name: m.name, value, writing: false, flags: 0, written: 0 };
  c.bind(m.newfid, fid);
  return c.reply(Rxattrwalk, { size: value.length });
}

function xattrCreate(c: Connection): number {
  const m = c.read(Txattrcreate);
  if (m === null) return EPROTO;
  const fid = c.fid(m.fid);
  if (typeof fid === 'number') return fid;
  if (fid.xattr !== null || fid.openFd >= 0) return EINVAL;
  if (m.attr_size > P9_MAX_XATTR) return E2BIG;
  const refused = checkXattrName(m.name, true, fid.mount);
  if (refused !== 0) return refused;
  fid.xattr = { name: m.name, value: new Uint8Array(m.attr_size), writing: true, flags: m.flags, written: 0 };
  return c.reply(Rxattrcreate, {});
}

/** At a fid's clunk: stores what was written. An empty value removes the attribute, as the protocol has it. 0 or an errno. */
export function finishXattr(c: Connection, fid: Fid): number {
  const { xattr } = fid;
  if (xattr === null || !xattr.writing) return 0;
  if (xattr.value.length === 0) return c.calls.removeXattr(fid.fd, xattr.name);
  if (xattr.written !== xattr.value.length) return EINVAL;
  if (!fid.mount.owners.maySetXattr(xattr.name, xattr.value)) return EPERM;
  return c.calls.setXattr(fid.fd, xattr.name, xattr.value, xattr.flags);
}

function xattrAt(c: Connection): number {
  const m = c.extended ? c.read(Txattrx) : null;
  if (m === null) return EPROTO;
  const place = walkPlace(c, m.fid, m.names);
  if (typeof place === 'number') return place;
  const r = xattrOperation(c, place.fd, place.mount, m);
  place.release(c.calls);
  return typeof r === 'number' ? (r < 0 ? r : c.reply(Rxattrx, { data: new Uint8Array(0) })) : c.reply(Rxattrx, { data: r });
}

function xattrOperation(
  c: Connection,
  fd: number,
  mount: Mount,
  m: { operation: number; name: ByteString; value: Uint8Array; flags: number },
): number | Uint8Array {
  if (m.operation === XATTRX_LIST) return readXattr(c, fd, mount, '');
  const writing = m.operation !== XATTRX_GET;
  const refused = checkXattrName(m.name, writing, mount);
  if (refused !== 0) return refused;
  if (m.operation === XATTRX_GET) return readXattr(c, fd, mount, m.name);
  if (m.operation === XATTRX_REMOVE) return c.calls.removeXattr(fd, m.name);
  if (m.operation !== XATTRX_SET) return EINVAL;
  if (!mount.owners.maySetXattr(m.name, m.value)) return EPERM;
  return m.value.length > P9_MAX_XATTR ? E2BIG : c.calls.setXattr(fd, m.name, m.value, m.flags);
}

export const XATTR_HANDLERS: Readonly<Record<number, Handler>> = {
  [Txattrwalk.type]: xattrWalk,
  [Txattrcreate.type]: xattrCreate,
  [Txattrx.type]: xattrAt,
};
