/** Filesystems that mount(2) and a container's specification can name. */
import { ENODEV, type Errno } from '../../abi/errno.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';
import type { Filesystem } from './inode.ts';

export interface MountRequest {
  /** mount(2)'s first argument. */
  readonly source: string;
  /** The options that are no MS_* flags: "size=64k,mode=755". */
  readonly data: string;
  /** Null when the kernel mounts by itself. */
  readonly task: Task | null;
}

/** A filesystem for one mount, new or shared with earlier ones (sysfs, proc of one pid namespace). */
export type MakeFilesystem = (kernel: Kernel, request: MountRequest) => Filesystem | Errno;

/** Owned by the Kernel; filled at boot. */
export class FilesystemTypes {
  private readonly types = new Map<string, MakeFilesystem>();

  register(name: string, make: MakeFilesystem): void {
    this.types.set(name, make);
  }
  /** ENODEV: no such type. */
  make(name: string, kernel: Kernel, request: MountRequest): Filesystem | Errno {
    const make = this.types.get(name);
    return make === undefined ? ENODEV : make(kernel, request);
  }
  has(name: string): boolean {
    return this.types.has(name);
  }
  /** /proc/filesystems: none of them needs a block device. */
  text(): string {
    return [...this.types.keys()].map((name) => `nodev\t${name}\n`).join('');
  }
}
