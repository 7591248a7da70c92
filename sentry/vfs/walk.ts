/**
 * Path resolution (path_resolution(7)).
 *
 * Interface: `resolve` gives the object at a path; `resolveParent` the directory and the last name, for calls that make or
 * remove names; a `Walk` with explicit root, start and credentials serves the kernel itself. All are synchronous.
 */
import { EISDIR, ELOOP, ENOENT, ENOTDIR, type Errno, EXDEV } from '../../abi/errno.ts';
import { AT_FDCWD, MAXSYMLINKS } from '../../abi/fcntl.ts';
import { S_IFLNK, S_IFMT } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { lookupChild } from './dentry_cache.ts';
import type { Inode, WalkAhead } from './inode.ts';
import { credentialsOn } from './mount_id_map.ts';
import { type Dentry, type Mount, MS_NOSYMFOLLOW, type VfsPath } from './path.ts';
import { checkSearch } from './permission.ts';

// Options of a walk.
/** A symbolic link at the end is followed. */
export const LOOKUP_FOLLOW = 0x01;
/** What is found must be a directory. */
export const LOOKUP_DIRECTORY = 0x02;
/** An empty path means the directory descriptor itself (AT_EMPTY_PATH). */
export const LOOKUP_EMPTY = 0x04;
/** openat2(2)'s RESOLVE_* bits, shifted. */
export const RESOLVE_SHIFT = 8;
const NO_XDEV = 0x01 << RESOLVE_SHIFT;
const NO_MAGICLINKS = 0x02 << RESOLVE_SHIFT;
const NO_SYMLINKS = 0x04 << RESOLVE_SHIFT;
const BENEATH = 0x08 << RESOLVE_SHIFT;
const IN_ROOT = 0x10 << RESOLVE_SHIFT;
const SCOPED = BENEATH | IN_ROOT;

/** How the last component is treated: looked up and must exist; left alone; looked up and may be missing. */
export type WalkEnd = 'object' | 'parent' | 'create';
/** What the last component is, where the walk stopped before it. */
export type LastKind = 'name' | 'dot' | 'dotdot' | 'root';

const SLASH = 47;

/** One resolution; made, run once, read. */
export class Walk {
  /** Where the walk is; afterwards the object, or the directory that holds (or would hold) `name`. */
  mount: Mount;
  dentry: Dentry;
  /** After 'parent', and after 'create' if the object is missing (`missing`). */
  name: ByteString = '';
  last: LastKind = 'root';
  missing = false;
  /** The path ended in a slash. */
  trailingSlash = false;
  private readonly root: VfsPath;
  private readonly creds: Credentials;
  private readonly task: Task | null;
  private readonly options: number;
  private links = 0;
  /** Names looked at so far, and the list that filesystems with costly look-ups are told, made at component `aheadFrom`. */
  private component = 0;
  private ahead: ByteString[] | null = null;
  private aheadFrom = 0;

  /** Relative paths begin at `start`. `task` is for filesystems that show each process something else; null: the kernel asks. */
  constructor(root: VfsPath, start: VfsPath, creds: Credentials, task: Task | null, options: number) {
    this.root = (options & SCOPED) !== 0 ? start : root;
    this.mount = start.mount;
    this.dentry = start.dentry;
    this.creds = creds;
    this.task = task;
    this.options = options;
  }

  run(path: ByteString, end: WalkEnd): 0 | Errno {
    let text = path;
    let at = 0;
    const begun = text.charCodeAt(0) === SLASH ? this.toRoot() : 0;
    if (begun !== 0) return begun;
    for (;;) {
      while (text.charCodeAt(at) === SLASH) at++;
      if (at >= text.length) return this.finish();
      let stop = text.indexOf('/', at);
      if (stop < 0) stop = text.length;
      let next = stop;
      while (text.charCodeAt(next) === SLASH) next++;
      const final = next >= text.length;
      if (final) this.trailingSlash = stop < text.length;

      const directory = this.dentry.inode as Inode;
      const denied = directory.isDirectory ? checkSearch(directory, credentialsOn(this.mount, this.creds)) : ENOTDIR;
      if (denied !== 0) return denied;
      const name = this.task === null ? text.slice(at, stop) : this.task.kernel.recentStrings.part(text, at, stop);
      at = next;
      this.component++;
      if (final && end === 'parent') return this.stopBefore(name);
      if (name === '.') {
        if (final) this.last = 'dot';
        continue;
      }
      if (name === '..') {
        const r = this.ascend();
        if (r !== 0) return r;
        if (final) this.last = 'dotdot';
        continue;
      }
      if (final && this.trailingSlash && end === 'create') return EISDIR; // whatever is there

      let child: Dentry | Errno | undefined = this.dentry.children?.get(name);
      if (child === undefined || directory.fs.cachePolicy === 'revalidate') {
        child = lookupChild(this.dentry, name, this.task, this.lookAhead(text, name, at, final));
      }
      if (typeof child === 'number') return child;
      const inode = child.inode;
      if (inode === null) {
        if (!final || end !== 'create') return ENOENT;
        this.missing = true;
        return this.stopBefore(name);
      }
      if ((inode.mode & S_IFMT) === S_IFLNK && (!final || this.trailingSlash || (this.options & LOOKUP_FOLLOW) !== 0)) {
        const expanded = this.expand(inode, text, next, final);
        if (typeof expanded === 'number') return expanded;
        if (expanded !== null) {
          text = expanded;
          at = 0;
        }
        continue;
      }
      const entered = this.enter(child, name, final);
      if (entered !== 0) return entered;
    }
  }

  private enter(child: Dentry, name: ByteString, final: boolean): 0 | Errno {
    if (final) {
      this.last = 'name';
      this.name = name;
    }
    this.dentry = child;
    return child.mountCount > 0 ? this.descend() : 0;
  }

  get path(): VfsPath {
    return { mount: this.mount, dentry: this.dentry };
  }

  /** The path to go on with behind a link, from its root if it is absolute; null: a magic link took the walk to its object. */
  private expand(link: Inode, text: ByteString, next: number, final: boolean): ByteString | null | Errno {
    const target = this.followLink(link);
    if (typeof target === 'number') return target === 0 ? null : (target as Errno);
    if (target.charCodeAt(0) === SLASH) {
      // Where the root's mount is must not show in whether a link can be followed.
      const r = (this.options & NO_XDEV) !== 0 ? EXDEV : this.toRoot();
      if (r !== 0) return r;
    }
    if (final) return this.trailingSlash ? `${target}/` : target;
    return `${target}/${text.slice(next)}`;
  }

  /** What follows `name` in `text` from `next` on, for a look-up that may cost a round trip. */
  private lookAhead(text: ByteString, name: ByteString, next: number, final: boolean): WalkAhead | undefined {
    const index = this.component - this.aheadFrom;
    if (this.ahead !== null && this.ahead[index] === name) return { names: this.ahead, index };
    if (final) return undefined;
    const names = [name];
    for (const part of text.slice(next).split('/')) {
      if (part === '.' || part === '..') break;
      if (part !== '') names.push(part);
    }
    this.ahead = names;
    this.aheadFrom = this.component;
    return { names, index: 0 };
  }

  private finish(): 0 | Errno {
    if ((this.trailingSlash || (this.options & LOOKUP_DIRECTORY) !== 0) && !(this.dentry.inode as Inode).isDirectory) return ENOTDIR;
    return 0;
  }

  private stopBefore(name: ByteString): 0 {
    this.name = name;
    this.last = name === '.' ? 'dot' : name === '..' ? 'dotdot' : 'name';
    return 0;
  }

  private toRoot(): 0 | Errno {
    if ((this.options & BENEATH) !== 0) return EXDEV;
    if ((this.options & NO_XDEV) !== 0 && this.mount !== this.root.mount) return EXDEV;
    this.mount = this.root.mount;
    this.dentry = this.root.dentry;
    return 0;
  }

  /** Onto the topmost of what is mounted here. */
  private descend(): 0 | Errno {
    while (this.dentry.mountCount > 0) {
      const mounted = this.mount.mountedOn(this.dentry);
      if (mounted === null) return 0;
      if ((this.options & NO_XDEV) !== 0) return EXDEV;
      this.mount = mounted;
      this.dentry = mounted.root;
    }
    return 0;
  }

  /** "..": never above the root. */
  private ascend(): 0 | Errno {
    let { mount, dentry } = this;
    for (;;) {
      if (dentry === this.root.dentry && mount === this.root.mount) {
        return (this.options & BENEATH) !== 0 ? EXDEV : 0;
      }
      if (dentry !== mount.root) break;
      if (mount.parent === null) return 0; // the top of a mount tree, outside of our root
      dentry = mount.mountpoint as Dentry;
      mount = mount.parent;
    }
    if (mount !== this.mount && (this.options & NO_XDEV) !== 0) return EXDEV;
    this.mount = mount;
    this.dentry = dentry.parent ?? dentry;
    return this.descend();
  }

  /** The text of a link to go on with; 0: a magic link took the walk to its object; or an errno. */
  private followLink(link: Inode): ByteString | 0 | Errno {
    if ((this.options & NO_SYMLINKS) !== 0 || (this.mount.flags & MS_NOSYMFOLLOW) !== 0) return ELOOP;
    if (++this.links > MAXSYMLINKS) return ELOOP;
    if (this.task !== null) {
      const magic = link.magicTarget(this.task);
      if (magic !== null) return typeof magic === 'number' ? magic : this.jump(magic);
    }
    const target = link.readlink(this.task);
    return target === '' ? ENOENT : target;
  }

  private jump(target: VfsPath): 0 | Errno {
    if ((this.options & NO_MAGICLINKS) !== 0) return ELOOP;
    if ((this.options & SCOPED) !== 0) return EXDEV;
    if ((this.options & NO_XDEV) !== 0 && target.mount !== this.mount) return EXDEV;
    this.mount = target.mount;
    this.dentry = target.dentry;
    return 0;
  }
}

/** Where a relative path begins; EBADF. That it is a directory is seen by the walk. */
export function startOf(task: Task, dirfd: number): VfsPath | Errno {
  if (dirfd === AT_FDCWD) return task.fs.cwd;
  const file = task.fds.get(dirfd);
  if (typeof file === 'number') return file;
  return file.path ?? ENOTDIR;
}

/** A Walk for `path` as `task` means it, not yet run. */
export function startWalk(task: Task, dirfd: number, path: ByteString, options: number): Walk | Errno {
  // Absolute paths ignore dirfd, unless openat2(2) makes it the root.
  const absolute = path.charCodeAt(0) === SLASH && (options & SCOPED) === 0;
  const start = absolute ? task.fs.root : startOf(task, dirfd);
  if (typeof start === 'number') return start;
  return new Walk(task.fs.root, start, task.creds, task, options);
}

/** The object at `path` (LOOKUP_* options), never a negative dentry. */
export function resolve(task: Task, dirfd: number, path: ByteString, options: number): VfsPath | Errno {
  if (path === '') return (options & LOOKUP_EMPTY) !== 0 ? startOf(task, dirfd) : ENOENT;
  const walk = startWalk(task, dirfd, path, options);
  if (typeof walk === 'number') return walk;
  const r = walk.run(path, 'object');
  return r !== 0 ? r : walk.path;
}

/** The directory that holds the last name of `path`; `walk.last`, `walk.name` and `walk.trailingSlash` tell about the name. */
export function resolveParent(task: Task, dirfd: number, path: ByteString, options = 0): Walk | Errno {
  if (path === '') return ENOENT;
  const walk = startWalk(task, dirfd, path, options);
  if (typeof walk === 'number') return walk;
  const r = walk.run(path, 'parent');
  return r !== 0 ? r : walk;
}

/** For the kernel's own look-ups (container set-up): absolute and relative paths alike begin at `root`. */
export function resolveFrom(root: VfsPath, path: ByteString, creds: Credentials, options: number): VfsPath | Errno {
  const walk = new Walk(root, root, creds, null, options);
  const r = walk.run(path, 'object');
  return r !== 0 ? r : walk.path;
}
