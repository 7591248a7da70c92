/**
 * The host's files, as the gofer reaches them: through descriptors and single names, never through a path that somebody else wrote.
 *
 * The working directory of the process is its own /proc/self/fd (see confine.ts): the relative path "N" is a magic link to what
 * descriptor N stands for, also where the object has lost its name, and O_PATH descriptors become open files, or take part in calls that know no
 * AT_EMPTY_PATH. N comes from this process alone.
 */
import { ENAMETOOLONG } from '../abi/errno.ts';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  AT_NO_AUTOMOUNT,
  AT_SYMLINK_FOLLOW,
  AT_SYMLINK_NOFOLLOW,
  O_CLOEXEC,
  O_DIRECTORY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_RDWR,
  O_TMPFILE,
  RESOLVE_BENEATH,
  RESOLVE_NO_MAGICLINKS,
  RESOLVE_NO_SYMLINKS,
} from '../abi/fcntl.ts';
import { STATX_BASIC_STATS, STATX_BTIME } from '../abi/stat.ts';
import type { ByteString } from '../lib/byte_string.ts';
import type { Host } from '../lib/host.ts';

const NR = {
  truncate: 76,
  fsync: 74,
  fstatfs: 138,
  setxattr: 188,
  getxattr: 191,
  listxattr: 194,
  removexattr: 197,
  getdents64: 217,
  openat: 257,
  mkdirat: 258,
  mknodat: 259,
  fchownat: 260,
  unlinkat: 263,
  linkat: 265,
  symlinkat: 266,
  readlinkat: 267,
  fchmodat: 268,
  utimensat: 280,
  renameat2: 316,
  statx: 332,
  openat2: 437,
  socket: 41,
  connect: 42,
  bind: 49,
  syncfs: 306,
  umask: 95,
  inotify_init1: 294,
  inotify_add_watch: 254,
  inotify_rm_watch: 255,
} as const;

/** Bytes that statx(2) writes. */
export const STATX_SIZE = 256;
const STATX_WANTED = STATX_BASIC_STATS | STATX_BTIME;
const NAME_ROOM = 4096;
// socket(2), unix(7)
const AF_UNIX = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;
const SUN_PATH = 108;

export class HostCalls {
  readonly host: Host;
  private readonly names = new Uint8Array(2 * NAME_ROOM);
  private readonly first: number;
  private readonly second: number;
  /** Address of an empty C string. */
  private readonly empty: number;
  private readonly emptyBytes = new Uint8Array(8);
  private readonly dot = Uint8Array.of(0x2e, 0);
  /** The process's own, as confine.ts leaves it. */
  private mask = 0;
  /** struct open_how: flags, mode, resolve. */
  private readonly how = new Uint32Array(6);

  constructor(host: Host) {
    this.host = host;
    this.first = host.addressOf(this.names);
    this.second = this.first + NAME_ROOM;
    this.empty = host.addressOf(this.emptyBytes);
    this.how[4] = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  }

  close(fd: number): void {
    this.host.close(fd);
  }

  // Opening

  /** O_PATH descriptor of what `name`, or a path of plain names, is in a directory; of the link itself if it is one. */
  openPath(dirfd: number, name: ByteString): number {
    return this.open(dirfd, this.name(name), O_PATH | O_NOFOLLOW, 0);
  }
  /** openat2(2) of one name; never follows a link. */
  openName(dirfd: number, name: ByteString, flags: number, mode: number): number {
    return this.open(dirfd, this.name(name), flags | O_NOFOLLOW | O_NONBLOCK, mode);
  }
  openTemporary(dirfd: number, mode: number): number {
    return this.open(dirfd, this.dot, O_TMPFILE | O_RDWR, mode);
  }
  openDirectory(fd: number): number {
    return this.open(fd, this.dot, O_RDONLY | O_DIRECTORY, 0);
  }
  /** A directory to be read, at a path of plain names. */
  openDirectoryAt(dirfd: number, path: ByteString): number {
    return this.open(dirfd, this.name(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
  }
  /** An open file for an O_PATH descriptor. The caller knows that it is a regular file. */
  reopen(fd: number, flags: number): number {
    return this.host.syscall(NR.openat, AT_FDCWD, this.descriptor(fd), flags | O_CLOEXEC | O_NONBLOCK, 0);
  }
  private open(dirfd: number, path: number | Uint8Array, flags: number, mode: number): number {
    this.how[0] = flags | O_CLOEXEC;
    this.how[2] = mode;
    return this.host.syscall(NR.openat2, dirfd, path, this.how, 24);
  }

  // Attributes

  /** statx(2) of a descriptor; STATX_SIZE bytes are written at `address`. */
  stat(fd: number, address: number): number {
    return this.host.syscall(NR.statx, fd, this.empty, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_WANTED, address);
  }
  statName(dirfd: number, name: ByteString, address: number): number {
    return this.statPointer(dirfd, this.name(name), address);
  }
  /** As statName; `name` is the address of a C string that holds one plain name. */
  statPointer(dirfd: number, name: number, address: number): number {
    return this.host.syscall(NR.statx, dirfd, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_WANTED, address);
  }
  chown(fd: number, uid: number, gid: number): number {
    return this.host.syscall(NR.fchownat, fd, this.empty, uid, gid, AT_EMPTY_PATH);
  }
  chmod(fd: number, mode: number): number {
    return this.host.syscall(NR.fchmodat, AT_FDCWD, this.descriptor(fd), mode);
  }
  truncate(fd: number, size: number): number {
    return this.host.syscall(NR.truncate, this.descriptor(fd), size);
  }
  /** times: two struct timespec. */
  utimes(fd: number, times: ArrayBufferView): number {
    return this.host.syscall(NR.utimensat, fd, this.empty, times, AT_EMPTY_PATH);
  }
  statfs(fd: number, into: Uint8Array): number {
    return this.host.syscall(NR.fstatfs, fd, into);
  }

  // Names

  /** What later calls that make something take from its mode, unless the directory has a default ACL. */
  umask(mask: number): void {
    if (mask !== this.mask) this.host.syscall(NR.umask, mask);
    this.mask = mask;
  }
  mkdir(dirfd: number, name: ByteString, mode: number): number {
    return this.host.syscall(NR.mkdirat, dirfd, this.name(name), mode);
  }
  mknod(dirfd: number, name: ByteString, mode: number): number {
    return this.host.syscall(NR.mknodat, dirfd, this.name(name), mode, 0);
  }
  symlink(target: ByteString, dirfd: number, name: ByteString): number {
    return this.host.syscall(NR.symlinkat, this.name(target), dirfd, this.secondName(name));
  }
  link(fd: number, dirfd: number, name: ByteString): number {
    return this.host.syscall(NR.linkat, AT_FDCWD, this.descriptor(fd), dirfd, this.secondName(name), AT_SYMLINK_FOLLOW);
  }
  unlink(dirfd: number, name: ByteString, flags: number): number {
    return this.host.syscall(NR.unlinkat, dirfd, this.name(name), flags);
  }
  rename(oldDir: number, oldName: ByteString, newDir: number, newName: ByteString, flags: number): number {
    return this.host.syscall(NR.renameat2, oldDir, this.name(oldName), newDir, this.secondName(newName), flags);
  }
  /** Target of the link that an O_PATH descriptor stands for. */
  readlink(fd: number, address: number, room: number): number {
    return this.host.syscall(NR.readlinkat, fd, this.empty, address, room);
  }
  readlinkPointer(dirfd: number, name: number, address: number, room: number): number {
    return this.host.syscall(NR.readlinkat, dirfd, name, address, room);
  }
  /** The C string of a name, for the ...Pointer calls: valid until the next call with a name. */
  namePointer(name: ByteString): number {
    return this.name(name);
  }
  getdents(fd: number, address: number, room: number): number {
    return this.host.syscall(NR.getdents64, fd, address, room);
  }

  // Extended attributes

  getXattr(fd: number, name: ByteString, into: Uint8Array): number {
    return this.host.syscall(NR.getxattr, this.descriptor(fd), this.secondName(name), into, into.length);
  }
  setXattr(fd: number, name: ByteString, value: Uint8Array, flags: number): number {
    return this.host.syscall(NR.setxattr, this.descriptor(fd), this.secondName(name), value, value.length, flags);
  }
  listXattrs(fd: number, into: Uint8Array): number {
    return this.host.syscall(NR.listxattr, this.descriptor(fd), into, into.length);
  }
  removeXattr(fd: number, name: ByteString): number {
    return this.host.syscall(NR.removexattr, this.descriptor(fd), this.secondName(name));
  }

  // Sockets

  socket(type: number): number {
    return this.host.syscall(NR.socket, AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  }
  /** To the socket file that an O_PATH descriptor stands for. */
  connect(socket: number, fd: number): number {
    return this.host.syscall(NR.connect, socket, socketAddress(String(fd)), 2 + String(fd).length + 1);
  }
  /** Makes the socket file `name` in a directory. ENAMETOOLONG where an address cannot hold it. */
  bind(socket: number, dirfd: number, name: ByteString): number {
    const path = `${dirfd}/${name}`;
    return path.length >= SUN_PATH ? ENAMETOOLONG : this.host.syscall(NR.bind, socket, socketAddress(path), 2 + path.length + 1);
  }

  // Watches

  /** An inotify(7) instance that is read without waiting. */
  notifier(): number {
    return this.host.syscall(NR.inotify_init1, O_CLOEXEC | O_NONBLOCK);
  }
  /** Watches what a descriptor stands for, whatever becomes of its name. The watch's number. */
  watch(notifier: number, fd: number, mask: number): number {
    return this.host.syscall(NR.inotify_add_watch, notifier, this.descriptor(fd), mask);
  }
  unwatch(notifier: number, wd: number): number {
    return this.host.syscall(NR.inotify_rm_watch, notifier, wd);
  }

  syncfs(fd: number): number {
    return this.host.syscall(NR.syncfs, fd);
  }
  fsync(fd: number): number {
    return this.host.syscall(NR.fsync, fd);
  }

  /** Callers pass checked names and strings without NUL, below NAME_ROOM bytes. */
  private name(text: ByteString): number {
    return this.place(text, 0, this.first);
  }
  private secondName(text: ByteString): number {
    return this.place(text, NAME_ROOM, this.second);
  }
  private descriptor(fd: number): number {
    return this.place(String(fd), 0, this.first);
  }
  private place(text: ByteString, at: number, address: number): number {
    if (text.length >= NAME_ROOM) throw new Error('a name was not checked');
    const { names } = this;
    for (let i = 0; i < text.length; i++) names[at + i] = text.charCodeAt(i);
    names[at + text.length] = 0;
    return address;
  }
}

/** struct sockaddr_un of a path, which is relative to the folder of descriptors. */
function socketAddress(path: string): Uint8Array {
  const bytes = Buffer.alloc(2 + SUN_PATH);
  bytes.writeUInt16LE(AF_UNIX, 0);
  bytes.write(path, 2, 'latin1');
  return bytes;
}
