/** Memory: mmap, munmap, mprotect, mremap, brk, madvise, mincore, msync, mlock family, remap_file_pages. */
import { EACCES, EAGAIN, EBADF, EBUSY, EFAULT, EINTR, EINVAL, ENOMEM, EOPNOTSUPP, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import {
  MADV_DONTNEED,
  MAP_ANONYMOUS,
  MAP_FIXED,
  MAP_HUGETLB,
  MAP_LOCKED,
  MAP_PRIVATE,
  MAP_SHARED,
  MAP_SHARED_VALIDATE,
  MAP_SYNC,
  MAP_TYPE,
  MREMAP_DONTUNMAP,
  MREMAP_FIXED,
  MREMAP_MAYMOVE,
  MS_ASYNC,
  MS_INVALIDATE,
  MS_SYNC,
  PAGE_SIZE,
  PROT_EXEC,
  PROT_GROWSDOWN,
  PROT_GROWSUP,
  PROT_READ,
  PROT_WRITE,
} from '../../abi/mman.ts';
import { CAP_IPC_LOCK, hasCap } from '../kernel/credentials.ts';
import { memoryLocked } from '../kernel/own_answers.ts';
import { RLIMIT_MEMLOCK } from '../kernel/rlimits.ts';
import type { Task } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import { type Blocking, isBlocking, type SyscallResult } from '../kernel/wait.ts';
import { pageUp } from '../mm/memory_map.ts';
import { VMA_DONTFORK, VMA_GROWSDOWN, VMA_LOCKED, VMA_WIPEONFORK, type Vma } from '../mm/vma.ts';
import type { FileDescription } from '../vfs/file.ts';
import { addr, fd, flags, int, long, size, syscall } from './definition.ts';

const PROT_KNOWN = PROT_READ | PROT_WRITE | PROT_EXEC | 8 /* PROT_SEM */ | PROT_GROWSDOWN | PROT_GROWSUP;

// madvise(2)
const MADV_REMOVE = 9;
const MADV_DONTFORK = 10;
const MADV_DOFORK = 11;
const MADV_WIPEONFORK = 18;
const MADV_KEEPONFORK = 19;
const MADV_FREE = 8;
const MADV_HWPOISON = 100;
const MADV_SOFT_OFFLINE = 101;
/** Hints that change nothing an application can observe. */
const HINTS: ReadonlySet<number> = new Set([0, 1, 2, 3, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 25]);

// mlockall(2), mlock2(2)
const MCL_CURRENT = 1;
const MCL_FUTURE = 2;
const MCL_ONFAULT = 4;
const MLOCK_ONFAULT = 1;

function mmap(task: Task, address: number, length: number, prot: number, mapFlags: number, fdNumber: number, offset: number): number {
  const type = mapFlags & MAP_TYPE;
  if (type !== MAP_PRIVATE && type !== MAP_SHARED && type !== MAP_SHARED_VALIDATE) return EINVAL;
  if ((mapFlags & MAP_HUGETLB) !== 0) return ENOMEM; // no huge pages are reserved
  if (type === MAP_SHARED_VALIDATE && (mapFlags & MAP_SYNC) !== 0) return EOPNOTSUPP;
  let file: FileDescription | null = null;
  if ((mapFlags & MAP_ANONYMOUS) === 0) {
    const found = task.fds.get(fdNumber);
    if (isErrno(found)) return EBADF;
    if (found.isPath) return EBADF;
    file = found;
  }
  if (((mapFlags & MAP_LOCKED) !== 0 || task.mm.lockFuture) && !mayLock(task, pageUp(length))) {
    return (mapFlags & MAP_LOCKED) !== 0 && task.group.limits.soft(RLIMIT_MEMLOCK) === 0 ? EPERM : EAGAIN;
  }
  if ((mapFlags & MAP_LOCKED) !== 0) memoryLocked(task);
  return task.mm.map(task.thread, task.group.limits, address, length, prot, mapFlags, file, file === null ? 0 : offset);
}

/** RLIMIT_MEMLOCK has room for so many bytes more. */
function mayLock(task: Task, bytes: number): boolean {
  return hasCap(task.creds, CAP_IPC_LOCK) || task.mm.lockedBytes + bytes <= task.group.limits.soft(RLIMIT_MEMLOCK);
}

function munmap(task: Task, address: number, length: number): number {
  return task.mm.unmap(task.thread, address, length);
}

function mprotect(task: Task, address: number, length: number, prot: number): number {
  if ((prot & ~PROT_KNOWN) !== 0 || (prot & PROT_GROWSDOWN & PROT_GROWSUP) !== 0) return EINVAL;
  if ((prot & PROT_GROWSDOWN) !== 0) return protectStack(task, address, length, prot);
  return task.mm.protect(task.thread, address, length, prot);
}

/** PROT_GROWSDOWN: from the very start of the stack that the address lies in. */
function protectStack(task: Task, address: number, length: number, prot: number): number {
  const vma = task.mm.vmas.find(address);
  if (vma === null) return ENOMEM;
  if (vma.label !== '[stack]' && (vma.advice & VMA_GROWSDOWN) === 0) return EINVAL;
  return task.mm.protect(task.thread, vma.start, address + length - vma.start, prot);
}

function mremap(task: Task, from: number, oldLength: number, newLength: number, mapFlags: number, to: number): number {
  if ((mapFlags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) !== 0) return EINVAL;
  const fixed = (mapFlags & MREMAP_FIXED) !== 0;
  const keep = (mapFlags & MREMAP_DONTUNMAP) !== 0;
  if ((fixed || keep) && (mapFlags & MREMAP_MAYMOVE) === 0) return EINVAL;
  return task.mm.remap(
    task.thread,
    task.group.limits,
    from,
    oldLength,
    newLength,
    (mapFlags & MREMAP_MAYMOVE) !== 0,
    fixed ? to : null,
    keep,
  );
}

function brk(task: Task, address: number): number {
  return task.mm.setBrk(task.thread, task.group.limits, address);
}

function madvise(task: Task, address: number, bytes: number, advice: number): number {
  const length = pageUp(bytes);
  if (address % PAGE_SIZE !== 0 || (length === 0 && bytes !== 0)) return EINVAL;
  if (advice === MADV_HWPOISON || advice === MADV_SOFT_OFFLINE) return EPERM;
  const { mm } = task;
  const mark = {
    [MADV_DONTFORK]: [VMA_DONTFORK, 0],
    [MADV_DOFORK]: [0, VMA_DONTFORK],
    [MADV_WIPEONFORK]: [VMA_WIPEONFORK, 0],
    [MADV_KEEPONFORK]: [0, VMA_WIPEONFORK],
  }[advice];
  const acts = mark !== undefined || advice === MADV_DONTNEED || advice === MADV_FREE || advice === MADV_REMOVE;
  if (!acts && !HINTS.has(advice)) return EINVAL;
  if (length === 0) return 0;
  const end = address + length;
  const covered = mm.vmas.covers(address, end);
  if (!acts) return covered ? 0 : ENOMEM;
  if (!(end <= task.kernel.platform.maxAddress)) return ENOMEM;
  const rows = mm.vmas.overlapping(address, end);
  for (const vma of rows) {
    if ((vma.advice & VMA_LOCKED) !== 0 && (advice === MADV_DONTNEED || advice === MADV_FREE)) return EINVAL;
    if ((advice === MADV_FREE || advice === MADV_WIPEONFORK) && (vma.file !== null || vma.shared)) return EINVAL;
    if (advice === MADV_REMOVE && (!vma.shared || vma.file === null)) return EINVAL;
    if (advice === MADV_REMOVE && (vma.maxProt & PROT_WRITE) === 0) return EACCES;
  }
  const r = adviseRuns(task, rows, address, end, advice);
  if (r !== 0) return r;
  if (mark !== undefined) mm.mark(address, length, mark[0] as number, mark[1] as number);
  return covered ? 0 : ENOMEM;
}

/** Neighbours together: a command for each of ten thousand mappings takes long. */
function adviseRuns({ mm, thread }: Task, rows: readonly Vma[], address: number, end: number, advice: number): 0 | Errno {
  let start = address;
  let until = address;
  for (const vma of rows) {
    const from = Math.max(vma.start, address);
    if (from !== until) {
      const r = until > start ? mm.space.advise(thread, start, until - start, advice) : 0;
      if (r !== 0) return r;
      start = from;
    }
    until = Math.min(vma.end, end);
  }
  return until > start ? mm.space.advise(thread, start, until - start, advice) : 0;
}

/** As Linux has it since 4.0: another mapping of the same file over this part of the first one. */
function remap_file_pages(task: Task, address: number, bytes: number, prot: number, page: number, _flags: number): number {
  const start = address - (address % PAGE_SIZE);
  const length = bytes - (bytes % PAGE_SIZE);
  if (prot !== 0 || length === 0 || page + length / PAGE_SIZE > Number.MAX_SAFE_INTEGER / PAGE_SIZE) return EINVAL;
  const vma = task.mm.vmas.find(start);
  if (vma === null || !vma.shared || vma.file === null || start + length > vma.end) return EINVAL;
  const file = vma.file.hold();
  const r = task.mm.map(task.thread, task.group.limits, start, length, vma.prot, MAP_SHARED | MAP_FIXED, file, page * PAGE_SIZE);
  file.release();
  return isErrno(r) ? r : 0;
}

/** Every mapped page counts as resident: what the host has evicted it will bring back. */
function* mincore(task: Task, address: number, length: number, vector: number): Blocking {
  if (address % PAGE_SIZE !== 0) return EINVAL;
  const pages = pageUp(length) / PAGE_SIZE;
  if (!task.mm.vmas.covers(address, address + pageUp(length))) return ENOMEM;
  const chunk = new Uint8Array(Math.min(pages, 65_536)).fill(1);
  const share = new TimeShare(task);
  for (let done = 0; done < pages; done += chunk.length) {
    if (task.copyOut(vector + done, chunk.subarray(0, Math.min(chunk.length, pages - done))) !== 0) return EFAULT;
    if (share.isOver && (yield* share.pass())) return EINTR;
  }
  return 0;
}

function msync(task: Task, address: number, bytes: number, syncFlags: number): SyscallResult {
  if (address % PAGE_SIZE !== 0 || (syncFlags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) !== 0) return EINVAL;
  if ((syncFlags & MS_ASYNC) !== 0 && (syncFlags & MS_SYNC) !== 0) return EINVAL;
  const length = pageUp(bytes);
  if (length === 0) return 0;
  const { vmas } = task.mm;
  if ((syncFlags & MS_INVALIDATE) !== 0 && vmas.overlapping(address, address + length).some((vma) => (vma.advice & VMA_LOCKED) !== 0))
    return EBUSY;
  const covered = vmas.covers(address, address + length);
  if ((syncFlags & MS_SYNC) === 0) return covered ? 0 : ENOMEM;
  return syncFiles([...new Set(task.mm.sharedFiles(address, length))], covered ? 0 : ENOMEM);
}

function syncFiles(files: readonly FileDescription[], result: number): SyscallResult {
  return files.length === 0 ? result : syncEach(files, result);
}
function* syncEach(files: readonly FileDescription[], result: number): Blocking {
  for (const file of files) file.hold();
  try {
    for (const file of files) {
      const r = file.impl.sync(file, false);
      const done = isBlocking(r) ? yield* r : r;
      if (done < 0 && done !== EINVAL) return done; // EINVAL: an object without storage
    }
    return result;
  } finally {
    for (const file of files) file.release();
  }
}

function lockRange(task: Task, address: number, bytes: number, lockFlags: number): 0 | Errno {
  if ((lockFlags & ~MLOCK_ONFAULT) !== 0) return EINVAL;
  const start = address - (address % PAGE_SIZE);
  const length = pageUp(bytes + (address - start));
  const limit = task.group.limits.soft(RLIMIT_MEMLOCK);
  if (!hasCap(task.creds, CAP_IPC_LOCK)) {
    if (limit === 0) return EPERM;
    if (task.mm.lockedBytes + length > limit) return ENOMEM;
  }
  if (length === 0) return 0;
  memoryLocked(task);
  return task.mm.vmas.covers(start, start + length) ? task.mm.mark(start, length, VMA_LOCKED, 0) : ENOMEM;
}

/** Locking is a promise about limits and madvise(2): a sandbox's pages are the host's to keep or to swap. */
function mlock(task: Task, address: number, bytes: number): number {
  return lockRange(task, address, bytes, 0);
}
function munlock(task: Task, address: number, bytes: number): number {
  const start = address - (address % PAGE_SIZE);
  const length = pageUp(bytes + (address - start));
  return length === 0 ? 0 : task.mm.mark(start, length, 0, VMA_LOCKED);
}
function mlockall(task: Task, lockFlags: number): number {
  if (lockFlags === 0 || lockFlags === MCL_ONFAULT || (lockFlags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) !== 0) return EINVAL;
  const limit = task.group.limits.soft(RLIMIT_MEMLOCK);
  if (!hasCap(task.creds, CAP_IPC_LOCK)) {
    if (limit === 0) return EPERM;
    if ((lockFlags & MCL_CURRENT) !== 0 && task.mm.vmas.bytes > limit) return ENOMEM;
  }
  memoryLocked(task);
  if ((lockFlags & MCL_CURRENT) !== 0)
    for (const vma of task.mm.vmas.all.slice()) task.mm.mark(vma.start, vma.end - vma.start, VMA_LOCKED, 0);
  task.mm.lockFuture = (lockFlags & MCL_FUTURE) !== 0;
  return 0;
}
function munlockall(task: Task): number {
  for (const vma of task.mm.vmas.all.slice()) task.mm.mark(vma.start, vma.end - vma.start, 0, VMA_LOCKED);
  task.mm.lockFuture = false;
  return 0;
}

export const MEMORY_CALLS = {
  mmap: syscall({
    x64: 9,
    man: 'mmap(2)',
    args: [addr, size, flags, flags, fd, long],
    run: mmap,
    partial: 'no MAP_HUGETLB; on KVM at most 128 GiB of files in use at once',
  }),
  mprotect: syscall({ x64: 10, man: 'mprotect(2)', args: [addr, size, flags], run: mprotect }),
  munmap: syscall({ x64: 11, man: 'munmap(2)', args: [addr, size], run: munmap }),
  brk: syscall({ x64: 12, man: 'brk(2)', args: [addr], run: brk }),
  mremap: syscall({ x64: 25, man: 'mremap(2)', args: [addr, size, size, flags, addr], run: mremap }),
  remap_file_pages: syscall({ x64: 216, man: 'remap_file_pages(2)', args: [addr, size, flags, size, flags], run: remap_file_pages }),
  msync: syscall({ x64: 26, man: 'msync(2)', args: [addr, size, flags], run: msync }),
  mincore: syscall({ x64: 27, man: 'mincore(2)', args: [addr, size, addr], run: mincore }),
  madvise: syscall({ x64: 28, man: 'madvise(2)', args: [addr, size, int], run: madvise }),
  mlock: syscall({ x64: 149, man: 'mlock(2)', args: [addr, size], run: mlock }),
  munlock: syscall({ x64: 150, man: 'mlock(2)', args: [addr, size], run: munlock }),
  mlockall: syscall({ x64: 151, man: 'mlockall(2)', args: [flags], run: mlockall }),
  munlockall: syscall({ x64: 152, man: 'mlockall(2)', args: [], run: munlockall }),
  mlock2: syscall({ x64: 325, man: 'mlock2(2)', args: [addr, size, flags], run: lockRange }),
};
