/**
 * A file that becomes shorter takes private copies of its pages beyond the new end with it (truncate(2)). Where applications are processes of
 * the host's, it sees to that; a platform whose memory is the Sentry's is told here.
 */
import { MADV_DONTNEED } from '../../abi/mman.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { Inode } from '../vfs/inode.ts';
import { type MemoryMap, pageUp } from './memory_map.ts';

/** `inode` has `size` bytes now. */
export function dropCutCopies(kernel: Kernel, inode: Inode, size: number): void {
  if (kernel.platform.memory === undefined) return;
  const seen = new Set<MemoryMap>();
  for (const task of kernel.rootPidNamespace.tasks.values()) {
    if (task.state === 'dead' || seen.has(task.mm)) continue;
    seen.add(task.mm);
    dropCopies(task, inode, pageUp(size));
  }
}

function dropCopies({ mm, thread }: Task, inode: Inode, end: number): void {
  for (const vma of mm.vmas.all) {
    if (vma.shared || vma.file?.inode !== inode) continue;
    const start = vma.start + Math.max(0, end - vma.offset);
    if (start < vma.end) mm.space.advise(thread, start, vma.end - start, MADV_DONTNEED);
  }
}
