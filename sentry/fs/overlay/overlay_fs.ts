/**
 * An overlay: a writable tmpfs over read-only directories (a container's image). What the lower layers hold is wrapped when it is looked
 * up; from then on its attributes are kept here and the lower layer is asked for content alone, until somebody writes.
 *
 * The lower layers must not change underneath. Because all upper state is in memory, directories can be renamed as they are (they
 * keep their lower halves), a directory whose names are all known needs no whiteouts, and inode numbers are those of the lower layer.
 */
import type { Errno } from '../../../abi/errno.ts';
import { major, minor, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import { OVERLAYFS_SUPER_MAGIC } from '../../../abi/statfs.ts';
import type { Attributes, FilesystemStats, Inode } from '../../vfs/inode.ts';
import type { TmpDirectory } from '../tmpfs/tmp_directory.ts';
import type { TmpInode } from '../tmpfs/tmp_inode.ts';
import { type BackingStore, DEFAULT_TMPFS_OPTIONS, TmpFs, type TmpFsEnvironment, type TmpFsOptions } from '../tmpfs/tmpfs.ts';
import { OverlayDirectory } from './overlay_directory.ts';
import { OverlayFile } from './overlay_file.ts';
import { OverlaySpecial, OverlaySymlink } from './overlay_node.ts';

/** Inode numbers of new files begin here, above those of the lower layers. */
const FIRST_INO = 2 ** 40;

/** On a disk, its room is the limit: what statfs(2) then shows. */
const STORE_SIZE = 2 ** 50;

/** Limits of the upper half. */
export type OverlayOptions = Pick<TmpFsOptions, 'size' | 'inodes'>;

export class OverlayFs extends TmpFs {
  override readonly type: string = 'overlay';
  private readonly lowerRoots: readonly Inode[];
  /** Lower files with several names, by filesystem and number: one object whichever name leads to it. */
  private readonly linked = new Map<string, TmpInode>();

  /** `lowers`: directories, the topmost first; at least one. */
  constructor(
    env: TmpFsEnvironment,
    dev: number,
    lowers: readonly Inode[],
    options: OverlayOptions = { size: null, inodes: null },
    store: BackingStore | null = null,
  ) {
    super(env, dev, { ...DEFAULT_TMPFS_OPTIONS, ...options }, FIRST_INO, store);
    this.lowerRoots = lowers;
  }

  protected override makeRoot(): TmpDirectory {
    return new OverlayDirectory(this, (this.lowerRoots[0] as Inode).attributes(), this.lowerRoots);
  }

  /** A program that fills its root is told so before the sandbox runs out of memory. */
  protected override get defaultSize(): number {
    return this.store === null ? this.env.system.memory : STORE_SIZE;
  }

  /** The object for what a lower layer has under some name. `directories`: all layers' halves of a directory. */
  wrap(lower: Inode, directories: readonly Inode[]): TmpInode | Errno {
    const attributes = lower.attributes();
    const type = attributes.mode & S_IFMT;
    if (type === S_IFDIR) return this.adopt(new OverlayDirectory(this, attributes, directories));
    if (attributes.nlink < 2) return this.wrapFile(lower, attributes, type);
    const key = `${lower.fs.dev}:${attributes.ino}`;
    const known = this.linked.get(key);
    if (known !== undefined) return known;
    const made = this.wrapFile(lower, attributes, type);
    if (typeof made !== 'number') this.linked.set(key, made);
    return made;
  }

  private wrapFile(lower: Inode, attributes: Attributes, type: number): TmpInode | Errno {
    if (type === S_IFREG) return this.adopt(new OverlayFile(this, attributes, lower));
    if (type !== S_IFLNK) return this.adopt(new OverlaySpecial(this, attributes, lower));
    const target = lower.readlink(null);
    return typeof target === 'number' ? target : this.adopt(new OverlaySymlink(this, attributes, lower, target));
  }
  private adopt(inode: TmpInode): TmpInode {
    this.inodeAdopted();
    return inode;
  }

  /** The lower layers go with it, unless they are mounted themselves. */
  override release(): void {
    super.release();
    for (const { fs } of this.lowerRoots) if (fs.mounts === 0) fs.release();
  }

  override stats(): FilesystemStats {
    const host = this.settings.size === null ? (this.store?.stats() ?? null) : null;
    return { ...super.stats(), ...host, type: OVERLAYFS_SUPER_MAGIC };
  }
}

/** A lower layer's own whiteout: character device 0:0. */
export function isWhiteout(inode: Inode): boolean {
  if ((inode.mode & S_IFMT) !== S_IFCHR) return false;
  const { rdev } = inode.attributes();
  return major(rdev) === 0 && minor(rdev) === 0;
}
