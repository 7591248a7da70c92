/** open(2): from a path and flags to an open file. */
import { EACCES, EEXIST, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, ENXIO, EPERM, ERESTARTSYS, type Errno, ETXTBSY } from '../../abi/errno.ts';
import {
  __O_TMPFILE,
  O_ACCMODE,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECTORY,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
} from '../../abi/fcntl.ts';
import { IN_CREATE, IN_MODIFY, IN_OPEN } from '../../abi/inotify.ts';
import { S_IALLUGO, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { openWaiting } from '../fs/fifo_wait.ts';
import { type BlockingOpen, openFifo } from '../fs/pipefs/fifo.ts';
import type { Task } from '../kernel/task.ts';
import { dropCutCopies } from '../mm/cut_file.ts';
import { TemporaryDentry } from './create.ts';
import { instantiate, lookupChild } from './dentry_cache.ts';
import { FileDescription, FileImpl } from './file.ts';
import type { Inode, OpenContext } from './inode.ts';
import { breaksLeases, waitForLeases } from './leases.ts';
import { credentialsOn } from './mount_id_map.ts';
import { Dentry, inodeOf, MS_NODEV, MS_NOEXEC, type VfsPath } from './path.ts';
import {
  checkMaking,
  checkMountWrite,
  checkPermission,
  createOptions,
  MAY_EXEC,
  MAY_READ,
  MAY_WRITE,
  modeAfterWrite,
  ownerOrCapable,
} from './permission.ts';
import { LOOKUP_DIRECTORY, LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve, startWalk, type Walk } from './walk.ts';

/** Flags that live only as long as open(2) itself. */
const OPEN_ONLY = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC;
/** How often a name may come and go under one open(2). */
const MAX_ATTEMPTS = 3;
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW;

/** An open file, the caller's; or a generator that ends with one. */
export type OpenResult = FileDescription | Errno | BlockingOpen;

/** O_PATH: a place, and nothing that could be done with the object. */
class PathFile extends FileImpl {}

/** MAY_* that an access mode needs; 3 (ioctl only) needs both. */
function accessMask(flags: number): number {
  const mode = flags & O_ACCMODE;
  const mask = mode === O_RDONLY ? MAY_READ : mode === O_WRONLY ? MAY_WRITE : MAY_READ | MAY_WRITE;
  return (flags & O_TRUNC) !== 0 ? mask | MAY_WRITE : mask;
}

/** Flags that make no sense together, whatever the path: EINVAL. */
export function checkOpenFlags(flags: number): 0 | Errno {
  if ((flags & O_PATH) !== 0) return 0;
  if ((flags & __O_TMPFILE) !== 0) {
    return (flags & O_DIRECTORY) === 0 || (flags & O_CREAT) !== 0 || (accessMask(flags) & MAY_WRITE) === 0 ? EINVAL : 0;
  }
  return (flags & (O_CREAT | O_DIRECTORY)) === (O_CREAT | O_DIRECTORY) ? EINVAL : 0;
}

/**
 * Opens `path`. `flags` as open(2) gives them, `mode` without the umask applied. `resolveOptions`: openat2(2)'s RESOLVE_* bits, shifted
 * (walk.ts). A fifo may have to wait for its other end.
 */
export function openFile(task: Task, dirfd: number, path: ByteString, flags: number, mode: number, resolveOptions = 0): OpenResult {
  if ((flags & O_PATH) !== 0) return openPlace(task, dirfd, path, flags & PATH_FLAGS, resolveOptions);
  const open = flags | O_LARGEFILE;
  if ((flags & __O_TMPFILE) !== 0) return openTemporary(task, dirfd, path, open, mode & S_IALLUGO, resolveOptions);
  if ((flags & O_CREAT) !== 0) return openOrCreate(task, dirfd, path, open, mode & S_IALLUGO, resolveOptions);
  const follow = (flags & O_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  const found = resolve(task, dirfd, path, follow | resolveOptions | ((flags & O_DIRECTORY) !== 0 ? LOOKUP_DIRECTORY : 0));
  return typeof found === 'number' ? found : openResolved(task, found, open);
}

function openPlace(task: Task, dirfd: number, path: ByteString, flags: number, resolveOptions: number): OpenResult {
  const follow = (flags & O_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  const directory = (flags & O_DIRECTORY) !== 0 ? LOOKUP_DIRECTORY : 0;
  const found = resolve(task, dirfd, path, follow | directory | resolveOptions);
  return typeof found === 'number' ? found : placeFile(found, flags);
}

/** A descriptor of a place alone. */
export function placeFile(place: VfsPath, flags = O_PATH): FileDescription {
  return new FileDescription(new PathFile(), flags, place);
}

function openOrCreate(task: Task, dirfd: number, path: ByteString, flags: number, mode: number, resolveOptions: number): OpenResult {
  if (path === '') return ENOENT;
  const exclusive = (flags & O_EXCL) !== 0;
  const follow = exclusive || (flags & O_NOFOLLOW) !== 0 ? 0 : LOOKUP_FOLLOW;
  for (let attempt = 0; ; attempt++) {
    const walk = startWalk(task, dirfd, path, follow | resolveOptions);
    if (typeof walk === 'number') return walk;
    const r = walk.run(path, 'create');
    if (r !== 0) return r;
    if (!walk.missing) {
      if (exclusive) return EEXIST;
      return openResolved(task, walk.path, flags);
    }
    const made = createAndOpen(task, walk, flags, mode);
    // Somebody outside of the sandbox was faster: then it is there to be opened.
    if (made !== EEXIST || exclusive || attempt >= MAX_ATTEMPTS) return made;
  }
}

/** The name is missing below walk.dentry. The new file is opened whatever its own mode says. */
function createAndOpen(task: Task, walk: Walk, flags: number, mode: number): OpenResult {
  const parent = walk.dentry;
  const directory = parent.inode as Inode;
  if (parent.deleted) return ENOENT;
  const creds = credentialsOn(walk.mount, task.creds);
  const denied = checkMaking(directory, creds) || checkMountWrite(walk.mount);
  if (denied !== 0) return denied;
  // Where others may make names too, the filesystem says by itself whether there is one by now: no need to ask twice.
  const asksAnyway = directory.fs.cachePolicy === 'revalidate';
  const dentry = asksAnyway ? new Dentry(walk.name, parent, null) : lookupChild(parent, walk.name, task);
  if (typeof dentry === 'number') return dentry;
  const inode = directory.create(walk.name, createOptions(directory, creds, S_IFREG | mode, task.fs.umask), flags);
  if (typeof inode === 'number') return inode;
  instantiate(dentry, inode);
  task.kernel.notify?.entry(IN_CREATE, directory, walk.name, inode);
  return describe(task, { mount: walk.mount, dentry }, flags & ~O_TRUNC);
}

function openTemporary(task: Task, dirfd: number, path: ByteString, flags: number, mode: number, resolveOptions: number): OpenResult {
  const found = resolve(task, dirfd, path, LOOKUP_DIRECTORY | LOOKUP_FOLLOW | resolveOptions);
  if (typeof found === 'number') return found;
  const directory = inodeOf(found);
  const creds = credentialsOn(found.mount, task.creds);
  const denied = checkMaking(directory, creds) || checkMountWrite(found.mount);
  if (denied !== 0) return denied;
  const inode = directory.tmpfile(createOptions(directory, creds, S_IFREG | mode, task.fs.umask), flags);
  if (typeof inode === 'number') return inode;
  const name = `#${inode.attributes().ino}`;
  // O_EXCL: never to be linked.
  const dentry = (flags & O_EXCL) !== 0 ? new Dentry(name, found.dentry, inode) : new TemporaryDentry(name, found.dentry, inode);
  dentry.deleted = true;
  return describe(task, { mount: found.mount, dentry }, flags & ~(__O_TMPFILE | O_DIRECTORY));
}

/** Opens an object that exists: permissions, then what kind of object it is. */
export function openResolved(task: Task, path: VfsPath, flags: number): OpenResult {
  const inode = inodeOf(path);
  const type = inode.mode & S_IFMT;
  if (type === S_IFLNK) return ELOOP; // O_NOFOLLOW: else the walk would have gone on
  const mask = accessMask(flags);
  if (type === S_IFDIR) {
    if ((mask & MAY_WRITE) !== 0 || (flags & O_CREAT) !== 0) return EISDIR;
  } else if ((flags & O_DIRECTORY) !== 0) return ENOTDIR;
  const creds = credentialsOn(path.mount, task.creds);
  const denied = checkPermission(inode, creds, mask);
  if (denied !== 0) return denied;
  if ((type === S_IFCHR || type === S_IFBLK) && (path.mount.flags & MS_NODEV) !== 0) return EACCES;
  if ((mask & MAY_WRITE) !== 0 && (type === S_IFREG || type === S_IFDIR)) {
    const readOnly = checkMountWrite(path.mount);
    if (readOnly !== 0) return readOnly;
    if (inode.programs > 0) return ETXTBSY;
  }
  if ((flags & O_NOATIME) !== 0 && !ownerOrCapable(inode, creds)) return EPERM;
  const writes = (mask & MAY_WRITE) !== 0;
  if (inode.leases !== null && breaksLeases(task, inode, writes)) return openAfterLeases(task, path, flags, writes);
  return describe(task, path, flags);
}

/** Others hold leases that the open breaks. */
function* openAfterLeases(task: Task, path: VfsPath, flags: number, writes: boolean): BlockingOpen {
  const r = yield* waitForLeases(task, inodeOf(path), writes, (flags & O_NONBLOCK) !== 0, ERESTARTSYS);
  if (r !== 0) return r;
  const opened = describe(task, path, flags);
  return typeof opened === 'number' || opened instanceof FileDescription ? opened : yield* opened;
}

function describe(task: Task, path: VfsPath, flags: number): OpenResult {
  const inode = inodeOf(path);
  const type = inode.mode & S_IFMT;
  const kept = flags & ~OPEN_ONLY;
  if (type === S_IFIFO && !inode.opensItself) return openFifo(path, kept, task);
  const context = { path, creds: task.creds, task };
  if (type === S_IFIFO) return openServedFifo(task, path, kept, context);
  const impl = openInode(task, inode, type, flags, context);
  if (typeof impl === 'number') return impl;
  const file = new FileDescription(impl, kept, path);
  if (file.writable) file.countWriter(inode);
  task.kernel.notify?.done(IN_OPEN, path, task);
  if ((flags & O_TRUNC) !== 0 && type === S_IFREG) {
    const r = truncateAtOpen(task, path, inode);
    if (r !== 0) {
      file.release();
      return r;
    }
  }
  return file;
}

/** A fifo that the filesystem opens: a writer may have to wait for the first reader. */
function* openServedFifo(task: Task, path: VfsPath, flags: number, context: OpenContext): BlockingOpen {
  const impl = yield* openWaiting(task.kernel, flags, () => inodeOf(path).open(flags, context));
  return typeof impl === 'number' ? (impl as Errno) : new FileDescription(impl, flags, path);
}

function openInode(task: Task, inode: Inode, type: number, flags: number, context: OpenContext): FileImpl | Errno {
  if (type === S_IFSOCK) return ENXIO;
  if ((type !== S_IFCHR && type !== S_IFBLK) || inode.opensItself) return inode.open(flags, context);
  const { mode, rdev } = inode.attributes();
  return task.kernel.devices.open(mode, rdev, flags, context);
}

function truncateAtOpen(task: Task, path: VfsPath, inode: Inode): 0 | Errno {
  const mode = inode.mode;
  const kept = modeAfterWrite(inode, credentialsOn(path.mount, task.creds));
  const change = kept === mode ? { size: 0 } : { size: 0, mode: kept & S_IALLUGO };
  const r = inode.truncatesAtOpen ? 0 : inode.setAttributes(change);
  if (r === 0) {
    dropCutCopies(task.kernel, inode, 0);
    task.kernel.notify?.done(IN_MODIFY, path, task);
  }
  return r;
}

/** The file that execve(2) loads: regular, executable, on a mount that allows it, not open for writing. `options`: LOOKUP_FOLLOW, LOOKUP_EMPTY. */
export function openExecutable(task: Task, dirfd: number, path: ByteString, options = LOOKUP_FOLLOW): FileDescription | Errno {
  const found = resolve(task, dirfd, path, options & (LOOKUP_FOLLOW | LOOKUP_EMPTY));
  if (typeof found === 'number') return found;
  const inode = inodeOf(found);
  if (inode.isSymlink) return ELOOP;
  if (!inode.isRegular || (found.mount.flags & MS_NOEXEC) !== 0) return EACCES;
  const denied = checkPermission(inode, credentialsOn(found.mount, task.creds), MAY_EXEC);
  if (denied !== 0) return denied;
  if (inode.writers > 0) return ETXTBSY;
  const impl = inode.open(O_RDONLY | O_LARGEFILE, { path: found, creds: task.creds, task });
  if (typeof impl === 'number') return impl;
  const loaded = impl.load();
  const file = new FileDescription(impl, O_RDONLY | O_LARGEFILE, found);
  if (loaded === 0) return file;
  file.release();
  return loaded;
}
