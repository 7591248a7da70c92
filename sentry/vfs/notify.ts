/** Where the VFS tells that something happened to a file; inotify(7) listens. */
import type { ByteString } from '../../lib/byte_string.ts';
import type { Task } from '../kernel/task.ts';
import type { Inode } from './inode.ts';
import type { Dentry, VfsPath } from './path.ts';

/**
 * `kernel.notify` is null while nobody watches anything: callers test that first and then pay nothing else. The
 * listener decides who wants which event.
 */
export interface FsNotify {
  /** `mask`, on the object itself and, with its name, on the directory that holds it. */
  object(mask: number, dentry: Dentry): void;
  /** The same, where it is known by whom and through which mount. */
  done(mask: number, path: VfsPath, task: Task): void;
  /** IN_CREATE or IN_DELETE of `name` in `directory`. `child`: what was made or removed. */
  entry(mask: number, directory: Inode, name: ByteString, child: Inode): void;
  /** rename(2): both halves share one cookie. */
  moved(from: Inode, oldName: ByteString, to: Inode, newName: ByteString, child: Inode): void;
  /** IN_ATTRIB of the object alone: a name came or went. */
  linkCount(inode: Inode): void;
  /** IN_DELETE_SELF: the last link is gone (and the last user, where the filesystem can tell). */
  deleted(inode: Inode): void;
}

/** F_NOTIFY of one directory's file. */
export interface DirectoryWatcher {
  /** DN_* bits join those that are set: 0 or an error. */
  start(bits: number): number;
  stop(): void;
}
