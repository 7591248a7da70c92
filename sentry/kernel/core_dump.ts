/**
 * Core files (core(5)): what a process leaves that dies of its own fault. The dying thread writes it, in pieces, while others run; the
 * process's other threads have ended before. SIGKILL ends it at once.
 */
import { ENOSPC } from '../../abi/errno.ts';
import { AT_FDCWD, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } from '../../abi/fcntl.ts';
import { PAGE_SIZE, PROT_WRITE } from '../../abi/mman.ts';
import { POLLIN } from '../../abi/poll.ts';
import { SIGKILL } from '../../abi/signal.ts';
import { NO_RESULT } from '../syscalls/definition.ts';
import { FileDescription } from '../vfs/file.ts';
import { BufferIo } from '../vfs/io.ts';
import { openFile } from '../vfs/open.ts';
import { pathName } from '../vfs/path_name.ts';
import { unlinkFile } from '../vfs/remove.ts';
import { encodeHead, makeNotes, type Segment } from './core_file.ts';
import { exitGroup, exitTask } from './exit.ts';
import { RLIMIT_CORE } from './rlimits.ts';
import type { SignalInfo } from './signal_state.ts';
import type { Task } from './task.ts';
import { BlockedCall } from './task_block.ts';
import { TimeShare } from './time_share.ts';
import { type Blocking, isBlocking, type Wait, type Wake, waitFor } from './wait.ts';

const CORE_DUMPED = 0x80;
const CHUNK = 1 << 18;
/** Most of one file, whatever RLIMIT_CORE says: it lies in memory or on a volume. Bytes. */
const SIZE_MAX = 16 * 2 ** 30;
/** /proc/PID/pagemap: the page is there, or swapped out. */
const THERE = 3n << 62n;

/** The limit, the process's privacy and the pattern allow a file. */
export function dumpsCore(task: Task): boolean {
  const pattern = corePattern(task);
  // Programs that take cores by a pipe are the host's: there are none here.
  return task.group.limits.soft(RLIMIT_CORE) >= PAGE_SIZE && task.mm.dumpable === 1 && pattern !== '' && !pattern.startsWith('|');
}

/** The process ends with a core file if one can be opened. The task waits afterwards, or is dead. */
export function dieWithCore(task: Task, info: SignalInfo): void {
  const { group } = task;
  const file = openCore(task, info);
  if (file === null) {
    exitGroup(group, info.signal);
    return;
  }
  group.dumper = task;
  for (const other of group.tasks) {
    if (other === task) continue;
    other.attention = true;
    if (other.state === 'app') other.thread.interrupt();
  }
  const generator = write(task, info, file);
  const first = generator.next('ready');
  if (first.done) return;
  task.state = 'blocked';
  task.blocked = new BlockedCall(task, generator);
  task.blocked.sleep(first.value);
}

function corePattern(task: Task): string {
  return (task.kernel.sysctl.get('kernel/core_pattern') ?? 'core').trim();
}

/** core_pattern's % words. */
function coreName(task: Task, info: SignalInfo): string {
  const { group, creds, kernel } = task;
  const pid = String(group.idIn(task.pidNamespace));
  const words: Readonly<Record<string, string>> = {
    '%': '%',
    p: pid,
    P: String(group.leader.ids[0]),
    i: String(task.tid),
    I: String(task.ids[0]),
    u: String(creds.namespace.uids.shown(creds.uid)),
    g: String(creds.namespace.gids.shown(creds.gid)),
    d: '1',
    s: String(info.signal),
    t: String(Math.floor(kernel.realtime() / 1e9)),
    h: task.namespaces.uts.nodename,
    e: task.name,
    f: task.name,
    E: (task.mm.executable?.path ? pathName(task.mm.executable.path, task.fs.root) : task.name).replaceAll('/', '!'),
    c: String(group.limits.soft(RLIMIT_CORE)),
  };
  const pattern = corePattern(task);
  const name = pattern.replace(/%(.?)/g, (_all, word: string) => (words[word] ?? '').replaceAll('/', '!'));
  const withPid = (kernel.sysctl.get('kernel/core_uses_pid') ?? '0').trim() === '1' && !pattern.includes('%p');
  return withPid ? `${name}.${pid}` : name;
}

/** A new file in the place of an older one; null: there will be none. */
function openCore(task: Task, info: SignalInfo): FileDescription | null {
  const name = coreName(task, info);
  unlinkFile(task, AT_FDCWD, name);
  const file = openFile(task, AT_FDCWD, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600);
  if (!(file instanceof FileDescription)) {
    if (typeof file !== 'number') file.return(0 as never);
    return null;
  }
  return file;
}

/** What was written by the process: its private memory, the first page of files (their identity), nothing else of files. */
function segmentsOf(task: Task): Segment[] {
  return task.mm.vmas.all.map(({ start, end, prot, file, shared }) => {
    const own = prot !== 0 && (file === null || (!shared && (prot & PROT_WRITE) !== 0) || (shared && file.path === null));
    const first = !own && prot !== 0 && file !== null && !shared ? PAGE_SIZE : 0;
    return { start, end, prot, fileBytes: own ? end - start : first };
  });
}

/** Threads that run have to stop first: their registers are part of the file. Those that wait or are parked stand still. */
function* othersStopped(task: Task): Generator<Wait, boolean, Wake> {
  const { group } = task;
  while (group.tasks.some((other) => other !== task && other.state === 'app')) {
    if ((yield waitFor(group.dumpEvents, POLLIN)) === 'signal' && isKilled(task)) return false;
  }
  return true;
}

function* write(task: Task, info: SignalInfo, file: FileDescription): Blocking {
  const { group } = task;
  const share = new TimeShare(task);
  const segments = segmentsOf(task);
  const limit = Math.min(task.group.limits.soft(RLIMIT_CORE), SIZE_MAX);
  try {
    if (!(yield* othersStopped(task))) return end(task, SIGKILL);
    const others = group.tasks.filter((other) => other !== task && other.state !== 'dead');
    const head = encodeHead(makeNotes(task, info, others), segments);
    for (const other of others) exitTask(other, info.signal);
    let at = head.length;
    if ((yield* put(task, file, head.subarray(0, limit), 0)) !== 0) return end(task, info.signal);
    for (const { start, fileBytes } of segments) {
      for (let done = 0; done < fileBytes && at < limit; ) {
        const bytes = readChunk(task, start + done, Math.min(CHUNK, fileBytes - done, limit - at));
        if (bytes !== null && (yield* put(task, file, bytes, at)) !== 0) return end(task, info.signal | CORE_DUMPED);
        const step = Math.min(CHUNK, fileBytes - done);
        done += step;
        at += step;
        if (share.isOver && (yield* share.pass())) return end(task, SIGKILL);
      }
    }
    file.impl.truncate(file, Math.min(at, limit), task.creds); // the last pages may be holes
    return end(task, info.signal | CORE_DUMPED);
  } finally {
    file.release();
  }
}

function isKilled(task: Task): boolean {
  return ((task.pending.set | task.group.pending.set) & (1n << BigInt(SIGKILL - 1))) !== 0n;
}

/** This very generator is the task's call: it is over. */
function end(task: Task, status: number): number {
  task.blocked = null;
  exitGroup(task.group, status);
  return NO_RESULT;
}

/** Null: no page of it has ever been touched. What cannot be read is zero. */
function readChunk(task: Task, address: number, length: number): Uint8Array | null {
  const { space } = task.mm;
  const { ioScratch, ioView } = task.kernel;
  const entries = Math.ceil(length / PAGE_SIZE);
  const n = space.pagemap?.((address / PAGE_SIZE) * 8, ioScratch, entries * 8) ?? 0;
  if (n === entries * 8) {
    let any = false;
    for (let i = 0; i < entries && !any; i++) any = (ioView.getBigUint64(i * 8, true) & THERE) !== 0n;
    if (!any) return null;
  }
  const bytes = new Uint8Array(length);
  space.readForced(address, bytes, 0, length);
  return bytes;
}

/** All of it: 0, or an errno. */
function* put(task: Task, file: FileDescription, bytes: Uint8Array, offset: number): Blocking {
  const source = new BufferIo(bytes);
  while (source.remaining > 0) {
    const r = file.impl.pwrite(source, offset + source.moved, file, task);
    const n = isBlocking(r) ? yield* r : r;
    if (n <= 0) return n === 0 ? ENOSPC : n;
  }
  return 0;
}
