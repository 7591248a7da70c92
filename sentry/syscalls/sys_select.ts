/** select(2), pselect6(2). */
import { EBADF, EFAULT, EINVAL, ERESTARTNOHAND, type Errno, isErrno } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDBAND, POLLRDNORM, POLLWRBAND, POLLWRNORM } from '../../abi/poll.ts';
import { getLen64 } from '../../abi/struct.ts';
import type { Task } from '../kernel/task.ts';
import { withSignalMask } from '../kernel/temporary_mask.ts';
import type { Blocking, SyscallResult, WaitTarget } from '../kernel/wait.ts';
import { NR_OPEN } from '../vfs/fd_table.ts';
import type { FileDescription } from '../vfs/file.ts';
import { addr, int, syscall } from './definition.ts';
import { deadlineAfter, tellRemaining } from './sys_poll.ts';
import { readSignalMask } from './user_signal_mask.ts';
import { readTimespec, readTimeval, writeTimespec, writeTimeval } from './user_time.ts';

/** What makes a descriptor readable, writable, exceptional (select(2), "Correspondence between select() and poll()"). */
const SETS = [POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR, POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR, POLLPRI] as const;

/** One call's three sets: addresses (0 = absent), and the bits that were asked for, in 64-bit words as bytes. */
interface Request {
  readonly nfds: number;
  readonly addresses: readonly number[];
  readonly asked: readonly (Uint8Array | null)[];
}

function readRequest(task: Task, nfds: number, addresses: readonly number[]): Request | Errno {
  if (nfds < 0) return EINVAL;
  const count = Math.min(nfds, NR_OPEN);
  const length = Math.ceil(count / 64) * 8;
  const asked: (Uint8Array | null)[] = [];
  for (const address of addresses) {
    const bits = address === 0 ? null : task.readBytes(address, length);
    if (typeof bits === 'number') return bits;
    asked.push(bits);
  }
  return { nfds: count, addresses, asked };
}

/** Calls `visit` for every descriptor in any of the sets; stops at the first errno. `sets`: bit i = asked for in set i. */
function eachFd(task: Task, request: Request, visit: (file: FileDescription, fd: number, sets: number) => void): 0 | Errno {
  const [a, b, c] = request.asked;
  for (let fd = 0; fd < request.nfds; fd++) {
    const byte = fd >> 3;
    if ((fd & 7) === 0 && ((a?.[byte] ?? 0) | (b?.[byte] ?? 0) | (c?.[byte] ?? 0)) === 0) {
      fd += 7;
      continue;
    }
    const shift = fd & 7;
    const sets = (((a?.[byte] ?? 0) >> shift) & 1) | ((((b?.[byte] ?? 0) >> shift) & 1) << 1) | ((((c?.[byte] ?? 0) >> shift) & 1) << 2);
    if (sets === 0) continue;
    const file = task.fds.get(fd);
    if (isErrno(file) || file.isPath) return EBADF;
    visit(file, fd, sets);
  }
  return 0;
}

/** Bits set in `found`, which it fills; or EBADF. */
function scan(task: Task, request: Request, found: readonly (Uint8Array | null)[]): number {
  let count = 0;
  for (const bits of found) bits?.fill(0);
  const r = eachFd(task, request, (file, fd, sets) => {
    const events = file.impl.poll(file, task);
    for (let i = 0; i < 3; i++) {
      if ((sets & (1 << i)) === 0 || (events & (SETS[i] as number)) === 0) continue;
      const bits = found[i] as Uint8Array;
      bits[fd >> 3] = (bits[fd >> 3] as number) | (1 << (fd & 7));
      count++;
    }
  });
  return r < 0 ? r : count;
}

function writeResult(task: Task, request: Request, found: readonly (Uint8Array | null)[], count: number): number {
  for (const [i, bits] of found.entries()) if (bits !== null && task.copyOut(request.addresses[i] as number, bits) !== 0) return EFAULT;
  return count;
}

function selectUntil(task: Task, request: Request, deadline: number): SyscallResult {
  const found = request.asked.map((bits) => (bits === null ? null : new Uint8Array(bits.length)));
  const count = scan(task, request, found);
  if (count < 0) return count;
  if (count > 0 || deadline === 0) return writeResult(task, request, found, count);
  return selectBlocking(task, request, found, deadline);
}

function* selectBlocking(task: Task, request: Request, found: readonly (Uint8Array | null)[], deadline: number): Blocking {
  const held: FileDescription[] = [];
  const on: WaitTarget[] = [];
  eachFd(task, request, (file, _fd, sets) => {
    if (file.impl.queue === null) return;
    let events = 0;
    for (let i = 0; i < 3; i++) if ((sets & (1 << i)) !== 0) events |= SETS[i] as number;
    held.push(file.hold());
    on.push({ queue: file.impl.queue, events });
  });
  const wait = Number.isFinite(deadline) ? { on, deadline } : { on };
  try {
    for (;;) {
      const wake = yield wait;
      const count = scan(task, request, found);
      if (count < 0) return count;
      if (count === 0 && wake === 'ready') continue;
      if (count === 0 && wake === 'signal') return ERESTARTNOHAND;
      return writeResult(task, request, found, count);
    }
  } finally {
    for (const file of held) file.release();
  }
}

function select(task: Task, nfds: number, reads: number, writes: number, exceptions: number, timeout: number): SyscallResult {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimeval(task, timeout);
  if (ns < 0) return ns;
  const request = readRequest(task, nfds, [reads, writes, exceptions]);
  if (typeof request === 'number') return request;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  const result = selectUntil(task, request, deadline);
  return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimeval);
}

/** The sixth argument points to the mask's address and size. */
function pselect6(
  task: Task,
  nfds: number,
  reads: number,
  writes: number,
  exceptions: number,
  timeout: number,
  sig: number,
): SyscallResult {
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const pair = sig === 0 ? null : task.readBytes(sig, 16);
  if (typeof pair === 'number') return pair;
  const view = pair === null ? null : new DataView(pair.buffer);
  const set = view === null ? null : readSignalMask(task, getLen64(view, 0), getLen64(view, 8));
  if (typeof set === 'number') return set;
  const request = readRequest(task, nfds, [reads, writes, exceptions]);
  if (typeof request === 'number') return request;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => {
    const result = selectUntil(task, request, deadline);
    return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimespec);
  });
}

export const SELECT_CALLS = {
  select: syscall({ x64: 23, man: 'select(2)', args: [int, addr, addr, addr, addr], run: select }),
  pselect6: syscall({ x64: 270, man: 'select(2)', args: [int, addr, addr, addr, addr, addr], run: pselect6 }),
};
