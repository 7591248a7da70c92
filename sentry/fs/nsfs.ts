/** nsfs: what the links of /proc/PID/ns lead to. An open file keeps a namespace and names it to setns(2). */
import type { Errno } from '../../abi/errno.ts';
import { EINVAL, ENOTTY, EPERM } from '../../abi/errno.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { S_IFREG } from '../../abi/stat.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { endMountsUnlessUsed, releaseNetwork } from '../kernel/namespace_end.ts';
import { NetNamespace } from '../kernel/namespaces.ts';
import type { PidNamespace } from '../kernel/pid_namespace.ts';
import type { Task } from '../kernel/task.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import { FileDescription, FileImpl } from '../vfs/file.ts';
import { MountNamespace } from '../vfs/mount.ts';
import type { VfsPath } from '../vfs/path.ts';
import { AnonymousInode } from './anonfs.ts';

/** As in the link's name; clone(2)'s flag of each. */
export const NAMESPACE_TYPES = {
  cgroup: 0x02000000,
  ipc: 0x08000000,
  mnt: 0x00020000,
  net: 0x40000000,
  pid: 0x20000000,
  time: 0x00000080,
  user: 0x10000000,
  uts: 0x04000000,
} as const;
export type NamespaceType = keyof typeof NAMESPACE_TYPES;

/** Numbers as Linux's first namespaces have them; the others count on from here. */
const FIRST_INO = 4_026_532_000;
const INITIAL: Readonly<Partial<Record<NamespaceType, number>>> = { cgroup: 4_026_531_835, time: 4_026_531_834 };
const FIRST_USER_INO = 4_026_531_837;

/** The namespace object of `task`; null for the kinds of which there is one. `forChildren`: pid_for_children. */
export function namespaceOf(task: Task, type: NamespaceType, forChildren = false): { readonly id: number } | null {
  const { namespaces } = task;
  switch (type) {
    case 'mnt':
      return namespaces.mount;
    case 'uts':
      return namespaces.uts;
    case 'ipc':
      return namespaces.ipc;
    case 'net':
      return namespaces.net;
    case 'pid':
      return forChildren ? namespaces.pidForChildren : task.pidNamespace;
    case 'time':
      return forChildren ? namespaces.timeForChildren : namespaces.time;
    case 'user':
      return task.creds.namespace;
    default:
      return null;
  }
}

/** The user namespace that owns it; of a user namespace its parent. */
function ownerOf(type: NamespaceType, namespace: { readonly id: number } | null): UserNamespace | null {
  if (type === 'user') return (namespace as UserNamespace).parent;
  return (namespace as { readonly owner?: UserNamespace } | null)?.owner ?? ROOT_USER_NAMESPACE;
}

export function namespaceIno(type: NamespaceType, namespace: { readonly id: number } | null): number {
  if (namespace === ROOT_USER_NAMESPACE) return FIRST_USER_INO;
  return namespace === null ? (INITIAL[type] as number) : FIRST_INO + namespace.id;
}

// ioctl_ns(2)
const NS_GET_USERNS = 0xb701;
const NS_GET_PARENT = 0xb702;
const NS_GET_NSTYPE = 0xb703;
const NS_GET_OWNER_UID = 0xb704;

export class NamespaceFile extends FileImpl {
  readonly type: NamespaceType;
  /** Null: the only one of its kind. */
  readonly namespace: { readonly id: number } | null;
  private readonly kernel: Kernel;

  constructor(kernel: Kernel, type: NamespaceType, namespace: { readonly id: number } | null) {
    super();
    this.kernel = kernel;
    this.type = type;
    this.namespace = namespace;
    if (namespace instanceof MountNamespace || namespace instanceof NetNamespace) namespace.handles++;
  }
  override release(): void {
    const { namespace } = this;
    if (namespace instanceof NetNamespace) releaseNetwork(this.kernel, namespace);
    if (!(namespace instanceof MountNamespace)) return;
    namespace.handles--;
    endMountsUnlessUsed(this.kernel, namespace);
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): number {
    switch (command) {
      case NS_GET_NSTYPE:
        return NAMESPACE_TYPES[this.type];
      case NS_GET_OWNER_UID:
        if (this.type !== 'user') return EINVAL;
        return task.writeU32(argument, task.creds.namespace.uids.shown((this.namespace as UserNamespace).owner));
      case NS_GET_USERNS:
        return this.user(task, ownerOf(this.type, this.namespace));
      case NS_GET_PARENT:
        return this.parent(task);
      default:
        return ENOTTY;
    }
  }
  /** What lies above the caller's own namespace is out of its sight. */
  private user(task: Task, namespace: UserNamespace | null): number {
    return namespace === null || !task.creds.namespace.contains(namespace) ? EPERM : openNamespace(task, 'user', namespace);
  }
  private parent(task: Task): number {
    if (this.type === 'user') return this.user(task, (this.namespace as UserNamespace).parent);
    if (this.type !== 'pid') return EINVAL;
    const { parent } = this.namespace as PidNamespace;
    return parent === null || !task.pidNamespace.contains(parent) ? EPERM : openNamespace(task, 'pid', parent);
  }
}

/** A close-on-exec descriptor of a namespace. */
function openNamespace(task: Task, type: NamespaceType, namespace: { readonly id: number } | null): number {
  const file = new FileDescription(new NamespaceFile(task.kernel, type, namespace), O_RDONLY, namespacePath(task.kernel, type, namespace));
  const fd = task.fds.install(file, true, task.openFileLimit);
  if (fd < 0) file.release();
  return fd;
}

class NamespaceInode extends AnonymousInode {
  override readonly standsFor: object | null;
  private readonly file: () => FileImpl;
  constructor(kernel: Kernel, ino: number, namespace: object | null, file: () => FileImpl) {
    super(kernel.anonymous.filesystem('nsfs'), ino, S_IFREG | 0o444, 0, 0, kernel.anonymous.timestamp());
    this.standsFor = namespace;
    this.file = file;
  }
  override open(): FileImpl | Errno {
    return this.file();
  }
}

/** "mnt:[4026532123]": the place that a link leads to. */
export function namespacePath(kernel: Kernel, type: NamespaceType, namespace: { readonly id: number } | null): VfsPath {
  const ino = namespaceIno(type, namespace);
  const inode = new NamespaceInode(kernel, ino, namespace, () => new NamespaceFile(kernel, type, namespace));
  return kernel.anonymous.place(inode, `${type}:[${ino}]`);
}
