/** The namespaces a task is in, but for its pid namespace (namespaces(7)). Immutable: setns and unshare make a new set. */

import { EPERM, type Errno } from '../../abi/errno.ts';
import { CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS } from '../../abi/sched.ts';
import { MqueueFilesystem } from '../fs/mqueue/mqueue.ts';
import { MessageQueueTable } from '../ipc/msg.ts';
import { SemaphoreTable } from '../ipc/sem.ts';
import { ShmTable } from '../ipc/shm.ts';
import { cloneNamespace, type MountNamespace } from '../vfs/mount.ts';
import type { VfsPath } from '../vfs/path.ts';
import { CAP_SYS_ADMIN, type Credentials, hasOwnCap } from './credentials.ts';
import type { Kernel } from './kernel.ts';
import { PidNamespace } from './pid_namespace.ts';
import type { Task } from './task.ts';
import type { TimeNamespace } from './time_namespace.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from './user_namespace.ts';

export class UtsNamespace {
  readonly id: number;
  readonly owner: UserNamespace;
  nodename: string;
  domainname = '(none)';
  constructor(id: number, nodename: string, owner = ROOT_USER_NAMESPACE) {
    this.id = id;
    this.nodename = nodename;
    this.owner = owner;
  }
  copy(id: number, owner: UserNamespace): UtsNamespace {
    const copy = new UtsNamespace(id, this.nodename, owner);
    copy.domainname = this.domainname;
    return copy;
  }
}

/** System V IPC and POSIX queues hang here. */
export class IpcNamespace {
  readonly id: number;
  readonly shm = new ShmTable();
  readonly sem = new SemaphoreTable();
  readonly msg = new MessageQueueTable();
  readonly owner: UserNamespace;
  /** Made by unshare(2) or clone(2): it ends with its last task. A container's own lasts as long as the container. */
  temporary = false;
  private queues: MqueueFilesystem | null = null;
  constructor(id: number, owner = ROOT_USER_NAMESPACE) {
    this.id = id;
    this.owner = owner;
  }
  /** POSIX message queues, which are files of it. */
  mqueue(kernel: Kernel): MqueueFilesystem {
    this.queues ??= new MqueueFilesystem(kernel);
    return this.queues;
  }
}

/** The sandbox's network; one unless a guest unshares. */
export class NetNamespace {
  readonly id: number;
  readonly owner: UserNamespace;
  /** What was written below /proc/sys/net, by path below /proc/sys; absent: the value it starts with. */
  readonly sysctl = new Map<string, string>();
  /** Made by unshare(2) or clone(2): lo begins down, where a container's is up. */
  bare = false;
  /** Open files that keep it: sockets, devices, its own in nsfs. Pair with `releaseNetwork`. */
  handles = 0;
  ended = false;
  constructor(id: number, owner = ROOT_USER_NAMESPACE) {
    this.id = id;
    this.owner = owner;
  }
}

export interface Namespaces {
  readonly mount: MountNamespace;
  readonly uts: UtsNamespace;
  readonly ipc: IpcNamespace;
  readonly net: NetNamespace;
  /** Where the next fork puts children (setns, unshare of CLONE_NEWPID). */
  readonly pidForChildren: PidNamespace;
  readonly time: TimeNamespace;
  /** Where children and the next program are. */
  readonly timeForChildren: TimeNamespace;
}

export interface NewNamespaces {
  readonly namespaces: Namespaces;
  /** With a new mount namespace: where a place of the old one is in it. The task's root and working directory move along. */
  readonly relocate: ((path: VfsPath) => VfsPath) | null;
}

function bareNetwork(kernel: Kernel, owner: UserNamespace): NetNamespace {
  const net = new NetNamespace(kernel.uniqueId(), owner);
  net.bare = true;
  return net;
}
function temporaryIpc(kernel: Kernel, owner: UserNamespace): IpcNamespace {
  const ipc = new IpcNamespace(kernel.uniqueId(), owner);
  ipc.temporary = true;
  return ipc;
}

/**
 * clone(2), unshare(2): the set with fresh ones for CLONE_NEW* in `flags`, owned by the user namespace of `creds`, which are those
 * after CLONE_NEWUSER. EPERM without CAP_SYS_ADMIN there.
 */
export function cloneNamespaces(task: Task, flags: number, creds: Credentials): NewNamespaces | Errno {
  const now = task.namespaces;
  if ((flags & ~CLONE_NEWUSER) === 0) return { namespaces: now, relocate: null };
  if (!hasOwnCap(creds, CAP_SYS_ADMIN)) return EPERM;
  const { kernel } = task;
  const owner = creds.namespace;
  const mounts = (flags & CLONE_NEWNS) !== 0 ? cloneNamespace(kernel, now.mount, owner) : null;
  if (mounts !== null) mounts.ns.temporary = true;
  const namespaces = {
    mount: mounts?.ns ?? now.mount,
    uts: (flags & CLONE_NEWUTS) !== 0 ? now.uts.copy(kernel.uniqueId(), owner) : now.uts,
    ipc: (flags & CLONE_NEWIPC) !== 0 ? temporaryIpc(kernel, owner) : now.ipc,
    net: (flags & CLONE_NEWNET) !== 0 ? bareNetwork(kernel, owner) : now.net,
    pidForChildren: (flags & CLONE_NEWPID) !== 0 ? new PidNamespace(now.pidForChildren, kernel.uniqueId(), owner) : now.pidForChildren,
    time: now.time,
    timeForChildren: (flags & CLONE_NEWTIME) !== 0 ? now.timeForChildren.copy(kernel.uniqueId(), owner) : now.timeForChildren,
  };
  return { namespaces, relocate: mounts?.translate ?? null };
}
