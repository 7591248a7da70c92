/** Waiting on sockets: transfers, accept. The families only try. */
import { EAGAIN, EINTR, EINVAL, EPIPE, ERESTARTSYS, type Errno } from '../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_WAITALL } from '../../abi/socket.ts';
import { sendBrokenPipe } from '../kernel/broken_pipe.ts';
import type { Task } from '../kernel/task.ts';
import { type Blocking, type SyscallResult, type Wait, type Wake, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { Sink } from '../vfs/io.ts';
import type { IncomingMessage, OutgoingMessage, Socket } from './socket.ts';

/** What an interrupted call answers: with a time limit it must not start again (signal(7)). */
function interrupted(limit: number): Errno {
  return Number.isFinite(limit) ? EINTR : ERESTARTSYS;
}
/** Kernel monotonic ns, or nothing for no limit. */
export function deadlineOf(task: Task, limit: number): number | undefined {
  return Number.isFinite(limit) ? task.kernel.now() + limit : undefined;
}

/** Sends the whole message unless it must not wait. */
export function sendOn(task: Task, file: FileDescription, socket: Socket, message: OutgoingMessage): SyscallResult {
  const wanted = message.data.remaining;
  const n = socket.send(task, message);
  if (n === EPIPE) return brokenPipe(task, socket, message);
  if ((n < 0 && n !== EAGAIN) || n >= wanted) return n;
  if (file.nonblocking || (message.flags & MSG_DONTWAIT) !== 0) return n;
  return sendBlocking(task, file, socket, message, Math.max(n, 0));
}

function* sendBlocking(task: Task, file: FileDescription, socket: Socket, message: OutgoingMessage, sent: number): Blocking {
  const limit = socket.options.sendTimeout;
  const wait = waitFor(socket.queue, POLLOUT, deadlineOf(task, limit));
  let total = sent;
  file.hold();
  try {
    for (;;) {
      // After a part was taken there may be room already, and then no wake-up comes: try before every wait.
      let n = total > 0 ? socket.send(task, message) : (EAGAIN as number);
      let wake: Wake = 'ready';
      if (n === EAGAIN) {
        wake = yield wait;
        n = socket.send(task, message);
      }
      if (n === EPIPE) {
        const r = brokenPipe(task, socket, message);
        return total > 0 ? total : r;
      }
      if (n < 0 && n !== EAGAIN) return total > 0 ? total : n;
      if (n >= 0) total += n;
      if (n >= 0 && message.data.remaining === 0) return total;
      if (wake === 'timeout') return total > 0 ? total : EAGAIN;
      if (wake === 'signal') return total > 0 ? total : interrupted(limit);
    }
  } finally {
    file.release();
  }
}

function brokenPipe(task: Task, socket: Socket, message: OutgoingMessage): Errno {
  return socket.isStream && (message.flags & MSG_NOSIGNAL) === 0 ? sendBrokenPipe(task) : EPIPE;
}

/** Receives one message or what a stream has; with MSG_WAITALL as much as was asked for. */
export function receiveOn(task: Task, file: FileDescription, socket: Socket, dst: Sink, message: IncomingMessage): SyscallResult {
  const n = socket.receive(task, dst, message);
  const nonblocking = file.nonblocking || (message.flags & (MSG_DONTWAIT | MSG_ERRQUEUE | MSG_OOB)) !== 0;
  if (nonblocking || !wantsMore(socket, dst, message, n)) return n;
  if (socket.endOfInput) return Math.max(n, 0);
  return receiveBlocking(task, file, socket, dst, message, Math.max(n, 0));
}

/** After a receive gave `n`: is there reason to wait and receive again? Ancillary data ends a transfer. */
function wantsMore(socket: Socket, dst: Sink, message: IncomingMessage, n: number): boolean {
  if (n === EAGAIN) return true;
  if (n <= 0 || (message.flags & MSG_WAITALL) === 0 || (message.flags & MSG_PEEK) !== 0) return false;
  return socket.isStream && message.control?.files === undefined && dst.remaining > 0;
}

function* receiveBlocking(task: Task, file: FileDescription, socket: Socket, dst: Sink, message: IncomingMessage, got: number): Blocking {
  const limit = socket.options.receiveTimeout;
  const wait = waitFor(socket.queue, POLLIN, deadlineOf(task, limit));
  let total = got;
  file.hold();
  try {
    for (;;) {
      // Bytes that came in pieces may already be there; the first round was tried by the caller.
      let n = total > 0 ? socket.receive(task, dst, message) : (EAGAIN as number);
      let wake: Wake = 'ready';
      if (n === EAGAIN) {
        wake = yield wait;
        n = socket.receive(task, dst, message);
      }
      if (n > 0) total += n;
      if (!wantsMore(socket, dst, message, n)) return total > 0 ? total : n;
      if (socket.endOfInput) return total;
      if (wake === 'timeout') return total > 0 ? total : EAGAIN;
      if (wake === 'signal') return total > 0 ? total : interrupted(limit);
    }
  } finally {
    file.release();
  }
}

/** accept(2): a generator that ends with the connection or an errno. */
export type AcceptResult = Socket | Errno | Generator<Wait, Socket | Errno, Wake>;

export function acceptOn(task: Task, file: FileDescription, socket: Socket): AcceptResult {
  const connection = socket.accept(task);
  if (connection !== EAGAIN || file.nonblocking) return connection;
  return socket.endOfInput ? EINVAL : acceptBlocking(task, file, socket);
}

function* acceptBlocking(task: Task, file: FileDescription, socket: Socket): Generator<Wait, Socket | Errno, Wake> {
  const limit = socket.options.receiveTimeout;
  const wait = waitFor(socket.queue, POLLIN, deadlineOf(task, limit));
  file.hold();
  try {
    for (;;) {
      const wake = yield wait;
      const connection = socket.accept(task);
      if (connection !== EAGAIN) return connection;
      if (socket.endOfInput) return EINVAL;
      if (wake === 'timeout') return EAGAIN;
      if (wake === 'signal') return interrupted(limit);
    }
  } finally {
    file.release();
  }
}
