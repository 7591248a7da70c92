/** What all AF_UNIX sockets have (unix(7)): a name, credentials of the peer, a place in the kernel's list. */
import { EADDRINUSE, ECONNREFUSED, EEXIST, EINVAL, ENODATA, ENOPROTOOPT, EOPNOTSUPP, type Errno, isErrno } from '../../../abi/errno.ts';
import { AT_FDCWD } from '../../../abi/fcntl.ts';
import { AF_UNIX, SO_PEERCRED, SO_PEERGROUPS, SO_PEERPIDFD, SO_PEERSEC, SOL_SOCKET } from '../../../abi/socket.ts';
import { S_IFMT, S_IFSOCK } from '../../../abi/stat.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import { makeNode } from '../../vfs/create.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Inode } from '../../vfs/inode.ts';
import { credentialsOn } from '../../vfs/mount_id_map.ts';
import { checkPermission, MAY_WRITE } from '../../vfs/permission.ts';
import { LOOKUP_FOLLOW, resolve } from '../../vfs/walk.ts';
import { encodeUcred, type SenderCredentials } from '../control_message.ts';
import { Socket } from '../socket.ts';
import { decodeUnixAddress, encodeUnixAddress, isAbstract, pathOf, type UnixAddress } from './address.ts';
import type { RightsHolder } from './in_flight.ts';

/** The peer of a connection as it was when connect(2), listen(2) or socketpair(2) ran. */
export interface PeerCredentials extends SenderCredentials {
  readonly groups: readonly number[];
}

export function peerCredentials(task: Task): PeerCredentials {
  return { process: task.group, uid: task.creds.euid, gid: task.creds.egid, groups: task.creds.groups };
}

export abstract class UnixSocket extends Socket implements RightsHolder {
  readonly net: NetNamespace;
  address: UnixAddress = '';
  /** SO_PEERCRED; null: never connected. */
  peerCreds: PeerCredentials | null = null;
  closed = false;
  /** SO_ERROR. */
  protected error = 0;
  /** The socket file that leads here. */
  protected boundTo: Inode | null = null;

  constructor(kernel: Kernel, net: NetNamespace, type: number) {
    super(kernel, AF_UNIX, type, 0);
    this.net = net;
    kernel.unix.sockets.add(this);
  }

  abstract eachFileInFlight(visit: (file: FileDescription) => void): void;
  abstract takeFilesInFlight(): FileDescription[];
  /** The St column of /proc/net/unix: 1 unconnected, 2 connecting, 3 connected. */
  abstract get stateCode(): number;

  override bind(task: Task, raw: Uint8Array): number {
    const address = decodeUnixAddress(raw);
    if (isErrno(address)) return address;
    // A path that exists is told before a socket that has a name already: Linux makes the node first.
    if (this.address !== '') return !isAbstract(address) && address !== '' && this.pathExists(task, address) ? EADDRINUSE : EINVAL;
    if (address === '') return this.autobind();
    return isAbstract(address) ? this.bindAbstract(address) : this.bindPath(task, address);
  }
  /** An abstract name of five hexadecimal digits that nobody has. */
  protected autobind(): number {
    for (let tries = 0; tries < 1 << 20; tries++) {
      const number = this.kernel.unix.nextAutobind();
      if (this.bindAbstract(`\0${number.toString(16).padStart(5, '0')}`) === 0) return 0;
    }
    return EADDRINUSE;
  }
  private bindAbstract(address: UnixAddress): number {
    if (!this.kernel.unix.claim(this.net, address, this)) return EADDRINUSE;
    this.address = address;
    return 0;
  }
  private pathExists(task: Task, address: UnixAddress): boolean {
    return !isErrno(resolve(task, AT_FDCWD, pathOf(address), 0));
  }
  private bindPath(task: Task, address: UnixAddress): number {
    const place = makeNode(task, AT_FDCWD, pathOf(address), S_IFSOCK | 0o777, 0);
    if (isErrno(place)) return place === EEXIST ? EADDRINUSE : place;
    this.boundTo = place.dentry.inode as Inode;
    this.boundTo.attachment = this;
    this.address = address;
    return 0;
  }

  override name(): Uint8Array {
    return encodeUnixAddress(this.address);
  }
  override takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }
  override getOption(task: Task, level: number, option: number): Uint8Array | Errno {
    if (level !== SOL_SOCKET) return EOPNOTSUPP;
    switch (option) {
      case SO_PEERCRED:
        return encodeUcred(this.peerCreds, task);
      case SO_PEERGROUPS:
        return this.peerCreds === null
          ? ENODATA
          : new Uint8Array(Uint32Array.from(this.peerCreds.groups, (gid) => task.creds.namespace.gids.shown(gid)).buffer);
      case SO_PEERSEC:
        return ENOPROTOOPT;
      case SO_PEERPIDFD:
        return this.peerPidfd(task);
      default:
        return ENOPROTOOPT;
    }
  }
  private peerPidfd(task: Task): Uint8Array | Errno {
    if (this.peerCreds === null) return ENODATA;
    const fd = task.kernel.openPidFd(task, this.peerCreds.process);
    return isErrno(fd) ? fd : new Uint8Array(Int32Array.of(fd).buffer);
  }
  override setOption(_task: Task, level: number, _option: number, _value: Uint8Array): number {
    return level === SOL_SOCKET ? ENOPROTOOPT : EOPNOTSUPP;
  }

  override release(_file: FileDescription): void {
    this.close();
    this.kernel.unix.inFlight.socketReleased();
  }
  /** Leaves the name and the list; subclasses end connections and queues. */
  close(): void {
    this.closed = true;
    this.kernel.unix.sockets.delete(this);
    if (isAbstract(this.address)) this.kernel.unix.yield(this.net, this.address, this);
    if (this.boundTo?.attachment === this) this.boundTo.attachment = null;
    this.boundTo = null;
  }
}

/** Who has `address`, or a socket file that nobody here is bound to (connectHost says more); ECONNREFUSED if there is nobody, EACCES without write permission on the socket file. */
export function findUnixSocket(task: Task, address: UnixAddress): UnixSocket | Inode | Errno {
  if (address === '') return EINVAL;
  if (isAbstract(address)) return task.kernel.unix.owner(task.namespaces.net, address) ?? ECONNREFUSED;
  const place = resolve(task, AT_FDCWD, pathOf(address), LOOKUP_FOLLOW);
  if (isErrno(place)) return place;
  const inode = place.dentry.inode as Inode;
  const denied = checkPermission(inode, credentialsOn(place.mount, task.creds), MAY_WRITE);
  if (denied !== 0) return denied;
  if ((inode.mode & S_IFMT) !== S_IFSOCK) return ECONNREFUSED;
  return inode.attachment instanceof UnixSocket ? inode.attachment : inode;
}
