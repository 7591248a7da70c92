/** /proc/PID, /proc/PID/task/TID and their subdirectories. */
import { EACCES, ENOENT, type Errno, ESRCH } from '../../../abi/errno.ts';
import { direntType, S_IFDIR, S_IFLNK, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import type { ThreadGroup } from '../../kernel/thread_group.ts';
import { mayTrace } from '../../kernel/trace_access.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { Inode, OpenContext } from '../../vfs/inode.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { NAMESPACE_TYPES, type NamespaceType, namespaceOf, namespacePath } from '../nsfs.ts';
import type { Entry } from '../synthetic/directory.ts';
import { FdDirectory } from './fd_directory.ts';
import { NetDirectory } from './net_directory.ts';
import type { ProcFilesystem } from './proc_filesystem.ts';
import { PROCESS_FILES, THREAD_FILES } from './task_files.ts';
import { isAlive, TaskDirectoryInode, type TaskFile, TaskFileInode, TaskLinkInode, taskIno } from './task_inode.ts';
import { TaskMemoryFile } from './task_memory.ts';
import { TaskPagemapFile } from './task_pagemap.ts';
import { memoryOf } from './task_view.ts';

const DIR = direntType(S_IFDIR);
const LNK = direntType(S_IFLNK);
const REG = direntType(S_IFREG);

/** Links to places, by name. */
const LINKS: Readonly<Record<string, (task: Task) => VfsPath | Errno>> = {
  cwd: (t) => (t.state === 'dead' ? ENOENT : t.fs.cwd),
  exe: (t) => memoryOf(t)?.executable?.path ?? ENOENT,
  root: (t) => (t.state === 'dead' ? ENOENT : t.fs.root),
};

// Directories of the directory, by name. `index`: its place among the entries, for the inode number.
type MakeDirectory = (fs: ProcFilesystem, ino: number, task: Task) => Inode;
const THREAD_DIRECTORIES: Readonly<Record<string, MakeDirectory>> = {
  fd: (fs, ino, task) => new FdDirectory(fs, ino, task, false),
  fdinfo: (fs, ino, task) => new FdDirectory(fs, ino, task, true),
  net: (fs, ino, task) => new NetDirectory(fs, ino, task),
  ns: (fs, ino, task) => new NsDirectory(fs, ino, task),
};
const PROCESS_DIRECTORIES: Readonly<Record<string, MakeDirectory>> = {
  ...THREAD_DIRECTORIES,
  task: (fs, ino, task) => new ThreadsDirectory(fs, ino, task),
};

/** What one kind of directory holds; the position of a name gives its inode number. */
interface Layout {
  readonly files: Readonly<Record<string, TaskFile>>;
  readonly directories: Readonly<Record<string, MakeDirectory>>;
  readonly names: ReadonlyMap<string, number>;
}
function layout(files: Layout['files'], directories: Layout['directories']): Layout {
  const names = [...Object.keys(directories), ...Object.keys(LINKS), 'mem', 'pagemap', ...Object.keys(files)];
  return { files, directories, names: new Map(names.map((name, i) => [name, i + 1])) };
}
const PROCESS_LAYOUT = layout(PROCESS_FILES, PROCESS_DIRECTORIES);
const THREAD_LAYOUT = layout(THREAD_FILES, THREAD_DIRECTORIES);

export class TaskDirectory extends TaskDirectoryInode {
  private readonly thread: boolean;
  private readonly layout: Layout;

  /** `thread`: below task/, about the one thread. */
  constructor(fs: ProcFilesystem, target: Task, thread: boolean) {
    super(fs, taskIno(target.tid, 0, thread), target, 0o555);
    this.thread = thread;
    this.layout = thread ? THREAD_LAYOUT : PROCESS_LAYOUT;
  }
  /** pidfd_send_signal(2) takes a process's directory as well; null: one thread's. */
  get process(): ThreadGroup | null {
    return this.thread ? null : this.target.group;
  }
  *entries(): Iterable<Entry> {
    const { directories } = this.layout;
    for (const [name, index] of this.layout.names) {
      const type = name in directories ? DIR : name in LINKS ? LNK : REG;
      yield { name, ino: taskIno(this.target.tid, index, this.thread), type };
    }
  }
  lookup(name: ByteString): Inode | Errno {
    const index = this.layout.names.get(name);
    if (!isAlive(this.target)) return ESRCH;
    if (index === undefined) return ENOENT;
    const ino = taskIno(this.target.tid, index, this.thread);
    const file = this.layout.files[name];
    if (file !== undefined) return new TaskFileInode(this.fs, ino, this.target, file);
    const directory = this.layout.directories[name];
    if (directory !== undefined) return directory(this.fs, ino, this.target);
    const link = LINKS[name];
    return link === undefined
      ? new MemoryInode(this.fs, ino, this.target, name === 'pagemap')
      : new TaskLinkInode(this.fs, ino, this.target, () => link(this.target));
  }
}

class MemoryInode extends TaskFileInode {
  private readonly task: Task;
  private readonly pagemap: boolean;
  constructor(fs: ProcFilesystem, ino: number, target: Task, pagemap: boolean) {
    super(fs, ino, target, { mode: pagemap ? 0o400 : 0o600, read: () => '' });
    this.task = target;
    this.pagemap = pagemap;
  }
  override open(_flags = 0, context?: OpenContext): FileImpl | Errno {
    const reader = context?.task ?? null;
    if (reader === null || !mayTrace(reader, this.task)) return EACCES;
    return this.pagemap ? new TaskPagemapFile(this.task) : new TaskMemoryFile(this.task);
  }
}

/** /proc/PID/task. */
class ThreadsDirectory extends TaskDirectoryInode {
  constructor(fs: ProcFilesystem, ino: number, target: Task) {
    super(fs, ino, target, 0o555);
  }
  *entries(): Iterable<Entry> {
    const ns = this.fs.pidNamespace;
    const { tasks, leader } = this.target.group;
    // A leader that ended before its threads is still one of them.
    const all = tasks.includes(leader) ? tasks : [leader, ...tasks];
    for (const task of all) yield { name: String(task.idIn(ns)), ino: taskIno(task.tid, 0, true), type: DIR };
  }
  lookup(name: ByteString): Inode | Errno {
    const task = this.fs.taskNamed(name);
    return task === null || task.group !== this.target.group ? ENOENT : new TaskDirectory(this.fs, task, true);
  }
  protected override get links(): number {
    return 2 + this.target.group.tasks.length;
  }
}

const NS_NAMES = [...Object.keys(NAMESPACE_TYPES), 'pid_for_children', 'time_for_children'].sort();

/** /proc/PID/ns. */
class NsDirectory extends TaskDirectoryInode {
  constructor(fs: ProcFilesystem, ino: number, target: Task) {
    super(fs, ino, target, 0o511);
  }
  private entryIno(index: number): number {
    return this.ino + 64 + index;
  }
  *entries(): Iterable<Entry> {
    for (const [i, name] of NS_NAMES.entries()) yield { name, ino: this.entryIno(i), type: LNK };
  }
  lookup(name: ByteString): Inode | Errno {
    const index = NS_NAMES.indexOf(name);
    if (index < 0) return ENOENT;
    const forChildren = name.endsWith('_for_children');
    const type = (forChildren ? name.slice(0, name.indexOf('_')) : name) as NamespaceType;
    return new TaskLinkInode(this.fs, this.entryIno(index), this.target, () => {
      return namespacePath(this.target.kernel, type, namespaceOf(this.target, type, forChildren));
    });
  }
}
