/** Files of proc that show a task's own memory: cmdline, environ, mem. */
import { EINVAL, EIO, isErrno } from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import { PROT_WRITE } from '../../../abi/mman.ts';
import type { Task } from '../../kernel/task.ts';
import type { MemoryMap } from '../../mm/memory_map.ts';
import { type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { memoryOf } from './task_view.ts';

/** Most bytes of arguments or environment that are shown (ARG_MAX: 2 MiB). */
const AREA_MAX = 2 << 20;
const CHUNK = 65536;

/** Up to `max` bytes of [start, end), which the application may have set: as much as one mapping holds. */
function area(task: Task, start: number, end: number, max = AREA_MAX): Uint8Array {
  const mm = memoryOf(task);
  const length = mm === null ? 0 : Math.min(Math.max(0, end - start), max, reach(mm, start, false));
  if (mm === null || length === 0) return new Uint8Array(0);
  const bytes = new Uint8Array(length);
  const n = mm.space.readForced(start, bytes, 0, length);
  return bytes.subarray(0, Math.max(0, n));
}

/**
 * The arguments, each ended by NUL. A program that has written a title over them (setproctitle) may have run on into the
 * environment: then the title up to its NUL.
 */
export function cmdline(task: Task): Uint8Array {
  const mm = memoryOf(task);
  if (mm === null) return new Uint8Array(0);
  const { argStart, argEnd, envStart, envEnd } = mm.layout;
  const args = area(task, argStart, argEnd);
  if (args.length === 0 || args[args.length - 1] === 0 || envStart !== argEnd) return args;
  const nul = args.indexOf(0);
  if (nul >= 0) return args.subarray(0, nul + 1);
  const rest = area(task, envStart, envEnd, 4096);
  const end = rest.indexOf(0);
  return Buffer.concat([args, rest.subarray(0, end < 0 ? rest.length : end + 1)]);
}

export function environ(task: Task): Uint8Array {
  const mm = memoryOf(task);
  return mm === null ? new Uint8Array(0) : area(task, mm.layout.envStart, mm.layout.envEnd);
}

/**
 * Bytes from `address` to the end of its mapping, 0 if there is none: nothing but what the application has mapped can be looked at. Protections do
 * not count, but what could never be made writable is not written.
 */
function reach(mm: MemoryMap, address: number, write: boolean): number {
  const vma = mm.vmas.find(address);
  if (vma === null || (write && vma.shared && (vma.maxProt & PROT_WRITE) === 0)) return 0;
  return vma.end - address;
}

/** /proc/PID/mem: the position is the address. Who could open it is checked once, there. */
export class TaskMemoryFile extends FileImpl {
  private readonly target: Task;

  constructor(target: Task) {
    super();
    this.target = target;
  }
  override get inPieces(): boolean {
    return true;
  }
  override read(dst: Sink, file: FileDescription, task: Task): number {
    const n = this.pread(dst, file.position, file, task);
    if (n > 0) file.position += n;
    return n;
  }
  override write(src: Source, file: FileDescription, task: Task): number {
    const n = this.pwrite(src, file.position, file, task);
    if (n > 0) file.position += n;
    return n;
  }
  override pread(dst: Sink, offset: number, _file: FileDescription, task: Task): number {
    const mm = memoryOf(this.target);
    const { ioScratch } = task.kernel;
    let total = 0;
    while (mm !== null && dst.remaining > 0) {
      const want = Math.min(CHUNK, dst.remaining, reach(mm, offset + total, false));
      const n = want === 0 ? 0 : mm.space.readForced(offset + total, ioScratch, 0, want);
      if (n <= 0) return total > 0 ? total : EIO;
      const put = dst.put(ioScratch, 0, n);
      if (isErrno(put)) return total > 0 ? total : put;
      total += put;
      if (n < want) break;
    }
    return total;
  }
  override pwrite(src: Source, offset: number, _file: FileDescription, task: Task): number {
    const mm = memoryOf(this.target);
    const { ioScratch } = task.kernel;
    let total = 0;
    while (mm !== null && src.remaining > 0) {
      const room = Math.min(CHUNK, src.remaining, reach(mm, offset + total, true));
      if (room === 0) return total > 0 ? total : EIO;
      const taken = src.take(ioScratch, 0, room);
      if (taken <= 0) return total > 0 ? total : taken;
      const n = mm.space.writeForced(offset + total, ioScratch, 0, taken);
      if (n <= 0) return total > 0 ? total : EIO;
      total += n;
      if (n < taken) break;
    }
    return total;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (target < 0) return EINVAL;
    file.position = target;
    return target;
  }
}
