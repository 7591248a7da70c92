/** Directories of synthetic filesystems. */
import { EACCES, EINVAL, EISDIR, ENOENT, EPERM, type Errno } from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import { direntType, S_IFDIR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import { type EmitEntry, type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { CreateOptions, Inode } from '../../vfs/inode.ts';
import { type SyntheticFilesystem, SyntheticInode } from './filesystem.ts';

/** One name, as readdir tells it; type: DT_*. */
export interface Entry {
  readonly name: ByteString;
  readonly ino: number;
  readonly type: number;
}

export abstract class SyntheticDirectory extends SyntheticInode {
  constructor(fs: SyntheticFilesystem, ino: number, permissions = 0o555) {
    super(fs, ino, S_IFDIR | permissions);
  }
  /** Names now, without "." and "..". */
  abstract entries(task: Task | null): Iterable<Entry>;
  abstract override lookup(name: ByteString, task: Task | null): Inode | Errno;

  protected override get links(): number {
    return 2;
  }
  /** Nobody makes names here. */
  override create(_name: ByteString, _options: CreateOptions): Inode | Errno {
    return this.fs.refusal ?? EACCES;
  }
  override mkdir(): Inode | Errno {
    return this.fs.refusal ?? EPERM;
  }
  override mknod(): Inode | Errno {
    return this.fs.refusal ?? EPERM;
  }
  override symlink(): Inode | Errno {
    return this.fs.refusal ?? EPERM;
  }
  open(): FileImpl | Errno {
    return new DirectoryFile(this);
  }
}

/** A listing is taken at position 0 and kept until the next rewind: positions stay valid while names come and go. */
export class DirectoryFile extends FileImpl {
  private readonly directory: SyntheticDirectory;
  private listing: Entry[] | null = null;

  constructor(directory: SyntheticDirectory) {
    super();
    this.directory = directory;
  }
  override read(): number {
    return EISDIR;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (target < 0) return EINVAL;
    file.position = target;
    return target;
  }
  override readdir(file: FileDescription, emit: EmitEntry, task: Task): number {
    if (this.listing === null || file.position === 0) this.listing = this.list(file, task);
    for (let i = file.position; i < this.listing.length; i++) {
      const { name, ino, type } = this.listing[i] as Entry;
      if (!emit(name, ino, type, i + 1)) break;
      file.position = i + 1;
    }
    return 0;
  }
  private list(file: FileDescription, task: Task): Entry[] {
    const parent = file.path?.dentry.parent?.inode?.attributes().ino ?? this.directory.ino;
    const dots = [
      { name: '.', ino: this.directory.ino, type: direntType(S_IFDIR) },
      { name: '..', ino: parent, type: direntType(S_IFDIR) },
    ];
    return [...dots, ...this.directory.entries(task)];
  }
}

/** A directory of objects that are all known; `add` as long as nobody has looked, or for ever. */
export class StaticDirectory extends SyntheticDirectory {
  protected readonly children = new Map<ByteString, SyntheticInode>();

  /** `ino`: for directories that are made again and again. */
  constructor(fs: SyntheticFilesystem, permissions = 0o555, ino = fs.nextIno()) {
    super(fs, ino, permissions);
  }
  add<T extends SyntheticInode>(name: ByteString, child: T): T {
    this.children.set(name, child);
    return child;
  }
  remove(name: ByteString): void {
    this.children.delete(name);
  }
  get(name: ByteString): SyntheticInode | undefined {
    return this.children.get(name);
  }
  /** The directory at a relative path, made where it is missing. */
  subdirectory(path: ByteString): StaticDirectory {
    let at: StaticDirectory = this;
    for (const name of path.split('/')) {
      const known = at.children.get(name);
      at = known instanceof StaticDirectory ? known : at.add(name, new StaticDirectory(this.fs));
    }
    return at;
  }
  *entries(): Iterable<Entry> {
    for (const [name, child] of this.children) yield { name, ino: child.ino, type: direntType(child.mode) };
  }
  lookup(name: ByteString): Inode | Errno {
    return this.children.get(name) ?? ENOENT;
  }
  protected override get links(): number {
    let n = 2;
    for (const child of this.children.values()) if (child.isDirectory) n++;
    return n;
  }
}

/** A directory that is filled when somebody first looks into it. */
export class LazyDirectory extends StaticDirectory {
  private fill: ((directory: StaticDirectory) => void) | null;

  constructor(fs: SyntheticFilesystem, fill: (directory: StaticDirectory) => void, permissions = 0o555) {
    super(fs, permissions);
    this.fill = fill;
  }
  private filled(): void {
    const { fill } = this;
    this.fill = null; // before it runs: it looks in here itself
    fill?.(this);
  }
  override get(name: ByteString): SyntheticInode | undefined {
    if (this.fill !== null) this.filled();
    return super.get(name);
  }
  override subdirectory(path: ByteString): StaticDirectory {
    if (this.fill !== null) this.filled();
    return super.subdirectory(path);
  }
  override entries(): Iterable<Entry> {
    if (this.fill !== null) this.filled();
    return super.entries();
  }
  override lookup(name: ByteString): Inode | Errno {
    if (this.fill !== null) this.filled();
    return super.lookup(name);
  }
}
