/** Places for mounts: what is missing is made, as container runtimes do. */
import { EEXIST, ENOENT, ENOTDIR, type Errno, isErrno } from '../../abi/errno.ts';
import { O_WRONLY } from '../../abi/fcntl.ts';
import { S_IFDIR, S_IFREG } from '../../abi/stat.ts';
import type { ByteString } from '../../lib/byte_string.ts';
import { type Credentials, rootCredentials } from '../kernel/credentials.ts';
import { instantiate, lookupChild } from '../vfs/dentry_cache.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { LOOKUP_FOLLOW, resolveFrom } from '../vfs/walk.ts';

const ROOT = rootCredentials();

/** Of what is made. */
type Owner = Pick<Credentials, 'uid' | 'gid'>;

/** The object at `path`; links are followed, absolute ones from `root`. */
export function find(root: VfsPath, path: ByteString): VfsPath | Errno {
  return resolveFrom(root, path === '' ? '/' : path, ROOT, LOOKUP_FOLLOW);
}

/** The folder (or, with `file`, the regular file) at `path`; it and the folders above it are made where they are missing, `owner`'s. */
export function ensurePlace(root: VfsPath, path: ByteString, owner: Owner, file = false): VfsPath | Errno {
  const found = find(root, path);
  if (found !== ENOENT) return found;
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  const last = names.pop();
  if (last === undefined) return ENOENT;
  const parent = ensurePlace(root, `/${names.join('/')}`, owner);
  if (isErrno(parent)) return parent;
  return makeChild(parent, last, owner, file);
}

function makeChild(parent: VfsPath, name: ByteString, { uid, gid }: Owner, file: boolean): VfsPath | Errno {
  const directory = inodeOf(parent);
  if (!directory.isDirectory) return ENOTDIR;
  const dentry = lookupChild(parent.dentry, name, null);
  if (isErrno(dentry)) return dentry;
  // A link that leads nowhere.
  if (dentry.inode !== null) return EEXIST;
  const made = file
    ? directory.create(name, { mode: S_IFREG | 0o644, uid, gid }, O_WRONLY)
    : directory.mkdir(name, { mode: S_IFDIR | 0o755, uid, gid });
  if (isErrno(made)) return made;
  instantiate(dentry, made);
  return { mount: parent.mount, dentry };
}
