/** Directories of an overlay: the index of a tmpfs directory, filled from the lower layers name by name, or all at once. */
import { ENOENT, type Errno } from '../../../abi/errno.ts';
import { O_DIRECTORY, O_RDONLY } from '../../../abi/fcntl.ts';
import { S_IFCHR } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { rootCredentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { type EmitEntry, FileDescription } from '../../vfs/file.ts';
import type { Attributes, Inode, WalkAhead } from '../../vfs/inode.ts';
import { Dentry, Mount } from '../../vfs/path.ts';
import { TmpDirectory, type UnseenName } from '../tmpfs/tmp_directory.ts';
import { TmpInode } from '../tmpfs/tmp_inode.ts';
import { isWhiteout, type OverlayFs } from './overlay_fs.ts';

const DT_CHR = S_IFCHR >> 12;
/** Marks a lower directory that hides those below it (overlayfs's format). */
const OPAQUE = 'trusted.overlay.opaque';

export class OverlayDirectory extends TmpDirectory {
  declare readonly fs: OverlayFs;
  /** Its halves in the lower layers, topmost first. */
  private readonly lowers: readonly Inode[];
  /** Every name of the lower layers is in the index, or has been taken away: nobody need ask them. */
  private merged: boolean;
  private readonly lowerSize: number;
  private readonly lowerBlocks: number;

  constructor(fs: OverlayFs, attributes: Attributes, lowers: readonly Inode[]) {
    super(fs, attributes.ino, attributes, attributes);
    this.lowers = lowers;
    this.merged = lowers.length === 0;
    this.links = attributes.nlink;
    this.lowerSize = attributes.size;
    this.lowerBlocks = attributes.blocks;
    const [top] = lowers;
    if (top !== undefined) this.takeXattrsFrom(top);
  }

  /** It must not change by being looked at. */
  override get size(): number {
    return this.lowerSize;
  }

  protected override get blocks(): number {
    return this.lowerBlocks;
  }

  override lookup(name: ByteString, task: Task | null, ahead?: WalkAhead): Inode | Errno {
    const known = this.index.get(name);
    if (known instanceof TmpInode) return known;
    if (known === null || (known === undefined && this.merged)) return ENOENT;
    const inode = this.lookupLower(name, task, ahead);
    if (typeof inode === 'number') return inode;
    this.index.set(name, inode);
    if (known === undefined) this.live++;
    return inode;
  }

  private lookupLower(name: ByteString, task: Task | null, ahead: WalkAhead | undefined): TmpInode | Errno {
    const directories: Inode[] = [];
    for (const lower of this.lowers) {
      const found = lower.lookup(name, task, ahead);
      if (found === ENOENT) continue;
      if (typeof found === 'number') return found;
      if (isWhiteout(found)) break;
      if (!found.isDirectory) {
        if (directories.length > 0) break; // a directory hides a file of the same name further down
        return this.fs.wrap(found, []);
      }
      directories.push(found);
      // Only where there is more below does the mark matter.
      if (this.lowers.length > 1 && typeof found.getXattr(OPAQUE) !== 'number') break;
    }
    const [top] = directories;
    return top === undefined ? ENOENT : this.fs.wrap(top, directories);
  }

  override complete(): 0 | Errno {
    if (this.merged) return 0;
    const hidden = new Set<ByteString>();
    for (const lower of this.lowers) {
      const r = this.mergeNames(lower, hidden);
      if (r !== 0) return r;
    }
    this.merged = true;
    return 0;
  }

  private mergeNames(lower: Inode, hidden: Set<ByteString>): 0 | Errno {
    const whiteouts: ByteString[] = [];
    const r = listNames(lower, (name, ino, type) => {
      if (name === '.' || name === '..' || hidden.has(name)) return true;
      if (type === DT_CHR && this.isHidden(lower, name)) whiteouts.push(name);
      else if (!this.index.has(name)) {
        const unseen: UnseenName = { ino, direntType: type };
        this.index.set(name, unseen);
        this.live++;
      }
      return true;
    });
    for (const name of whiteouts) hidden.add(name);
    return r;
  }
  private isHidden(lower: Inode, name: ByteString): boolean {
    const found = lower.lookup(name, null);
    return typeof found !== 'number' && isWhiteout(found);
  }

  /** The name must stay away although a lower layer has it: once all names are known, absence says so. */
  protected override forget(name: ByteString): void {
    if (this.complete() === 0) this.index.delete(name);
    else this.index.set(name, null);
  }
}

/** Every entry of a lower directory. */
function listNames(lower: Inode, emit: EmitEntry): 0 | Errno {
  // Lower layers are seen by no mount: the place only serves the open.
  const path = { mount: new Mount(0, lower.fs, new Dentry('', null, lower), 0, ''), dentry: new Dentry('', null, lower) };
  const impl = lower.open(O_RDONLY | O_DIRECTORY, { path, creds: rootCredentials(), task: null });
  if (typeof impl === 'number') return impl;
  const file = new FileDescription(impl, O_RDONLY | O_DIRECTORY, path);
  try {
    for (;;) {
      const before = file.position;
      // Filesystems that serve as lower layers show every process the same: no task.
      const r = impl.readdir(file, emit, null as unknown as Task);
      if (r < 0) return r as Errno;
      if (file.position === before) return 0;
    }
  } finally {
    file.release();
  }
}
