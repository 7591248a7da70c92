/** Much memory of memfds at once: the host takes and gives it back page by page, a quarter of a second for a gigabyte. Others run meanwhile. */
import { EINTR } from '../../abi/errno.ts';
import { IO_PUNCH } from '../kernel/io_worker.ts';
import type { Task } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import type { Blocking } from '../kernel/wait.ts';
import { HostFd } from './host_fd.ts';

/** Bytes that are done at once. */
export const STEP = 8 << 20;

/** fallocate(2) that reserves. What has been reserved before it fails stays so. */
export function* reserveInSteps(task: Task, fd: number, mode: number, offset: number, length: number): Blocking {
  const share = new TimeShare(task);
  for (let done = 0; done < length; done += STEP) {
    if (done > 0 && (yield* share.pass())) return EINTR;
    const r = task.kernel.host.fallocate(fd, mode, offset + done, Math.min(STEP, length - done));
    if (r < 0) return r;
  }
  return 0;
}

/** Makes a hole of [from, to). What it takes depends on the memory there: a worker does it. */
export function* giveBack(task: Task, fd: number, from: number, to: number): Blocking {
  const { host, hostIo } = task.kernel;
  const own = host.dup(fd); // the worker's as long as it needs it, whatever becomes of the task
  if (own < 0) return own;
  const file = new HostFd(host, own);
  try {
    return yield* hostIo.worker.run(IO_PUNCH, file, null, to - from, from, 0);
  } finally {
    file.release();
  }
}
