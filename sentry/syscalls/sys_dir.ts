/** Directories: getdents(2), getcwd(2), chdir(2), chroot(2), mkdir(2), rmdir(2). */
import { EBADF, EINVAL, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, ERANGE, type Errno } from '../../abi/errno.ts';
import { AT_FDCWD, PATH_MAX } from '../../abi/fcntl.ts';
import { setLen64 } from '../../abi/struct.ts';
import { bytesOf } from '../../lib/byte_string.ts';
import { CAP_SYS_CHROOT, hasOwnCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { makeDirectory } from '../vfs/create.ts';
import type { EmitEntry } from '../vfs/file.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { pathFromRoot } from '../vfs/path_name.ts';
import { checkSearch, MAY_EXEC } from '../vfs/permission.ts';
import { removeDirectory } from '../vfs/remove.ts';
import { LOOKUP_DIRECTORY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, mode, path, size, syscall, uint } from './definition.ts';

/** Bytes of struct linux_dirent(64) before the name: ino, off, reclen, and in the 64-bit form the type. */
const DIRENT_HEADER = 18;
const DIRENT64_HEADER = 19;

function getdents(task: Task, number: number, address: number, count: number, wide: boolean): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  const { direntScratch: bytes, direntView: view } = task.kernel;
  const room = Math.min(count, bytes.length);
  const header = wide ? DIRENT64_HEADER : DIRENT_HEADER;
  const before = file.position;
  let used = 0;
  let refused = false;
  const emit: EmitEntry = (name, ino, type, next) => {
    // The old form keeps the type in the record's last byte, behind the name's NUL.
    const length = (header + name.length + (wide ? 1 : 2) + 7) & ~7;
    if (used + length > room) {
      refused = true;
      return false;
    }
    setLen64(view, used + length - 8, 0); // padding lies in the last word; what else does is written below
    setLen64(view, used, ino);
    setLen64(view, used + 8, next);
    view.setUint16(used + 16, length, true);
    bytes[used + (wide ? 18 : length - 1)] = type;
    for (let i = 0; i < name.length; i++) bytes[used + header + i] = name.charCodeAt(i);
    bytes[used + header + name.length] = 0;
    used += length;
    return true;
  };
  const r = file.impl.readdir(file, emit, task);
  if (r < 0) return r;
  if (used === 0) return refused ? EINVAL : 0;
  const copied = task.copyOutFirst(address, bytes, used);
  if (copied === 0) return used;
  file.position = before;
  return copied;
}

function getcwd(task: Task, address: number, length: number): number {
  const { cwd, root } = task.fs;
  if (cwd.dentry.deleted) return ENOENT;
  const { name, reachable } = pathFromRoot(cwd, root);
  const text = bytesOf(reachable ? `${name}\0` : `(unreachable)${name}\0`);
  if (text.length > PATH_MAX) return ENAMETOOLONG;
  return text.length > length ? ERANGE : task.copyOut(address, text) || text.length;
}

function directoryAt(task: Task, address: number): VfsPath | Errno {
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const found = resolve(task, AT_FDCWD, text, LOOKUP_FOLLOW | LOOKUP_DIRECTORY);
  if (typeof found === 'number') return found;
  const denied = checkSearch(inodeOf(found), credentialsOn(found.mount, task.creds)) || inodeOf(found).access(MAY_EXEC);
  return denied !== 0 ? denied : found;
}

function chdir(task: Task, address: number): number {
  const found = directoryAt(task, address);
  if (typeof found === 'number') return found;
  task.fs.cwd = found;
  return 0;
}

function fchdir(task: Task, number: number): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.path === null || !inodeOf(file.path).isDirectory) return ENOTDIR;
  const denied = checkSearch(inodeOf(file.path), credentialsOn(file.path.mount, task.creds)) || inodeOf(file.path).access(MAY_EXEC);
  if (denied !== 0) return denied;
  task.fs.cwd = file.path;
  return 0;
}

function chroot(task: Task, address: number): number {
  const found = directoryAt(task, address);
  if (typeof found === 'number') return found;
  if (!hasOwnCap(task.creds, CAP_SYS_CHROOT)) return EPERM;
  task.fs.root = found;
  return 0;
}

function mkdirat(task: Task, dirfd: number, address: number, createMode: number): number {
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  const made = makeDirectory(task, dirfd, text, createMode);
  return typeof made === 'number' ? made : 0;
}

function rmdir(task: Task, address: number): number {
  const text = task.readPath(address);
  return typeof text === 'number' ? text : removeDirectory(task, AT_FDCWD, text);
}

export const DIR_CALLS = {
  getdents: syscall({ x64: 78, man: 'getdents(2)', args: [fd, addr, uint], run: (t, f, a, n) => getdents(t, f, a, n, false) }),
  getdents64: syscall({ x64: 217, man: 'getdents(2)', args: [fd, addr, uint], run: (t, f, a, n) => getdents(t, f, a, n, true) }),
  getcwd: syscall({ x64: 79, man: 'getcwd(2)', args: [addr, size], run: getcwd }),
  chdir: syscall({ x64: 80, man: 'chdir(2)', args: [path], run: chdir }),
  fchdir: syscall({ x64: 81, man: 'chdir(2)', args: [fd], run: fchdir }),
  chroot: syscall({ x64: 161, man: 'chroot(2)', args: [path], run: chroot }),
  mkdir: syscall({ x64: 83, man: 'mkdir(2)', args: [path, mode], run: (t, p, m) => mkdirat(t, AT_FDCWD, p, m) }),
  mkdirat: syscall({ x64: 258, man: 'mkdir(2)', args: [fd, path, mode], run: mkdirat }),
  rmdir: syscall({ x64: 84, man: 'rmdir(2)', args: [path], run: rmdir }),
};
