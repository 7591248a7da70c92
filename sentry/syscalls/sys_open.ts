/** open(2), openat(2), openat2(2), creat(2), close(2), close_range(2), handles. */
import { E2BIG, EAGAIN, EINVAL, EMFILE, EOPNOTSUPP, EPERM, type Errno } from '../../abi/errno.ts';
import {
  __O_TMPFILE,
  AT_FDCWD,
  FASYNC,
  O_ACCMODE,
  O_APPEND,
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_LARGEFILE,
  O_NOATIME,
  O_NOCTTY,
  O_NOFOLLOW,
  O_NONBLOCK,
  O_PATH,
  O_SYNC,
  O_TRUNC,
  O_WRONLY,
  RESOLVE_BENEATH,
  RESOLVE_CACHED,
  RESOLVE_IN_ROOT,
} from '../../abi/fcntl.ts';
import { S_IALLUGO } from '../../abi/stat.ts';
import { CAP_DAC_READ_SEARCH, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import { NR_OPEN } from '../vfs/fd_table.ts';
import { FileDescription } from '../vfs/file.ts';
import { checkOpenFlags, type OpenResult, openFile } from '../vfs/open.ts';
import { RESOLVE_SHIFT } from '../vfs/walk.ts';
import { addr, fd, flags, int, mode, path, size, syscall, uint } from './definition.ts';
import { installFile } from './install_file.ts';

const VALID_OPEN_FLAGS =
  O_ACCMODE |
  O_CREAT |
  O_EXCL |
  O_NOCTTY |
  O_TRUNC |
  O_APPEND |
  O_NONBLOCK |
  O_SYNC |
  FASYNC |
  O_DIRECT |
  O_LARGEFILE |
  O_DIRECTORY |
  O_NOFOLLOW |
  O_NOATIME |
  O_CLOEXEC |
  O_PATH |
  __O_TMPFILE;
const VALID_PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

function open(task: Task, dirfd: number, address: number, openFlags: number, createMode: number, resolveOptions = 0): SyscallResult {
  const wrong = checkOpenFlags(openFlags);
  if (wrong !== 0) return wrong;
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  // Before anything is created or truncated.
  if (task.fds.lowestFree() >= task.openFileLimit) return EMFILE;
  return finish(task, openFile(task, dirfd, text, openFlags, createMode, resolveOptions), (openFlags & O_CLOEXEC) !== 0);
}

function finish(task: Task, opened: OpenResult, cloexec: boolean): SyscallResult {
  if (typeof opened === 'number') return opened;
  return opened instanceof FileDescription ? installFile(task, opened, cloexec) : finishLater(task, opened, cloexec);
}
function* finishLater(task: Task, opening: Exclude<OpenResult, FileDescription | Errno>, cloexec: boolean): Blocking {
  const file = yield* opening;
  return typeof file === 'number' ? file : installFile(task, file, cloexec);
}

/** struct open_how's size in its first version. */
const OPEN_HOW_SIZE_VER0 = 24;

function openat2(task: Task, dirfd: number, pathAddress: number, how: number, howSize: number): SyscallResult {
  if (howSize < OPEN_HOW_SIZE_VER0) return EINVAL;
  if (howSize > 4096) return E2BIG;
  const bytes = task.readBytes(how, howSize);
  if (typeof bytes === 'number') return bytes;
  if (bytes.subarray(OPEN_HOW_SIZE_VER0).some((b) => b !== 0)) return E2BIG;
  const view = new DataView(bytes.buffer);
  const openFlags = view.getUint32(0, true);
  const createMode = view.getUint32(8, true);
  const resolve = view.getUint32(16, true);
  if (view.getUint32(4, true) !== 0 || view.getUint32(12, true) !== 0 || view.getUint32(20, true) !== 0) return EINVAL;
  if ((openFlags & ~VALID_OPEN_FLAGS) !== 0 || (resolve & ~0x3f) !== 0) return EINVAL;
  if ((resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) === (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) return EINVAL;
  const creates = (openFlags & (O_CREAT | __O_TMPFILE)) !== 0;
  if (creates ? (createMode & ~S_IALLUGO) !== 0 : createMode !== 0) return EINVAL;
  if ((openFlags & O_PATH) !== 0 && (openFlags & ~VALID_PATH_FLAGS) !== 0) return EINVAL;
  // A look-up that may not wait cannot create or truncate.
  if ((resolve & RESOLVE_CACHED) !== 0 && (openFlags & (O_TRUNC | O_CREAT | __O_TMPFILE)) !== 0) return EAGAIN;
  return open(task, dirfd, pathAddress, openFlags, createMode, (resolve & ~RESOLVE_CACHED) << RESOLVE_SHIFT);
}

function close(task: Task, number: number): SyscallResult {
  const file = task.fds.remove(number);
  if (typeof file === 'number') return file;
  const flushed = file.isPath ? null : file.impl.beforeClose();
  return flushed === null ? closeTaken(task, file) : closeFlushed(task, file, flushed);
}
function closeTaken(task: Task, file: FileDescription): SyscallResult {
  const { impl } = file;
  const r = task.kernel.closeFile(task, file);
  return r === 0 ? impl.afterClose(file) : r;
}
/** The descriptor's number is free already, as on Linux. */
function* closeFlushed(task: Task, file: FileDescription, flushed: Blocking): Blocking {
  let r = 0;
  try {
    r = yield* flushed;
  } finally {
    task.kernel.closeFile(task, file); // also when the task is killed
  }
  return r;
}

// close_range(2)
const CLOSE_RANGE_UNSHARE = 2;
const CLOSE_RANGE_CLOEXEC = 4;

function closeRange(task: Task, first: number, last: number, flagBits: number): number {
  if ((flagBits & ~(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) !== 0 || first > last) return EINVAL;
  if ((flagBits & CLOSE_RANGE_UNSHARE) !== 0 && task.fds.shared) {
    const own = task.fds.fork();
    task.fds.release((file) => task.kernel.closeFile(task, file));
    task.fds = own;
  }
  const end = Math.min(last, NR_OPEN);
  for (const number of task.fds.numbers()) {
    if (number < first) continue;
    if (number > end) break;
    if ((flagBits & CLOSE_RANGE_CLOEXEC) !== 0) task.fds.setCloexec(number, true);
    else closeTaken(task, task.fds.remove(number) as FileDescription);
  }
  return 0;
}

/** No filesystem here gives out handles that outlive an open file. */
function nameToHandle(task: Task, _dirfd: number, pathAddress: number): number {
  const text = task.readPath(pathAddress);
  return typeof text === 'number' ? text : EOPNOTSUPP;
}
function openByHandle(task: Task): number {
  return hasCap(task.creds, CAP_DAC_READ_SEARCH) ? EOPNOTSUPP : EPERM;
}

export const OPEN_CALLS = {
  open: syscall({ x64: 2, man: 'open(2)', args: [path, flags, mode], run: (t, p, f, m) => open(t, AT_FDCWD, p, f, m) }),
  openat: syscall({ x64: 257, man: 'open(2)', args: [fd, path, flags, mode], run: (t, d, p, f, m) => open(t, d, p, f, m) }),
  creat: syscall({
    x64: 85,
    man: 'open(2)',
    args: [path, mode],
    run: (t, p, m) => open(t, AT_FDCWD, p, O_CREAT | O_WRONLY | O_TRUNC, m),
  }),
  openat2: syscall({ x64: 437, man: 'openat2(2)', args: [fd, path, addr, size], run: openat2 }),
  close: syscall({ x64: 3, man: 'close(2)', args: [fd], run: close }),
  close_range: syscall({ x64: 436, man: 'close_range(2)', args: [uint, uint, flags], run: closeRange }),
  name_to_handle_at: syscall({
    x64: 303,
    man: 'open_by_handle_at(2)',
    args: [fd, path, addr, addr, flags],
    run: nameToHandle,
    partial: 'answers EOPNOTSUPP',
  }),
  open_by_handle_at: syscall({
    x64: 304,
    man: 'open_by_handle_at(2)',
    args: [int, addr, flags],
    run: openByHandle,
    partial: 'answers EOPNOTSUPP',
  }),
};
