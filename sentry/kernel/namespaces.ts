/** The namespaces a task is in, but for its pid namespace (namespaces(7)). Immutable: setns and unshare make a new set. */
import type { MountNamespace } from '../vfs/mount.ts';
import type { PidNamespace } from './pid_namespace.ts';

export class UtsNamespace {
  readonly id: number;
  nodename: string;
  domainname = '(none)';
  constructor(id: number, nodename: string) {
    this.id = id;
    this.nodename = nodename;
  }
}

/** System V IPC and POSIX queues hang here. */
export class IpcNamespace {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

/** The sandbox's network; one unless a guest unshares. */
export class NetNamespace {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

export interface Namespaces {
  readonly mount: MountNamespace;
  readonly uts: UtsNamespace;
  readonly ipc: IpcNamespace;
  readonly net: NetNamespace;
  /** Where the next fork puts children (setns, unshare of CLONE_NEWPID). */
  readonly pidForChildren: PidNamespace;
}
