/** Symbolic links, fifos, sockets and device nodes of a lower layer. */
import type { ByteString } from '../../../lib/byte_string.ts';
import type { Attributes, Inode } from '../../vfs/inode.ts';
import { TmpSpecial, TmpSymlink } from '../tmpfs/tmp_inode.ts';
import type { TmpFs } from '../tmpfs/tmpfs.ts';

export class OverlaySymlink extends TmpSymlink {
  constructor(fs: TmpFs, attributes: Attributes, lower: Inode, target: ByteString) {
    super(fs, attributes.ino, attributes, target, attributes);
    this.links = attributes.nlink;
    this.takeXattrsFrom(lower);
  }
}

export class OverlaySpecial extends TmpSpecial {
  constructor(fs: TmpFs, attributes: Attributes, lower: Inode) {
    super(fs, attributes.ino, attributes, attributes.rdev, attributes);
    this.links = attributes.nlink;
    this.takeXattrsFrom(lower);
  }
}
