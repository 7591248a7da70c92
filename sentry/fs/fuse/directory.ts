/** An open directory of a FUSE filesystem. */
import { EINTR, EINVAL, EIO, ENOSYS, type Errno } from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';
import type { Task } from '../../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../../kernel/wait.ts';
import { instantiate } from '../../vfs/dentry_cache.ts';
import { type EmitEntry, type FileDescription, FileImpl } from '../../vfs/file.ts';
import { Dentry, type VfsPath } from '../../vfs/path.ts';
import { readEntry } from './entry.ts';
import { restrictedIoctl } from './file_ioctl.ts';
import type { FuseHandle } from './handle.ts';
import type { FuseInode } from './inode.ts';
import { FuseRequest } from './request.ts';

/** Bytes of one READDIR. */
const ROOM = 16 * PAGE_SIZE;
const DIRENT = F.FuseDirent.size;
/** Positions from here on are numbers of ours for what the server said, because a number does not hold it. */
const FIRST_COOKIE = 2 ** 52;
const MAX_COOKIES = 1 << 20;
const SAFE = BigInt(FIRST_COOKIE);

interface Listed {
  readonly name: ByteString;
  readonly ino: number;
  readonly type: number;
  /** Position behind it, as the server counts. */
  readonly off: bigint;
}

export class FuseDirectory extends FileImpl {
  readonly handle: FuseHandle;
  private readonly path: VfsPath;
  private entries: readonly Listed[] = [];
  private at = 0;
  /** Position of entries[at]. */
  private position = -1;
  private readonly cookies: bigint[] = [];

  constructor(handle: FuseHandle, path: VfsPath) {
    super();
    this.handle = handle;
    this.path = path;
  }
  private get node(): FuseInode {
    return this.handle.node;
  }

  override readdir(file: FileDescription, emit: EmitEntry): number {
    if (file.position !== this.position) {
      this.entries = [];
      this.at = 0;
    }
    if (this.at === this.entries.length) {
      const r = this.fetch(file.position);
      if (r !== 0) return r;
    }
    for (; this.at < this.entries.length; this.at++) {
      const { name, ino, type, off } = this.entries[this.at] as Listed;
      const next = this.positionOf(off);
      if (next < 0) return EIO;
      if (!emit(name, ino, type, next)) break;
      file.position = next;
    }
    this.position = file.position;
    return 0;
  }
  /** Suspends. */
  private fetch(position: number): 0 | Errno {
    const offset = position >= FIRST_COOKIE ? this.cookies[position - FIRST_COOKIE] : BigInt(position);
    if (offset === undefined) return EINVAL;
    const { connection } = this.node;
    const plus = connection.has(F.FUSE_DO_READDIRPLUS) && (position === 0 || !connection.has(F.FUSE_READDIRPLUS_AUTO));
    const request = connection.ask(`G${this.handle.fh}:${offset}`, () => this.request(offset, plus));
    if (request.error !== 0) return request.error;
    this.entries = (request.value as Listing).entries;
    this.at = 0;
    this.position = position;
    return 0;
  }
  private request(offset: bigint, plus: boolean): FuseRequest {
    const { node } = this;
    const body = F.FuseReadIn.encode({
      fh: this.handle.fh,
      offset: 0,
      size: ROOM,
      read_flags: 0,
      lock_owner: 0n,
      flags: this.handle.flags,
    });
    new DataView(body.buffer).setBigUint64(F.FuseReadIn.offsets.offset, offset, true);
    const opcode = plus ? F.FUSE_READDIRPLUS : F.FUSE_READDIR;
    const request: FuseRequest = new FuseRequest(node.connection, opcode, node.nodeid, [body], {
      least: 0,
      most: ROOM,
      receive: (reply, view) => {
        const entries = this.parse(reply, view, plus, request);
        if (typeof entries === 'number') return entries;
        request.value = new Listing(entries);
        return 0;
      },
    });
    return request;
  }
  private parse(reply: Uint8Array, view: DataView, plus: boolean, request: FuseRequest): Listed[] | Errno {
    const out: Listed[] = [];
    const head = plus ? F.FuseEntryOut.size : 0;
    for (let at = 0; at + head + DIRENT <= reply.length; ) {
      const { ino, off, namelen, type } = F.FuseDirent.read(view, at + head);
      if (namelen === 0 || namelen > F.FUSE_NAME_MAX) return EIO;
      const end = at + head + DIRENT + namelen;
      if (end > reply.length) break; // cut: it comes again
      const name = byteString(reply, end - namelen, end);
      if (name.includes('/') || name.includes('\0')) return EIO;
      if (plus) this.foundAt(name, view, at, request);
      out.push({ name, ino: Number(ino & (SAFE - 1n)), type: type & 15, off });
      at = (end + 7) & ~7;
    }
    return out;
  }
  /** READDIRPLUS looks names up as it lists them. What is wrong with one is seen when it is looked up alone. */
  private foundAt(name: ByteString, view: DataView, at: number, request: FuseRequest): void {
    const { node } = this;
    const { fs, connection } = node;
    const entry = readEntry(view, at, connection.userNamespace);
    if (entry === null || entry.nodeid === 0n || entry.nodeid === F.FUSE_ROOT_ID || name === '.' || name === '..') return;
    const found = fs.nodes.receive(entry);
    found.told(entry.attributes, entry.attrValid, request.version);
    const named = found.named(node, name, connection.kernel.now() + entry.entryValid);
    const parent = this.path.dentry;
    if (!named || parent.inode !== node || parent.deleted || parent.children?.has(name)) fs.nodes.sweepLater();
    else instantiate(new Dentry(name, parent, found), found);
  }
  private positionOf(off: bigint): number {
    if (off < SAFE) return Number(off);
    const known = this.cookies.lastIndexOf(off);
    if (known >= 0) return FIRST_COOKIE + known;
    if (this.cookies.length >= MAX_COOKIES) return EIO;
    return FIRST_COOKIE + this.cookies.push(off) - 1;
  }

  override seek(file: FileDescription, offset: number, whence: number): number {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (target < 0 || !Number.isSafeInteger(target)) return EINVAL;
    file.position = target;
    this.position = -1;
    return target;
  }
  override *sync(_file: FileDescription, dataOnly: boolean): Blocking {
    const { connection } = this.node;
    if (connection.lacks(F.FUSE_FSYNCDIR)) return 0;
    const body = F.FuseFsyncIn.encode({ fh: this.handle.fh, fsync_flags: dataOnly ? F.FUSE_FSYNC_FDATASYNC : 0 });
    const request = new FuseRequest(connection, F.FUSE_FSYNCDIR, this.node.nodeid, [body], { always: true });
    this.handle.send(request, null);
    while (!request.done) if ((yield waitFor(request.queue, POLLIN)) === 'signal' && !request.done && request.interrupt()) return EINTR;
    if (request.error !== ENOSYS) return request.error;
    connection.missing.add(F.FUSE_FSYNCDIR);
    return 0;
  }
  override ioctl(_file: FileDescription, task: Task, command: number, argument: number): SyscallResult {
    return restrictedIoctl(this.handle, task, command, argument, F.FUSE_IOCTL_DIR);
  }
  override release(): void {
    this.handle.close();
  }
}

class Listing {
  readonly entries: readonly Listed[];
  constructor(entries: readonly Listed[]) {
    this.entries = entries;
  }
}
