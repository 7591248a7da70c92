/** What requests do to host objects, and what they may not. Standard and extension messages meet here. */
import { EACCES, EADDRINUSE, EEXIST, EINVAL, EIO, EISDIR, ENOTDIR, EOPNOTSUPP, EPERM, EROFS, type Errno, EXDEV } from '../abi/errno.ts';
import { O_ACCMODE, O_APPEND, O_CREAT, O_EXCL, O_PATH, O_RDONLY, O_RDWR, O_TRUNC } from '../abi/fcntl.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, S_ISGID, S_ISUID } from '../abi/stat.ts';
import { setLen64 } from '../abi/struct.ts';
import type { ByteString } from '../lib/byte_string.ts';
import { Attr, attrMode } from '../lib/p9/attr.ts';
import {
  isPlainName,
  P9_SETATTR_ATIME,
  P9_SETATTR_ATIME_SET,
  P9_SETATTR_GID,
  P9_SETATTR_MODE,
  P9_SETATTR_MTIME,
  P9_SETATTR_MTIME_SET,
  P9_SETATTR_SIZE,
  P9_SETATTR_UID,
} from '../lib/p9/constants.ts';
import type { Connection } from './connection.ts';
import type { Fid, Mount } from './fid.ts';
import type { HostCalls } from './host_calls.ts';

const PERMISSIONS = 0o7777;
/** Set-id bits and the sticky bit. */
const SPECIAL = 0o7000;
const UID = Attr.offsets.stx_uid;
const GID = Attr.offsets.stx_gid;
const SET_ID = S_ISUID | S_ISGID;
const NO_ID = 0xffff_ffff;
/** utimensat(2) */
const UTIME_NOW = 0x3fff_ffff;
const UTIME_OMIT = 0x3fff_fffe;

/** A directory in which something is to be made or removed: 0, EROFS, ENOTDIR, or EINVAL for a name that is none. */
export function checkChange(directory: Fid, name: ByteString): 0 | Errno {
  if (!directory.isDirectory) return ENOTDIR;
  if (!isPlainName(name)) return EINVAL;
  return directory.mount.readonly ? EROFS : 0;
}

/** Two fids of one rename or link. The host would find out too; a mount is the boundary also where two lie on one filesystem. */
export function sameMount(a: Fid, b: Fid): 0 | Errno {
  return a.mount === b.mount ? 0 : EXDEV;
}

/**
 * An open file for an O_PATH descriptor. Only regular files, and fifos where the gofer was told so (without waiting): opening a device
 * runs a driver, and no client has a claim to that.
 */
export function openObject(c: Connection, fd: number, mode: number, mount: Mount, flags: number): number {
  const { calls } = c;
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return EISDIR;
  if (type !== S_IFREG && !(type === S_IFIFO && c.hostObjects.openFifos)) return EACCES;
  const wanted = flags & (O_ACCMODE | O_TRUNC | O_APPEND);
  if (mount.readonly && ((wanted & O_ACCMODE) !== O_RDONLY || (wanted & O_TRUNC) !== 0)) return EROFS;
  if ((wanted & O_ACCMODE) === O_ACCMODE) return EINVAL;
  return calls.reopen(fd, wanted);
}

export interface Creation {
  /** Empty: a regular file without a name (O_TMPFILE). */
  readonly name: ByteString;
  /** Type and permission bits. */
  readonly mode: number;
  /** Bits that it loses unless the directory has a default ACL. */
  readonly umask: number;
  /** 0xffffffff: as the host decides. */
  readonly uid: number;
  readonly gid: number;
  /** Of a symbolic link. */
  readonly target: ByteString;
}

/** O_PATH descriptor of a new object in a directory that passed checkChange, with struct statx in c.stat; or an errno. */
/** A socket stays bound, and is donated, where the gofer was told to make sockets of the host. */
export function makeObject(c: Connection, { fd: directory, mount }: Fid, what: Creation): number {
  const { calls } = c;
  calls.umask(what.umask & 0o777);
  const fd = makeNamed(c, directory, what, mount.store);
  if (fd < 0) return fd;
  const r = takeOwnership(c, fd, mount, what);
  if (r === 0) return fd;
  calls.close(fd);
  if (what.name !== '') calls.unlink(directory, what.name, (what.mode & S_IFMT) === S_IFDIR ? 0x200 : 0);
  return r;
}

function makeNamed(c: Connection, directory: number, what: Creation, inStore: boolean): number {
  const { calls } = c;
  const bits = what.mode & 0o777;
  const type = what.mode & S_IFMT;
  if (type === S_IFREG) {
    const open =
      what.name === ''
        ? makeNameless(calls, directory, bits, inStore)
        : calls.openName(directory, what.name, O_CREAT | O_EXCL | O_RDONLY, bits);
    if (open < 0) return open;
    const path = calls.reopen(open, O_PATH);
    calls.close(open);
    return path;
  }
  let r: number;
  if (type === S_IFDIR) r = calls.mkdir(directory, what.name, bits);
  else if (type === S_IFLNK) {
    if (what.target === '' || what.target.includes('\0')) return EINVAL;
    r = calls.symlink(what.target, directory, what.name);
  } else if (type === S_IFSOCK && c.hostObjects.makeSockets) r = bindSocket(c, directory, what.name);
  else if (type === S_IFIFO || type === S_IFSOCK) r = calls.mknod(directory, what.name, type | bits);
  // A device node on the host outlives the sandbox and works outside of it.
  else return EPERM;
  return r < 0 ? r : calls.openPath(directory, what.name);
}

function bindSocket(c: Connection, directory: number, name: ByteString): number {
  const socket = c.calls.socket(1 /* SOCK_STREAM */);
  if (socket < 0) return socket;
  const r = c.calls.bind(socket, directory, name);
  if (r < 0) c.calls.close(socket);
  else c.donate(socket);
  return r === EADDRINUSE ? EEXIST : r;
}

/** O_TMPFILE; for a store where the host's filesystem has none, a file whose name goes at once. */
function makeNameless(calls: HostCalls, directory: number, bits: number, inStore: boolean): number {
  const fd = calls.openTemporary(directory, bits);
  if (!inStore || (fd !== EOPNOTSUPP && fd !== EISDIR)) return fd;
  const random = new Uint8Array(16);
  calls.host.getrandom(random);
  const name = `.tsvisor-${Buffer.from(random).toString('hex')}`;
  const named = calls.openName(directory, name, O_CREAT | O_EXCL | O_RDWR, bits);
  if (named >= 0) calls.unlink(directory, name, 0);
  return named;
}

/** Owner and special bits. What the name means may have been exchanged since: then it is not ours to change. */
function takeOwnership(c: Connection, fd: number, mount: Mount, what: Creation): number {
  const { calls } = c;
  const type = what.mode & S_IFMT;
  let r = calls.stat(fd, c.statAddress);
  if (r < 0) return r;
  if ((attrMode(c.stat, 0) & S_IFMT) !== type) return EEXIST;
  const [hostUid, hostGid] = [c.stat.getUint32(UID, true), c.stat.getUint32(GID, true)];
  const uid = what.uid === hostUid ? -1 : what.uid | 0;
  const gid = what.gid === hostGid ? -1 : what.gid | 0;
  // The group may be that of the directory; nobody has rights by it that a member did not give.
  const [lastUid, lastGid] = [uid === -1 ? hostUid : what.uid, gid === -1 ? hostGid : what.gid];
  if (!mount.owners.mayOwn(lastUid, gid === -1 ? undefined : lastGid) || !mount.owners.mayHave(what.mode, lastUid, lastGid)) return EPERM;
  const owned = uid === -1 && gid === -1;
  // What the host left of the nine bits is as it should be: umask or default ACL have been applied.
  const mode = (attrMode(c.stat, 0) & 0o777) | (what.mode & SPECIAL);
  const moded = type === S_IFLNK || ((attrMode(c.stat, 0) ^ mode) & SPECIAL) === 0;
  if (owned && moded) return 0;
  if (!owned) r = calls.chown(fd, uid, gid);
  if (r < 0) return r;
  // chown(2) may have taken set-id bits.
  if (!moded || (mode & SET_ID) !== 0) r = type === S_IFLNK ? 0 : calls.chmod(fd, mode);
  return r < 0 ? r : calls.stat(fd, c.statAddress);
}

export interface AttributeRequest {
  readonly valid: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atime_sec: number;
  readonly atime_nsec: number;
  readonly mtime_sec: number;
  readonly mtime_nsec: number;
}

/** Tsetattr. The owner first: chown(2) clears bits that the mode may set again; times last: truncate(2) changes them. */
export function setAttributes(c: Connection, fd: number, mode: number, mount: Mount, m: AttributeRequest): number {
  if (mount.readonly) return EROFS;
  const { calls } = c;
  const { valid } = m;
  let r = 0;
  if ((valid & (P9_SETATTR_UID | P9_SETATTR_GID)) !== 0) {
    const uid = (valid & P9_SETATTR_UID) !== 0 ? m.uid : NO_ID;
    const gid = (valid & P9_SETATTR_GID) !== 0 ? m.gid : NO_ID;
    if (!mount.owners.mayOwn(uid === NO_ID ? undefined : uid, gid === NO_ID ? undefined : gid)) return EPERM;
    r = calls.chown(fd, uid | 0, gid | 0);
  }
  if (r === 0 && (valid & P9_SETATTR_MODE) !== 0) {
    r = (mode & S_IFMT) === S_IFLNK ? EOPNOTSUPP : setMode(c, fd, mount, m.mode & PERMISSIONS);
  }
  if (r === 0 && (valid & P9_SETATTR_SIZE) !== 0) r = setSize(c, fd, mode, mount, m.size);
  if (r === 0 && (valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME)) !== 0) r = setTimes(calls, fd, m);
  return r;
}

/** EPERM: it would count for somebody whom the container must not make files for. */
function setMode(c: Connection, fd: number, mount: Mount, bits: number): number {
  if ((bits & SET_ID) !== 0) {
    const r = c.calls.stat(fd, c.statAddress);
    if (r < 0) return r;
    if (!mount.owners.mayHave(bits, c.stat.getUint32(UID, true), c.stat.getUint32(GID, true))) return EPERM;
  }
  return c.calls.chmod(fd, bits);
}

function setSize(c: Connection, fd: number, mode: number, mount: Mount, size: number): number {
  const { calls } = c;
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return EISDIR;
  if (type !== S_IFREG || size > Number.MAX_SAFE_INTEGER) return EINVAL;
  const before = calls.stat(fd, c.statAddress) < 0 ? 0 : attrMode(c.stat, 0) & PERMISSIONS;
  const r = calls.truncate(fd, size);
  // The host takes set-id bits from whoever has no right there to keep them; whether they go is the Sentry's to say.
  if (r !== 0 || (before & SET_ID) === 0) return r;
  const kept = setMode(c, fd, mount, before);
  return kept === EPERM ? 0 : kept;
}

function setTimes(calls: HostCalls, fd: number, m: AttributeRequest): number {
  const times = new DataView(new ArrayBuffer(32));
  const put = (at: number, bit: number, setBit: number, sec: number, nsec: number): void => {
    const nanoseconds = (m.valid & bit) === 0 ? UTIME_OMIT : (m.valid & setBit) === 0 ? UTIME_NOW : Math.min(nsec, 999_999_999);
    setLen64(times, at, sec);
    setLen64(times, at + 8, nanoseconds);
  };
  put(0, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, m.atime_sec, m.atime_nsec);
  put(16, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, m.mtime_sec, m.mtime_nsec);
  return calls.utimes(fd, times);
}

/** Extended attributes that a client may see and change: what belongs to the application, access control lists, file capabilities. The rest is the host's. */
function isServed(name: ByteString): boolean {
  return name.startsWith('user.') || SERVED_XATTRS.includes(name);
}
const SERVED_XATTRS = ['security.capability', 'system.posix_acl_access', 'system.posix_acl_default'];

export function checkXattrName(name: ByteString, writing: boolean, mount: Mount): 0 | Errno {
  if (!isServed(name)) return EOPNOTSUPP;
  if (name === 'user.' || name.includes('\0')) return EINVAL;
  return writing && mount.readonly ? EROFS : 0;
}

/** listxattr(2)'s list without the names that checkXattrName hides. */
export function visibleXattrs(list: Uint8Array): Uint8Array | Errno {
  if (list.length > 0 && list[list.length - 1] !== 0) return EIO;
  const kept: number[] = [];
  for (let at = 0; at < list.length; ) {
    const end = list.indexOf(0, at) + 1;
    const name = Buffer.from(list.subarray(at, end - 1)).toString('latin1');
    if (isServed(name)) kept.push(...list.subarray(at, end));
    at = end;
  }
  return Uint8Array.from(kept);
}
