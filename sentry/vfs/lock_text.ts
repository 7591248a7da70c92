/** /proc/locks (proc_locks(5)). */
import type { Kernel } from '../kernel/kernel.ts';

/** One line a lock: ordinal, class, advisory, mode, pid (-1: of an open file), device:inode, start, end. Waiters are not listed. */
export function locksText(kernel: Kernel): string {
  let text = '';
  let ordinal = 1;
  for (const { inode, record, exclusive } of kernel.locks.all()) {
    const kind = record === null ? 'FLOCK ' : record.pid < 0 ? 'OFDLCK' : 'POSIX ';
    const end = record === null || record.end === Number.POSITIVE_INFINITY ? 'EOF' : String(record.end - 1);
    const place = `00:${inode.fs.dev.toString(16).padStart(2, '0')}:${inode.attributes().ino}`;
    text += `${ordinal++}: ${kind} ADVISORY  ${exclusive ? 'WRITE' : 'READ '} ${record?.pid ?? -1} ${place} ${record?.start ?? 0} ${end}\n`;
  }
  return text;
}
