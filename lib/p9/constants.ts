/**
 * Numbers of 9P2000.L (the protocol that Linux's own 9p client speaks) and the caps both ends hold each other to. All integers
 * are little-endian; strings are a 16-bit length and bytes.
 */
import {
  IN_ATTRIB,
  IN_CLOSE_WRITE,
  IN_CREATE,
  IN_DELETE,
  IN_DELETE_SELF,
  IN_MODIFY,
  IN_MOVE_SELF,
  IN_MOVED_FROM,
  IN_MOVED_TO,
} from '../../abi/inotify.ts';

export const P9_VERSION = '9P2000.L';
/** Answered to a client that wants a version we do not speak. */
export const P9_VERSION_UNKNOWN = 'unknown';
/** Appended to P9_VERSION by a client that wants the extension messages. */
export const P9_VERSION_EXTENDED = '9P2000.L.tsvisor';

/** size[4] type[1] tag[2] */
export const P9_HEADER_SIZE = 7;
export const P9_NOTAG = 0xffff;
/** "No fid": Tattach without authentication; an extension message that makes none. */
export const P9_NOFID = 0xffff_ffff;

// Caps: named after what they keep a peer from doing.
/** Largest message, so largest buffer either end allocates: 1 MiB of directory entries and their header. */
export const P9_MAX_MSIZE = (1 << 20) + 4096;
export const P9_MIN_MSIZE = 8192;
/** Components of one Twalk (intro(5), MAXWELEM) and of one extension message. */
export const P9_MAX_WALK = 16;
export const P9_MAX_WALK_EXTENDED = 128;
/** Bytes of one name (NAME_MAX), of any other string (a link's target, an attach name: PATH_MAX - 1). */
export const P9_MAX_NAME = 255;
export const P9_MAX_STRING = 4095;
/** Objects of one connection that the host watches: root's share of fs.inotify.max_user_watches is for all. */
export const P9_MAX_WATCHES = 8192;
/** Fids one Tclunkx names. */
export const P9_MAX_CLUNK = 512;
/** Paths that one look ahead names, and descriptors that come with one answer. */
export const P9_MAX_AHEAD = 64;
export const P9_MAX_DESCRIPTORS = 32;
/** Largest extended attribute value (XATTR_SIZE_MAX) and list. */
export const P9_MAX_XATTR = 65536;

// qid.type
export const QTDIR = 0x80;
export const QTSYMLINK = 0x02;
export const QTFILE = 0x00;

// Tgetattr request_mask, Rgetattr valid
export const P9_GETATTR_MODE = 0x001;
export const P9_GETATTR_BASIC = 0x7ff;
export const P9_GETATTR_BTIME = 0x800;
export const P9_GETATTR_GEN = 0x1000;
export const P9_GETATTR_DATA_VERSION = 0x2000;

// Tsetattr valid
export const P9_SETATTR_MODE = 0x001;
export const P9_SETATTR_UID = 0x002;
export const P9_SETATTR_GID = 0x004;
export const P9_SETATTR_SIZE = 0x008;
export const P9_SETATTR_ATIME = 0x010;
export const P9_SETATTR_MTIME = 0x020;
export const P9_SETATTR_CTIME = 0x040;
/** The time that follows counts; without it the bit above means "now". */
export const P9_SETATTR_ATIME_SET = 0x080;
export const P9_SETATTR_MTIME_SET = 0x100;

/**
 * inotify(7) events of a watched object: changes alone. Who else reads a file is nothing that a container has to know, and its own
 * Sentry and gofer would tell it all the time.
 */
export const P9_WATCHED_EVENTS =
  IN_MODIFY | IN_ATTRIB | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

// Tlock, Tgetlock
export const P9_LOCK_TYPE_RDLCK = 0;
export const P9_LOCK_TYPE_WRLCK = 1;
export const P9_LOCK_TYPE_UNLCK = 2;
export const P9_LOCK_SUCCESS = 0;
export const P9_LOCK_BLOCKED = 1;
export const P9_LOCK_ERROR = 2;

/** Extension: "do not open". */
export const P9_NO_OPEN = 0xffff_ffff;

// Treaddirx how
/** From the first entry on. */
export const READDIRX_RESTART = 1;
/** Names alone: struct linux_dirent64, as the host gives them. */
export const READDIRX_NAMES = 2;

// Txattrx operation
export const XATTRX_GET = 0;
export const XATTRX_SET = 1;
export const XATTRX_LIST = 2;
export const XATTRX_REMOVE = 3;

/** Tlistx: a directory that cannot be told beside the others. */
export const P9_NOT_TOLD = 0xffff_ffff;

/** True for one component that a directory can hold: no separator, no NUL, neither "." nor "..". */
export function isPlainName(name: string): boolean {
  return name.length > 0 && name.length <= P9_MAX_NAME && name !== '.' && name !== '..' && name.indexOf('/') < 0 && name.indexOf('\0') < 0;
}

/** True for plain names joined by separators. */
export function isPlainPath(path: string): boolean {
  return path.split('/').every(isPlainName);
}
