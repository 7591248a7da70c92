/** What a client's fid numbers stand for. */
import { S_IFDIR, S_IFLNK, S_IFMT, S_IFREG } from '../abi/stat.ts';
import type { ByteString } from '../lib/byte_string.ts';
import type { HostCalls } from './host_calls.ts';
import type { Owners } from './owners.ts';

/** One attach point of a connection. */
export interface Mount {
  readonly name: string;
  readonly rootFd: number;
  readonly readonly: boolean;
  /** Its root's descriptor may be given away. */
  readonly direct: boolean;
  /** It only gives room for files without names. */
  readonly store: boolean;
  /** Who may become owners of its files. */
  readonly owners: Owners;
  /** Device number of the root (attrDevice), from which identities count. */
  readonly device: number;
}

/** An O_PATH descriptor that several fids may share. */
export class Node {
  readonly fd: number;
  private users = 1;
  constructor(fd: number) {
    this.fd = fd;
  }
  share(): this {
    this.users++;
    return this;
  }
  release(calls: HostCalls): void {
    if (--this.users === 0) calls.close(this.fd);
  }
}

/** An extended attribute that is being read (Txattrwalk) or written (Txattrcreate) through a fid. */
export interface XattrState {
  readonly name: ByteString;
  readonly value: Uint8Array;
  readonly writing: boolean;
  readonly flags: number;
  written: number;
}

export class Fid {
  readonly node: Node;
  readonly mount: Mount;
  /** Type and permission bits when it was walked to: the type never changes. */
  readonly mode: number;
  /** Who attached (Tattach n_uname): owner of what standard messages make; 0xffffffff: not told. */
  readonly uid: number;
  /** Where the walk found it, for Tremove and Trename; null: not known (the root, extension messages). */
  parent: Node | null = null;
  name: ByteString = '';
  /** Open file (Tlopen, Tlcreate), or directory that is being read; -1: none. */
  openFd = -1;
  /** Entries that Treaddir has told: its offsets count them. */
  told = 0;
  xattr: XattrState | null = null;

  constructor(node: Node, mount: Mount, mode: number, uid: number) {
    this.node = node;
    this.mount = mount;
    this.mode = mode;
    this.uid = uid;
  }
  get fd(): number {
    return this.node.fd;
  }
  get isDirectory(): boolean {
    return (this.mode & S_IFMT) === S_IFDIR;
  }
  get isRegular(): boolean {
    return (this.mode & S_IFMT) === S_IFREG;
  }
  get isSymlink(): boolean {
    return (this.mode & S_IFMT) === S_IFLNK;
  }
  closeFile(calls: HostCalls): void {
    if (this.openFd >= 0) calls.close(this.openFd);
    this.openFd = -1;
    this.told = 0;
  }
  release(calls: HostCalls): void {
    this.closeFile(calls);
    this.parent?.release(calls);
    this.node.release(calls);
  }
}
