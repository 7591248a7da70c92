/** Transfers between files without user memory: sendfile(2), copy_file_range(2). */
import { EAGAIN, EBADF, EFBIG, EINVAL, EISDIR, EOPNOTSUPP, ERESTARTSYS, type Errno, ESPIPE } from '../../abi/errno.ts';
import { O_APPEND, SEEK_CUR, SEEK_SET } from '../../abi/fcntl.ts';
import { IN_ACCESS, IN_MODIFY } from '../../abi/inotify.ts';
import { POLLHUP, POLLOUT } from '../../abi/poll.ts';
import { off64, setLen64 } from '../../abi/struct.ts';
import { RLIMIT_FSIZE } from '../kernel/rlimits.ts';
import { MAX_RW_COUNT, type Task } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { addr, fd, flags, size, syscall } from './definition.ts';
import { fileTooLarge, limited, told } from './sys_readwrite.ts';

/** Bytes that are on the way at once. */
const CHUNK = 128 << 10;

/** Runs a FileImpl call to its end. */
export function* settle(result: SyscallResult): Blocking {
  return typeof result === 'number' ? result : yield* result;
}

/** A position in user memory, or 0 for none. */
export function readOffset(task: Task, address: number): number | null | Errno {
  if (address === 0) return null;
  const raw = task.readBytes(address, 8);
  if (typeof raw === 'number') return raw;
  const offset = off64.get(new DataView(raw.buffer), 0);
  return offset < 0 ? EINVAL : offset;
}
export function writeOffset(task: Task, address: number, offset: number): number {
  const raw = new Uint8Array(8);
  setLen64(new DataView(raw.buffer), 0, offset);
  return task.copyOut(address, raw);
}

/** Writes all of `bytes` at the file's position, waiting if it has to. How many, or an errno if none. */
export function* writeFully(task: Task, file: FileDescription, bytes: Uint8Array, nonblocking: boolean): Blocking {
  let done = 0;
  for (;;) {
    // What a write has taken it may not have written: only its answer says how much.
    const source = new BufferIo(bytes.subarray(done));
    const allowed = limited(task, file, source, null);
    const n = typeof allowed === 'number' ? allowed : yield* settle(file.impl.write(allowed, file, task));
    if (n > 0) done += n;
    if (done === bytes.length) return done;
    if (n < 0 && n !== EAGAIN) return done > 0 ? done : n;
    const { queue } = file.impl;
    if (nonblocking || queue === null) return done > 0 ? done : n < 0 ? n : EAGAIN;
    if (n !== EAGAIN) continue;
    const wake = yield waitFor(queue, POLLOUT | POLLHUP);
    if (wake === 'signal') return done > 0 ? done : ERESTARTSYS;
  }
}

function sendfile(task: Task, outFd: number, inFd: number, offsetAddress: number, count: number): SyscallResult {
  const input = task.fds.get(inFd);
  if (typeof input === 'number') return input;
  const output = task.fds.get(outFd);
  if (typeof output === 'number') return output;
  if (!input.readable || !output.writable) return EBADF;
  if (count >= 2 ** 63 || (output.flags & O_APPEND) !== 0) return EINVAL;
  const offset = readOffset(task, offsetAddress);
  if (offset !== null && offset < 0) return offset;
  if (input.inode?.isDirectory) return EINVAL;
  return send(task, input, output, offset, offsetAddress, Math.min(count, MAX_RW_COUNT));
}

function* send(
  task: Task,
  input: FileDescription,
  output: FileDescription,
  given: number | null,
  offsetAddress: number,
  count: number,
): Blocking {
  input.hold();
  output.hold();
  try {
    const start = given ?? positionOf(input);
    const buffer = new Uint8Array(Math.min(CHUNK, count));
    const share = new TimeShare(task);
    let total = 0;
    let error = 0;
    while (total < count) {
      const room = buffer.subarray(0, Math.min(buffer.length, count - total));
      const got = yield* settle(input.impl.pread(new BufferIo(room), start + total, input, task));
      if (got <= 0) {
        error = got === ESPIPE ? EINVAL : got;
        break;
      }
      const n = yield* writeFully(task, output, room.subarray(0, got), output.nonblocking);
      if (n < 0) {
        error = n;
        break;
      }
      total += n;
      if (n < got || (share.isOver && (yield* share.pass()))) break;
    }
    if (total === 0 && error < 0) return error;
    tellBoth(task, input, output, total);
    if (given === null) moveTo(input, start + total);
    else if (writeOffset(task, offsetAddress, start + total) < 0) return total;
    return total;
  } finally {
    input.release();
    output.release();
  }
}

/** Asked of the file: the position of a donated descriptor is the host's. */
function positionOf(file: FileDescription): number {
  return Math.max(0, file.impl.seek(file, 0, SEEK_CUR));
}
function moveTo(file: FileDescription, position: number): void {
  file.impl.seek(file, position, SEEK_SET);
}

function tellBoth(task: Task, input: FileDescription, output: FileDescription, n: number): void {
  told(task, input, n, IN_ACCESS);
  told(task, output, n, IN_MODIFY);
}

function copyFileRange(
  task: Task,
  inFd: number,
  inOffset: number,
  outFd: number,
  outOffset: number,
  count: number,
  how: number,
): SyscallResult {
  if (how !== 0) return EINVAL;
  const input = task.fds.get(inFd);
  if (typeof input === 'number') return input;
  const output = task.fds.get(outFd);
  if (typeof output === 'number') return output;
  const from = readOffset(task, inOffset);
  if (from !== null && from < 0) return from;
  const to = readOffset(task, outOffset);
  if (to !== null && to < 0) return to;
  if (input.isPath || output.isPath) return EBADF;
  if (input.inode?.isDirectory || output.inode?.isDirectory) return EISDIR;
  if (!input.inode?.isRegular || !output.inode?.isRegular) return EINVAL;
  if (!input.readable || !output.writable || (output.flags & O_APPEND) !== 0) return EBADF;
  const source = from ?? positionOf(input);
  const target = to ?? positionOf(output);
  const wanted = Math.max(0, Math.min(count, MAX_RW_COUNT, input.inode.attributes().size - source));
  if (input.inode === output.inode && source < target + wanted && target < source + wanted) return EINVAL;
  const limit = task.group.limits.soft(RLIMIT_FSIZE);
  if (target >= limit) return fileTooLarge(task);
  if (target + wanted > Number.MAX_SAFE_INTEGER) return EFBIG;
  const places = { source, target, inOffset: from === null ? 0 : inOffset, outOffset: to === null ? 0 : outOffset };
  return copy(task, input, output, places, Math.min(wanted, limit - target));
}

interface CopyPlaces {
  readonly source: number;
  readonly target: number;
  /** Where the caller keeps the offsets; 0: the file's own position. */
  readonly inOffset: number;
  readonly outOffset: number;
}

function* copy(task: Task, input: FileDescription, output: FileDescription, places: CopyPlaces, count: number): Blocking {
  input.hold();
  output.hold();
  try {
    const { source, target } = places;
    const served = output.impl.copyFrom(input, source, output, target, count, task);
    const copied = served === null ? EOPNOTSUPP : yield* served;
    const buffer = new Uint8Array(copied === EOPNOTSUPP ? Math.min(CHUNK * 4, count) : 0);
    const share = new TimeShare(task);
    let total = Math.max(0, copied);
    let error = copied === EOPNOTSUPP ? 0 : copied;
    while (copied === EOPNOTSUPP && total < count) {
      const room = buffer.subarray(0, Math.min(buffer.length, count - total));
      const got = yield* settle(input.impl.pread(new BufferIo(room), source + total, input, task));
      if (got <= 0) {
        error = got;
        break;
      }
      const n = yield* settle(output.impl.pwrite(new BufferIo(room.subarray(0, got)), target + total, output, task));
      if (n <= 0) {
        error = n;
        break;
      }
      total += n;
      if (n < got || (share.isOver && (yield* share.pass()))) break;
    }
    if (total === 0 && error < 0) return error;
    tellBoth(task, input, output, total);
    if (places.inOffset === 0) moveTo(input, source + total);
    else writeOffset(task, places.inOffset, source + total);
    if (places.outOffset === 0) moveTo(output, target + total);
    else writeOffset(task, places.outOffset, target + total);
    return total;
  } finally {
    input.release();
    output.release();
  }
}

export const SENDFILE_CALLS = {
  sendfile: syscall({ x64: 40, man: 'sendfile(2)', args: [fd, fd, addr, size], run: sendfile }),
  copy_file_range: syscall({ x64: 326, man: 'copy_file_range(2)', args: [fd, addr, fd, addr, size, flags], run: copyFileRange }),
};
