/**
 * Files whose content is made when they are read. One open file shows one state: it is made at the first read and again whenever
 * reading starts over at offset 0 (programs keep /proc/stat open and rewind).
 */
import { EINTR, EINVAL, EIO, type Errno, isErrno } from '../../../abi/errno.ts';
import { S_IFLNK, S_IFREG } from '../../../abi/stat.ts';
import { type ByteString, byteString, bytesOf } from '../../../lib/byte_string.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { TimeShare } from '../../kernel/time_share.ts';
import type { Blocking, SyscallResult } from '../../kernel/wait.ts';
import { type FileDescription, type FileImpl, PositionedFile } from '../../vfs/file.ts';
import type { OpenContext } from '../../vfs/inode.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { type SyntheticFilesystem, SyntheticInode } from './filesystem.ts';

/** All of it, or parts that are made as they are read: of what a guest can make long. */
export type Content = ByteString | Uint8Array | Iterable<ByteString>;
/** Makes the content for a reader. */
export type Generate = (reader: Task) => Content | Errno;
/** Takes what one write(2) gave; 0 or an errno. */
export type Store = (text: ByteString, writer: Task) => number;

const NOTHING = new Uint8Array(0);
/** Longest write that a knob takes, bytes (proc_sys(5): a page). */
export const KNOB_MAX = 4096;

export abstract class GeneratedInode extends SyntheticInode {
  constructor(fs: SyntheticFilesystem, ino: number, permissions = 0o444) {
    super(fs, ino, S_IFREG | permissions);
  }
  abstract generate(reader: Task): Content | Errno;
  /** `opener`: whoever opened the file. */
  store(_text: ByteString, _writer: Task, _opener: Credentials): number {
    return EIO;
  }
  open(_flags: number, _context: OpenContext): FileImpl | Errno {
    return new GeneratedFile(this);
  }
}

export class GeneratedFile extends PositionedFile {
  private readonly inode: GeneratedInode;
  /** What has been made: all, or the part from `base` on, with those that follow. */
  private content: Uint8Array | null = null;
  private base = 0;
  private parts: Iterator<ByteString> | null = null;
  /** Whoever opened it; a descriptor may have been handed to a more powerful writer. */
  private readonly opener: Credentials | null;

  constructor(inode: GeneratedInode, opener: Credentials | null = null) {
    super();
    this.inode = inode;
    this.opener = opener;
  }
  override size(): number {
    return 0;
  }
  override pread(dst: Sink, offset: number, _file: FileDescription, task: Task): SyscallResult {
    if (this.content === null || offset === 0 || offset < this.base) {
      const made = this.inode.generate(task);
      if (isErrno(made)) return made;
      this.start(made as Content);
    }
    if (this.parts !== null && offset >= this.end) {
      this.nextPart();
      if (this.parts !== null && offset >= this.end) return this.readFarther(dst, offset, task);
    }
    return this.readPart(dst, offset);
  }
  private start(made: Content): void {
    this.base = 0;
    this.parts = null;
    if (typeof made === 'string') this.content = bytesOf(made);
    else if (made instanceof Uint8Array) this.content = made;
    else {
      this.content = NOTHING;
      this.parts = made[Symbol.iterator]();
    }
  }
  private get end(): number {
    return this.base + (this.content?.length ?? 0);
  }
  private nextPart(): void {
    const next = this.parts?.next();
    this.base = this.end;
    this.content = next === undefined || next.done === true ? NOTHING : bytesOf(next.value);
    if (this.content.length === 0) this.parts = null;
  }
  /** From one part: a read may be short. */
  private readPart(dst: Sink, offset: number): number {
    const content = this.content as Uint8Array;
    return offset >= this.end ? 0 : dst.put(content, offset - this.base, content.length);
  }
  /** Somebody has sought: everything up to there has to be made. */
  private *readFarther(dst: Sink, offset: number, task: Task): Blocking {
    const share = new TimeShare(task);
    while (this.parts !== null && offset >= this.end) {
      this.nextPart();
      if (share.isOver && (yield* share.pass())) return EINTR;
    }
    return this.readPart(dst, offset);
  }
  override pwrite(src: Source, _offset: number, _file: FileDescription, task: Task): number {
    if (src.remaining > KNOB_MAX) return EINVAL;
    const bytes = new Uint8Array(src.remaining);
    const n = src.take(bytes);
    if (n < 0) return n;
    const r = this.inode.store(byteString(bytes, 0, n), task, this.opener ?? task.creds);
    return r < 0 ? r : n;
  }
  override truncate(): number {
    return 0;
  }
}

/** A file for ever in its place, made by functions. Without `store` writing fails with EIO. */
export class SyntheticFile extends GeneratedInode {
  private readonly make: Generate;
  private readonly take: Store | null;

  /** `ino`: for files that are made again and again. */
  constructor(
    fs: SyntheticFilesystem,
    make: Generate,
    store: Store | null = null,
    permissions = store === null ? 0o444 : 0o644,
    ino = fs.nextIno(),
  ) {
    super(fs, ino, permissions);
    this.make = make;
    this.take = store;
  }
  generate(reader: Task): Content | Errno {
    return this.make(reader);
  }
  override store(text: ByteString, writer: Task, _opener: Credentials): number {
    return this.take === null ? EIO : this.take(text, writer);
  }
}

/** A symbolic link; its target may depend on who reads it. */
export class SyntheticLink extends SyntheticInode {
  private readonly target: (reader: Task | null) => ByteString | Errno;

  constructor(fs: SyntheticFilesystem, target: ByteString | ((reader: Task | null) => ByteString | Errno)) {
    super(fs, fs.nextIno(), S_IFLNK | 0o777);
    this.target = typeof target === 'string' ? () => target : target;
  }
  open(): FileImpl | Errno {
    return EINVAL;
  }
  override readlink(reader: Task | null): ByteString | Errno {
    return this.target(reader);
  }
}

/** A decimal number written to a knob, blanks around it ignored; null if it is none. */
export function parseKnob(text: ByteString): number | null {
  const match = /^[ \t\n]*([+-]?\d{1,19})[ \t\n\0]*$/.exec(text);
  return match === null ? null : Number(match[1]);
}
