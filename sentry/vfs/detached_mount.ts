/** Mounts that a descriptor holds before they have a place (open_tree(2), fsmount(2)), and filesystems in the making (fsopen(2)). */
import type { ByteString } from '../../lib/byte_string.ts';
import { FileDescription, FileImpl } from './file.ts';
import type { Filesystem } from './inode.ts';
import { discardTree } from './mount.ts';
import type { Mount } from './path.ts';

/** As O_PATH; a tree that never got a place goes with the descriptor. */
class DetachedTree extends FileImpl {
  readonly mount: Mount;
  /** It has been given a place: from then on the namespace owns it. */
  placed = false;
  constructor(mount: Mount) {
    super();
    this.mount = mount;
  }
  override release(): void {
    if (!this.placed) discardTree(this.mount);
  }
}

/** A descriptor for a detached tree; `flags` holds O_PATH. */
export function detachedTree(mount: Mount, flags: number): FileDescription {
  return new FileDescription(new DetachedTree(mount), flags, { mount, dentry: mount.root });
}

/** The tree of a descriptor if it has no place yet. */
export function unplacedTree(file: FileDescription): Mount | null {
  return file.impl instanceof DetachedTree && !file.impl.placed ? file.impl.mount : null;
}

export function markPlaced(file: FileDescription): void {
  if (file.impl instanceof DetachedTree) file.impl.placed = true;
}

/** What fsconfig(2) has collected. */
export class FilesystemContext extends FileImpl {
  readonly type: ByteString;
  source: ByteString = 'none';
  options: ByteString[] = [];
  readOnly = false;
  /** After FSCONFIG_CMD_CREATE, until fsmount(2) takes it. */
  made: Filesystem | null = null;
  /** fspick(2): the filesystem to reconfigure. */
  readonly picked: Mount | null;

  constructor(type: ByteString, picked: Mount | null) {
    super();
    this.type = type;
    this.picked = picked;
  }
  override release(): void {
    if (this.made !== null && this.made.mounts === 0) this.made.release();
  }
}
