/** Regular files of an overlay: the lower layer's content until the first write, then their own. */
import { EIO, type Errno } from '../../../abi/errno.ts';
import { O_RDONLY, O_TRUNC, SEEK_DATA, SEEK_HOLE } from '../../../abi/fcntl.ts';
import { PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking, SyscallResult } from '../../kernel/wait.ts';
import { FileDescription, type FileImpl, type HostMapping } from '../../vfs/file.ts';
import type { Attributes, Inode, OpenContext } from '../../vfs/inode.ts';
import { BufferIo, type Sink, type Source } from '../../vfs/io.ts';
import { TmpFile, TmpFileImpl } from '../tmpfs/tmp_file.ts';
import type { OverlayFs } from './overlay_fs.ts';

/** Bytes that are copied at once where there is no host descriptor. */
const COPY_CHUNK = 256 << 10;

export class OverlayFile extends TmpFile {
  /** Where the content is; null once it is here. */
  private origin: Inode | null;
  private readonly lowerSize: number;
  private readonly lowerBlocks: number;
  /** The lower file, open while somebody has this one open for its content. */
  private reader: FileDescription | null = null;

  constructor(fs: OverlayFs, attributes: Attributes, lower: Inode) {
    super(fs, attributes.ino, attributes, attributes);
    this.links = attributes.nlink;
    this.origin = lower;
    this.takeXattrsFrom(lower);
    this.lowerSize = attributes.size;
    this.lowerBlocks = attributes.blocks;
  }

  override get size(): number {
    return this.origin === null ? super.size : this.lowerSize;
  }
  protected override get blocks(): number {
    return this.origin === null ? super.blocks : this.lowerBlocks;
  }
  protected override resize(size: number): 0 | Errno {
    if (size === 0) this.forgetOrigin();
    const r = this.copyUp();
    return r !== 0 ? r : super.resize(size);
  }

  override open(flags: number, context: OpenContext): FileImpl | Errno {
    // The old content of a file that is about to be cut is nobody's business any more.
    if (this.origin !== null && (flags & O_TRUNC) === 0) {
      const lower = this.openLower(context);
      if (typeof lower === 'number') return lower;
    }
    return new OverlayFileImpl(this);
  }

  private openLower(context: OpenContext | null): FileDescription | Errno {
    if (this.reader !== null) return this.reader;
    const origin = this.origin as Inode;
    const impl = origin.open(O_RDONLY, context ?? NO_CONTEXT);
    if (typeof impl === 'number') return impl;
    this.reader = new FileDescription(impl, O_RDONLY, context?.path ?? null);
    return this.reader;
  }

  /** The lower file while the content is there. */
  get lower(): FileDescription | null {
    return this.origin === null ? null : this.reader;
  }

  /** Brings the content here. 0 if it is. */
  copyUp(): 0 | Errno {
    if (this.origin === null) return 0;
    const lower = this.openLower(null);
    if (typeof lower === 'number') return lower;
    const mapping = lower.impl.mapping(lower, false, PROT_READ);
    const r = typeof mapping === 'number' ? this.copyThrough(lower) : this.data.importHost(mapping.hostFd, mapping.offset, this.lowerSize);
    if (r !== 0) {
      this.data.release();
      if (this.openers === 0) this.closeReader();
      return r;
    }
    this.forgetOrigin();
    this.dropCapabilities(); // it is copied to be written
    return 0;
  }

  private copyThrough(lower: FileDescription): 0 | Errno {
    const buffer = new Uint8Array(Math.min(COPY_CHUNK, this.lowerSize));
    for (let at = 0; at < this.lowerSize; ) {
      const n = lower.impl.pread(new BufferIo(buffer), at, lower, null as unknown as Task);
      // A lower layer without host descriptors answers at once.
      if (typeof n !== 'number') return EIO;
      if (n < 0) return n as Errno;
      if (n === 0) break;
      const wrote = this.data.write(new BufferIo(buffer.subarray(0, n)), at);
      if (wrote < 0) return wrote as Errno;
      at += wrote;
    }
    return 0;
  }

  private forgetOrigin(): void {
    this.origin = null;
    this.closeReader();
  }
  private closeReader(): void {
    this.reader?.release();
    this.reader = null;
  }
  override unused(): void {
    if (this.openers === 0) this.closeReader();
    super.unused();
  }
}

/** For opens that the overlay makes by itself: lower layers ask for nothing of it. */
const NO_CONTEXT = Object.freeze({ path: null, creds: null, task: null }) as unknown as OpenContext;

/** A write by somebody else may end the use of the lower file while this read waits for the disk. */
function* readHeld(lower: FileDescription, read: Blocking): Blocking {
  lower.hold();
  try {
    return yield* read;
  } finally {
    lower.release();
  }
}

class OverlayFileImpl extends TmpFileImpl {
  declare protected readonly inode: OverlayFile;

  override pread(dst: Sink, offset: number, file: FileDescription, task: Task): SyscallResult {
    const { lower } = this.inode;
    if (lower === null) return super.pread(dst, offset, file, task);
    const n = lower.impl.pread(dst, offset, lower, task);
    if (typeof n !== 'number') return readHeld(lower, n);
    if (n >= 0) this.inode.touchAccess(file);
    return n;
  }
  override pwrite(src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    if (src.remaining === 0) return 0;
    const r = this.inode.copyUp();
    return r !== 0 ? r : super.pwrite(src, offset, file, task);
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    const { lower } = this.inode;
    if (lower === null || (whence !== SEEK_DATA && whence !== SEEK_HOLE)) return super.seek(file, offset, whence);
    const at = lower.impl.seek(lower, offset, whence);
    if (at >= 0) file.position = at;
    return at;
  }
  override mapping(file: FileDescription, shared: boolean, prot: number, offset?: number, length?: number): HostMapping | Errno {
    const { lower } = this.inode;
    if (lower === null) return super.mapping(file, shared, prot);
    // A shared mapping of a file that is open for writing may become writable later: it needs the upper file.
    if (shared && ((prot & PROT_WRITE) !== 0 || file.writable)) {
      const r = this.inode.copyUp();
      return r !== 0 ? r : super.mapping(file, shared, prot);
    }
    return lower.impl.mapping(lower, shared, prot, offset, length);
  }
  override allocate(file: FileDescription, mode: number, offset: number, length: number, creds: Credentials, task: Task): SyscallResult {
    const r = this.inode.copyUp();
    return r !== 0 ? r : super.allocate(file, mode, offset, length, creds, task);
  }
}
