/** sync(2), syncfs(2), fsync(2), fdatasync(2), sync_file_range(2). */
import { EBADF, EINVAL, ESPIPE } from '../../abi/errno.ts';
import { S_IFBLK, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../abi/stat.ts';
import type { Task } from '../kernel/task.ts';
import type { SyscallResult } from '../kernel/wait.ts';
import type { Filesystem } from '../vfs/inode.ts';
import { fd, flags, long, syscall } from './definition.ts';

/** All filesystems of the task's namespace; errors have nobody to go to. */
function sync(task: Task): number {
  const done = new Set<Filesystem>();
  for (const { fs } of task.namespaces.mount.mounts()) {
    if (!done.has(fs)) fs.sync();
    done.add(fs);
  }
  return 0;
}

function syncfs(task: Task, number: number): number {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.isPath ? EBADF : (file.inode?.fs.sync() ?? 0);
}

function fsync(task: Task, number: number, dataOnly: boolean): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.isPath ? EBADF : file.impl.sync(file, dataOnly);
}

// sync_file_range(2): SYNC_FILE_RANGE_WAIT_BEFORE, WRITE, WAIT_AFTER
const RANGE_FLAGS = 7;

function syncFileRange(task: Task, number: number, offset: number, length: number, how: number): SyscallResult {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  if (file.isPath) return EBADF;
  if ((how & ~RANGE_FLAGS) !== 0 || offset < 0 || length < 0) return EINVAL;
  const type = (file.inode?.mode ?? 0) & S_IFMT;
  if (type !== S_IFREG && type !== S_IFBLK && type !== S_IFDIR && type !== S_IFLNK) return ESPIPE;
  return how === 0 ? 0 : file.impl.sync(file, true);
}

export const SYNC_CALLS = {
  sync: syscall({ x64: 162, man: 'sync(2)', args: [], run: sync }),
  syncfs: syscall({ x64: 306, man: 'sync(2)', args: [fd], run: syncfs }),
  fsync: syscall({ x64: 74, man: 'fsync(2)', args: [fd], run: (t, f) => fsync(t, f, false) }),
  fdatasync: syscall({ x64: 75, man: 'fsync(2)', args: [fd], run: (t, f) => fsync(t, f, true) }),
  sync_file_range: syscall({ x64: 277, man: 'sync_file_range(2)', args: [fd, long, long, flags], run: syncFileRange }),
};
