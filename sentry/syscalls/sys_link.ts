/** Names: link(2), unlink(2), symlink(2), readlink(2), rename(2), mknod(2). */
import { EINVAL, ENAMETOOLONG, ENOENT, EPERM } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, PATH_MAX } from '../../abi/fcntl.ts';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG, S_IFSOCK } from '../../abi/stat.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { CAP_DAC_READ_SEARCH, CAP_MKNOD, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { makeLink, makeNode, makeSymlink } from '../vfs/create.ts';
import { inodeOf } from '../vfs/path.ts';
import { pathName } from '../vfs/path_name.ts';
import { removeDirectory, unlinkFile } from '../vfs/remove.ts';
import { rename } from '../vfs/rename.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, flags, int, mode, path, syscall, uint } from './definition.ts';

function linkat(task: Task, oldDirfd: number, oldAddress: number, newDirfd: number, newAddress: number, atFlags: number): number {
  if ((atFlags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH)) !== 0) return EINVAL;
  const oldPath = task.readPath(oldAddress);
  if (typeof oldPath === 'number') return oldPath;
  const empty = (atFlags & AT_EMPTY_PATH) !== 0;
  if (empty && oldPath === '' && !hasCap(task.creds, CAP_DAC_READ_SEARCH)) return ENOENT;
  const options = ((atFlags & AT_SYMLINK_FOLLOW) !== 0 ? LOOKUP_FOLLOW : 0) | (empty ? LOOKUP_EMPTY : 0);
  const source = resolve(task, oldDirfd, oldPath, options);
  if (typeof source === 'number') return source;
  const newPath = task.readPath(newAddress);
  return typeof newPath === 'number' ? newPath : makeLink(task, source, newDirfd, newPath);
}

function unlinkat(task: Task, dirfd: number, address: number, atFlags: number): number {
  if ((atFlags & ~AT_REMOVEDIR) !== 0) return EINVAL;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  return (atFlags & AT_REMOVEDIR) !== 0 ? removeDirectory(task, dirfd, text) : unlinkFile(task, dirfd, text);
}

function symlinkat(task: Task, targetAddress: number, dirfd: number, address: number): number {
  const target = task.readPath(targetAddress);
  if (typeof target === 'number') return target;
  if (target === '') return ENOENT;
  if (target.length >= PATH_MAX) return ENAMETOOLONG;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const made = makeSymlink(task, target, dirfd, text);
  return typeof made === 'number' ? made : 0;
}

/** The target, cut to the buffer; no NUL. */
function readlinkat(task: Task, dirfd: number, pathAddress: number, address: number, length: number): number {
  if (length <= 0) return EINVAL;
  const text = task.readPath(pathAddress);
  if (typeof text === 'number') return text;
  const found = resolve(task, dirfd, text, LOOKUP_EMPTY);
  if (typeof found === 'number') return text === '' && dirfd === AT_FDCWD ? ENOENT : found;
  const inode = inodeOf(found);
  if (!inode.isSymlink) return text === '' ? ENOENT : EINVAL;
  const magic = inode.magicTarget(task);
  const target = magic === null ? inode.readlink(task) : typeof magic === 'number' ? magic : pathName(magic, task.fs.root);
  if (typeof target === 'number') return target;
  const bytes = bytesOf(target).subarray(0, length);
  return task.copyOut(address, bytes) || bytes.length;
}

function renameat2(task: Task, oldDirfd: number, oldAddress: number, newDirfd: number, newAddress: number, renameFlags: number): number {
  const oldPath = task.readPath(oldAddress);
  if (typeof oldPath === 'number') return oldPath;
  return rename(task, oldDirfd, oldPath, newDirfd, task.readPath(newAddress), renameFlags);
}

function mknodat(task: Task, dirfd: number, address: number, nodeMode: number, device: number): number {
  const type = nodeMode & S_IFMT;
  if (type === S_IFDIR) return EPERM;
  if (type !== 0 && ![S_IFREG, S_IFCHR, S_IFBLK, S_IFIFO, S_IFSOCK].includes(type)) return EINVAL;
  const isDevice = type === S_IFCHR || type === S_IFBLK;
  // A whiteout (0:0) is no device and needs no privilege.
  if (isDevice && !(type === S_IFCHR && device === 0) && !hasCap(task.creds, CAP_MKNOD)) return EPERM;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const made = makeNode(task, dirfd, text, type === 0 ? nodeMode | S_IFREG : nodeMode, isDevice ? device : 0);
  return typeof made === 'number' ? made : 0;
}

export const LINK_CALLS = {
  link: syscall({ x64: 86, man: 'link(2)', args: [path, path], run: (t, o, n) => linkat(t, AT_FDCWD, o, AT_FDCWD, n, 0) }),
  linkat: syscall({ x64: 265, man: 'link(2)', args: [fd, path, fd, path, flags], run: linkat }),
  unlink: syscall({ x64: 87, man: 'unlink(2)', args: [path], run: (t, p) => unlinkat(t, AT_FDCWD, p, 0) }),
  unlinkat: syscall({ x64: 263, man: 'unlink(2)', args: [fd, path, flags], run: unlinkat }),
  symlink: syscall({ x64: 88, man: 'symlink(2)', args: [path, path], run: (t, target, p) => symlinkat(t, target, AT_FDCWD, p) }),
  symlinkat: syscall({ x64: 266, man: 'symlink(2)', args: [path, fd, path], run: symlinkat }),
  readlink: syscall({ x64: 89, man: 'readlink(2)', args: [path, addr, int], run: (t, p, a, n) => readlinkat(t, AT_FDCWD, p, a, n) }),
  readlinkat: syscall({ x64: 267, man: 'readlink(2)', args: [fd, path, addr, int], run: readlinkat }),
  rename: syscall({ x64: 82, man: 'rename(2)', args: [path, path], run: (t, o, n) => renameat2(t, AT_FDCWD, o, AT_FDCWD, n, 0) }),
  renameat: syscall({ x64: 264, man: 'rename(2)', args: [fd, path, fd, path], run: (t, d, o, e, n) => renameat2(t, d, o, e, n, 0) }),
  renameat2: syscall({ x64: 316, man: 'rename(2)', args: [fd, path, fd, path, flags], run: renameat2 }),
  mknod: syscall({ x64: 133, man: 'mknod(2)', args: [path, mode, uint], run: (t, p, m, d) => mknodat(t, AT_FDCWD, p, m, d) }),
  mknodat: syscall({ x64: 259, man: 'mknod(2)', args: [fd, path, mode, uint], run: mknodat }),
};
