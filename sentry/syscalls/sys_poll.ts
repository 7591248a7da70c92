/** poll(2), ppoll(2). */
import { EFAULT, EINVAL, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, isErrno } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLNVAL } from '../../abi/poll.ts';
import type { Task } from '../kernel/task.ts';
import { withSignalMask } from '../kernel/temporary_mask.ts';
import type { Blocking, SyscallResult, WaitTarget } from '../kernel/wait.ts';
import type { FileDescription } from '../vfs/file.ts';
import { wakeEvents } from '../vfs/poll_events.ts';
import { addr, int, size, syscall, uint } from './definition.ts';
import { readSignalMask } from './user_signal_mask.ts';
import { readTimespec, writeTimespec } from './user_time.ts';

/** struct pollfd as two words: fd; events and revents. */
const POLLFD_SIZE = 8;

/** A deadline that is a time to come: ns from now, rounded to Infinity where it is too far to matter. */
export function deadlineAfter(task: Task, ns: number): number {
  return ns > 1e18 ? Number.POSITIVE_INFINITY : task.kernel.now() + ns;
}

/** deadline: kernel monotonic ns; 0 does not wait. `interrupted` is the result when a signal comes. */
function pollUntil(task: Task, address: number, nfds: number, deadline: number, restart: boolean): SyscallResult {
  const length = nfds * POLLFD_SIZE;
  const { pollScratch } = task.kernel;
  const fits = length <= pollScratch.byteLength;
  const words = fits ? pollScratch : new Int32Array(nfds * 2);
  const bytes = fits ? task.kernel.pollScratchBytes : new Uint8Array(words.buffer);
  if (length > 0 && task.userMemory.read(address, bytes, 0, length) !== length) return EFAULT;
  const count = scan(task, words, nfds);
  if (count === 0 && deadline !== 0) return pollBlocking(task, address, words.slice(0, nfds * 2), deadline, restart);
  if (length > 0 && task.userMemory.write(address, bytes, 0, length) !== length) return EFAULT;
  return count;
}

/** Sets every revents; how many are not 0. */
function scan(task: Task, words: Int32Array, nfds: number): number {
  let count = 0;
  for (let i = 0; i < nfds * 2; i += 2) {
    const fd = words[i] as number;
    const events = (words[i + 1] as number) & 0xffff;
    let found = 0;
    if (fd >= 0) {
      const file = task.fds.get(fd);
      if (isErrno(file) || file.isPath) found = POLLNVAL;
      else found = file.impl.poll(file, task) & (events | POLLERR | POLLHUP);
    }
    words[i + 1] = events | (found << 16);
    if (found !== 0) count++;
  }
  return count;
}

function* pollBlocking(task: Task, address: number, words: Int32Array, deadline: number, restart: boolean): Blocking {
  const nfds = words.length / 2;
  const held: FileDescription[] = [];
  const on: WaitTarget[] = [];
  for (let i = 0; i < words.length; i += 2) {
    const file = task.fds.get(words[i] as number);
    if (isErrno(file) || file.impl.queue === null) continue;
    held.push(file.hold());
    on.push({ queue: file.impl.queue, events: wakeEvents((words[i + 1] as number) & 0xffff) });
  }
  const wait = Number.isFinite(deadline) ? { on, deadline } : { on };
  try {
    for (;;) {
      const wake = yield wait;
      const count = scan(task, words, nfds);
      if (count === 0 && wake === 'ready') continue;
      if (count === 0 && wake === 'signal') {
        if (!restart) return ERESTARTNOHAND;
        task.restart = () => pollUntil(task, address, nfds, deadline, true);
        return ERESTART_RESTARTBLOCK;
      }
      const bytes = new Uint8Array(words.buffer);
      return bytes.length > 0 && task.copyOut(address, bytes) !== 0 ? EFAULT : count;
    }
  } finally {
    for (const file of held) file.release();
  }
}

function poll(task: Task, address: number, nfds: number, timeout: number): SyscallResult {
  if (nfds > task.openFileLimit) return EINVAL;
  const deadline = timeout < 0 ? Number.POSITIVE_INFINITY : timeout === 0 ? 0 : deadlineAfter(task, timeout * 1e6);
  return pollUntil(task, address, nfds, deadline, true);
}

function ppoll(task: Task, address: number, nfds: number, timeout: number, mask: number, maskSize: number): SyscallResult {
  if (nfds > task.openFileLimit) return EINVAL;
  const ns = timeout === 0 ? Number.POSITIVE_INFINITY : readTimespec(task, timeout);
  if (ns < 0) return ns;
  const set = readSignalMask(task, mask, maskSize);
  if (typeof set === 'number') return set;
  const deadline = ns === 0 ? 0 : deadlineAfter(task, ns);
  return withSignalMask(task, set, () => {
    const result = pollUntil(task, address, nfds, deadline, false);
    return timeout === 0 || ns === 0 ? result : tellRemaining(task, result, deadline, timeout, writeTimespec);
  });
}

/** When `result` is there, writes what is left of the timeout, as Linux does for ppoll, select and pselect6; failure to write is no error. */
export function tellRemaining(
  task: Task,
  result: SyscallResult,
  deadline: number,
  address: number,
  write: (task: Task, address: number, ns: number) => number,
): SyscallResult {
  const tell = (): void => {
    if (Number.isFinite(deadline)) write(task, address, Math.max(0, deadline - task.kernel.now()));
  };
  if (typeof result !== 'number') return tellAfter(result, tell);
  tell();
  return result;
}
function* tellAfter(call: Blocking, tell: () => void): Blocking {
  const result = yield* call;
  tell();
  return result;
}

export const POLL_CALLS = {
  poll: syscall({ x64: 7, man: 'poll(2)', args: [addr, uint, int], run: poll }),
  ppoll: syscall({ x64: 271, man: 'poll(2)', args: [addr, uint, addr, addr, size], run: ppoll }),
};
