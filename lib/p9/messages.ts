/**
 * Every message of 9P2000.L, and this project's extensions. A request is T, its answer R with the next number; Rlerror answers
 * any request. Field names are the protocol's.
 *
 * The extensions exist so that one round trip does one thing that an application asked for: each names its object by a *place*
 * (`fid` and the names to walk from there, possibly none), and answers with attributes. An attribute record is the first 144 bytes of struct
 * statx (attr.ts). They are understood only after a version exchange of P9_VERSION_EXTENDED.
 */
import { P9_MAX_AHEAD, P9_MAX_CLUNK, P9_MAX_DESCRIPTORS, P9_MAX_WALK, P9_MAX_WALK_EXTENDED } from './constants.ts';
import { data, i64, list, message, name, qid, raw, text, u8, u16, u32, u64 } from './message.ts';

export const Tstatfs = message('Tstatfs', 8, { fid: u32 });
export const Rstatfs = message('Rstatfs', 9, {
  type: u32,
  bsize: u32,
  blocks: u64,
  bfree: u64,
  bavail: u64,
  files: u64,
  ffree: u64,
  fsid: u64,
  namelen: u32,
});
export const Rlerror = message('Rlerror', 7, { ecode: u32 });
export const Tlopen = message('Tlopen', 12, { fid: u32, flags: u32 });
export const Rlopen = message('Rlopen', 13, { qid, iounit: u32 });
export const Tlcreate = message('Tlcreate', 14, { fid: u32, name, flags: u32, mode: u32, gid: u32 });
export const Rlcreate = message('Rlcreate', 15, { qid, iounit: u32 });
export const Tsymlink = message('Tsymlink', 16, { dfid: u32, name, symtgt: text, gid: u32 });
export const Rsymlink = message('Rsymlink', 17, { qid });
export const Tmknod = message('Tmknod', 18, { dfid: u32, name, mode: u32, major: u32, minor: u32, gid: u32 });
export const Rmknod = message('Rmknod', 19, { qid });
export const Trename = message('Trename', 20, { fid: u32, dfid: u32, name });
export const Rrename = message('Rrename', 21, {});
export const Treadlink = message('Treadlink', 22, { fid: u32 });
export const Rreadlink = message('Rreadlink', 23, { target: text });
export const Tgetattr = message('Tgetattr', 24, { fid: u32, request_mask: u64 });
export const Rgetattr = message('Rgetattr', 25, {
  valid: u64,
  qid,
  mode: u32,
  uid: u32,
  gid: u32,
  nlink: u64,
  rdev: u64,
  size: u64,
  blksize: u64,
  blocks: u64,
  atime_sec: i64,
  atime_nsec: u64,
  mtime_sec: i64,
  mtime_nsec: u64,
  ctime_sec: i64,
  ctime_nsec: u64,
  btime_sec: i64,
  btime_nsec: u64,
  gen: u64,
  data_version: u64,
});
/** What is to become of an object. */
const change = {
  valid: u32,
  mode: u32,
  uid: u32,
  gid: u32,
  size: u64,
  atime_sec: i64,
  atime_nsec: u64,
  mtime_sec: i64,
  mtime_nsec: u64,
};
export const Tsetattr = message('Tsetattr', 26, { fid: u32, ...change });
export const Rsetattr = message('Rsetattr', 27, {});
export const Txattrwalk = message('Txattrwalk', 30, { fid: u32, newfid: u32, name });
export const Rxattrwalk = message('Rxattrwalk', 31, { size: u64 });
export const Txattrcreate = message('Txattrcreate', 32, { fid: u32, name, attr_size: u64, flags: u32 });
export const Rxattrcreate = message('Rxattrcreate', 33, {});
export const Treaddir = message('Treaddir', 40, { fid: u32, offset: u64, count: u32 });
/** data: qid[13] offset[8] type[1] name[s], repeated. */
export const Rreaddir = message('Rreaddir', 41, { data });
export const Tfsync = message('Tfsync', 50, { fid: u32, datasync: u32 });
export const Rfsync = message('Rfsync', 51, {});
export const Tlock = message('Tlock', 52, { fid: u32, type: u8, flags: u32, start: u64, length: u64, proc_id: u32, client_id: text });
export const Rlock = message('Rlock', 53, { status: u8 });
export const Tgetlock = message('Tgetlock', 54, { fid: u32, type: u8, start: u64, length: u64, proc_id: u32, client_id: text });
export const Rgetlock = message('Rgetlock', 55, { type: u8, start: u64, length: u64, proc_id: u32, client_id: text });
export const Tlink = message('Tlink', 70, { dfid: u32, fid: u32, name });
export const Rlink = message('Rlink', 71, {});
export const Tmkdir = message('Tmkdir', 72, { dfid: u32, name, mode: u32, gid: u32 });
export const Rmkdir = message('Rmkdir', 73, { qid });
export const Trenameat = message('Trenameat', 74, { olddirfid: u32, oldname: name, newdirfid: u32, newname: name });
export const Rrenameat = message('Rrenameat', 75, {});
export const Tunlinkat = message('Tunlinkat', 76, { dirfd: u32, name, flags: u32 });
export const Runlinkat = message('Runlinkat', 77, {});
export const Tversion = message('Tversion', 100, { msize: u32, version: text });
export const Rversion = message('Rversion', 101, { msize: u32, version: text });
export const Tauth = message('Tauth', 102, { afid: u32, uname: text, aname: text, n_uname: u32 });
export const Rauth = message('Rauth', 103, { aqid: qid });
export const Tattach = message('Tattach', 104, { fid: u32, afid: u32, uname: text, aname: text, n_uname: u32 });
export const Rattach = message('Rattach', 105, { qid });
export const Tflush = message('Tflush', 108, { oldtag: u16 });
export const Rflush = message('Rflush', 109, {});
export const Twalk = message('Twalk', 110, { fid: u32, newfid: u32, wname: list(name, P9_MAX_WALK) });
export const Rwalk = message('Rwalk', 111, { wqid: list(qid, P9_MAX_WALK) });
export const Tread = message('Tread', 116, { fid: u32, offset: u64, count: u32 });
export const Rread = message('Rread', 117, { data });
export const Twrite = message('Twrite', 118, { fid: u32, offset: u64, data });
export const Rwrite = message('Rwrite', 119, { count: u32 });
export const Tclunk = message('Tclunk', 120, { fid: u32 });
export const Rclunk = message('Rclunk', 121, {});
export const Tremove = message('Tremove', 122, { fid: u32 });
export const Rremove = message('Rremove', 123, {});

// Extensions

/** Bytes of one attribute record. */
export const ATTR_SIZE = 144;
const attr = raw(ATTR_SIZE);
const names = list(name, P9_MAX_WALK_EXTENDED);

/**
 * Walks `names` from `fid` and tells what each is. If all are found: `newfid` (unless P9_NOFID) stands for the last, and with `open` (O_*
 * flags, or P9_NO_OPEN) its descriptor comes with the answer. No names: the object of `fid` itself.
 */
export const Twalkx = message('Twalkx', 200, { fid: u32, newfid: u32, open: u32, names });
/**
 * ecode: 0, or why it went no further. start: attributes of `fid`'s own object, where the walk began. entries: one attr[144] target[s] for each name found (or one for `fid` itself if there were no
 * names); target is empty but for symbolic links. opened: a descriptor came along.
 */
export const Rwalkx = message('Rwalkx', 201, { ecode: u32, opened: u8, start: attr, entries: data });
/**
 * Entries of the directory at a place, without "." and "..": `how` is READDIRX_*: from the first one on with RESTART, otherwise those that follow
 * what was told last. The fid that stands for the directory (`newfid`, or `fid` if there are no names) keeps it open until the
 * end was told. `count` caps the answer's data.
 */
export const Treaddirx = message('Treaddirx', 202, { fid: u32, newfid: u32, how: u8, count: u32, names });
/**
 * attr: the directory's own. data: attr[144] name[s] target[s], repeated; the target of a symbolic link may be empty: then it did not
 * fit. With READDIRX_NAMES data is what getdents64(2) gives, "." and ".." included. eof: nothing follows.
 */
export const Rreaddirx = message('Rreaddirx', 203, { eof: u8, attr, data });
/**
 * Makes `name` in the directory at a place: what, `mode`'s type says (regular file, directory, symbolic link to `target`, fifo, socket),
 * owned by uid and gid, with these permission bits, without those of `umask` unless the directory has a default ACL. A regular file is opened if `open` is not P9_NO_OPEN; without a name it is
 * one that no directory holds (O_TMPFILE).
 */
export const Tmakex = message('Tmakex', 204, {
  fid: u32,
  names,
  name,
  newfid: u32,
  mode: u32,
  umask: u32,
  major: u32,
  minor: u32,
  uid: u32,
  gid: u32,
  open: u32,
  target: text,
});
export const Rmakex = message('Rmakex', 205, { opened: u8, attr });
/** As Tsetattr, at a place, and tells the attributes afterwards. */
export const Tsetattrx = message('Tsetattrx', 206, { fid: u32, names, ...change });
export const Rsetattrx = message('Rsetattrx', 207, { attr });
export const Tclunkx = message('Tclunkx', 208, { fids: list(u32, P9_MAX_CLUNK) });
export const Rclunkx = message('Rclunkx', 209, {});
/** One extended attribute at a place: operation is XATTRX_*; `flags` as in setxattr(2). */
export const Txattrx = message('Txattrx', 210, { fid: u32, names, operation: u8, flags: u32, name, value: data });
/** The value, or the names with a NUL behind each. */
export const Rxattrx = message('Rxattrx', 211, { data });
/** Asks for the descriptor of a mount's root itself (directfs); EPERM where the gofer was not told to give it. */
export const Tdirectx = message('Tdirectx', 214, { fid: u32 });
export const Rdirectx = message('Rdirectx', 215, {});
/** Connects to the socket at a place (SOCK_*); the connection comes with the answer. EACCES where the gofer was not told to. */
export const Tconnectx = message('Tconnectx', 216, { fid: u32, names, type: u32 });
export const Rconnectx = message('Rconnectx', 217, {});
/** syncfs(2) of the filesystem that an object is on. */
export const Tsyncfsx = message('Tsyncfsx', 218, { fid: u32 });
export const Rsyncfsx = message('Rsyncfsx', 219, {});
/** Trenameat with renameat2(2)'s flags. */
export const Trenamex = message('Trenamex', 212, { olddirfid: u32, oldname: name, newdirfid: u32, newname: name, flags: u32 });
export const Rrenamex = message('Rrenamex', 213, {});
/**
 * Watches the object at a place for changes (P9_WATCHED_EVENTS): `wd` is its number in the connection's inotify(7) instance, whose descriptor comes
 * with the first answer. EMFILE: the connection has too many.
 */
export const Twatchx = message('Twatchx', 220, { fid: u32, names });
export const Rwatchx = message('Rwatchx', 221, { wd: u32 });
export const Tunwatchx = message('Tunwatchx', 222, { wd: u32 });
export const Runwatchx = message('Runwatchx', 223, {});
/**
 * Looks ahead: what directories below `fid` hold. A path is plain names joined by '/'; no link in it is followed. `count` caps the answer's data: for
 * each path in turn, until it is used up, length[4] and entries as Rreaddirx has them, or P9_NOT_TOLD: it is no directory, or a large one.
 */
export const Tlistx = message('Tlistx', 224, { fid: u32, count: u32, paths: list(text, P9_MAX_AHEAD) });
export const Rlistx = message('Rlistx', 225, { data });
/** Looks ahead: opens regular files below `fid` for reading. One byte for each path, 1: its descriptor came along, in this order. */
export const Topenx = message('Topenx', 226, { fid: u32, paths: list(text, P9_MAX_DESCRIPTORS) });
export const Ropenx = message('Ropenx', 227, { opened: data });
