/** Directories of a tmpfs. */
import { EINVAL, EISDIR, ENOENT, ENOTEMPTY, type Errno } from '../../../abi/errno.ts';
import { RENAME_EXCHANGE, RENAME_WHITEOUT, SEEK_CUR, SEEK_END, SEEK_SET } from '../../../abi/fcntl.ts';
import { direntType, S_IFCHR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import { type EmitEntry, type FileDescription, FileImpl } from '../../vfs/file.ts';
import type { Attributes, CreateOptions, Inode, OpenContext, WalkAhead } from '../../vfs/inode.ts';
import { type DirCursor, DirIndex, FIRST_COOKIE } from './dir_index.ts';
import { TmpInode } from './tmp_inode.ts';
import type { TmpFs } from './tmpfs.ts';

/** st_size of a directory: what tmpfs on Linux counts for each entry. */
const ENTRY_SIZE = 20;

/** A name that a directory is known to hold although nobody has looked it up yet (overlay). */
export interface UnseenName {
  readonly ino: number;
  readonly direntType: number;
}
/** What a name stands for; null: nothing, whatever a lower layer says (overlay). */
export type IndexValue = TmpInode | UnseenName | null;

export class TmpDirectory extends TmpInode {
  protected readonly index = new DirIndex<IndexValue>();
  /** Names that mean something: index.size less the nulls. */
  protected live = 0;
  /** Removed: nothing can be made in it any more. */
  private dead = false;

  constructor(fs: TmpFs, ino: number, options: CreateOptions, times: Attributes | null = null) {
    super(fs, ino, options, times);
    this.links = 2;
  }

  override get size(): number {
    return this.live * ENTRY_SIZE + 2 * ENTRY_SIZE;
  }

  override lookup(name: ByteString, _task: Task | null, _ahead?: WalkAhead): Inode | Errno {
    const value = this.index.get(name);
    return value instanceof TmpInode ? value : ENOENT;
  }

  /** Everything below is known to the index (overlay: merges first). 0 or an errno. */
  complete(): 0 | Errno {
    return 0;
  }

  /** Gives `name` a meaning; the caller has made or counted the link. */
  protected enter(name: ByteString, inode: TmpInode): void {
    this.index.set(name, inode);
    this.live++;
    if (inode instanceof TmpDirectory) this.countSubdirectory(1);
    this.touchModify();
  }
  /** Takes a name away. */
  protected leave(name: ByteString, inode: TmpInode): void {
    this.forget(name);
    this.live--;
    if (inode instanceof TmpDirectory) this.countSubdirectory(-1);
    this.touchModify();
  }
  /** A filesystem that does not count subdirectories says 1 for all (overlay on such a one). */
  private countSubdirectory(change: number): void {
    if (this.links > 1) this.links += change;
  }
  protected forget(name: ByteString): void {
    this.index.delete(name);
  }

  private add(name: ByteString, inode: TmpInode | Errno): TmpInode | Errno {
    if (typeof inode === 'number') return inode;
    this.enter(name, inode);
    const acl = this.findDefaultAcl();
    if (acl !== null && !inode.isSymlink) inode.inheritAcl(acl);
    return inode;
  }

  override create(name: ByteString, options: CreateOptions): Inode | Errno {
    return this.dead ? ENOENT : this.add(name, this.fs.newFile(options));
  }
  override mkdir(name: ByteString, options: CreateOptions): Inode | Errno {
    return this.dead ? ENOENT : this.add(name, this.fs.newDirectory(options));
  }
  override mknod(name: ByteString, options: CreateOptions, rdev: number): Inode | Errno {
    return this.dead ? ENOENT : this.add(name, this.fs.newNode(options, rdev));
  }
  override symlink(name: ByteString, target: ByteString, options: CreateOptions): Inode | Errno {
    return this.dead ? ENOENT : this.add(name, this.fs.newSymlink(options, target));
  }
  override tmpfile(options: CreateOptions): Inode | Errno {
    const inode = this.fs.newFile(options);
    if (typeof inode === 'number') return inode;
    inode.links = 0;
    const acl = this.findDefaultAcl();
    if (acl !== null) inode.inheritAcl(acl);
    return inode;
  }
  override link(name: ByteString, target: Inode): 0 | Errno {
    if (this.dead) return ENOENT;
    const inode = target as TmpInode;
    inode.links++;
    inode.touchChange();
    this.enter(name, inode);
    return 0;
  }
  override unlink(name: ByteString, target: Inode): 0 | Errno {
    const inode = target as TmpInode;
    this.leave(name, inode);
    inode.dropLink();
    return 0;
  }
  override rmdir(name: ByteString, target: Inode): 0 | Errno {
    const directory = target as TmpDirectory;
    const r = directory.complete();
    if (r !== 0) return r;
    if (directory.live > 0) return ENOTEMPTY;
    this.leave(name, directory);
    directory.die();
    return 0;
  }
  /** "." goes with the name. */
  private die(): void {
    this.dead = true;
    this.links = 1;
    this.dropLink();
  }

  override rename(
    oldName: ByteString,
    target: Inode,
    newParent: Inode,
    newName: ByteString,
    replaced: Inode | null,
    flags: number,
  ): 0 | Errno {
    const to = newParent as TmpDirectory;
    const inode = target as TmpInode;
    const other = replaced as TmpInode | null;
    if (to.dead) return ENOENT;
    if ((flags & RENAME_EXCHANGE) !== 0 && other !== null) {
      this.leave(oldName, inode);
      to.leave(newName, other);
      this.enter(oldName, other);
      to.enter(newName, inode);
      other.touchChange();
    } else {
      const r = other === null ? 0 : to.displace(newName, other);
      if (r !== 0) return r;
      this.leave(oldName, inode);
      to.enter(newName, inode);
      if ((flags & RENAME_WHITEOUT) !== 0) this.mknod(oldName, { mode: S_IFCHR, uid: 0, gid: 0 }, 0);
    }
    inode.touchChange();
    return 0;
  }
  private displace(name: ByteString, inode: TmpInode): 0 | Errno {
    return inode instanceof TmpDirectory ? this.rmdir(name, inode) : this.unlink(name, inode);
  }

  override open(_flags: number, _context: OpenContext): FileImpl | Errno {
    return new TmpDirectoryFile(this, this.index.cursor());
  }
}

class TmpDirectoryFile extends FileImpl {
  private readonly directory: TmpDirectory;
  private readonly cursor: DirCursor<IndexValue>;
  constructor(directory: TmpDirectory, cursor: DirCursor<IndexValue>) {
    super();
    this.directory = directory;
    this.cursor = cursor;
  }
  override read(): number {
    return EISDIR;
  }
  override pread(): number {
    return EISDIR;
  }
  override readdir(file: FileDescription, emit: EmitEntry, _task: Task): number {
    const { directory } = this;
    const r = directory.complete();
    if (r !== 0) return r;
    directory.touchAccess(file);
    if (file.position === 0) {
      if (!emit('.', directory.ino, direntType(directory.mode), 1)) return 0;
      file.position = 1;
    }
    if (file.position === 1) {
      const parent = file.path?.dentry.parent?.inode;
      const ino = parent instanceof TmpInode ? parent.ino : directory.ino;
      if (!emit('..', ino, direntType(directory.mode), FIRST_COOKIE)) return 0;
      file.position = FIRST_COOKIE;
    }
    file.position = this.cursor.read(file.position, (name, value, next) => value === null || emit(name, value.ino, value.direntType, next));
    return 0;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    if (whence === SEEK_END) return EINVAL;
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (!(target >= 0)) return EINVAL;
    file.position = target;
    return target;
  }
  override sync(): number {
    return 0;
  }
}
