/** fcntl(2) F_GETLK, F_SETLK, F_SETLKW and their open-file forms; flock(2). */
import { EBADF, EINVAL, EOVERFLOW, type Errno } from '../../abi/errno.ts';
import {
  F_GETLK,
  F_OFD_GETLK,
  F_OFD_SETLK,
  F_OFD_SETLKW,
  F_RDLCK,
  F_SETLKW,
  F_UNLCK,
  F_WRLCK,
  SEEK_CUR,
  SEEK_END,
  SEEK_SET,
} from '../../abi/fcntl.ts';
import { Flock, LOCK_EX, LOCK_MAND, LOCK_NB, LOCK_SH, LOCK_UN } from '../../abi/flock.ts';
import type { Infer } from '../../abi/struct.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallResult } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { RecordLock } from '../vfs/locks.ts';
import { fd, flags, syscall } from './definition.ts';

/** [start, end) of a struct flock. */
function range(file: FileDescription, flock: Infer<typeof Flock>): { start: number; end: number } | Errno {
  const { l_whence, l_start, l_len } = flock;
  if (l_whence !== SEEK_SET && l_whence !== SEEK_CUR && l_whence !== SEEK_END) return EINVAL;
  const base = l_whence === SEEK_SET ? 0 : l_whence === SEEK_CUR ? file.position : (file.inode?.attributes().size ?? 0);
  const at = base + l_start;
  const start = l_len < 0 ? at + l_len : at;
  if (start < 0) return EINVAL;
  if (at > Number.MAX_SAFE_INTEGER || at + l_len > 2 ** 63) return EOVERFLOW;
  return { start, end: l_len === 0 ? Number.POSITIVE_INFINITY : l_len < 0 ? at : at + l_len };
}

/** The record-lock commands of fcntl(2). */
export function recordLock(task: Task, file: FileDescription, command: number, address: number): SyscallResult {
  const raw = task.readBytes(address, Flock.size);
  if (typeof raw === 'number') return raw;
  const flock = Flock.decode(raw);
  const { inode } = file;
  if (inode === null) return EBADF;
  const ofOpenFile = command === F_OFD_GETLK || command === F_OFD_SETLK || command === F_OFD_SETLKW;
  if (ofOpenFile && flock.l_pid !== 0) return EINVAL;
  const span = range(file, flock);
  if (typeof span === 'number') return span;
  if (flock.l_type !== F_RDLCK && flock.l_type !== F_WRLCK && flock.l_type !== F_UNLCK) return EINVAL;
  const owner = ofOpenFile ? file : task.fds;
  const { locks } = task.kernel;
  const server = file.impl.lockServer;
  const exclusive = flock.l_type === F_WRLCK;
  const lock: RecordLock = { ...span, exclusive, owner, pid: ofOpenFile ? -1 : task.pid };
  if (command === F_GETLK || command === F_OFD_GETLK) {
    if (flock.l_type === F_UNLCK) return EINVAL;
    const tell = (held: RecordLock | null): number => tellBlocker(task, address, flock, held);
    return server?.keepsRecords ? server.get(task, lock, flock.l_type, tell) : tell(locks.blocker(inode, lock));
  }
  if (server?.keepsRecords) {
    if (flock.l_type !== F_UNLCK && (exclusive ? !file.writable : !file.readable)) return EBADF;
    return server.set(task, lock, flock.l_type, command === F_SETLKW || command === F_OFD_SETLKW);
  }
  if (flock.l_type === F_UNLCK) {
    locks.unlock(inode, owner, span.start, span.end);
    return 0;
  }
  if (exclusive ? !file.writable : !file.readable) return EBADF;
  if (ofOpenFile) watchRelease(task, file);
  return locks.lock(inode, lock, command === F_SETLKW || command === F_OFD_SETLKW);
}

function tellBlocker(task: Task, address: number, asked: Infer<typeof Flock>, held: RecordLock | null): number {
  if (held === null) return task.copyOut(address, Flock.encode({ ...asked, l_type: F_UNLCK }));
  const l_len = held.end === Number.POSITIVE_INFINITY ? 0 : held.end - held.start;
  const l_type = held.exclusive ? F_WRLCK : F_RDLCK;
  return task.copyOut(address, Flock.encode({ l_type, l_whence: SEEK_SET, l_start: held.start, l_len, l_pid: held.pid }));
}

/** Locks of the open file go with its last reference. */
function watchRelease(task: Task, file: FileDescription): void {
  if (file.holdsLocks) return;
  file.holdsLocks = true;
  const { locks } = task.kernel;
  file.addReleaseHook((released) => locks.fileReleased(released));
}

function flock(task: Task, number: number, operation: number): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if ((operation & LOCK_MAND) !== 0) return 0;
  const kind = operation & ~LOCK_NB;
  if (kind !== LOCK_SH && kind !== LOCK_EX && kind !== LOCK_UN) return EINVAL;
  const { inode } = file;
  if (inode === null || file.isPath) return EBADF;
  const server = file.impl.lockServer;
  if (server?.keepsWhole) {
    file.holdsLocks = true;
    const type = kind === LOCK_UN ? F_UNLCK : kind === LOCK_EX ? F_WRLCK : F_RDLCK;
    return server.whole(task, file, type, (operation & LOCK_NB) === 0);
  }
  if (kind === LOCK_UN) return task.kernel.locks.funlock(file, inode);
  watchRelease(task, file);
  return task.kernel.locks.flock(file, inode, kind === LOCK_EX, (operation & LOCK_NB) === 0);
}

export const LOCK_CALLS = {
  flock: syscall({ x64: 73, man: 'flock(2)', args: [fd, flags], run: flock }),
};
