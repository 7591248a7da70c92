/**
 * Pages of a file that the server has given, kept for reading and for mappings. They lie where a tmpfs's file would: in memory of the
 * Sentry's while there are few, in a memfd once there are many or they are mapped.
 *
 * Content that mappings change is found by comparing with a copy: `dirtyPages`.
 */
import { ENOMEM, type Errno } from '../../../abi/errno.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { BufferIo, LimitedSink, type Sink } from '../../vfs/io.ts';
import { FileData } from '../tmpfs/file_data.ts';
import type { FuseInode } from './inode.ts';
import { reloadPages } from './page_fetch.ts';
import { PageRanges } from './page_ranges.ts';

/** Most of one file that mappings may write: there is a copy of it. Bytes. */
const MAX_WRITABLE = 256 << 20;

export interface DirtyRange {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class PageCache {
  /** Mapped by somebody, perhaps: the memfd must stay what it is. */
  mapped = false;
  private readonly node: FuseInode;
  private readonly data: FileData;
  /** Whose content is here. */
  private readonly valid = new PageRanges();
  /** What the server has of the pages that mappings may write, by page. */
  private shadow: Map<number, Uint8Array> | null = null;

  constructor(node: FuseInode) {
    this.node = node;
    this.data = new FileData(node.fs.pageStore, { openers: 0 });
    this.data.truncate(node.size);
  }

  /** The first page in [offset, offset + length) of the file that is not here; -1: they all are. */
  firstMissing(offset: number, length: number): number {
    const end = Math.min(offset + length, this.node.size);
    if (end <= offset) return -1;
    const page = this.valid.firstMissing(Math.floor(offset / PAGE_SIZE));
    return page * PAGE_SIZE < end ? page : -1;
  }

  /** What is here from `offset` on: bytes moved, 0 if the next byte is not here or does not exist. */
  read(dst: Sink, offset: number): number {
    const { size } = this.node;
    const wanted = Math.min(dst.remaining, size - offset);
    if (wanted <= 0) return 0;
    const missing = this.firstMissing(offset, wanted);
    const count = missing < 0 ? wanted : missing * PAGE_SIZE - offset;
    return count <= 0 ? 0 : this.data.read(new LimitedSink(dst, count), offset);
  }

  /** The server's answer for `length` bytes from a page's start; what is missing at its end are zeros. ENOMEM: no room. */
  store(offset: number, bytes: Uint8Array, length: number): 0 | Errno {
    const end = Math.min(offset + length, this.node.size);
    if (end <= offset) return 0;
    const content = bytes.length >= end - offset ? bytes.subarray(0, end - offset) : padded(bytes, end - offset);
    if (this.data.write(new BufferIo(content), offset) !== content.length) return ENOMEM;
    this.valid.add(offset / PAGE_SIZE, Math.ceil(end / PAGE_SIZE));
    if (this.shadow === null) return 0;
    for (let page = offset / PAGE_SIZE; page * PAGE_SIZE < end; page++) {
      this.shadow.set(page, pageOf(content, page * PAGE_SIZE - offset));
    }
    return 0;
  }

  /** `bytes` were written to the server; before, the file ended at `oldSize`. */
  written(offset: number, bytes: Uint8Array, oldSize: number): void {
    const end = offset + bytes.length;
    for (let page = Math.floor(offset / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      const start = Math.max(offset, page * PAGE_SIZE);
      const stop = Math.min(end, (page + 1) * PAGE_SIZE);
      const whole = start === page * PAGE_SIZE && (stop === (page + 1) * PAGE_SIZE || stop >= oldSize);
      if (!whole && !this.valid.has(page) && page * PAGE_SIZE < oldSize) continue; // the rest of the page is not known
      const piece = bytes.subarray(start - offset, stop - offset);
      if (this.data.write(new BufferIo(piece), start) !== piece.length) {
        this.valid.remove(page, page + 1);
        continue;
      }
      this.valid.add(page, page + 1);
      this.shadow?.get(page)?.set(piece, start - page * PAGE_SIZE);
    }
  }

  /** The file has got another length. */
  resize(size: number): void {
    if (size === this.data.size) return;
    const old = this.data.size;
    this.data.truncate(size);
    if (size > old) return;
    const firstGone = Math.ceil(size / PAGE_SIZE);
    this.valid.remove(firstGone, Number.POSITIVE_INFINITY);
    for (const page of this.shadow?.keys() ?? []) if (page >= firstGone) this.shadow?.delete(page);
    if (size % PAGE_SIZE !== 0) this.shadow?.get(firstGone - 1)?.fill(0, size % PAGE_SIZE);
  }

  /** The server has other content now, or may have. What is mapped is fetched again. */
  invalidate(offset = 0, length = Number.POSITIVE_INFINITY): void {
    const had = this.valid.end;
    this.valid.remove(Math.floor(offset / PAGE_SIZE), Math.ceil((offset + length) / PAGE_SIZE));
    if (this.data.size !== this.node.size) this.data.truncate(this.node.size);
    if (this.mapped && had > 0) reloadPages(this.node, had * PAGE_SIZE);
  }

  /** The memfd, ours. */
  hostFd(): number {
    return this.data.hostFd();
  }

  // Mappings that write

  /** From now on the pages of the range may be written without being told. All of them are here. */
  watch(offset: number, length: number): 0 | Errno {
    this.shadow ??= new Map();
    const end = Math.min(offset + length, this.node.size);
    const pages = Math.ceil(end / PAGE_SIZE) - Math.floor(offset / PAGE_SIZE);
    if ((this.shadow.size + Math.max(0, pages)) * PAGE_SIZE > MAX_WRITABLE) return ENOMEM;
    for (let page = Math.floor(offset / PAGE_SIZE); page * PAGE_SIZE < end; page++) {
      if (!this.shadow.has(page)) this.shadow.set(page, this.content(page));
    }
    return 0;
  }
  private content(page: number): Uint8Array {
    const bytes = new Uint8Array(PAGE_SIZE);
    this.data.read(new BufferIo(bytes), page * PAGE_SIZE);
    return bytes;
  }
  /** What mappings have changed since the last time, up to the end of the file, neighbours together; at most `limit` bytes each. */
  dirtyPages(limit: number): DirtyRange[] {
    const out: DirtyRange[] = [];
    let run: Uint8Array[] = [];
    let from = 0;
    const finish = (): void => {
      const bytes = new Uint8Array(Buffer.concat(run));
      const length = Math.min(bytes.length, this.node.size - from * PAGE_SIZE);
      if (length > 0) out.push({ offset: from * PAGE_SIZE, bytes: bytes.subarray(0, length) });
      run = [];
    };
    for (const page of [...(this.shadow?.keys() ?? [])].sort((a, b) => a - b)) {
      if (page * PAGE_SIZE >= this.node.size) break;
      const now = this.content(page);
      if (Buffer.compare(now, this.shadow?.get(page) as Uint8Array) === 0) continue;
      this.shadow?.set(page, now);
      if (run.length > 0 && (page !== from + run.length || (run.length + 1) * PAGE_SIZE > limit)) finish();
      if (run.length === 0) from = page;
      run.push(now);
    }
    if (run.length > 0) finish();
    return out;
  }
  get writable(): boolean {
    return this.shadow !== null;
  }
  /** Nobody has it open or mapped any more. */
  unmapped(): void {
    this.mapped = false;
    this.shadow = null;
  }
  release(): void {
    this.data.release();
    this.valid.remove(0, Number.POSITIVE_INFINITY);
    this.shadow = null;
  }
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const out = new Uint8Array(length);
  out.set(bytes);
  return out;
}
function pageOf(bytes: Uint8Array, at: number): Uint8Array {
  return padded(bytes.subarray(at, at + PAGE_SIZE), PAGE_SIZE);
}
