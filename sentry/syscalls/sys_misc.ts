/** Small calls that belong nowhere else: personality(2), syslog(2), kcmp(2), process_vm_readv(2). */
import { EBADF, EFAULT, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { CAP_SYSLOG, hasCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import { mayTrace } from '../kernel/trace_access.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';
import type { UserBuffer } from '../vfs/io.ts';
import { addr, int, size, syscall, uint } from './definition.ts';

/** personality(2): asks without setting. */
const PERSONALITY_QUERY = 0xffffffff;

function personality(task: Task, persona: number): number {
  const old = task.personality;
  if (persona !== PERSONALITY_QUERY) task.personality = persona;
  return old;
}

// syslog(2)
const SYSLOG_ACTION_SIZE_BUFFER = 10;
const LOG_BUFFER_SIZE = 262_144;

/** There is a kernel log, and nothing in it. */
function syslog(task: Task, type: number, buffer: number, length: number): number {
  if (type < 0 || type > SYSLOG_ACTION_SIZE_BUFFER) return EINVAL;
  if (type >= 2 && type <= 4 && (buffer === 0 || length < 0)) return EINVAL;
  if (type !== 3 && type !== SYSLOG_ACTION_SIZE_BUFFER && !hasCap(task.creds, CAP_SYSLOG)) return EPERM;
  if (type === SYSLOG_ACTION_SIZE_BUFFER) return LOG_BUFFER_SIZE;
  return 0;
}

// kcmp(2)
const KCMP_FILE = 0;
const KCMP_VM = 1;
const KCMP_FILES = 2;
const KCMP_FS = 3;
const KCMP_SIGHAND = 4;

/** 0 if both name the same object, else an order that holds for as long as both live. */
function kcmp(task: Task, pid1: number, pid2: number, type: number, idx1: number, idx2: number): number {
  const a = task.pidNamespace.tasks.get(pid1);
  const b = task.pidNamespace.tasks.get(pid2);
  if (a === undefined || b === undefined) return ESRCH;
  if (!mayTrace(task, a) || !mayTrace(task, b)) return EPERM;
  const left = kcmpObject(a, type, idx1);
  const right = kcmpObject(b, type, idx2);
  if (isErrno(left)) return left;
  if (isErrno(right)) return right;
  if (left === right) return 0;
  return a.tid < b.tid || (a === b && idx1 < idx2) ? 1 : 2;
}

function kcmpObject(target: Task, type: number, index: number): object | Errno {
  switch (type) {
    case KCMP_FILE: {
      const file = target.fds.get(index);
      return isErrno(file) ? EBADF : file;
    }
    case KCMP_VM:
      return target.mm;
    case KCMP_FILES:
      return target.fds;
    case KCMP_FS:
      return target.fs;
    case KCMP_SIGHAND:
      return target.group.handlers;
    default:
      return EINVAL;
  }
}

/** Bytes copied in one step between two processes. */
const COPY_CHUNK = 65_536;

/** process_vm_readv(2) (`write` false) and process_vm_writev(2): bytes moved; less than asked where memory is missing on the way. */
function copyBetween(
  task: Task,
  write: boolean,
  pid: number,
  local: number,
  localCount: number,
  remote: number,
  remoteCount: number,
  options: number,
): SyscallResult {
  if (options !== 0) return EINVAL;
  const mine = task.userVector(local, localCount);
  if (isErrno(mine)) return mine;
  const theirs = task.userVector(remote, remoteCount);
  if (isErrno(theirs)) return theirs;
  const target = task.pidNamespace.tasks.get(pid);
  if (target === undefined || target.state === 'dead') return ESRCH;
  if (!mayTrace(task, target)) return EPERM;
  return copy(task, write, mine, theirs, target);
}
function* copy(task: Task, write: boolean, mine: UserBuffer, theirs: UserBuffer, target: Task): Blocking {
  const { space } = target.thread;
  const share = new TimeShare(task);
  let done = 0;
  while (mine.remaining > 0 && theirs.remaining > 0) {
    const chunk = task.kernel.ioScratch.subarray(0, COPY_CHUNK);
    const { address, length } = theirs.next();
    const want = Math.min(length, mine.remaining, COPY_CHUNK);
    const got = write ? mine.take(chunk, 0, want) : space.read(address, chunk, 0, want);
    if (got <= 0) break;
    const put = write ? space.write(address, chunk, 0, got) : mine.put(chunk, 0, got);
    if (put <= 0) break;
    theirs.skip(put);
    done += put;
    if (put < want || (share.isOver && ((yield* share.pass()) || target.thread.space !== space))) break; // it may have got another program
  }
  return done > 0 || mine.remaining === 0 || theirs.remaining === 0 ? done : EFAULT;
}

export const MISC_CALLS = {
  syslog: syscall({ x64: 103, man: 'syslog(2)', args: [int, addr, int], run: syslog }),
  personality: syscall({ x64: 135, man: 'personality(2)', args: [uint], run: personality, partial: 'remembered only' }),
  process_vm_readv: syscall({
    x64: 310,
    man: 'process_vm_readv(2)',
    args: [int, addr, size, addr, size, size],
    run: (task, pid, l, ln, r, rn, options) => copyBetween(task, false, pid, l, ln, r, rn, options),
  }),
  process_vm_writev: syscall({
    x64: 311,
    man: 'process_vm_readv(2)',
    args: [int, addr, size, addr, size, size],
    run: (task, pid, l, ln, r, rn, options) => copyBetween(task, true, pid, l, ln, r, rn, options),
  }),
  kcmp: syscall({ x64: 312, man: 'kcmp(2)', args: [int, int, int, size, size], run: kcmp }),
};
