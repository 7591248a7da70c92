/**
 * directfs: look-ups, listings and opens for reading beneath the descriptor of a mount's root that the gofer has given away, without a round
 * trip. The Sentry is nobody on the host and has no capability, so it gets what everybody may see; for the rest, and for every change,
 * the answer here is DENIED and the caller asks the gofer.
 *
 * Each name is one plain component below a descriptor that is held, as in the gofer. The mount is a tree of its own on the
 * host: ".." does not lead out of it either.
 */
import { EACCES, EINVAL, EIO, EMFILE, ENFILE, EPERM, type Errno, ESTALE } from '../../../abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../../../abi/fcntl.ts';
import { S_IFLNK, S_IFMT } from '../../../abi/stat.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';
import type { Host } from '../../../lib/host.ts';
import { isPlainName } from '../../../lib/p9/constants.ts';
import { readAttributes } from './attributes.ts';
import type { GoferInode } from './inode.ts';
import type { Entry, Listing } from './listing.ts';

/** Not for nobody: the gofer may. */
export const DENIED = 'denied';

const NR = { getdents64: 217, readlinkat: 267, statx: 332, openat2: 437 } as const;
const STATX_WANTED = 0xfff;
const PATH_MAX = 4096;
const LIST_ROOM = 65536;
/** Looks at a name that others exchange for a link and back. */
const MAX_LOOKS = 16;
/** Directories whose descriptors are kept; the longest unused is closed first. */
const MAX_DIRECTORIES = 512;

export class DirectTree {
  private readonly host: Host;
  private readonly device: number;
  private readonly rootFd: number;
  private readonly root: () => GoferInode;
  /** Least recently used first. */
  private readonly directories = new Map<GoferInode, number>();
  /** struct open_how: flags, mode, resolve. */
  private readonly how = new Uint32Array(6);
  private readonly name = new Uint8Array(PATH_MAX);
  private readonly target = new Uint8Array(PATH_MAX);
  private readonly stat = new DataView(new ArrayBuffer(256));
  private readonly empty = new Uint8Array(8);
  private readonly dot = Uint8Array.of(0x2e, 0);

  /** Takes the descriptor over. `device`: attrDevice of the root. */
  constructor(host: Host, rootFd: number, device: number, root: () => GoferInode) {
    this.host = host;
    this.rootFd = rootFd;
    this.device = device;
    this.root = root;
    this.how[4] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  }

  close(): void {
    for (const fd of this.directories.values()) this.host.close(fd);
    this.directories.clear();
    this.host.close(this.rootFd);
  }

  /** What a name in a directory is now. */
  entry(directory: GoferInode, name: ByteString): Entry | Errno | typeof DENIED {
    const fd = this.directoryFd(directory);
    if (typeof fd !== 'number') return fd;
    if (fd < 0) return fd as Errno;
    for (let i = 0; i < MAX_LOOKS; i++) {
      const entry = this.look(fd, name);
      if (entry !== EINVAL) return entry;
    }
    return ESTALE;
  }
  /** EINVAL: the name has come to mean something else meanwhile. */
  private look(fd: number, name: ByteString): Entry | Errno | typeof DENIED {
    const path = this.put(name);
    const r = this.host.syscall(NR.statx, fd, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_WANTED, this.stat);
    if (r < 0) return refusal(r);
    const attributes = readAttributes(this.stat, 0, this.device);
    if ((attributes.mode & S_IFMT) !== S_IFLNK) return { attributes, target: '' };
    const length = this.host.syscall(NR.readlinkat, fd, path, this.target, PATH_MAX);
    return length < 0 ? refusal(length) : { attributes, target: byteString(this.target, 0, length) };
  }

  /** Attributes of an object that is known: by its descriptor, or by its name. */
  attributes(inode: GoferInode): Entry | Errno | typeof DENIED {
    const fd = inode === this.root() ? this.rootFd : this.directories.get(inode);
    if (fd === undefined) return inode.parent === null ? DENIED : this.entry(inode.parent, inode.name);
    const r = this.ask(fd);
    return r < 0 ? refusal(r) : { attributes: readAttributes(this.stat, 0, this.device), target: '' };
  }

  /** Names of a directory, added to `listing`; 0 if all are there. */
  list(directory: GoferInode, listing: Listing): 0 | Errno | typeof DENIED {
    const at = this.directoryFd(directory);
    if (typeof at !== 'number') return at;
    const fd = at < 0 ? at : this.open(at, this.dot, O_RDONLY | O_DIRECTORY);
    if (fd < 0) return refusal(fd);
    const bytes = new Uint8Array(LIST_ROOM);
    let n: number;
    while ((n = this.host.syscall(NR.getdents64, fd, bytes, LIST_ROOM)) > 0) {
      if (listing.addNames(bytes.subarray(0, n))) continue;
      n = EIO;
      break;
    }
    this.host.close(fd);
    return n as 0 | Errno;
  }

  /** A descriptor for reading of a regular file. */
  openFile(inode: GoferInode): number | typeof DENIED {
    if (inode.parent === null) return DENIED;
    const at = this.directoryFd(inode.parent);
    if (typeof at !== 'number' || at < 0) return at;
    // It was a regular file when it was looked up. Whoever puts something else there gains nothing: nothing waits, no device is opened (nodev).
    const fd = this.open(at, this.put(inode.name), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) return refusal(fd);
    const entry = this.ask(fd) < 0 ? null : readAttributes(this.stat, 0, this.device);
    if (entry !== null && inode.sameObject(entry)) {
      inode.tell(entry);
      return fd;
    }
    this.host.close(fd);
    return ESTALE;
  }

  /** The object is gone, or known under another name: descriptors lead to objects, so only what is gone must go. */
  forget(inode: GoferInode): void {
    const fd = this.directories.get(inode);
    if (fd === undefined) return;
    this.directories.delete(inode);
    this.host.close(fd);
  }

  private directoryFd(inode: GoferInode): number | typeof DENIED {
    if (inode === this.root()) return this.rootFd;
    const known = this.directories.get(inode);
    if (known !== undefined) {
      this.directories.delete(inode);
      this.directories.set(inode, known);
      return known;
    }
    if (inode.parent === null) return DENIED;
    const above = this.directoryFd(inode.parent);
    if (typeof above !== 'number' || above < 0) return above;
    const fd = this.open(above, this.put(inode.name), O_PATH | O_DIRECTORY);
    if (fd < 0) return refusal(fd);
    if (this.ask(fd) < 0 || !inode.sameObject(readAttributes(this.stat, 0, this.device))) {
      this.host.close(fd);
      return ESTALE;
    }
    this.keep(inode, fd);
    return fd;
  }
  private keep(inode: GoferInode, fd: number): void {
    this.directories.set(inode, fd);
    if (this.directories.size <= MAX_DIRECTORIES) return;
    for (const oldest of this.directories.keys()) {
      this.forget(oldest);
      return;
    }
  }

  private open(dirfd: number, path: Uint8Array, flags: number): number {
    this.how[0] = flags | O_CLOEXEC | O_NOFOLLOW;
    return this.host.syscall(NR.openat2, dirfd, path, this.how, 24);
  }
  private ask(fd: number): number {
    return this.host.syscall(NR.statx, fd, this.empty, AT_EMPTY_PATH, STATX_WANTED, this.stat);
  }
  private put(name: ByteString): Uint8Array {
    if (!isPlainName(name)) throw new Error('a name was not checked');
    for (let i = 0; i < name.length; i++) this.name[i] = name.charCodeAt(i);
    this.name[name.length] = 0;
    return this.name;
  }
}

/** No right, or no descriptor left: the gofer can. */
function refusal(r: number): Errno | typeof DENIED {
  return r === EACCES || r === EPERM || r === ENFILE || r === EMFILE ? DENIED : (r as Errno);
}
