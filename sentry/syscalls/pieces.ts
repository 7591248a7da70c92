/** Long transfers, in pieces: between them others run, because the kernel has one thread. */
import type { Task } from '../kernel/task.ts';
import { TimeShare } from '../kernel/time_share.ts';
import type { Blocking, SyscallResult } from '../kernel/wait.ts';

/** Bytes that are moved at once: about two milliseconds. */
export const PIECE = 4 << 20;

/**
 * Moves `total` bytes by `step`, which moves `count` of them behind the `done` that have been moved; a piece that is short, or fails, is the
 * last. As on Linux only what kills ends the transfer of a file.
 */
export function* inPieces(task: Task, total: number, step: (count: number, done: number) => SyscallResult): Blocking {
  const share = new TimeShare(task);
  let done = 0;
  while (done < total) {
    if (yield* share.pass()) break;
    const count = Math.min(PIECE, total - done);
    const moved = step(count, done);
    const n = typeof moved === 'number' ? moved : yield* moved;
    if (n < 0) return done > 0 ? done : n;
    done += n;
    if (n < count) break;
  }
  return done;
}
