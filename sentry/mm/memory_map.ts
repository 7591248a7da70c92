/** The address space of a process as the kernel keeps it: which range is mapped from what. Pages belong to the platform. */
import type { FileDescription } from '../vfs/file.ts';

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
}
