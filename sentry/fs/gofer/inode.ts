/**
 * A host object behind the gofer. It is named by a fid, or by the fid of an ancestor and the names from there: most objects never get a fid
 * of their own, and a fid can be given up while the name is known.
 */
import {
  EACCES,
  ECONNREFUSED,
  EIO,
  EISDIR,
  EMFILE,
  ENFILE,
  ENODATA,
  ENOENT,
  ENXIO,
  type Errno,
  ESTALE,
  isErrno,
} from '../../../abi/errno.ts';
import { O_ACCMODE, O_RDONLY, O_RDWR } from '../../../abi/fcntl.ts';
import { S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { P9_MAX_WALK_EXTENDED, P9_NO_OPEN, P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rconnectx, Rsetattrx, Rwalkx, Tconnectx, Tsetattrx, Twalkx } from '../../../lib/p9/messages.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileImpl } from '../../vfs/file.ts';
import type { AccessRule, AttributeChange, Attributes, CreateOptions, Inode, OpenContext, WalkAhead } from '../../vfs/inode.ts';
import { ACL_ACCESS, PosixAcl } from '../../vfs/posix_acl.ts';
import type { HostFd } from '../host_fd.ts';
import { ToldInode } from '../told_inode.ts';
import { readAttributes, viewOf } from './attributes.ts';
import { DENIED } from './direct.ts';
import { GoferDirectory, listDirectory } from './directory.ts';
import { fetchEntry } from './fetch.ts';
import type { GoferFilesystem } from './filesystem.ts';
import { type Entry, type Listing, readEntries } from './listing.ts';
import { createObject, linkObject, makeTemporary, removeName, renameObject } from './names.ts';
import { OpenFiles, openFifo } from './open_files.ts';
import { attributeMessage } from './set_attributes.ts';
import { XattrCache } from './xattrs.ts';

/** Where an object is, for the extension messages. */
export interface Place {
  readonly fid: number;
  readonly names: readonly ByteString[];
}

/** A name in a directory; '' stands for the directory itself. */
export interface Name {
  readonly inode: GoferInode;
  readonly name: ByteString;
}
const NO_NAMES: readonly Name[] = [];
const MAX_ALIASES = 8;

const STATX = 332;
const AT_EMPTY_PATH = 0x1000;
const STATX_WANTED = 0xfff;
/** Uses of a directory without a fid, each of which walks there again, before it gets one. */
const USES_BEFORE_FID = 2;
/** Look-ups in a directory that lost its listing, each a round trip, before it is listed again. */
const MISSES_BEFORE_LISTING = 4;

export class GoferInode extends ToldInode {
  declare readonly fs: GoferFilesystem;
  /** -1: none now. */
  fid: number;
  /** Null for a mount's root, and for an object that has lost its name: then the fid is all there is. */
  parent: GoferInode | null;
  name: ByteString;
  /** See `listing`. */
  heldListing: Listing | null = null;
  /** There was a listing, and memory ran short; look-ups since then. */
  private wasListed = false;
  private misses = 0;
  isGone = false;
  /** Attributes changed by something that did not tell what they are now. */
  private stale = false;
  private target: ByteString;
  /** Of a socket file that was made on the host, until somebody listens; -1: none. */
  private boundSocket = -1;
  private uses = 0;
  /** Where it was known before, while it has several names; the latest first. */
  private aliases: readonly Name[] = NO_NAMES;
  private files: OpenFiles | null = null;
  private xattrCache: XattrCache | null = null;

  constructor(fs: GoferFilesystem, parent: GoferInode | null, name: ByteString, entry: Entry, fid: number) {
    super(fs, entry.attributes);
    this.parent = parent;
    this.name = name;
    this.target = entry.target;
    this.fid = fid;
    this.accessRule = undefined; // for as long as it is known: XattrCache keeps it
  }

  get ino(): number {
    return this.known.ino;
  }
  get xattrs(): XattrCache {
    this.xattrCache ??= new XattrCache(this);
    return this.xattrCache;
  }

  // Attributes

  attributes(): Attributes {
    const { files } = this;
    // On an exclusive mount nobody but our own writers changes a file.
    const file = files !== null && (files.writers > 0 || !this.fs.exclusive) ? files.descriptor : null;
    if (file !== null) this.askDescriptor(file);
    else if (this.stale) this.ask();
    return this.known;
  }
  /** Something changed it and did not tell what it is now. */
  markStale(): void {
    this.stale = true;
    this.parent?.listing?.outdate(this.name);
  }
  /** What an answer says about this object. */
  told(entry: Entry): void {
    this.tell(entry.attributes);
    this.target = entry.target;
  }
  tell(attributes: Attributes): void {
    // An overlay of the host may renumber a file that it copies up; here it keeps its number.
    this.known = attributes.ino === this.known.ino ? attributes : { ...attributes, ino: this.known.ino };
    this.stale = false;
  }
  /** On an exclusive mount a name keeps its meaning. */
  sameObject(attributes: Attributes): boolean {
    return (this.fs.exclusive || attributes.ino === this.known.ino) && ((attributes.mode ^ this.known.mode) & S_IFMT) === 0;
  }

  /** An open file knows its attributes: no round trip. Owners are the gofer's to tell: here the host shows those of our user namespace. */
  askDescriptor(file: HostFd): void {
    const { statView, emptyPath } = this.fs;
    if (this.fs.kernel.host.syscall(STATX, file.fd, emptyPath, AT_EMPTY_PATH, STATX_WANTED, statView) !== 0) return;
    const { uid, gid } = this.known;
    const now = readAttributes(statView, 0, this.fs.device);
    this.tell(this.fs.direct === null ? { ...now, uid, gid } : now);
  }
  private ask(): 0 | Errno {
    const direct = this.fs.direct?.attributes(this) ?? DENIED;
    if (direct !== DENIED) return typeof direct === 'number' ? direct : this.take(direct);
    const place = this.place();
    if (isErrno(place)) return place;
    const answer = this.fs.client.call(Twalkx, { ...place, newfid: P9_NOFID, open: P9_NO_OPEN }, Rwalkx);
    if (isErrno(answer)) return answer;
    if (answer.ecode !== 0) return this.fs.client.errnoOf(answer.ecode);
    const entry = readEntries(answer.entries, this.fs.device)?.at(-1);
    return entry === undefined ? EIO : this.take(entry);
  }
  private take(entry: Entry): 0 | Errno {
    if (!this.sameObject(entry.attributes)) return ESTALE;
    this.told(entry);
    return 0;
  }
  override refresh(): 0 | Errno {
    if (this.fs.exclusive || this.isOpen || this.isGone) return 0;
    return this.ask();
  }
  override setAttributes(change: AttributeChange): 0 | Errno {
    const place = this.place();
    if (isErrno(place)) return place;
    const { watches } = this.fs;
    watches?.before();
    const answer = this.fs.client.call(Tsetattrx, attributeMessage(place, change), Rsetattrx);
    watches?.after(...this.touched());
    if (isErrno(answer)) return answer;
    this.markStale();
    this.tell(readAttributes(viewOf(answer.attr), 0, this.fs.device));
    if (change.uid !== undefined || change.gid !== undefined || change.size !== undefined) this.contentChanged();
    return 0;
  }

  // Access control lists: the gofer passes over the host's permissions, so they are asked for and obeyed here.

  override findAccessRule(): AccessRule | null {
    const value = this.isSymlink ? ENODATA : this.xattrs.get(ACL_ACCESS);
    const acl = typeof value === 'number' ? null : PosixAcl.parse(value);
    return typeof acl === 'number' ? null : acl;
  }
  override get appliesUmask(): boolean {
    return true;
  }

  // Changes by others

  override watchChanged(): void {
    this.fs.watchHost(this);
  }
  changedByOthers(): void {
    this.stale = true;
    this.fs.fetched = null;
  }
  /** Around a change of ours that is no request to the gofer; null: nobody watches. */
  changing(): (() => void) | null {
    const { watches } = this.fs;
    if (watches === null) return null;
    watches.beginWriting(this);
    return () => watches.endWriting(this);
  }
  /** What the host tells of when the object changes. */
  touched(): readonly Name[] {
    const self = { inode: this, name: '' };
    return this.parent === null ? [self, ...this.aliases] : [self, { inode: this.parent, name: this.name }, ...this.aliases];
  }
  /** Others have removed its name: we must not be who keeps it alive. */
  letGo(): void {
    if (this.isOpen) return;
    this.fs.keepFid(this);
    this.dropFid();
    this.fs.dropIdle(this);
    this.fs.direct?.forget(this);
    this.fs.client.flushClunks();
  }

  // Where it is

  /** ESTALE: it has no name and no fid. */
  place(): Place | Errno {
    if (this.fid >= 0) return { fid: this.fid, names: [] };
    const names: ByteString[] = [];
    let at: GoferInode = this;
    while (at.fid < 0) {
      if (at.parent === null) return ESTALE;
      names.push(at.name);
      at = at.parent;
      // Too deep for one walk that also looks something up: a fid on the way.
      if (names.length >= P9_MAX_WALK_EXTENDED - 1 && at.fid < 0) {
        const r = at.ensureFid();
        if (r !== 0) return r;
      }
    }
    if (at.parent !== null) this.fs.touchFid(at);
    return { fid: at.fid, names: names.reverse() };
  }
  /** As place(); a directory that is often used gets a fid, so that later walks are short. */
  directoryPlace(): Place | Errno {
    if (this.fid < 0 && ++this.uses > USES_BEFORE_FID) {
      const r = this.ensureFid();
      if (r !== 0 && r !== EMFILE && r !== ENFILE) return r;
    }
    return this.place();
  }
  ensureFid(): 0 | Errno {
    if (this.fid >= 0) return 0;
    let r = this.walkToFid();
    if (r === EMFILE || r === ENFILE) {
      this.fs.shrink();
      r = this.walkToFid();
    }
    return r;
  }
  private walkToFid(): 0 | Errno {
    const place = this.place();
    if (isErrno(place)) return place;
    const { client } = this.fs;
    const newfid = client.newFid();
    const answer = client.call(Twalkx, { ...place, newfid, open: P9_NO_OPEN }, Rwalkx);
    const error = isErrno(answer) ? answer : answer.ecode !== 0 ? client.errnoOf(answer.ecode) : 0;
    if (isErrno(answer) || error !== 0) {
      client.unusedFid(newfid);
      return error;
    }
    const entry = readEntries(answer.entries, this.fs.device)?.at(-1);
    if (entry === undefined || !this.sameObject(entry.attributes)) {
      client.clunk(newfid);
      return ESTALE;
    }
    this.tell(entry.attributes);
    this.setFid(newfid);
    return 0;
  }
  setFid(fid: number): void {
    this.fid = fid;
    this.fs.touchFid(this);
  }
  /** The filesystem takes the fid back; the name still leads here. */
  dropFid(): void {
    if (this.fid >= 0) this.fs.client.clunk(this.fid);
    this.fid = -1;
  }
  moveTo(parent: GoferInode, name: ByteString): void {
    if (this.parent === null && this.fid >= 0 && this !== this.fs.root) this.fs.touchFid(this);
    if (this.known.nlink > 1 && this.parent !== null && !this.isDirectory) this.rememberAlias(this.parent, this.name);
    this.parent = parent;
    this.name = name;
  }
  /** The host tells of changes by the name that a descriptor was opened by. */
  private rememberAlias(parent: GoferInode, name: ByteString): void {
    if (this.aliases.some((alias) => alias.inode === parent && alias.name === name)) return;
    this.aliases = [{ inode: parent, name }, ...this.aliases.slice(0, MAX_ALIASES - 1)];
  }
  /** Before its name goes: whoever has it open, or knows another name, must still reach it. */
  surviveName(): void {
    if (this.known.nlink > 1 || this.isOpen) this.ensureFid();
  }
  /** The name we know it by is gone: if it has a fid, that is all there is. */
  loseName(): void {
    this.parent = null;
    this.fs.keepFid(this);
  }
  /** One of its names is gone, whichever. */
  lostLink(): void {
    if (this.isOpen) {
      this.stale = true;
      return;
    }
    const left = this.stale && this.fid >= 0 ? this.attributes().nlink : this.known.nlink - 1;
    if (left <= 0) this.gone();
    else this.known = { ...this.known, nlink: left };
  }
  /** Nothing leads to it any more, and nobody has it open. Somebody may still be in it (chdir), or hold a place in it. */
  gone(): void {
    this.isGone = true;
    this.known = { ...this.known, nlink: 0 };
    this.stale = false;
    this.fs.keepFid(this);
    const held = this.fid >= 0;
    this.dropFid();
    // As long as the gofer holds a file that has no name, the host does not take its room back.
    if (held && this.isRegular) this.fs.client.flushClunks();
    this.fs.dropIdle(this);
    this.fs.direct?.forget(this);
    if (this.boundSocket >= 0) this.fs.kernel.host.close(this.takeBoundSocket());
    this.fs.forgetLinked(this);
  }

  // Names in a directory

  /** Exclusive mounts: what the directory holds, all of it, if that is known; maybe it was fetched with what its parent holds. */
  get listing(): Listing | null {
    if (this.heldListing === null && this.fs.exclusive) {
      const ahead = this.parent?.listing?.belowName(this.name) ?? null;
      if (ahead !== null) this.fs.holdListing(this, ahead);
    }
    return this.heldListing;
  }
  override lookup(name: ByteString, _task: Task | null, ahead?: WalkAhead): Inode | Errno {
    let { listing } = this;
    if (listing === null && this.wasListed && ++this.misses > MISSES_BEFORE_LISTING) {
      listDirectory(this);
      listing = this.heldListing;
    }
    if (listing !== null) {
      this.fs.touchListing(this);
      const entry = listing.find(name);
      if (entry === null) return ENOENT;
      if (entry !== 'outdated') return this.fs.inodeFor(this, name, entry);
    }
    const found = fetchEntry(this, name, ahead);
    return isErrno(found) ? found : this.fs.inodeFor(this, name, found);
  }
  override revalidate(parent: Inode, name: ByteString, ahead?: WalkAhead): boolean {
    if (this.fs.exclusive) return true;
    const found = fetchEntry(parent as GoferInode, name, ahead);
    if (isErrno(found) || !this.sameObject(found.attributes)) return false;
    this.told(found);
    this.moveTo(parent as GoferInode, name);
    return true;
  }

  forgetListing(): void {
    this.wasListed = true;
    this.misses = 0;
  }
  /** Names of this directory changed by our own doing. */
  namesChanged(removed: ByteString | null): void {
    this.fs.fetched = null;
    this.stale = true;
    if (removed !== null) this.listing?.forget(removed);
    else this.fs.dropListing(this);
  }

  override create(name: ByteString, options: CreateOptions): Inode | Errno {
    const made = createObject(this, name, S_IFREG | (options.mode & 0o7777), options, 0, '', O_RDWR);
    if (isErrno(made)) return made;
    if (made.hostFd >= 0) made.inode.expectWriter(made.hostFd);
    return made.inode;
  }
  override mkdir(name: ByteString, options: CreateOptions): Inode | Errno {
    return this.make(name, S_IFDIR | (options.mode & 0o7777), options, 0, '');
  }
  override mknod(name: ByteString, options: CreateOptions, rdev: number): Inode | Errno {
    return this.make(name, options.mode, options, rdev, '');
  }
  override symlink(name: ByteString, target: ByteString, options: CreateOptions): Inode | Errno {
    return this.make(name, S_IFLNK | 0o777, options, 0, target);
  }
  private make(name: ByteString, mode: number, options: CreateOptions, rdev: number, target: ByteString): Inode | Errno {
    const made = createObject(this, name, mode, options, rdev, target, P9_NO_OPEN);
    if (isErrno(made)) return made;
    if (made.hostFd >= 0) made.inode.boundSocket = made.hostFd;
    return made.inode;
  }
  override takeBoundSocket(): number {
    const fd = this.boundSocket;
    this.boundSocket = -1;
    return fd;
  }
  override connectHost(type: number): number {
    if (!this.fs.hostSockets) return ECONNREFUSED;
    const place = this.place();
    if (isErrno(place)) return place;
    const answer = this.fs.client.call(Tconnectx, { ...place, type }, Rconnectx);
    if (isErrno(answer)) return answer === EACCES ? ECONNREFUSED : answer;
    const fd = this.fs.client.takeDescriptor();
    return fd < 0 ? EMFILE : fd;
  }
  override get opensItself(): boolean {
    return this.fs.hostFifos && (this.known.mode & S_IFMT) === S_IFIFO;
  }
  override link(name: ByteString, target: Inode): 0 | Errno {
    return linkObject(this, name, target as GoferInode);
  }
  override unlink(name: ByteString, target: Inode): 0 | Errno {
    return removeName(this, name, target as GoferInode, false);
  }
  override rmdir(name: ByteString, target: Inode): 0 | Errno {
    return removeName(this, name, target as GoferInode, true);
  }
  override rename(
    oldName: ByteString,
    target: Inode,
    newParent: Inode,
    newName: ByteString,
    replaced: Inode | null,
    flags: number,
  ): 0 | Errno {
    return renameObject(this, oldName, target as GoferInode, newParent as GoferInode, newName, replaced as GoferInode | null, flags);
  }
  override tmpfile(options: CreateOptions): Inode | Errno {
    const made = makeTemporary(this, options);
    if (isErrno(made)) return made;
    if (made.hostFd >= 0) made.inode.expectWriter(made.hostFd);
    return made.inode;
  }
  override readlink(): ByteString | Errno {
    if (this.target === '') {
      const r = this.ask();
      if (r !== 0) return r;
    }
    return this.target === '' ? ENOENT : this.target;
  }

  // Open files

  override open(flags: number, _context: OpenContext): FileImpl | Errno {
    const type = this.known.mode & S_IFMT;
    const accessMode = flags & O_ACCMODE;
    if (type === S_IFDIR) return accessMode === O_RDONLY ? new GoferDirectory(this) : EISDIR;
    if (type === S_IFIFO && this.fs.hostFifos) return openFifo(this, accessMode);
    if (type !== S_IFREG) return ENXIO;
    this.files ??= new OpenFiles(this);
    if (accessMode !== O_RDONLY) this.parent?.listing?.outdate(this.name);
    return this.files.open(accessMode);
  }
  private expectWriter(fd: number): void {
    this.files ??= new OpenFiles(this);
    this.files.expectWriter(fd);
  }
  get isOpen(): boolean {
    return this.files !== null && !this.files.none;
  }
  /** Written to: the host may have taken file capabilities. */
  contentChanged(): void {
    this.xattrCache?.changed();
  }
  /** The last open file is gone. */
  unused(): void {
    if (this.fs.open.get(this.ino) === this) this.fs.open.delete(this.ino);
    if ((this.parent === null || this.watched) && this !== this.fs.root && this.attributes().nlink === 0) this.gone();
  }

  // Extended attributes

  override getXattr(name: ByteString): Uint8Array | Errno {
    return this.xattrs.get(name);
  }
  override setXattr(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    return this.xattrs.set(name, value, flags);
  }
  override listXattrs(): ByteString[] | Errno {
    return this.xattrs.list();
  }
  override removeXattr(name: ByteString): 0 | Errno {
    return this.xattrs.remove(name);
  }
}
