/** The address space of a process as the kernel keeps it: which range is mapped from what. Pages belong to the platform. */
import type { FileDescription } from '../vfs/file.ts';
import type { VfsPath } from '../vfs/path.ts';

/** One mapped range, [start, end). Neighbours that agree in everything are merged. */
export interface Vma {
  readonly start: number;
  readonly end: number;
  /** PROT_* now. */
  readonly prot: number;
  /** MAP_SHARED or MAP_PRIVATE, MAP_GROWSDOWN, MAP_NORESERVE, MAP_LOCKED … as kept. */
  readonly flags: number;
  /** Held while mapped; null for anonymous memory. */
  readonly file: FileDescription | null;
  /** File offset of `start`. */
  readonly offset: number;
  /** "[heap]", "[stack]", "[vdso]", "" … for maps. */
  readonly label: string;
}

export class MemoryMap {
  /** Ascending, disjoint. */
  readonly vmas: Vma[] = [];
  /** What execve(2) started: /proc/PID/exe; null for none. */
  executable: VfsPath | null = null;
  /** Where the arguments and the environment lie on the stack, [start, end); prctl(2) PR_SET_MM may move them. */
  argStart = 0;
  argEnd = 0;
  envStart = 0;
  envEnd = 0;
  /** The auxiliary vector as it was put on the stack (/proc/PID/auxv). */
  auxv: Uint8Array = new Uint8Array(0);
  /** Text, initial stack pointer, heap: /proc/PID/stat. */
  codeStart = 0;
  codeEnd = 0;
  stackStart = 0;
  brkStart = 0;
  brkEnd = 0;
}
