/**
 * What a name in a directory means, cached as far as the filesystem's CachePolicy allows.
 *
 * 'forever': every answer is kept, "no such file" too. 'revalidate': objects are kept and asked before each use. 'never':
 * nothing is kept but what a mount pins (`pin`).
 */
import { ENAMETOOLONG, ENOENT, type Errno } from '../../abi/errno.ts';
import { NAME_MAX } from '../../abi/fcntl.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import type { Task } from '../kernel/task.ts';
import type { Filesystem, Inode, WalkAhead } from './inode.ts';
import { Dentry } from './path.ts';

/**
 * Names that a filesystem's cache may gain before it is swept: a guest that looks up a million names must not fill the Sentry's
 * memory with them.
 */
const SWEEP_STEP = 50_000;

/** The dentry of `name` below `parent`; its inode is null if there is no such file. Errno: the filesystem failed. */
export function lookupChild(parent: Dentry, name: ByteString, task: Task | null, ahead?: WalkAhead): Dentry | Errno {
  const known = parent.children?.get(name);
  const directory = parent.inode as Inode;
  const policy = directory.fs.cachePolicy;
  if (known !== undefined) {
    if (policy !== 'revalidate' || known.mountCount > 0) return known;
    if (known.inode?.revalidate(directory, name, ahead)) return known;
    forget(known);
  }
  if (name.length > NAME_MAX) return ENAMETOOLONG;
  if (parent.deleted) return new Dentry(name, parent, null); // nothing is in a directory that is gone
  const found = directory.lookup(name, task, ahead);
  if (typeof found === 'number') {
    if (found !== ENOENT) return found;
    const negative = new Dentry(name, parent, null);
    if (policy === 'forever') remember(parent, negative);
    return negative;
  }
  const dentry = new Dentry(name, parent, found);
  if (policy !== 'never') remember(parent, dentry);
  return dentry;
}

/** Enters a new object after create, mkdir, link …; the dentry may have been negative and cached. */
export function instantiate(dentry: Dentry, inode: Inode): void {
  dentry.inode = inode;
  const parent = dentry.parent as Dentry;
  if ((parent.inode as Inode).fs.cachePolicy !== 'never' && parent.children?.get(dentry.name) !== dentry) remember(parent, dentry);
}

/** The name is gone; open files keep the dentry. */
export function unhash(dentry: Dentry): void {
  dentry.deleted = true;
  forget(dentry);
}

/** rename(2): `dentry` now stands at `name` in `parent`. */
export function moveDentry(dentry: Dentry, parent: Dentry, name: ByteString): void {
  forget(dentry);
  const replaced = parent.children?.get(name);
  if (replaced !== undefined && replaced !== dentry && replaced.inode !== null) replaced.deleted = true;
  dentry.parent = parent;
  dentry.name = flat(name);
  adoptUnlessUncached(dentry);
}

/** RENAME_EXCHANGE. */
export function exchangeDentries(a: Dentry, b: Dentry): void {
  const { parent, name } = a;
  forget(a);
  forget(b);
  a.parent = b.parent;
  a.name = b.name;
  b.parent = parent;
  b.name = name;
  adoptUnlessUncached(a);
  adoptUnlessUncached(b);
}

/** Keeps a dentry and its ancestors findable whatever the policy: a mount sits on it. */
export function pin(dentry: Dentry): void {
  for (let d = dentry; d.parent !== null; d = d.parent) d.parent.adopt(d);
}

/** The mount is gone: where nothing is cached, what only the mount kept goes too. */
export function unpin(dentry: Dentry): void {
  for (let d = dentry; d.parent !== null; d = d.parent) {
    if ((d.parent.inode as Inode).fs.cachePolicy !== 'never' || d.mountCount > 0 || (d.children?.size ?? 0) > 0) return;
    d.parent.children?.delete(d.name);
  }
}

function adoptUnlessUncached(dentry: Dentry): void {
  const parent = dentry.parent as Dentry;
  const { fs } = parent.inode as Inode;
  if (fs.cachePolicy === 'never') return;
  fs.cachedDentries++;
  parent.adopt(dentry);
}

function forget(dentry: Dentry): void {
  const { parent } = dentry;
  if (parent === null || parent.children?.get(dentry.name) !== dentry) return;
  parent.children.delete(dentry.name);
  (parent.inode as Inode).fs.cachedDentries--;
}

function remember(parent: Dentry, dentry: Dentry): void {
  const { fs } = parent.inode as Inode;
  if (++fs.cachedDentries > fs.sweepAt) sweep(fs);
  dentry.name = flat(dentry.name);
  parent.adopt(dentry);
}

/**
 * Forgets missing names and files that nobody has open, watches or has bound a socket to. Directories stay: two dentries of one directory would disagree about what
 * is in it. An object that is looked up again gets a new dentry.
 */
function sweep(fs: Filesystem): void {
  let kept = 0;
  const pending: Dentry[] = fs.rootDentry === null ? [] : [fs.rootDentry];
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    for (const [name, child] of directory.children ?? []) {
      if (child.children !== null || child.inode?.isDirectory) pending.push(child);
      else if (!isInUse(child)) {
        directory.children?.delete(name);
        continue;
      }
      kept++;
    }
  }
  fs.cachedDentries = kept;
  fs.sweepAt = kept + SWEEP_STEP;
}

function isInUse({ inode, openFiles, mountCount }: Dentry): boolean {
  return openFiles > 0 || mountCount > 0 || (inode !== null && (inode.attachment !== null || inode.watched));
}

/** A copy that does not keep the whole path alive, of which the name was cut. */
function flat(name: ByteString): ByteString {
  return name.length < 13 ? name : Buffer.from(name, 'latin1').toString('latin1');
}
