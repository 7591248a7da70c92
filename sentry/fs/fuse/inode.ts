/**
 * An object of a FUSE filesystem. Attributes and names are believed as long as the server has said; then it is asked again, by questions
 * that suspend the system call (kernel/call_log.ts).
 */
import { EACCES, EIO, ENOSYS, type Errno } from '../../../abi/errno.ts';
import { O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, PATH_MAX } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { S_IALLUGO, S_IFMT } from '../../../abi/stat.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';
import type { CallLog } from '../../kernel/call_log.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import { dropCutCopies } from '../../mm/cut_file.ts';
import type { FileDescription, FileImpl } from '../../vfs/file.ts';
import type { AttributeChange, Attributes, CreateOptions, Inode, OpenContext } from '../../vfs/inode.ts';
import { ToldInode } from '../told_inode.ts';
import type { FuseConnection } from './connection.ts';
import { FuseDirectory } from './directory.ts';
import { type Entry, readAttrOut } from './entry.ts';
import { FuseFile } from './file.ts';
import type { FuseFilesystem } from './filesystem.ts';
import { FuseHandle } from './handle.ts';
import * as names from './names.ts';
import { PageCache } from './page_cache.ts';
import { FuseRequest, type RequestOptions, type RequestPart } from './request.ts';
import * as xattrs from './xattrs.ts';

export class FuseInode extends ToldInode {
  declare readonly fs: FuseFilesystem;
  readonly nodeid: bigint;
  readonly generation: bigint;
  /** Answers that the server counts. */
  lookups = 0;
  /** Its number means something else now, or is forgotten. */
  gone = false;
  readonly handles = new Set<FuseHandle>();
  /** A writer is at it; who waits for its end. */
  writing = false;
  readonly written = new WaitQueue();
  /** The name under which it was found last; null parent: the root. Nothing is its own ancestor: see `named`. */
  parent: FuseInode | null = null;
  private name: ByteString = '';
  private nameUntil = 0;
  private attributesUntil = 0;
  /** FuseConnection.version of the last change that was made here. */
  private changedAt = 0;
  /** The next attributes are new because of what we have done ourselves. */
  private ownChange = false;
  private pageCache: PageCache | null = null;

  constructor(fs: FuseFilesystem, entry: Entry) {
    super(fs, entry.attributes);
    this.nodeid = entry.nodeid;
    this.generation = entry.generation;
    this.accessRule = fs.access;
  }

  get connection(): FuseConnection {
    return this.fs.connection;
  }
  /** Something besides a name needs it. */
  get inUse(): boolean {
    return this.descriptions > 0 || this.handles.size > 0 || this.attachment !== null || this.watched;
  }
  get knownName(): ByteString {
    return this.name;
  }
  /** Gives back the memory of its pages; false: somebody has them mapped. */
  dropPages(): boolean {
    const pages = this.pageCache;
    if (pages?.mapped === true && this.handles.size > 0) return false;
    pages?.release();
    this.pageCache = null;
    return true;
  }
  isStill({ generation, attributes }: Entry): boolean {
    return !this.gone && this.generation === generation && ((this.known.mode ^ attributes.mode) & S_IFMT) === 0;
  }
  forgotten(): void {
    this.gone = true;
    this.pageCache?.release();
    this.pageCache = null;
  }
  get pages(): PageCache {
    this.pageCache ??= new PageCache(this);
    return this.pageCache;
  }
  get cachedPages(): PageCache | null {
    return this.pageCache;
  }

  // Attributes

  attributes(): Attributes {
    return this.known;
  }
  get size(): number {
    return this.known.size;
  }
  get attributesExpired(): boolean {
    return this.connection.kernel.now() >= this.attributesUntil;
  }
  /** version: when the server was asked (FuseConnection.version). */
  told(attributes: Attributes, valid: number, version: number): void {
    if (this.isNewer(version)) {
      this.attributesUntil = 0; // the answer is older than what we know
      return;
    }
    const before = this.known;
    this.known = attributes;
    this.attributesUntil = this.connection.kernel.now() + valid;
    const { mtime } = attributes;
    const same = before.size === attributes.size && before.mtime.sec === mtime.sec && before.mtime.nsec === mtime.nsec;
    if (!same && !this.ownChange) this.pageCache?.invalidate();
    else if (before.size !== attributes.size) this.pageCache?.resize(attributes.size);
    // Cut by the server: private copies of what is gone go as well. A call of ours sees to that by itself.
    if (attributes.size < before.size && !this.ownChange && this.pageCache?.mapped === true)
      dropCutCopies(this.connection.kernel, this, attributes.size);
    this.ownChange = false;
  }
  expire(): void {
    this.attributesUntil = 0;
  }
  /** Content was changed here; `size`: what it is now at least, or exactly. */
  changed(size: number, exactly: boolean): void {
    this.changedAt = ++this.connection.version;
    this.ownChange = true;
    this.attributesUntil = 0;
    if (exactly ? size === this.known.size : size <= this.known.size) return;
    this.known = { ...this.known, size };
    this.pageCache?.resize(size);
  }
  /** Something was changed here after the server was asked. */
  isNewer(version: number): boolean {
    return version < this.changedAt;
  }
  /** The server has taken `bytes`. */
  wrote(offset: number, bytes: Uint8Array): void {
    const oldSize = this.known.size;
    this.changed(offset + bytes.length, false);
    this.pageCache?.written(offset, bytes, oldSize);
  }
  /** One name less. */
  unlinked(): void {
    this.attributesUntil = 0;
    this.nameUntil = 0;
    if (this.known.nlink > 0) this.known = { ...this.known, nlink: this.known.nlink - 1 };
    this.fs.nodes.sweepLater();
  }

  getattr(file: FuseHandle | null): FuseRequest {
    const body = F.FuseGetattrIn.encode({ getattr_flags: file === null ? 0 : F.FUSE_GETATTR_FH, fh: file?.fh ?? 0n });
    const request: FuseRequest = this.question(F.FUSE_GETATTR, [body], {
      least: F.FuseAttrOut.size,
      receive: (_reply, view) => {
        const out = readAttrOut(view, this.connection.userNamespace);
        if (out === null || ((out.attributes.mode ^ this.known.mode) & S_IFMT) !== 0) return EIO;
        this.told(out.attributes, out.attrValid, request.version);
        return 0;
      },
    });
    return request;
  }
  override refresh(file: FileDescription | null = null, creds: Credentials | null = null): 0 | Errno {
    if (creds !== null && !this.connection.allows(creds)) return EACCES;
    if (!this.attributesExpired) return 0;
    const key = `A${this.nodeid}`;
    if (this.log?.has(key)) return 0; // once a call
    const handle = file?.impl instanceof FuseFile ? file.impl.handle : null;
    return this.connection.ask(key, () => this.getattr(handle)).error;
  }

  /** For those who can wait: a SETATTR of the permission bits. */
  setMode(mode: number): FuseRequest {
    return this.setattr(this.setattrBody({ mode }, null), undefined);
  }
  override setAttributes(what: AttributeChange, file: FuseHandle | null = null): 0 | Errno {
    const body = this.setattrBody(what, file);
    const { mode, uid, gid, size, atime, mtime } = what;
    const key = `S${this.nodeid}:${mode}:${uid}:${gid}:${size}:${atime !== undefined}:${mtime !== undefined}`;
    return this.change(key, () => this.setattr(body, size)).error;
  }
  private setattrBody(what: AttributeChange, file: FuseHandle | null): Uint8Array {
    const { mode, uid = 0, gid = 0, size, atime, mtime } = what;
    const { uids, gids } = this.connection.userNamespace;
    const valid =
      (mode !== undefined ? F.FATTR_MODE : 0) |
      (what.uid !== undefined ? F.FATTR_UID : 0) |
      (what.gid !== undefined ? F.FATTR_GID : 0) |
      (size !== undefined ? F.FATTR_SIZE : 0) |
      (atime !== undefined ? F.FATTR_ATIME : 0) |
      (mtime !== undefined ? F.FATTR_MTIME : 0) |
      (file !== null ? F.FATTR_FH : 0);
    return F.FuseSetattrIn.encode({
      valid,
      fh: file?.fh ?? 0n,
      size: size ?? 0,
      lock_owner: 0n,
      atime: atime?.sec ?? 0,
      mtime: mtime?.sec ?? 0,
      atimensec: atime?.nsec ?? 0,
      mtimensec: mtime?.nsec ?? 0,
      mode: mode === undefined ? 0 : (this.known.mode & S_IFMT) | (mode & S_IALLUGO),
      uid: uids.fromKernel(uid),
      gid: gids.fromKernel(gid),
    });
  }
  private setattr(body: Uint8Array, size: number | undefined): FuseRequest {
    return this.question(F.FUSE_SETATTR, [body], {
      least: F.FuseAttrOut.size,
      receive: (_reply, view) => {
        const out = readAttrOut(view, this.connection.userNamespace);
        if (out === null || ((out.attributes.mode ^ this.known.mode) & S_IFMT) !== 0) return EIO;
        if (size !== undefined) this.changed(size, true);
        this.told(out.attributes, out.attrValid, this.connection.version);
        return 0;
      },
    });
  }

  // Questions

  get log(): CallLog | null {
    const { calls } = this.connection.kernel;
    return calls.suspends ? calls.log : null;
  }
  question(opcode: number, parts: readonly RequestPart[], options?: RequestOptions): FuseRequest {
    return this.connection.request(opcode, this.nodeid, parts, options);
  }
  /** As FuseConnection.ask, for what changes something at the server. */
  change(key: string, make: () => FuseRequest): FuseRequest {
    const request = this.connection.ask(key, make);
    const { log } = this;
    if (request.error === 0 && log !== null) log.changed = true;
    return request;
  }

  // Names

  private key(name: ByteString): string {
    return `L${this.nodeid}/${name}`;
  }
  override lookup(name: ByteString): Inode | Errno {
    const key = this.key(name);
    const noted = this.log?.take(key) ?? null;
    if (noted instanceof FuseInode) return noted;
    const request = noted instanceof FuseRequest ? noted : this.connection.ask(key, () => names.lookupRequest(this, name));
    return request.error !== 0 ? request.error : (request.value as FuseInode);
  }
  /** Found at a name, which may be believed until then (ns). False, and nothing is noted: the directory lies in it, says the server. */
  named(parent: FuseInode, name: ByteString, until: number): boolean {
    if (this.isDirectory) for (let above: FuseInode | null = parent; above !== null; above = above.parent) if (above === this) return false;
    this.parent = parent;
    this.name = name;
    this.nameUntil = until;
    return true;
  }
  override revalidate(parent: Inode, name: ByteString): boolean {
    const directory = parent as FuseInode;
    const { log } = this;
    const key = directory.key(name);
    const noted = log?.peek(key) ?? null;
    if (noted !== null) {
      const same = noted === this || (noted instanceof FuseRequest && noted.error === 0 && noted.value === this);
      if (same) log?.take(key);
      return same; // else lookup gives what was answered
    }
    if (this.gone) return false;
    const { kernel } = this.connection;
    if (this.parent === directory && this.name === name && kernel.now() < this.nameUntil) {
      log?.note(key, this);
      return true;
    }
    // Nobody can wait where no call runs: what was true last will do.
    if (log === null) return true;
    const request = this.connection.ask(key, () => names.lookupRequest(directory, name));
    // Only if there is nobody to ask: lookup tells that. Else the call has unwound.
    return request.error === 0 && request.value === this;
  }
  /** The server says that the name may mean something else. */
  forgetName(): void {
    this.nameUntil = 0;
  }
  override readlink(_task: Task | null): ByteString | Errno {
    const request = this.connection.ask(`R${this.nodeid}`, () => this.question(F.FUSE_READLINK, [], { least: 0, most: PATH_MAX - 1 }));
    if (request.error !== 0) return request.error;
    const end = request.reply.indexOf(0);
    return byteString(request.reply, 0, end < 0 ? request.reply.length : end);
  }
  override create(name: ByteString, options: CreateOptions, flags = 0): Inode | Errno {
    return names.create(this, name, options, flags);
  }
  override tmpfile(options: CreateOptions, flags = 0): Inode | Errno {
    return names.tmpfile(this, options, flags);
  }
  override mkdir(name: ByteString, options: CreateOptions): Inode | Errno {
    return names.mkdir(this, name, options);
  }
  override mknod(name: ByteString, options: CreateOptions, rdev: number): Inode | Errno {
    return names.mknod(this, name, options, rdev);
  }
  override symlink(name: ByteString, target: ByteString): Inode | Errno {
    return names.symlink(this, name, target);
  }
  override link(name: ByteString, target: Inode): 0 | Errno {
    return names.link(this, name, target as FuseInode);
  }
  override unlink(name: ByteString, target: Inode): 0 | Errno {
    return names.remove(this, F.FUSE_UNLINK, name, target as FuseInode);
  }
  override rmdir(name: ByteString, target: Inode): 0 | Errno {
    return names.remove(this, F.FUSE_RMDIR, name, target as FuseInode);
  }
  override rename(
    oldName: ByteString,
    target: Inode,
    newParent: Inode,
    newName: ByteString,
    replaced: Inode | null,
    flags: number,
  ): 0 | Errno {
    return names.rename(this, oldName, target as FuseInode, newParent as FuseInode, newName, replaced as FuseInode | null, flags);
  }

  // Opening

  /** The server may want to do it. */
  override get appliesUmask(): boolean {
    return true;
  }
  override get truncatesAtOpen(): boolean {
    return true;
  }
  override open(flags: number, context: OpenContext): FileImpl | Errno {
    const made = this.fs.takeCreated(this);
    const handle = made ?? this.openHandle(flags);
    if (typeof handle === 'number') return handle;
    if (this.isDirectory) return new FuseDirectory(handle, context.path);
    if ((flags & O_TRUNC) !== 0 && made === null && !this.connection.has(F.FUSE_ATOMIC_O_TRUNC)) {
      const r = this.setAttributes({ size: 0 });
      if (r !== 0) {
        handle.close();
        return r;
      }
    }
    return new FuseFile(handle);
  }
  openHandle(flags: number): FuseHandle | Errno {
    const { connection } = this;
    const opcode = this.isDirectory ? F.FUSE_OPENDIR : F.FUSE_OPEN;
    const optional = connection.has(this.isDirectory ? F.FUSE_NO_OPENDIR_SUPPORT : F.FUSE_NO_OPEN_SUPPORT);
    if (optional && connection.lacks(opcode)) return this.impliedHandle(flags);
    const atomic = connection.has(F.FUSE_ATOMIC_O_TRUNC);
    const told = flags & ~(O_CREAT | O_EXCL | O_NOCTTY | (atomic ? 0 : O_TRUNC));
    const key = `O${this.nodeid}:${told}`;
    let request = connection.ask(key, () => this.openRequest(opcode, told));
    // An earlier run has closed what it was given.
    while (request.value instanceof FuseHandle && request.value.isClosed) {
      request = connection.ask(key, () => this.openRequest(opcode, told));
    }
    if (request.error === ENOSYS && optional) {
      connection.missing.add(opcode);
      return this.impliedHandle(flags);
    }
    return request.error !== 0 ? request.error : (request.value as FuseHandle);
  }
  private impliedHandle(flags: number): FuseHandle {
    return new FuseHandle(this, 0n, F.FOPEN_KEEP_CACHE, flags, true);
  }
  private openRequest(opcode: number, flags: number): FuseRequest {
    const request: FuseRequest = this.question(opcode, [F.FuseOpenIn.encode({ flags, open_flags: 0 })], {
      least: F.FuseOpenOut.size,
      receive: (reply) => {
        const { fh, open_flags } = F.FuseOpenOut.decode(reply);
        const handle = new FuseHandle(this, fh, open_flags, flags, false);
        request.value = handle;
        request.giveBack = () => handle.close();
        if ((flags & O_TRUNC) !== 0) this.changed(0, true);
        if ((open_flags & F.FOPEN_KEEP_CACHE) === 0) this.pageCache?.invalidate();
        return 0;
      },
    });
    return request;
  }
  /** access(2) and chdir(2) ask the server where it checks permissions itself. */
  override access(mask: number): 0 | Errno {
    const { connection } = this;
    if (connection.options.defaultPermissions || connection.lacks(F.FUSE_ACCESS)) return 0;
    const make = (): FuseRequest => this.question(F.FUSE_ACCESS, [F.FuseAccessIn.encode({ mask })]);
    const { error } = connection.ask(`P${this.nodeid}:${mask}`, make);
    if (error !== ENOSYS) return error;
    connection.missing.add(F.FUSE_ACCESS);
    return 0;
  }

  override getXattr(name: ByteString): Uint8Array | Errno {
    return xattrs.getXattr(this, name);
  }
  override setXattr(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    return xattrs.setXattr(this, name, value, flags);
  }
  override listXattrs(): ByteString[] | Errno {
    return xattrs.listXattrs(this);
  }
  override removeXattr(name: ByteString): 0 | Errno {
    return xattrs.removeXattr(this, name);
  }
}
