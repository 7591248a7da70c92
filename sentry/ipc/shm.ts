/** System V shared memory: segments that are host memfds, mapped like files. */
import { EIDRM, EINVAL, type Errno } from '../../abi/errno.ts';
import { O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import { SHM_DEST, SHM_LOCKED } from '../../abi/ipc.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { MemfdFile, type MemfdInode, makeMemfd } from '../fs/memfd.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { FileDescription } from '../vfs/file.ts';
import { IpcObject, IpcTable, seconds } from './ipc_object.ts';

/** kernel.shmmni, kernel.shmmax: SHMMAX is Linux's, the host's memory is the true limit. */
export const SHMMNI = 4096;
export const SHMMAX = Number.MAX_SAFE_INTEGER - 0xff_ffff;
export const SHMALL = SHMMAX;

export class ShmSegment extends IpcObject {
  readonly size: number;
  attachTime = 0;
  detachTime = 0;
  readonly creator: ThreadGroup;
  lastProcess: ThreadGroup | null = null;
  locked = false;
  private readonly table: ShmTable;
  private readonly inode: MemfdInode;
  /** The segment's own reference, until IPC_RMID. Mappings for reading and writing hold it as well. */
  private base: FileDescription;
  /** What read-only mappings hold; null while there are none. */
  private readOnly: FileDescription | null = null;

  constructor(task: Task, table: ShmTable, key: number, size: number, mode: number, base: FileDescription) {
    super(task, key, mode);
    this.table = table;
    this.size = size;
    this.creator = task.group;
    this.base = base;
    this.inode = base.inode as MemfdInode;
    base.addReleaseHook(() => this.released());
  }

  /** For mmap; the caller releases it when it has mapped. */
  open(readOnly: boolean): FileDescription | Errno {
    if (!readOnly) return this.base.referenceCount > 0 ? this.base.hold() : this.reopen();
    if (this.readOnly !== null) return this.readOnly.hold();
    const file = new FileDescription(new MemfdFile(this.inode), O_RDONLY, this.base.path);
    file.addReleaseHook(() => {
      this.readOnly = null;
      this.released();
    });
    this.readOnly = file;
    return file;
  }
  /** After IPC_RMID, when only read-only mappings were left. */
  private reopen(): FileDescription | Errno {
    if (this.readOnly === null) return EIDRM;
    this.base = new FileDescription(new MemfdFile(this.inode), O_RDWR, this.base.path);
    this.base.addReleaseHook(() => this.released());
    return this.base;
  }
  /** Mappings of the segment; one that mprotect(2) has cut counts for each part. */
  get attached(): number {
    const own = this.removed ? 0 : 1;
    return Math.max(0, this.base.referenceCount - own) + (this.readOnly?.referenceCount ?? 0);
  }
  owns(file: FileDescription): boolean {
    return file.inode === this.inode;
  }
  /** IPC_RMID: gone when the last mapping is. */
  destroy(): void {
    if (this.removed) return;
    this.removed = true;
    this.table.forgetKey(this);
    this.base.release();
  }
  private released(): void {
    if (this.removed && this.readOnly === null && this.base.referenceCount <= 0) this.table.remove(this);
  }

  /** shm_perm.mode with its flags. */
  get modeWithFlags(): number {
    return this.mode | (this.removed ? SHM_DEST : 0) | (this.locked ? SHM_LOCKED : 0);
  }
  noteAttach(task: Task): void {
    this.attachTime = seconds(task);
    this.lastProcess = task.group;
  }
  noteDetach(task: Task): void {
    this.detachTime = seconds(task);
    this.lastProcess = task.group;
  }
}

export class ShmTable extends IpcTable<ShmSegment> {
  constructor() {
    super(SHMMNI);
  }
  /** EINVAL for a size of 0. */
  create(task: Task, key: number, size: number, mode: number): ShmSegment | Errno {
    if (size < 1 || size > SHMMAX) return EINVAL;
    const length = Math.ceil(size / PAGE_SIZE) * PAGE_SIZE;
    const name = `/SYSV${(key >>> 0).toString(16).padStart(8, '0')} (deleted)`;
    const file = makeMemfd(task, name, { mode: mode & 0o777, sealing: false, size: length });
    return typeof file === 'number' ? file : new ShmSegment(task, this, key, size, mode, file);
  }
  /** The segment that a mapped file belongs to. */
  ownerOf(file: FileDescription): ShmSegment | null {
    for (const segment of this.objects()) if (segment.owns(file)) return segment;
    return null;
  }
}
