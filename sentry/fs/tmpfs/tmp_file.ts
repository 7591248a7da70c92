/** Regular files of a tmpfs. */

import { EINVAL, EPERM, type Errno } from '../../../abi/errno.ts';
import { O_APPEND, SEEK_DATA, SEEK_HOLE } from '../../../abi/fcntl.ts';
import { F_SEAL_SEAL } from '../../../abi/memfd.ts';
import { S_ISGID, S_ISUID } from '../../../abi/stat.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking, SyscallResult } from '../../kernel/wait.ts';
import { type FileDescription, type FileImpl, type HostMapping, PositionedFile } from '../../vfs/file.ts';
import type { OpenContext } from '../../vfs/inode.ts';
import type { Sink, Source } from '../../vfs/io.ts';
import { credentialsOn } from '../../vfs/mount_id_map.ts';
import { modeAfterWrite } from '../../vfs/permission.ts';
import { FileData } from './file_data.ts';
import { TmpInode } from './tmp_inode.ts';

const FILE_CAPABILITIES = 'security.capability';

export class TmpFile extends TmpInode {
  private content: FileData | null = null;
  /** FileImpls that refer to it: the bytes outlive the last name for them. */
  openers = 0;

  get data(): FileData {
    return (this.content ??= new FileData(this.fs, this));
  }

  override get size(): number {
    return this.data.size;
  }
  protected override get blocks(): number {
    return this.data.blocks;
  }
  protected override resize(size: number): 0 | Errno {
    const r = this.data.truncate(size);
    if (r === 0) this.dropCapabilities();
    return r;
  }
  override open(_flags: number, _context: OpenContext): FileImpl | Errno {
    return new TmpFileImpl(this);
  }
  override unused(): void {
    if (this.openers > 0 || this.links > 0) return;
    this.content?.release();
    this.fs.inodeFreed();
  }
  /** Bytes have changed. */
  written(creds: Credentials): void {
    this.dropPrivileges(creds);
    this.touchModify();
  }
  /** A write takes file capabilities, and from those without the privilege to keep them setuid and setgid (inode(7), capabilities(7)). */
  dropPrivileges(creds: Credentials): void {
    if ((this.bits & (S_ISUID | S_ISGID)) !== 0) this.bits = modeAfterWrite(this, creds);
    this.dropCapabilities();
  }
  protected dropCapabilities(): void {
    if (this.xattrs !== null) this.xattrs.remove(FILE_CAPABILITIES);
    else if (this.xattrOrigin !== null && typeof this.getXattr(FILE_CAPABILITIES) !== 'number') this.removeXattr(FILE_CAPABILITIES);
  }
}

export class TmpFileImpl extends PositionedFile {
  protected readonly inode: TmpFile;

  constructor(inode: TmpFile) {
    super();
    this.inode = inode;
    inode.openers++;
  }
  size(): number {
    return this.inode.size;
  }
  override pread(dst: Sink, offset: number, file: FileDescription, task: Task): SyscallResult {
    const { disk } = this.inode.data;
    if (disk !== null) return disk.read(this.inode, dst, offset, file, task);
    const n = this.inode.data.read(dst, offset);
    if (n >= 0) this.inode.touchAccess(file);
    return n;
  }
  override pwrite(src: Source, offset: number, file: FileDescription, task: Task): SyscallResult {
    const { inode } = this;
    const at = (file.flags & O_APPEND) !== 0 ? inode.size : offset;
    const { disk } = inode.data;
    if (disk !== null) return disk.write(inode, src, at, file, task);
    const n = inode.data.write(src, at);
    if (n > 0) inode.written(credentialsOn(file.path?.mount, task.creds));
    return n;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    if (whence !== SEEK_DATA && whence !== SEEK_HOLE) return super.seek(file, offset, whence);
    const at = this.inode.data.seekExtent(offset, whence);
    if (at >= 0) file.position = at;
    return at;
  }
  override mapping(_file: FileDescription, _shared: boolean, _prot: number): HostMapping | Errno {
    const hostFd = this.inode.data.hostFd();
    return hostFd < 0 ? (hostFd as Errno) : { hostFd, offset: 0 };
  }
  override truncate(_file: FileDescription, size: number, creds: Credentials): number {
    const r = size < 0 ? EINVAL : this.inode.setAttributes({ size });
    if (r === 0) this.inode.dropPrivileges(creds);
    return r;
  }
  override allocate(_file: FileDescription, mode: number, offset: number, length: number, creds: Credentials, task: Task): SyscallResult {
    const r = this.inode.data.allocate(mode, offset, length, task);
    if (typeof r !== 'number') return this.allocated(r, creds);
    if (r === 0) this.inode.written(creds);
    return r;
  }
  private *allocated(allocating: Blocking, creds: Credentials): Blocking {
    const r = yield* allocating;
    if (r === 0) this.inode.written(creds);
    return r;
  }
  override giveBack(size: number, task: Task): Blocking | null {
    return this.inode.data.giveBack(size, task);
  }
  /** A file with a name can never be sealed. Overlays are no memory to those who use them. */
  override seals(): number {
    return this.inode.fs.type === 'tmpfs' ? F_SEAL_SEAL : super.seals();
  }
  override addSeals(seals: number): number {
    return this.inode.fs.type === 'tmpfs' ? EPERM : super.addSeals(seals);
  }
  override release(): void {
    this.inode.openers--;
    this.inode.unused();
  }
}
