/** splice(2), tee(2), vmsplice(2): transfers where one side at least is a pipe. Bytes are copied; nothing is given away. */
import { EAGAIN, EBADF, EINVAL, EPIPE, ERESTARTSYS, ESPIPE } from '../../abi/errno.ts';
import { O_APPEND } from '../../abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLOUT } from '../../abi/poll.ts';
import type { Pipe } from '../fs/pipefs/pipe.ts';
import { pipeOf } from '../fs/pipefs/pipe_file.ts';
import { sendBrokenPipe } from '../kernel/broken_pipe.ts';
import { MAX_RW_COUNT, type Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import { BufferIo, type Source } from '../vfs/io.ts';
import { addr, fd, flags, int, size, syscall } from './definition.ts';
import { positionedWrite, readInto, writeFrom } from './sys_readwrite.ts';
import { readOffset, settle, writeOffset } from './sys_sendfile.ts';

const SPLICE_F_NONBLOCK = 2;
/** SPLICE_F_MOVE, NONBLOCK, MORE, GIFT. */
const SPLICE_FLAGS = 15;

/** The bytes of a pipe as a source: what nobody takes stays in the pipe. */
class PipeSource implements Source {
  readonly spliced = true;
  private readonly pipe: Pipe;
  private left: number;
  constructor(pipe: Pipe, count: number) {
    this.pipe = pipe;
    this.left = count;
  }
  get remaining(): number {
    return Math.min(this.left, this.pipe.used);
  }
  take(into: Uint8Array, start = 0, end = into.length): number {
    let at = start;
    while (at < end && this.remaining > 0) {
      const n = this.pipe.read(new BufferIo(into.subarray(at, Math.min(end, at + this.left))));
      if (n <= 0) break;
      at += n;
      this.left -= n;
    }
    return at - start;
  }
}

/** Bytes in the pipe; 0: no writer and no data; or why not. */
function* waitForData(pipe: Pipe, nonblocking: boolean): Blocking {
  while (pipe.used === 0) {
    if (pipe.writers === 0) return 0;
    if (nonblocking) return EAGAIN;
    const wake = yield waitFor(pipe.queue, POLLIN | POLLHUP);
    if (wake === 'signal' && pipe.used === 0) return ERESTARTSYS;
  }
  return pipe.used;
}

/** Free bytes of the pipe. */
function* waitForRoom(task: Task, pipe: Pipe, nonblocking: boolean): Blocking {
  for (;;) {
    if (pipe.readers === 0) return sendBrokenPipe(task);
    if (pipe.free > 0) return pipe.free;
    if (nonblocking) return EAGAIN;
    const wake = yield waitFor(pipe.queue, POLLOUT);
    if (wake === 'signal' && pipe.free === 0) return ERESTARTSYS;
  }
}

function splice(task: Task, inFd: number, inOffset: number, outFd: number, outOffset: number, count: number, how: number): SyscallResult {
  if (count === 0) return 0;
  if ((how & ~SPLICE_FLAGS) !== 0) return EINVAL;
  const input = task.fds.get(inFd);
  if (typeof input === 'number') return input;
  const output = task.fds.get(outFd);
  if (typeof output === 'number') return output;
  if (!input.readable || !output.writable) return EBADF;
  const from = pipeOf(input);
  const to = pipeOf(output);
  if (from === null && to === null) return EINVAL;
  if ((from !== null && inOffset !== 0) || (to !== null && outOffset !== 0)) return ESPIPE;
  const nonblocking = (how & SPLICE_F_NONBLOCK) !== 0;
  const wanted = Math.min(count, MAX_RW_COUNT);
  if (from !== null && to !== null) {
    return from === to ? EINVAL : held(input, output, pipeToPipe(task, from, to, wanted, nonblocking || input.nonblocking, true));
  }
  if (to !== null) return held(input, output, fileToPipe(task, input, inOffset, to, wanted, nonblocking || output.nonblocking));
  if ((output.flags & O_APPEND) !== 0) return EINVAL;
  return held(input, output, pipeToFile(task, from as Pipe, output, outOffset, wanted, nonblocking || input.nonblocking));
}

function* held(input: FileDescription, output: FileDescription, transfer: Blocking): Blocking {
  input.hold();
  output.hold();
  try {
    return yield* transfer;
  } finally {
    input.release();
    output.release();
  }
}

/** tee: `consume` is false. */
function* pipeToPipe(task: Task, from: Pipe, to: Pipe, count: number, nonblocking: boolean, consume: boolean): Blocking {
  const data = yield* waitForData(from, nonblocking);
  if (data <= 0) return data;
  const room = yield* waitForRoom(task, to, nonblocking);
  if (room <= 0) return room;
  if (!consume) return from.copyTo(to, count);
  const bytes = new Uint8Array(Math.min(count, from.used, room));
  const n = new PipeSource(from, bytes.length).take(bytes);
  to.append(bytes.subarray(0, n));
  return n;
}

function* fileToPipe(task: Task, input: FileDescription, offsetAddress: number, to: Pipe, count: number, nonblocking: boolean): Blocking {
  const offset = readOffset(task, offsetAddress);
  if (offset !== null && offset < 0) return offset;
  const room = yield* waitForRoom(task, to, nonblocking);
  if (room <= 0) return room;
  const bytes = new Uint8Array(Math.min(count, room));
  const sink = new BufferIo(bytes);
  const read = offset === null ? readInto(task, input, sink, input.nonblocking) : input.impl.pread(sink, offset, input, task);
  const n = yield* settle(read);
  if (n <= 0) return n;
  // Another writer may have been faster while this one read: what fits no more waits for room.
  for (let at = 0; at < n; ) {
    if (to.readers === 0) return at > 0 ? at : EPIPE;
    const step = Math.min(n - at, to.free);
    if (step > 0) to.append(bytes.subarray(at, at + step));
    at += step;
    if (at < n) yield waitFor(to.queue, POLLOUT);
  }
  if (offset !== null) writeOffset(task, offsetAddress, offset + n);
  return n;
}

function* pipeToFile(
  task: Task,
  from: Pipe,
  output: FileDescription,
  offsetAddress: number,
  count: number,
  nonblocking: boolean,
): Blocking {
  const offset = readOffset(task, offsetAddress);
  if (offset !== null && offset < 0) return offset;
  const data = yield* waitForData(from, nonblocking);
  if (data <= 0) return data;
  const source = new PipeSource(from, Math.min(count, data));
  const written = offset === null ? writeFrom(task, output, source) : positionedWrite(task, output, source, offset);
  const n = yield* settle(written);
  if (n > 0 && offset !== null) writeOffset(task, offsetAddress, offset + n);
  return n;
}

function tee(task: Task, inFd: number, outFd: number, count: number, how: number): SyscallResult {
  if ((how & ~SPLICE_FLAGS) !== 0) return EINVAL;
  if (count === 0) return 0;
  const input = task.fds.get(inFd);
  if (typeof input === 'number') return input;
  const output = task.fds.get(outFd);
  if (typeof output === 'number') return output;
  if (!input.readable || !output.writable) return EBADF;
  const from = pipeOf(input);
  const to = pipeOf(output);
  if (from === null || to === null || from === to) return EINVAL;
  return held(input, output, pipeToPipe(task, from, to, count, (how & SPLICE_F_NONBLOCK) !== 0, false));
}

/** The pages are copied at once, so that the caller may use them again (vmsplice(2) allows that). */
function vmsplice(task: Task, number: number, list: number, count: number, how: number): SyscallResult {
  if ((how & ~SPLICE_FLAGS) !== 0) return EINVAL;
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (pipeOf(file) === null) return EBADF;
  const buffer = task.userVector(list, count);
  if (typeof buffer === 'number') return buffer;
  const nonblocking = file.nonblocking || (how & SPLICE_F_NONBLOCK) !== 0;
  return file.writable ? writeFrom(task, file, buffer, nonblocking) : readInto(task, file, buffer, nonblocking);
}

export const SPLICE_CALLS = {
  splice: syscall({ x64: 275, man: 'splice(2)', args: [fd, addr, fd, addr, size, flags], run: splice }),
  tee: syscall({ x64: 276, man: 'tee(2)', args: [fd, fd, size, flags], run: tee }),
  vmsplice: syscall({ x64: 278, man: 'vmsplice(2)', args: [fd, addr, int, flags], run: vmsplice }),
};
