/** Sizes and their future: truncate(2), fallocate(2), posix_fadvise(2), readahead(2). */
import { EBADF, EFBIG, EINVAL, EISDIR, ENODEV, EOPNOTSUPP, ERESTARTSYS, type Errno, ESPIPE, ETXTBSY } from '../../abi/errno.ts';
import {
  FALLOC_FL_COLLAPSE_RANGE,
  FALLOC_FL_INSERT_RANGE,
  FALLOC_FL_KEEP_SIZE,
  FALLOC_FL_PUNCH_HOLE,
  FALLOC_FL_ZERO_RANGE,
} from '../../abi/fallocate.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { IN_MODIFY } from '../../abi/inotify.ts';
import { S_IALLUGO, S_IFDIR, S_IFIFO, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { RLIMIT_FSIZE } from '../kernel/rlimits.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { dropCutCopies } from '../mm/cut_file.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { AttributeChange, Inode } from '../vfs/inode.ts';
import { breaksLeases, waitForLeases } from '../vfs/leases.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { checkMountWrite, checkPermission, MAY_WRITE, modeAfterWrite } from '../vfs/permission.ts';
import { changeAttributes, placeAt } from './attribute_target.ts';
import { fd, flags, int, long, path, size, syscall } from './definition.ts';
import { fileTooLarge } from './sys_readwrite.ts';

/** Largest size that a file may be given. */
const MAX_SIZE = Number.MAX_SAFE_INTEGER;

function checkSize(task: Task, wanted: number): 0 | Errno {
  if (wanted < 0) return EINVAL;
  if (wanted > MAX_SIZE) return EFBIG;
  return wanted > task.group.limits.soft(RLIMIT_FSIZE) ? fileTooLarge(task) : 0;
}

function truncate(task: Task, pathAddress: number, wanted: number): SyscallResult {
  if (wanted < 0) return EINVAL;
  const place = placeAt(task, AT_FDCWD, pathAddress, 0);
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  if (inode.isDirectory) return EISDIR;
  if (!inode.isRegular) return EINVAL;
  const denied = checkMountWrite(place.mount) || checkPermission(inode, credentialsOn(place.mount, task.creds), MAY_WRITE);
  if (denied !== 0) return denied;
  const refused = inode.programs > 0 ? ETXTBSY : checkSize(task, wanted);
  if (refused !== 0) return refused;
  if (inode.leases !== null && breaksLeases(task, inode, true)) return truncateAfterLeases(task, place, wanted);
  return cut(task, place, wanted);
}
function* truncateAfterLeases(task: Task, place: VfsPath, wanted: number): Blocking {
  const inode = inodeOf(place);
  const r = yield* waitForLeases(task, inode, true, false, ERESTARTSYS);
  return r !== 0 ? r : cut(task, place, wanted);
}
function cut(task: Task, place: VfsPath, wanted: number): 0 | Errno {
  const inode = inodeOf(place);
  const r = changeAttributes(task, place, withoutPrivileges(inode, credentialsOn(place.mount, task.creds), wanted));
  if (r === 0) dropCutCopies(task.kernel, inode, wanted);
  return r;
}
function withoutPrivileges(inode: Inode, creds: Credentials, wanted: number): AttributeChange {
  const bits = inode.mode;
  const kept = modeAfterWrite(inode, creds);
  return kept === bits ? { size: wanted } : { size: wanted, mode: kept & S_IALLUGO };
}

function ftruncate(task: Task, number: number, wanted: number): SyscallResult {
  if (wanted < 0) return EINVAL;
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if (!file.writable) return EINVAL;
  const r = checkSize(task, wanted);
  if (r !== 0) return r;
  const before = file.impl.giveBack(wanted, task);
  return before === null ? modified(task, file, cutOpen(task, file, wanted)) : finishing(task, file, cutLater(task, file, wanted, before));
}
function* cutLater(task: Task, file: FileDescription, wanted: number, before: Blocking): Blocking {
  const r = yield* before;
  return r !== 0 ? r : cutOpen(task, file, wanted);
}
function cutOpen(task: Task, file: FileDescription, wanted: number): number {
  const r = file.impl.truncate(file, wanted, credentialsOn(file.path?.mount, task.creds));
  if (r === 0 && file.inode !== null) dropCutCopies(task.kernel, file.inode, wanted);
  return r;
}

const FALLOC_KNOWN = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;

function fallocate(task: Task, number: number, allocateMode: number, offset: number, length: number): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if (offset < 0 || length <= 0) return EINVAL;
  if ((allocateMode & ~FALLOC_KNOWN) !== 0) return EOPNOTSUPP;
  if (!file.writable) return EBADF;
  const type = file.inode === null ? 0 : file.inode.mode & S_IFMT;
  if (type === S_IFIFO) return ESPIPE;
  if (type === S_IFDIR) return EISDIR;
  if (type !== S_IFREG) return ENODEV;
  if (offset + length > MAX_SIZE) return EFBIG;
  if ((allocateMode & FALLOC_FL_KEEP_SIZE) === 0) {
    const r = checkSize(task, offset + length);
    if (r !== 0) return r;
  }
  const r = file.impl.allocate(file, allocateMode, offset, length, credentialsOn(file.path?.mount, task.creds), task);
  return typeof r === 'number' ? modified(task, file, r) : finishing(task, file, r);
}
function* finishing(task: Task, file: FileDescription, change: Blocking): Blocking {
  file.hold();
  try {
    return modified(task, file, yield* change);
  } finally {
    file.release();
  }
}
/** Tells who watches; gives the result. */
function modified(task: Task, file: FileDescription, r: number): number {
  if (r === 0 && file.path !== null) task.kernel.notify?.done(IN_MODIFY, file.path, task);
  return r;
}

/** posix_fadvise(2): accepted; the host's page cache knows better. */
function fadvise64(task: Task, number: number, _offset: number, length: number, advice: number): number {
  const file = seekable(task, number);
  if (typeof file === 'number') return file;
  return length < 0 || advice < 0 || advice > 5 ? EINVAL : 0;
}
function readahead(task: Task, number: number): number {
  const file = seekable(task, number);
  if (typeof file === 'number') return file === ESPIPE ? EINVAL : file;
  return file.readable ? 0 : EBADF;
}
function seekable(task: Task, number: number): FileDescription | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  return file.inode !== null && (file.inode.mode & S_IFMT) === S_IFIFO ? ESPIPE : file;
}

export const TRUNCATE_CALLS = {
  truncate: syscall({ x64: 76, man: 'truncate(2)', args: [path, long], run: truncate }),
  ftruncate: syscall({ x64: 77, man: 'truncate(2)', args: [fd, long], run: ftruncate }),
  fallocate: syscall({ x64: 285, man: 'fallocate(2)', args: [fd, flags, long, long], run: fallocate }),
  fadvise64: syscall({ x64: 221, man: 'posix_fadvise(2)', args: [fd, long, long, int], run: fadvise64 }),
  readahead: syscall({ x64: 187, man: 'readahead(2)', args: [fd, long, size], run: readahead }),
};
