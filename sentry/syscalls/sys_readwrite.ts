/** read(2), write(2) and their vector and positioned forms, lseek(2). */
import { EAGAIN, EBADF, EFBIG, EINVAL, EISDIR, EOPNOTSUPP, ERESTARTSYS, type Errno, ESPIPE } from '../../abi/errno.ts';
import { O_APPEND, SEEK_HOLE } from '../../abi/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../../abi/inotify.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../abi/poll.ts';
import { SI_USER, SIGXFSZ } from '../../abi/signal.ts';
import { S_IFIFO, S_IFMT, S_IFSOCK } from '../../abi/stat.ts';
import { RLIMIT_FSIZE } from '../kernel/rlimits.ts';
import { sendToTask } from '../kernel/signal_send.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import { LimitedSink, LimitedSource, type Sink, type Source } from '../vfs/io.ts';
import { addr, fd, flags, int, long, size, syscall } from './definition.ts';
import { inPieces, PIECE } from './pieces.ts';

/** size_t counts that are negative as ssize_t. */
const SSIZE_LIMIT = 2 ** 63;

function readable(task: Task, number: number): FileDescription | Errno {
  const file = task.fds.get(number);
  return typeof file === 'number' || file.readable ? file : EBADF;
}
function writable(task: Task, number: number): FileDescription | Errno {
  const file = task.fds.get(number);
  return typeof file === 'number' || file.writable ? file : EBADF;
}

/** As readable and writable, of calls with an offset: what has no position answers ESPIPE before anything else is asked. */
function positionedFile(task: Task, number: number, writes: boolean): FileDescription | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number' || (writes ? file.writable : file.readable)) return file;
  const type = file.isPath ? 0 : (file.inode?.mode ?? 0) & S_IFMT;
  return type === S_IFIFO || type === S_IFSOCK ? ESPIPE : EBADF;
}

/** read(2). No generator exists unless the task has to wait. */
function read(task: Task, number: number, address: number, count: number): SyscallResult {
  const file = readable(task, number);
  if (typeof file === 'number') return file;
  if (count >= SSIZE_LIMIT) return EINVAL;
  const dst = task.userBuffer(address, count);
  return typeof dst === 'number' ? dst : readInto(task, file, dst);
}

function write(task: Task, number: number, address: number, count: number): SyscallResult {
  const file = writable(task, number);
  if (typeof file === 'number') return file;
  if (count >= SSIZE_LIMIT) return EINVAL;
  const src = task.userBuffer(address, count);
  return typeof src === 'number' ? src : writeFrom(task, file, src);
}

function readv(task: Task, number: number, list: number, count: number): SyscallResult {
  const file = readable(task, number);
  if (typeof file === 'number') return file;
  const dst = task.userVector(list, count);
  return typeof dst === 'number' ? dst : readInto(task, file, dst);
}

function writev(task: Task, number: number, list: number, count: number): SyscallResult {
  const file = writable(task, number);
  if (typeof file === 'number') return file;
  const src = task.userVector(list, count);
  return typeof src === 'number' ? src : writeFrom(task, file, src);
}

/** read(2) from an open file into anything, waiting if the file may wait. */
export function readInto(task: Task, file: FileDescription, dst: Sink, nonblocking = file.nonblocking): SyscallResult {
  const n = dst.remaining > PIECE && file.impl.inPieces ? readPieces(task, file, dst) : file.impl.read(dst, file, task);
  if (typeof n !== 'number') return heldDuring(task, file, n, IN_ACCESS);
  if (n === EAGAIN && !nonblocking && file.impl.queue !== null) return readBlocking(task, file, dst);
  told(task, file, n, IN_ACCESS);
  return n < 0 ? directoryOr(file, n) : n;
}

function readPieces(task: Task, file: FileDescription, dst: Sink): Blocking {
  return inPieces(task, dst.remaining, (count) => file.impl.read(new LimitedSink(dst, count), file, task));
}
function writePieces(task: Task, file: FileDescription, src: Source): Blocking {
  return inPieces(task, src.remaining, (count) => file.impl.write(new LimitedSource(src, count), file, task));
}

/** Whatever a filesystem says about reading its directories, it is EISDIR. */
function directoryOr(file: FileDescription, error: number): number {
  return file.inode?.isDirectory ? EISDIR : error;
}

function* readBlocking(task: Task, file: FileDescription, dst: Sink): Blocking {
  const { queue } = file.impl;
  if (queue === null) return EAGAIN;
  file.hold(); // a close(2) by another task must not drop the last reader
  try {
    for (;;) {
      const wake = yield waitFor(queue, POLLIN | POLLHUP);
      const step = file.impl.read(dst, file, task); // another reader may have been first
      const n = typeof step === 'number' ? step : yield* step;
      if (n !== EAGAIN) return told(task, file, n, IN_ACCESS);
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    file.release();
  }
}

/** write(2) to an open file from anything. */
export function writeFrom(task: Task, file: FileDescription, source: Source, nonblocking = file.nonblocking): SyscallResult {
  const src = limited(task, file, source, null);
  if (typeof src === 'number') return src;
  const n = src.remaining > PIECE && file.impl.inPieces ? writePieces(task, file, src) : file.impl.write(src, file, task);
  if (typeof n !== 'number') return heldDuring(task, file, n, IN_MODIFY);
  if (n === EAGAIN && !nonblocking && file.impl.queue !== null) return writeBlocking(task, file, src);
  return told(task, file, n, IN_MODIFY);
}

function* writeBlocking(task: Task, file: FileDescription, src: Source): Blocking {
  const { queue } = file.impl;
  if (queue === null) return EAGAIN;
  file.hold();
  try {
    for (;;) {
      const wake = yield waitFor(queue, POLLOUT | POLLHUP);
      const step = file.impl.write(src, file, task);
      const n = typeof step === 'number' ? step : yield* step;
      if (n !== EAGAIN) return told(task, file, n, IN_MODIFY);
      if (wake === 'signal') return ERESTARTSYS;
    }
  } finally {
    file.release();
  }
}

/** The file stays open while its own generator runs. */
function* heldDuring(task: Task, file: FileDescription, transfer: Blocking, event: number): Blocking {
  file.hold();
  try {
    return told(task, file, yield* transfer, event);
  } finally {
    file.release();
  }
}

/** Counts a transfer, and tells who watches the file that `n` bytes went in or out; gives `n`. */
export function told(task: Task, file: FileDescription, n: number, event: number): number {
  const { io } = task.group;
  if (event === IN_ACCESS) {
    io.syscr++;
    if (n > 0) io.rchar += n;
  } else {
    io.syscw++;
    if (n > 0) io.wchar += n;
  }
  if (n > 0 && task.kernel.notify !== null && file.path !== null && !file.unwatched) task.kernel.notify.done(event, file.path, task);
  return n;
}

/** Applies RLIMIT_FSIZE (getrlimit(2)) to a write of a regular file at `offset`, null = its position. SIGXFSZ and EFBIG beyond. */
export function limited(task: Task, file: FileDescription, source: Source, offset: number | null): Source | Errno {
  const limit = task.group.limits.soft(RLIMIT_FSIZE);
  if (limit === Number.POSITIVE_INFINITY || source.remaining === 0) return source;
  const inode = file.inode;
  if (inode === null || !inode.isRegular) return source;
  const at = (file.flags & O_APPEND) !== 0 ? inode.attributes().size : (offset ?? file.position);
  if (at >= limit) return fileTooLarge(task);
  return at + source.remaining > limit ? new LimitedSource(source, limit - at) : source;
}

/** Sends SIGXFSZ, as if from the task itself, and gives EFBIG. */
export function fileTooLarge(task: Task): Errno {
  sendToTask(task, { signal: SIGXFSZ, code: SI_USER, pid: task.pid, uid: task.creds.uid });
  return EFBIG;
}

export function positionedRead(task: Task, file: FileDescription, dst: Sink | Errno, offset: number): SyscallResult {
  if (typeof dst === 'number') return dst;
  const { impl } = file;
  const n =
    dst.remaining > PIECE && impl.inPieces
      ? inPieces(task, dst.remaining, (count, done) => impl.pread(new LimitedSink(dst, count), offset + done, file, task))
      : impl.pread(dst, offset, file, task);
  if (typeof n !== 'number') return heldDuring(task, file, n, IN_ACCESS);
  told(task, file, n, IN_ACCESS);
  return n < 0 ? directoryOr(file, n) : n;
}
export function positionedWrite(task: Task, file: FileDescription, source: Source | Errno, offset: number): SyscallResult {
  if (typeof source === 'number') return source;
  const src = limited(task, file, source, offset);
  if (typeof src === 'number') return src;
  const { impl } = file;
  const n =
    src.remaining > PIECE && impl.inPieces
      ? inPieces(task, src.remaining, (count, done) => impl.pwrite(new LimitedSource(src, count), offset + done, file, task))
      : impl.pwrite(src, offset, file, task);
  if (typeof n !== 'number') return heldDuring(task, file, n, IN_MODIFY);
  return told(task, file, n, IN_MODIFY);
}

function pread64(task: Task, number: number, address: number, count: number, offset: number): SyscallResult {
  if (offset < 0) return EINVAL;
  const file = positionedFile(task, number, false);
  if (typeof file === 'number') return file;
  return positionedRead(task, file, count >= SSIZE_LIMIT ? EINVAL : task.userBuffer(address, count), offset);
}
function pwrite64(task: Task, number: number, address: number, count: number, offset: number): SyscallResult {
  if (offset < 0) return EINVAL;
  const file = positionedFile(task, number, true);
  if (typeof file === 'number') return file;
  return positionedWrite(task, file, count >= SSIZE_LIMIT ? EINVAL : task.userBuffer(address, count), offset);
}
function preadv(task: Task, number: number, list: number, count: number, offset: number): SyscallResult {
  if (offset < 0) return EINVAL;
  const file = positionedFile(task, number, false);
  if (typeof file === 'number') return file;
  return positionedRead(task, file, task.userVector(list, count), offset);
}
function pwritev(task: Task, number: number, list: number, count: number, offset: number): SyscallResult {
  if (offset < 0) return EINVAL;
  const file = positionedFile(task, number, true);
  if (typeof file === 'number') return file;
  return positionedWrite(task, file, task.userVector(list, count), offset);
}

// preadv2(2)
const RWF_HIPRI = 0x01;
const RWF_DSYNC = 0x02;
const RWF_SYNC = 0x04;
const RWF_NOWAIT = 0x08;
const RWF_APPEND = 0x10;
/** Reads take all of them; what is about writing has no effect there. */
const RWF_SUPPORTED = RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND;

/** Offset -1 means the file's position. The last argument of the ABI's five is the high half of the offset: unused on 64 bits. */
function preadv2(task: Task, number: number, list: number, count: number, offset: number, _high: number, rwf: number): SyscallResult {
  if ((rwf & ~RWF_SUPPORTED) !== 0) return EOPNOTSUPP;
  if (offset !== -1) return preadv(task, number, list, count, offset);
  const file = readable(task, number);
  if (typeof file === 'number') return file;
  const dst = task.userVector(list, count);
  return typeof dst === 'number' ? dst : readInto(task, file, dst, file.nonblocking || (rwf & RWF_NOWAIT) !== 0);
}

function pwritev2(task: Task, number: number, list: number, count: number, offset: number, _high: number, rwf: number): SyscallResult {
  if ((rwf & ~RWF_SUPPORTED) !== 0) return EOPNOTSUPP;
  if (offset < -1) return EINVAL;
  const file = writable(task, number);
  if (typeof file === 'number') return file;
  const src = task.userVector(list, count);
  if (typeof src === 'number') return src;
  if ((rwf & RWF_APPEND) !== 0) {
    const end = file.inode?.attributes().size ?? 0;
    if (offset !== -1) return positionedWrite(task, file, src, end);
    file.position = end;
  } else if (offset !== -1) return positionedWrite(task, file, src, offset);
  return writeFrom(task, file, src, file.nonblocking || (rwf & RWF_NOWAIT) !== 0);
}

function lseek(task: Task, number: number, offset: number, whence: number): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if (whence < 0 || whence > SEEK_HOLE) return EINVAL;
  return file.impl.seek(file, offset, whence);
}

export const READWRITE_CALLS = {
  read: syscall({ x64: 0, man: 'read(2)', args: [fd, addr, size], run: read }),
  write: syscall({ x64: 1, man: 'write(2)', args: [fd, addr, size], run: write }),
  pread64: syscall({ x64: 17, man: 'pread(2)', args: [fd, addr, size, long], run: pread64 }),
  pwrite64: syscall({ x64: 18, man: 'pread(2)', args: [fd, addr, size, long], run: pwrite64 }),
  readv: syscall({ x64: 19, man: 'readv(2)', args: [fd, addr, int], run: readv }),
  writev: syscall({ x64: 20, man: 'readv(2)', args: [fd, addr, int], run: writev }),
  preadv: syscall({ x64: 295, man: 'readv(2)', args: [fd, addr, int, long], run: preadv }),
  pwritev: syscall({ x64: 296, man: 'readv(2)', args: [fd, addr, int, long], run: pwritev }),
  preadv2: syscall({ x64: 327, man: 'readv(2)', args: [fd, addr, int, long, long, flags], run: preadv2 }),
  pwritev2: syscall({ x64: 328, man: 'readv(2)', args: [fd, addr, int, long, long, flags], run: pwritev2 }),
  lseek: syscall({ x64: 8, man: 'lseek(2)', args: [fd, long, int], run: lseek }),
};
