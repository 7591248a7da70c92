/** io_setup(2), io_submit(2), io_getevents(2), io_pgetevents(2), io_cancel(2), io_destroy(2). */

import * as A from '../../abi/aio.ts';
import { EAGAIN, EBADF, EFAULT, EINTR, EINVAL, type Errno, ESPIPE, isErrno } from '../../abi/errno.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PAGE_SIZE, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { POLLERR, POLLHUP, POLLIN } from '../../abi/poll.ts';
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { EventFile } from '../fs/eventfd.ts';
import { AIO_MAX_NR, AioContext, type AioEvent, type AioPoll } from '../ipc/aio.ts';
import type { Task } from '../kernel/task.ts';
import { withSignalMask } from '../kernel/temporary_mask.ts';
import { TimeShare } from '../kernel/time_share.ts';
import { type Blocking, type SyscallResult, waitFor } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import { wakeEvents } from '../vfs/poll_events.ts';
import { addr, long, syscall, uint } from './definition.ts';
import { deadlineAfter } from './sys_poll.ts';
import { positionedRead, positionedWrite, readInto, writeFrom } from './sys_readwrite.ts';
import { readSignalMask } from './user_signal_mask.ts';
import { readTimespec } from './user_time.ts';

type Request = ReturnType<typeof A.Iocb.read>;
/** Most requests that one io_submit looks at; Linux's caller gets as many as its context has room for. */
const SUBMIT_MAX = 4096;

/** The identifier is the address of a page of zeros: the C library looks there for a ring that it could read by itself. */
function io_setup(task: Task, count: number, address: number): number {
  const id = task.readBytes(address, 8);
  if (isErrno(id)) return id;
  if (count === 0 || getLen64(new DataView(id.buffer), 0) !== 0) return EINVAL;
  const contexts = task.kernel.aio.of(task.mm);
  let used = count;
  for (const context of contexts.values()) used += context.capacity;
  if (used > AIO_MAX_NR) return EAGAIN;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS;
  const page = task.mm.map(task.thread, task.group.limits, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, flags, null, 0);
  if (isErrno(page)) return page;
  contexts.set(page, new AioContext(count));
  setLen64(new DataView(id.buffer), 0, page);
  return task.copyOut(address, id);
}

function io_destroy(task: Task, id: number): number {
  const contexts = task.kernel.aio.of(task.mm);
  const context = contexts.get(id);
  if (context === undefined) return EINVAL;
  contexts.delete(id);
  context.destroy();
  task.mm.unmap(task.thread, id, PAGE_SIZE);
  return 0;
}

function contextOf(task: Task, id: number): AioContext | Errno {
  return task.kernel.aio.of(task.mm).get(id) ?? EINVAL;
}

function io_submit(task: Task, id: number, count: number, list: number): SyscallResult {
  const context = contextOf(task, id);
  if (isErrno(context)) return context;
  if (count < 0) return EINVAL;
  return submitFrom(task, context, list, Math.min(count, SUBMIT_MAX));
}
/** How many requests it took; the first errno only if that is none. */
function* submitFrom(task: Task, context: AioContext, list: number, count: number): Blocking {
  const share = new TimeShare(task);
  for (let i = 0; i < count; i++) {
    const r = yield* submitOne(task, context, list + i * 8);
    if (r < 0) return i > 0 ? i : r;
    if (share.isOver && (yield* share.pass())) return i + 1;
  }
  return count;
}

function* submitOne(task: Task, context: AioContext, pointer: number): Blocking {
  const slot = task.readBytes(pointer, 8);
  if (isErrno(slot)) return slot;
  const object = getLen64(new DataView(slot.buffer), 0);
  const raw = task.readBytes(object, A.Iocb.size);
  if (isErrno(raw)) return raw;
  const request = A.Iocb.decode(raw);
  if (context.full) return EAGAIN;
  const file = task.fds.get(request.aio_fildes);
  if (isErrno(file) || file.isPath) return EBADF;
  const notify = eventfdOf(task, request);
  if (isErrno(notify)) return notify;
  const finish = (result: number): void => {
    context.complete({ data: request.aio_data, object, result });
    notify?.signal(1n);
  };
  if (request.aio_lio_opcode === A.IOCB_CMD_POLL) return submitPoll(context, object, file, request, finish);
  const started = start(task, file, request);
  if (started === EINVAL || started === EBADF || started === EFAULT) return started;
  const result = typeof started === 'number' ? started : yield* started;
  finish(result);
  return 0;
}
function eventfdOf(task: Task, { aio_flags, aio_resfd }: Request): EventFile | null | Errno {
  if ((aio_flags & A.IOCB_FLAG_RESFD) === 0) return null;
  const file = task.fds.get(aio_resfd);
  if (isErrno(file)) return EBADF;
  return file.impl instanceof EventFile ? file.impl : EINVAL;
}

function start(task: Task, file: FileDescription, request: Request): SyscallResult {
  const { aio_lio_opcode: opcode, aio_buf: address, aio_nbytes: count, aio_offset: offset } = request;
  const vector = opcode === A.IOCB_CMD_PREADV || opcode === A.IOCB_CMD_PWRITEV;
  switch (opcode) {
    case A.IOCB_CMD_PREAD:
    case A.IOCB_CMD_PREADV:
    case A.IOCB_CMD_PWRITE:
    case A.IOCB_CMD_PWRITEV: {
      const reads = opcode === A.IOCB_CMD_PREAD || opcode === A.IOCB_CMD_PREADV;
      if (reads ? !file.readable : !file.writable) return EBADF;
      if (offset < 0) return EINVAL;
      const buffer = vector ? task.userVector(address, count) : task.userBuffer(address, count);
      if (isErrno(buffer)) return buffer;
      const n = reads ? positionedRead(task, file, buffer, offset) : positionedWrite(task, file, buffer, offset);
      // Pipes and sockets have no offset: the request is a plain transfer.
      if (n !== ESPIPE) return n;
      return reads ? readInto(task, file, buffer) : writeFrom(task, file, buffer);
    }
    case A.IOCB_CMD_FSYNC:
    case A.IOCB_CMD_FDSYNC:
      return file.impl.sync(file, opcode === A.IOCB_CMD_FDSYNC);
    default:
      return EINVAL;
  }
}

function submitPoll(
  context: AioContext,
  object: number,
  file: FileDescription,
  request: Request,
  finish: (result: number) => void,
): number {
  const events = request.aio_buf & 0xffff;
  const wanted = events | POLLERR | POLLHUP;
  const now = file.impl.poll(file, null) & wanted;
  if (now !== 0) {
    finish(now);
    return 0;
  }
  const { queue } = file.impl;
  if (queue === null) return EINVAL;
  const wake = (): void => {
    const ready = file.impl.poll(file, null) & wanted;
    if (ready === 0 || !context.polls.has(poll)) return;
    context.endPoll(poll);
    finish(ready);
  };
  const poll: AioPoll = { object, file: file.hold(), entry: { events: wakeEvents(events), wake } };
  queue.add(poll.entry);
  context.polls.add(poll);
  return 0;
}

function io_getevents(task: Task, id: number, min: number, max: number, address: number, timeout: number): SyscallResult {
  const context = contextOf(task, id);
  if (isErrno(context)) return context;
  if (min < 0 || max < 0 || min > max) return EINVAL;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  if (context.count >= min || ns === 0) return deliver(task, context.take(max), address);
  return getBlocking(task, context, min, max, address, deadlineAfter(task, ns));
}
function* getBlocking(task: Task, context: AioContext, min: number, max: number, address: number, deadline: number): Blocking {
  const wait = waitFor(context.queue, POLLIN, Number.isFinite(deadline) ? deadline : undefined);
  for (;;) {
    const wake = yield wait;
    if (context.destroyed) return EINVAL;
    if (context.count >= min || wake === 'timeout') return deliver(task, context.take(max), address);
    if (wake === 'signal') return context.count > 0 ? deliver(task, context.take(max), address) : EINTR;
  }
}
function deliver(task: Task, events: readonly AioEvent[], address: number): number {
  const out = new Uint8Array(events.length * A.IoEvent.size);
  const view = new DataView(out.buffer);
  for (const [i, { data, object, result }] of events.entries()) {
    A.IoEvent.write(view, i * A.IoEvent.size, { data, obj: object, res: BigInt(result), res2: 0n });
  }
  return out.length > 0 && task.copyOut(address, out) !== 0 ? EFAULT : events.length;
}

/** The sixth argument points to the mask's address and size. */
function io_pgetevents(task: Task, id: number, min: number, max: number, address: number, timeout: number, sig: number): SyscallResult {
  const pair = sig === 0 ? null : task.readBytes(sig, 16);
  if (isErrno(pair)) return pair;
  const view = pair === null ? null : new DataView(pair.buffer);
  const set = view === null ? null : readSignalMask(task, getLen64(view, 0), getLen64(view, 8));
  if (isErrno(set)) return set;
  return withSignalMask(task, set as bigint | null, () => io_getevents(task, id, min, max, address, timeout));
}

/** Only what waits can be cancelled; its event says so. */
function io_cancel(task: Task, id: number, object: number): number {
  const context = contextOf(task, id);
  if (isErrno(context)) return context;
  for (const poll of context.polls) {
    if (poll.object !== object) continue;
    context.endPoll(poll);
    return 0;
  }
  return EINVAL;
}

export const AIO_CALLS = {
  io_setup: syscall({ x64: 206, man: 'io_setup(2)', args: [uint, addr], run: io_setup }),
  io_destroy: syscall({ x64: 207, man: 'io_destroy(2)', args: [addr], run: io_destroy }),
  io_getevents: syscall({ x64: 208, man: 'io_getevents(2)', args: [addr, long, long, addr, addr], run: io_getevents }),
  io_submit: syscall({
    x64: 209,
    man: 'io_submit(2)',
    args: [addr, long, addr],
    run: io_submit,
    partial: 'transfers are done before the call returns',
  }),
  io_cancel: syscall({ x64: 210, man: 'io_cancel(2)', args: [addr, addr, addr], run: io_cancel }),
  io_pgetevents: syscall({ x64: 333, man: 'io_getevents(2)', args: [addr, long, long, addr, addr, addr], run: io_pgetevents }),
};
