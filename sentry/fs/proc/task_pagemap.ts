/**
 * /proc/PID/pagemap (proc_pid_pagemap(5)): 8 bytes a page, at 8 times the page's number. Whether a page is there is the host's to say;
 * where it lies in the machine's memory is nobody's business here.
 */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import type { Task } from '../../kernel/task.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';
import { type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import { memoryOf } from './task_view.ts';

const ENTRY = 8;
const CHUNK = 65536;
/** Of one call: the host walks page tables for it, and everybody else waits. Readers go on with what is missing. */
const CALL_MAX = 1 << 20;
/** Where the platform does not say: what is mapped and can be accessed counts as there. */
function fillFromMaps(task: Task, mm: MemoryMap, offset: number, count: number): number {
  const { ioView } = task.kernel;
  for (let at = 0; at < count; at += ENTRY) {
    const vma = mm.vmas.find(((offset + at) / ENTRY) * PAGE_SIZE);
    const there = vma !== null && vma.prot !== 0;
    ioView.setBigUint64(at, there ? (1n << 63n) | (vma.file === null ? 0n : 1n << 61n) : 0n, true);
  }
  return count;
}

/** Present, swapped, of a file, written since clear_refs, mapped once. */
const SHOWN = (1n << 63n) | (1n << 62n) | (1n << 61n) | (1n << 56n) | (1n << 55n);

export class TaskPagemapFile extends FileImpl {
  private readonly target: Task;
  constructor(target: Task) {
    super();
    this.target = target;
  }
  override read(dst: Sink, file: FileDescription, task: Task): number {
    const n = this.pread(dst, file.position, file, task);
    if (n > 0) file.position += n;
    return n;
  }
  override pread(dst: Sink, offset: number, _file: FileDescription, task: Task): number {
    if (offset % ENTRY !== 0 || dst.remaining % ENTRY !== 0) return EINVAL;
    const mm = memoryOf(this.target);
    const end = (task.kernel.platform.maxAddress / PAGE_SIZE) * ENTRY;
    let total = 0;
    while (mm !== null && dst.remaining > 0 && offset + total < end && total < CALL_MAX) {
      const want = Math.min(CHUNK, dst.remaining, end - offset - total);
      const n = this.fill(task, mm, offset + total, want);
      if (n <= 0) return total > 0 ? total : n;
      const put = dst.put(task.kernel.ioScratch, 0, n);
      if (put < 0) return total > 0 ? total : put;
      total += put;
    }
    return total;
  }
  /** Entries into ioScratch, without what the application must not know: which of the platform's own pages there are. */
  private fill(task: Task, mm: MemoryMap, offset: number, count: number): number {
    const { ioScratch, ioView } = task.kernel;
    if (mm.space.pagemap === undefined) return fillFromMaps(task, mm, offset, count);
    const n = mm.space.pagemap(offset, ioScratch, count);
    for (let at = 0; at < n; at += ENTRY) ioView.setBigUint64(at, ioView.getBigUint64(at, true) & SHOWN, true);
    return n;
  }
  override seek(file: FileDescription, offset: number, whence: number): number | Errno {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (target < 0) return EINVAL;
    file.position = target;
    return target;
  }
}
