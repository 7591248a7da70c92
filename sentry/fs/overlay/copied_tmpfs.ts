/** A tmpfs that begins with what lies at its place (mount option tmpcopyup): nothing is copied before it changes, and nothing below it can change. */
import { TMPFS_MAGIC } from '../../../abi/statfs.ts';
import type { AttributeChange, FilesystemStats, Inode } from '../../vfs/inode.ts';
import type { TmpFsEnvironment, TmpFsOptions } from '../tmpfs/tmpfs.ts';
import { OverlayFs } from './overlay_fs.ts';

export class CopiedTmpFs extends OverlayFs {
  override readonly type = 'tmpfs';

  /** `given`: what the options say of the root; the rest is as below. */
  constructor(env: TmpFsEnvironment, dev: number, below: Inode, options: TmpFsOptions, given: AttributeChange) {
    super(env, dev, [below], options);
    this.root.setAttributes(given);
  }
  protected override get defaultSize(): number {
    return this.env.system.memory / 2;
  }
  override stats(): FilesystemStats {
    return { ...super.stats(), type: TMPFS_MAGIC };
  }
}
