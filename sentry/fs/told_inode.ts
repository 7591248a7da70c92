/** An object whose attributes somebody else has, who told them. */
import { type Attributes, type Filesystem, Inode } from '../vfs/inode.ts';

export abstract class ToldInode extends Inode {
  /** As told last. */
  protected known: Attributes;

  constructor(fs: Filesystem, known: Attributes) {
    super(fs);
    this.known = known;
  }
  override get mode(): number {
    return this.known.mode;
  }
  override get uid(): number {
    return this.known.uid;
  }
  override get gid(): number {
    return this.known.gid;
  }
}
