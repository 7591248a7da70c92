/** Filesystems that mount(2) and a container's specification can name. */
import { ENODEV, type Errno } from '../../abi/errno.ts';
import type { Credentials } from '../kernel/credentials.ts';
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
  /** Who mounts: its namespace numbers the owners that options name. */
  readonly creds: Credentials;
  /** "sshfs" of "fuse.sshfs"; else ''. */
  readonly subtype: string;
}

/** A filesystem for one mount, new or shared with earlier ones (sysfs, proc of one pid namespace). */
export type MakeFilesystem = (kernel: Kernel, request: MountRequest) => Filesystem | Errno;

/** Owned by the Kernel; filled at boot. */
export class FilesystemTypes {
  private readonly types = new Map<string, { readonly make: MakeFilesystem; readonly subtypes: boolean }>();

  /** subtypes: "name.anything" is meant as well. */
  register(name: string, make: MakeFilesystem, { subtypes = false } = {}): void {
    this.types.set(name, { make, subtypes });
  }
  /** ENODEV: no such type. */
  make(name: string, kernel: Kernel, request: Omit<MountRequest, 'subtype'>): Filesystem | Errno {
    const type = this.typeOf(name);
    const row = type === null ? undefined : this.types.get(type);
    return row === undefined ? ENODEV : row.make(kernel, { ...request, subtype: name.slice((type as string).length + 1) });
  }
  has(name: string): boolean {
    return this.typeOf(name) !== null;
  }
  /** The registered type that a name means: itself, or what stands before its first dot. Null: there is none. */
  typeOf(name: string): string | null {
    if (this.types.has(name)) return name;
    const type = name.split('.', 1)[0] as string;
    return this.types.get(type)?.subtypes ? type : null;
  }
  /** /proc/filesystems: none of them needs a block device. */
  text(): string {
    return [...this.types.keys()].map((name) => `nodev\t${name}\n`).join('');
  }
}
