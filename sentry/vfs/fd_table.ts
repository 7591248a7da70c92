/** A file descriptor table (open(2), dup(2), close_range(2)), shared by the tasks of CLONE_FILES. */
import { EBADF, EMFILE, type Errno } from '../../abi/errno.ts';
import type { FileDescription } from './file.ts';

/** fs.nr_open: no descriptor number reaches it, whatever RLIMIT_NOFILE says. */
export const NR_OPEN = 1_048_576;

export class FdTable {
  private readonly files: (FileDescription | undefined)[] = [];
  private readonly cloexec = new Set<number>();
  /** No free number below it. */
  private firstFree = 0;
  private users = 1;

  /** The open file, or EBADF. The caller does not own it: hold() it before waiting. */
  get(fd: number): FileDescription | Errno {
    return this.files[fd] ?? EBADF;
  }

  /** The number that `install` would give. */
  lowestFree(min = 0): number {
    let fd = Math.max(min, this.firstFree);
    while (this.files[fd] !== undefined) fd++;
    return fd;
  }

  /** Lowest free number >= min, below limit (RLIMIT_NOFILE). Takes the caller's reference on success; EMFILE: still the caller's. */
  install(file: FileDescription, cloexec: boolean, limit: number, min = 0): number {
    const fd = this.lowestFree(min);
    if (fd >= Math.min(limit, NR_OPEN)) return EMFILE;
    this.files[fd] = file;
    if (cloexec) this.cloexec.add(fd);
    if (min <= this.firstFree) this.firstFree = fd + 1;
    return fd;
  }

  /** dup3(2): puts the file at `fd`; gives back what was there, for the caller to close. */
  replace(fd: number, file: FileDescription, cloexec: boolean): FileDescription | undefined {
    const old = this.files[fd];
    this.files[fd] = file;
    if (cloexec) this.cloexec.add(fd);
    else this.cloexec.delete(fd);
    return old;
  }

  /** Takes the file out: its reference is the caller's. */
  remove(fd: number): FileDescription | Errno {
    const file = this.files[fd];
    if (file === undefined) return EBADF;
    this.files[fd] = undefined;
    this.cloexec.delete(fd);
    if (fd < this.firstFree) this.firstFree = fd;
    return file;
  }

  isCloexec(fd: number): boolean {
    return this.cloexec.has(fd);
  }
  setCloexec(fd: number, on: boolean): void {
    if (on) this.cloexec.add(fd);
    else this.cloexec.delete(fd);
  }

  /** Open numbers in ascending order. */
  *numbers(): Generator<number> {
    for (let fd = 0; fd < this.files.length; fd++) if (this.files[fd] !== undefined) yield fd;
  }

  /** A copy for fork(2): every file gets one more reference. */
  fork(): FdTable {
    const copy = new FdTable();
    for (const fd of this.numbers()) copy.files[fd] = (this.files[fd] as FileDescription).hold();
    for (const fd of this.cloexec) copy.cloexec.add(fd);
    copy.firstFree = this.firstFree;
    return copy;
  }

  share(): this {
    this.users++;
    return this;
  }
  get shared(): boolean {
    return this.users > 1;
  }
  /** One task leaves; the last one closes everything through `close`. */
  release(close: (file: FileDescription) => void): void {
    if (--this.users > 0) return;
    for (const fd of this.numbers()) close(this.remove(fd) as FileDescription);
  }
  /** execve(2): the close-on-exec files, taken out. */
  takeCloexec(): FileDescription[] {
    return [...this.cloexec].map((fd) => this.remove(fd) as FileDescription);
  }
}
