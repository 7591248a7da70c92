/** /proc/PID/fd and fdinfo: the descriptors of a task. */
import { EACCES, ENOENT, type Errno, isErrno } from '../../../abi/errno.ts';
import { O_CLOEXEC } from '../../../abi/fcntl.ts';
import { direntType, S_IFLNK, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import { mayTrace } from '../../kernel/trace_access.ts';
import { NR_OPEN } from '../../vfs/fd_table.ts';
import type { FileDescription, FileImpl } from '../../vfs/file.ts';
import type { AccessRule, Inode, OpenContext } from '../../vfs/inode.ts';
import { DirectoryFile, type Entry } from '../synthetic/directory.ts';
import type { ProcFilesystem } from './proc_filesystem.ts';
import { fdIno, TaskDirectoryInode, TaskFileInode, TaskLinkInode } from './task_inode.ts';

/** The file at a descriptor's name; ENOENT once it is closed. */
function fileAt(task: Task, fd: number): FileDescription | Errno {
  const file = task.state === 'dead' ? ENOENT : task.fds.get(fd);
  return isErrno(file) ? ENOENT : file;
}

/** A process sees its own descriptors, whoever owns the folder now (after seteuid); others as the bits say. */
const OWN_PROCESS: AccessRule = {
  grants: (inode, creds, mask) => {
    const { target } = inode as FdDirectory;
    for (const task of target.group.tasks) if (task.creds === creds) return true;
    return inode.uid === creds.fsuid && ((inode.mode >> 6) & mask) === mask;
  },
};

/** `info`: fdinfo rather than fd. */
export class FdDirectory extends TaskDirectoryInode {
  private readonly info: boolean;

  constructor(fs: ProcFilesystem, ino: number, target: Task, info: boolean) {
    super(fs, ino, target, info ? 0o555 : 0o500);
    this.info = info;
    if (!info) this.accessRule = OWN_PROCESS;
  }
  /** Threads of the same process see their descriptors whoever owns the directory now (after setuid). */
  override open(_flags = 0, context?: OpenContext): FileImpl | Errno {
    const reader = context?.task ?? null;
    return reader !== null && !mayTrace(reader, this.target) ? EACCES : new DirectoryFile(this);
  }
  *entries(): Iterable<Entry> {
    if (this.target.state === 'dead') return;
    const type = direntType(this.info ? S_IFREG : S_IFLNK);
    for (const fd of this.target.fds.numbers()) yield { name: String(fd), ino: fdIno(this.target.tid, fd, this.info), type };
  }
  lookup(name: ByteString, _reader: Task | null): Inode | Errno {
    if (!/^(0|[1-9]\d{0,6})$/.test(name)) return ENOENT;
    const fd = Number(name);
    if (fd >= NR_OPEN) return ENOENT;
    const file = fileAt(this.target, fd);
    if (isErrno(file)) return file;
    const ino = fdIno(this.target.tid, fd, this.info);
    if (this.info) return new TaskFileInode(this.fs, ino, this.target, { mode: 0o400, secret: true, read: (t) => infoText(t, fd) });
    const mode = (file.readable ? 0o500 : 0) | (file.writable ? 0o300 : 0);
    return new TaskLinkInode(this.fs, ino, this.target, () => placeOf(this.target, fd), mode);
  }
}

function placeOf(task: Task, fd: number) {
  const file = fileAt(task, fd);
  return isErrno(file) ? file : (file.path ?? ENOENT);
}

/** proc_pid_fdinfo(5). */
function infoText(task: Task, fd: number): string | Errno {
  const file = fileAt(task, fd);
  if (isErrno(file)) return file;
  const flags = file.flags | (task.fds.isCloexec(fd) ? O_CLOEXEC : 0);
  const ino = file.inode?.attributes().ino ?? 0;
  return (
    `pos:\t${file.position}\nflags:\t0${(flags >>> 0).toString(8)}\nmnt_id:\t${file.path?.mount.id ?? 0}\nino:\t${ino}\n` +
    file.impl.describe()
  );
}
