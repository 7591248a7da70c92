/**
 * The names of a directory, in an order that readdir(3) can leave and take up again: each name keeps its cookie while it exists,
 * new names get higher ones.
 */
import type { ByteString } from '../../../lib/byte_string.ts';

interface IndexEntry<V> {
  value: V;
  readonly cookie: number;
}

/** Positions 0 and 1 are "." and "..". */
export const FIRST_COOKIE = 2;

export class DirIndex<V> {
  /** Insertion order is cookie order. */
  private readonly entries = new Map<ByteString, IndexEntry<V>>();
  private nextCookie = FIRST_COOKIE;

  get(name: ByteString): V | undefined {
    return this.entries.get(name)?.value;
  }
  has(name: ByteString): boolean {
    return this.entries.has(name);
  }
  /** A name that exists keeps its place. */
  set(name: ByteString, value: V): void {
    const entry = this.entries.get(name);
    if (entry !== undefined) entry.value = value;
    else this.entries.set(name, { value, cookie: this.nextCookie++ });
  }
  delete(name: ByteString): void {
    this.entries.delete(name);
  }
  get size(): number {
    return this.entries.size;
  }
  *values(): Generator<V> {
    for (const entry of this.entries.values()) yield entry.value;
  }
  cursor(): DirCursor<V> {
    return new DirCursor(this.entries, () => this.nextCookie);
  }
}

/** One reader's place: reading on costs no search, after a seek one pass. Names may come and go meanwhile. */
export class DirCursor<V> {
  private readonly entries: ReadonlyMap<ByteString, IndexEntry<V>>;
  private readonly end: () => number;
  private iterator: Iterator<[ByteString, IndexEntry<V>]> | null = null;
  /** The position that the iterator stands at. */
  private at = -1;
  /** Taken from the iterator but not by the reader. */
  private held: [ByteString, IndexEntry<V>] | null = null;

  constructor(entries: ReadonlyMap<ByteString, IndexEntry<V>>, end: () => number) {
    this.entries = entries;
    this.end = end;
  }

  /** Emits from `position` on until `emit` refuses; the new position. */
  read(position: number, emit: (name: ByteString, value: V, next: number) => boolean): number {
    if (position >= this.end()) return position;
    if (this.iterator === null || this.at !== position) this.seek(position);
    let reached = position;
    for (;;) {
      const item = this.take();
      if (item === null) break;
      const [name, entry] = item;
      if (entry.cookie < position || this.entries.get(name) !== entry) continue;
      if (!emit(name, entry.value, entry.cookie + 1)) {
        this.held = item;
        this.at = reached;
        return reached;
      }
      reached = entry.cookie + 1;
    }
    this.iterator = null;
    return Math.max(reached, this.end());
  }

  private seek(position: number): void {
    this.iterator = this.entries.entries();
    this.held = null;
    this.at = position;
  }
  private take(): [ByteString, IndexEntry<V>] | null {
    const item = this.held ?? this.iterator?.next().value ?? null;
    this.held = null;
    return item;
  }
}
