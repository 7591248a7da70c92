/** fifo(7): open(2) of a named pipe, which waits for the other end. */
import { EINVAL, ENXIO, ERESTARTSYS, type Errno } from '../../../abi/errno.ts';
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../abi/fcntl.ts';
import { POLLIN, POLLOUT } from '../../../abi/poll.ts';
import type { Task } from '../../kernel/task.ts';
import { type Wait, type Wake, waitFor } from '../../kernel/wait.ts';
import { FileDescription } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import type { VfsPath } from '../../vfs/path.ts';
import { Pipe } from './pipe.ts';
import { PipeFile } from './pipe_file.ts';

/** An open that has to wait: ends with the open file (the caller's) or an errno. */
export type BlockingOpen = Generator<Wait, FileDescription | Errno, Wake>;

/**
 * Opens the fifo at `path` (or a pipe again, through /proc/PID/fd); permissions are checked. Reading and writing each wait for
 * the other unless O_NONBLOCK: then reading opens at once and writing without a reader answers ENXIO. O_RDWR never waits, and nor does a
 * pipe that has no name.
 */
export function openFifo(path: VfsPath, flags: number, task: Task): FileDescription | Errno | BlockingOpen {
  if ((flags & O_ACCMODE) === O_ACCMODE) return EINVAL;
  const inode = path.dentry.inode as Inode;
  const pipe = inode.attachment instanceof Pipe ? inode.attachment : new Pipe(task.kernel.pipes, task.group.container.memory);
  const access = flags & O_ACCMODE;
  const nonblocking = (flags & O_NONBLOCK) !== 0;
  const named = inode.fs !== task.kernel.anonymous.filesystem('pipefs');
  if (named && access === O_WRONLY && nonblocking && pipe.readers === 0) {
    if (inode.attachment !== pipe) pipe.closeEnd(false, false); // never opened: gives its account back
    return ENXIO;
  }
  const file = new FileDescription(new PipeFile(pipe, access, inode), flags, path);
  if (!named || access === O_RDWR || nonblocking) return file;
  const partners = access === O_RDONLY ? pipe.writers : pipe.readers;
  return partners > 0 ? file : waitForPartner(file, pipe, access === O_RDONLY);
}

/** A partner that came and went again counts: the open succeeds. */
function* waitForPartner(file: FileDescription, pipe: Pipe, reads: boolean): BlockingOpen {
  const before = reads ? pipe.writerOpens : pipe.readerOpens;
  let opened = false;
  try {
    while ((reads ? pipe.writerOpens : pipe.readerOpens) === before) {
      const wake = yield waitFor(pipe.queue, reads ? POLLIN : POLLOUT);
      if (wake === 'signal' && (reads ? pipe.writerOpens : pipe.readerOpens) === before) return ERESTARTSYS;
    }
    opened = true;
    return file;
  } finally {
    if (!opened) file.release();
  }
}
