/** Inodes that belong to a task: they appear as its effective user's, and are gone when it is reaped. */
import { EACCES, EINVAL, type Errno, ESRCH } from '../../../abi/errno.ts';
import { S_IFLNK } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { mayTrace } from '../../kernel/trace_access.ts';
import { NO_ID } from '../../kernel/user_namespace.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { OpenContext } from '../../vfs/inode.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { pathName } from '../../vfs/path_name.ts';
import { SyntheticDirectory } from '../synthetic/directory.ts';
import { type Content, GeneratedFile, GeneratedInode } from '../synthetic/file.ts';
import { SyntheticInode } from '../synthetic/filesystem.ts';
import type { ProcFilesystem } from './proc_filesystem.ts';

/** Inode numbers of tasks' files: one range a kind, `tid` spread by the most entries of a directory. */
const TASK_BASE = 2 ** 32;
const FD_BASE = 2 ** 44;
const FDINFO_BASE = 2 ** 45;
const ENTRIES_PER_TASK = 256;
const THREAD_ENTRIES = 128;

export function taskIno(tid: number, entry: number, thread: boolean): number {
  return TASK_BASE + tid * ENTRIES_PER_TASK + entry + (thread ? THREAD_ENTRIES : 0);
}
export function fdIno(tid: number, fd: number, info: boolean): number {
  return (info ? FDINFO_BASE : FD_BASE) + tid * 2 ** 20 + fd;
}

/** The task still has its number. */
export function isAlive(task: Task): boolean {
  return task.group.pidNamespace.tasks.get(task.tid) === task;
}

/** Owner as proc(5) says: root where the process is not dumpable. */
function ownerOf(task: Task): { uid: number; gid: number } {
  const dumpable = task.state === 'dead' || task.mm.dumpable === 1;
  if (dumpable) return { uid: task.creds.euid, gid: task.creds.egid };
  const { rootUser, gids } = task.creds.namespace;
  const rootGroup = gids.toKernel(0);
  return { uid: rootUser === NO_ID ? 0 : rootUser, gid: rootGroup === NO_ID ? 0 : rootGroup };
}

/** How a file of a task is made. `secret`: opening it needs the right to trace the task. */
export interface TaskFile {
  readonly mode: number;
  readonly secret?: boolean;
  readonly read: (target: Task, reader: Task, fs: ProcFilesystem) => Content | Errno;
  /** opener: whoever opened the file, which may not be who writes. */
  readonly write?: (target: Task, text: ByteString, writer: Task, opener: Credentials) => number;
}

export class TaskFileInode extends GeneratedInode {
  private readonly target: Task;
  private readonly spec: TaskFile;

  constructor(fs: ProcFilesystem, ino: number, target: Task, spec: TaskFile) {
    super(fs, ino, spec.mode);
    this.target = target;
    this.spec = spec;
  }
  override get uid(): number {
    return ownerOf(this.target).uid;
  }
  override get gid(): number {
    return ownerOf(this.target).gid;
  }
  override open(_flags = 0, context?: OpenContext): FileImpl | Errno {
    const reader = context?.task ?? null;
    if (this.spec.secret && reader !== null && !mayTrace(reader, this.target)) return EACCES;
    return new GeneratedFile(this, context?.creds ?? null);
  }
  generate(reader: Task): Content | Errno {
    return isAlive(this.target) ? this.spec.read(this.target, reader, this.fs as ProcFilesystem) : ESRCH;
  }
  override store(text: ByteString, writer: Task, opener: Credentials): number {
    if (!isAlive(this.target)) return ESRCH;
    return this.spec.write === undefined ? EINVAL : this.spec.write(this.target, text, writer, opener);
  }
}

export abstract class TaskDirectoryInode extends SyntheticDirectory {
  override readonly fs: ProcFilesystem;
  readonly target: Task;

  constructor(fs: ProcFilesystem, ino: number, target: Task, permissions: number) {
    super(fs, ino, permissions);
    this.fs = fs;
    this.target = target;
  }
  override get uid(): number {
    return ownerOf(this.target).uid;
  }
  override get gid(): number {
    return ownerOf(this.target).gid;
  }
}

/** A link that leads to the object itself (exe, cwd, root, fd/N). `at` gives the place, or an errno. */
export class TaskLinkInode extends SyntheticInode {
  private readonly target: Task;
  private readonly at: () => VfsPath | Errno;

  constructor(fs: ProcFilesystem, ino: number, target: Task, at: () => VfsPath | Errno, permissions = 0o777) {
    super(fs, ino, S_IFLNK | permissions);
    this.target = target;
    this.at = at;
  }
  override get uid(): number {
    return ownerOf(this.target).uid;
  }
  override get gid(): number {
    return ownerOf(this.target).gid;
  }
  protected override get size(): number {
    return 64;
  }
  open(): FileImpl | Errno {
    return EINVAL;
  }
  override magicTarget(reader: Task): VfsPath | Errno {
    return mayTrace(reader, this.target) ? this.at() : EACCES;
  }
  override readlink(reader: Task | null): ByteString | Errno {
    if (reader !== null && !mayTrace(reader, this.target)) return EACCES;
    const place = this.at();
    return typeof place === 'number' ? place : pathName(place, (reader ?? this.target).fs.root);
  }
}
