/** Mapped ranges and the ordered set of them. Immutable rows: a change replaces rows. */
import type { FileDescription } from '../vfs/file.ts';

/** One mapped range, [start, end). */
export interface Vma {
  readonly start: number;
  readonly end: number;
  /** PROT_* now. */
  readonly prot: number;
  /** PROT_* bits that mprotect(2) may grant: a shared mapping of a file opened read-only never becomes writable. */
  readonly maxProt: number;
  readonly shared: boolean;
  /** madvise(2) MADV_DONTFORK, MADV_WIPEONFORK; mlock(2). */
  readonly advice: number;
  /** One reference is the row's; null for anonymous private memory. */
  readonly file: FileDescription | null;
  /** File offset of `start`. */
  readonly offset: number;
  /** What maps shows in place of a file: "[heap]", "[stack]", "[vdso]", "". */
  readonly label: string;
}

/** Bits of Vma.advice: madvise(2), mlock(2), mmap(2). */
export const VMA_DONTFORK = 1;
export const VMA_WIPEONFORK = 2;
export const VMA_LOCKED = 4;
export const VMA_NORESERVE = 8;
/** MAP_GROWSDOWN; anonymous and private. */
export const VMA_GROWSDOWN = 16;

function mergeable(a: Vma, b: Vma): boolean {
  return (
    a.end === b.start &&
    a.prot === b.prot &&
    a.maxProt === b.maxProt &&
    a.shared === b.shared &&
    a.advice === b.advice &&
    a.file === b.file &&
    a.label === b.label &&
    (a.file === null || a.offset + (a.end - a.start) === b.offset)
  );
}

/** Ascending and disjoint. The set owns one file reference a row. */
export class VmaSet {
  private rows: Vma[] = [];
  /** Sum of all lengths in bytes. */
  bytes = 0;

  get all(): readonly Vma[] {
    return this.rows;
  }

  /** Index of the first row that ends above `address`. */
  indexAt(address: number): number {
    let low = 0;
    let high = this.rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.rows[middle] as Vma).end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** The row that holds `address`, or null. */
  find(address: number): Vma | null {
    const vma = this.rows[this.indexAt(address)];
    return vma !== undefined && vma.start <= address ? vma : null;
  }

  /** Rows that overlap [start, end). */
  overlapping(start: number, end: number): Vma[] {
    const out: Vma[] = [];
    for (let i = this.indexAt(start); i < this.rows.length && (this.rows[i] as Vma).start < end; i++) out.push(this.rows[i] as Vma);
    return out;
  }

  /** True if every byte of [start, end) is mapped. */
  covers(start: number, end: number): boolean {
    let at = start;
    for (let i = this.indexAt(start); at < end; i++) {
      const vma = this.rows[i];
      if (vma === undefined || vma.start > at) return false;
      at = vma.end;
    }
    return true;
  }

  /** Adds a row where nothing is mapped; takes the caller's file reference. Merges with neighbours. */
  add(vma: Vma): void {
    this.bytes += vma.end - vma.start;
    const at = this.indexAt(vma.start);
    const before = this.rows[at - 1];
    const after = this.rows[at];
    let merged = vma;
    let from = at;
    let count = 0;
    if (before !== undefined && mergeable(before, merged)) {
      merged = { ...before, end: merged.end };
      merged.file?.release();
      from--;
      count++;
    }
    if (after !== undefined && mergeable(merged, after)) {
      merged = { ...merged, end: after.end };
      merged.file?.release();
      count++;
    }
    this.rows.splice(from, count, merged);
  }

  /** Takes [start, end) out; what is cut gets references of its own. The rows taken out, clipped, are the caller's to release. */
  take(start: number, end: number): Vma[] {
    const from = this.indexAt(start);
    const out: Vma[] = [];
    const keep: Vma[] = [];
    let to = from;
    for (; to < this.rows.length && (this.rows[to] as Vma).start < end; to++) {
      const vma = this.rows[to] as Vma;
      if (vma.start < start) keep.push({ ...vma, file: vma.file?.hold() ?? null, end: start });
      if (vma.end > end) keep.push({ ...vma, file: vma.file?.hold() ?? null, start: end, offset: vma.offset + (end - vma.start) });
      const first = Math.max(vma.start, start);
      out.push({ ...vma, start: first, end: Math.min(vma.end, end), offset: vma.offset + (first - vma.start) });
    }
    this.rows.splice(from, to - from, ...keep);
    for (const vma of out) this.bytes -= vma.end - vma.start;
    return out;
  }

  /** Replaces the rows in [start, end) by changed copies. */
  update(start: number, end: number, change: (vma: Vma) => Vma): void {
    for (const vma of this.take(start, end)) this.add(change(vma));
  }

  /** Highest start of a hole of `length` bytes inside [bottom, top); -1 if there is none. */
  findHole(length: number, bottom: number, top: number): number {
    let end = top;
    for (let i = this.indexAt(top - 1); end - bottom >= length; i--) {
      const vma = this.rows[i];
      if (vma === undefined && i > 0) continue; // indexAt gave the end of the list: step to the last row
      const floor = vma === undefined ? bottom : Math.max(bottom, vma.end);
      if (end - floor >= length) return end - length;
      if (vma === undefined) return -1;
      end = Math.min(end, vma.start);
    }
    return -1;
  }

  /** A copy for fork(2) with references of its own. */
  fork(): VmaSet {
    const copy = new VmaSet();
    copy.rows = this.rows.filter((vma) => (vma.advice & VMA_DONTFORK) === 0);
    for (const vma of copy.rows) {
      vma.file?.hold();
      copy.bytes += vma.end - vma.start;
    }
    return copy;
  }

  clear(): void {
    for (const vma of this.rows) vma.file?.release();
    this.rows = [];
    this.bytes = 0;
  }
}
