/** A mount that the gofer serves: host files below one directory, or one host file. */
import { type Errno, isErrno } from '../../../abi/errno.ts';
import { FUSE_SUPER_MAGIC } from '../../../abi/fuse.ts';
import { CEPH_SUPER_MAGIC, CIFS_SUPER_MAGIC, NFS_SUPER_MAGIC, SMB2_SUPER_MAGIC, V9FS_MAGIC } from '../../../abi/statfs.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { attrDevice } from '../../../lib/p9/attr.ts';
import { P9_NO_OPEN, P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rdirectx, Rstatfs, Rsyncfsx, Rwalkx, Tdirectx, Tstatfs, Tsyncfsx, Twalkx } from '../../../lib/p9/messages.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { Timer } from '../../kernel/timer_queue.ts';
import { type CachePolicy, Filesystem, type FilesystemStats } from '../../vfs/inode.ts';
import type { HostFd } from '../host_fd.ts';
import { viewOf } from './attributes.ts';
import type { GoferClient } from './client.ts';
import { DirectTree } from './direct.ts';
import { HostWatches } from './host_watches.ts';
import { GoferInode } from './inode.ts';
import { type Entry, type Listing, readEntries } from './listing.ts';
import type { OpenFiles } from './open_files.ts';
import { ReadAhead } from './read_ahead.ts';

export interface GoferMountOptions {
  /** The mount's name in the gofer's configuration. */
  readonly name: string;
  /** Nobody else changes its files: names and attributes are cached for ever. Otherwise each use asks. */
  readonly exclusive: boolean;
  readonly readonly: boolean;
  /** Look beneath the root's own descriptor, if the gofer gives it (directfs). */
  readonly direct?: boolean;
  /** Sockets and fifos are the host's as well, as far as the gofer was told so. */
  readonly hostSockets?: boolean;
  readonly hostFifos?: boolean;
}

/** What one answer told about the names of a walk; see WalkAhead. */
export interface Fetched {
  readonly names: readonly ByteString[];
  /** Index in `names` of results[0]. */
  readonly first: number;
  /** Identity of the directory in which results[0] was looked up. */
  readonly directory: number;
  readonly results: readonly (Entry | Errno)[];
}

/** Fids that are kept for later use; descriptors for reading, likewise; bytes of directory listings. */
const MAX_FIDS = 4096;
const MAX_IDLE_FILES = 256;
const MAX_LISTING_BYTES = 16 << 20;
const MAX_ONE_LISTING = 8 << 20;
/** Listings serve the burst of look-ups that follows a listing; then they go. */
const LISTING_LIFETIME_NS = 10e9;
/** How long a shared mount keeps a descriptor that nobody uses. */
const SHARED_IDLE_NS = 1e9;
/** Files with several names that are known by identity. */
const MAX_LINKED = 16384;

/** Filesystems of the host that write, or fail to, when a descriptor is closed. */
const REPORTS_AT_CLOSE: ReadonlySet<number> = new Set([
  FUSE_SUPER_MAGIC,
  NFS_SUPER_MAGIC,
  V9FS_MAGIC,
  CIFS_SUPER_MAGIC,
  SMB2_SUPER_MAGIC,
  CEPH_SUPER_MAGIC,
]);

export class GoferFilesystem extends Filesystem {
  override readonly type = '9p';
  override readonly idMappable = true;
  override readonly cachePolicy: CachePolicy;
  private reportsAtClose: boolean | null = null;
  readonly kernel: Kernel;
  readonly client: GoferClient;
  readonly exclusive: boolean;
  readonly readonly: boolean;
  /** attrDevice of the root. */
  readonly device: number;
  readonly root: GoferInode;
  readonly direct: DirectTree | null;
  readonly ahead: ReadAhead;
  readonly hostSockets: boolean;
  readonly hostFifos: boolean;
  fetched: Fetched | null = null;
  /** The file that was created last. */
  created: OpenFiles | null = null;
  /** struct statx, and an empty C string, for descriptors. */
  readonly statView = new DataView(new ArrayBuffer(256));
  readonly emptyPath = new Uint8Array(8);
  // Least recently used first.
  private readonly fids = new Set<GoferInode>();
  private readonly idle = new Map<GoferInode, HostFd>();
  private readonly listings = new Set<GoferInode>();
  private listingBytes = 0;
  private listingTimer: Timer | null = null;
  private idleTimer: Timer | null = null;
  private readonly linked = new Map<number, GoferInode>();
  /** Files that are open, by identity: locks and sizes belong to the inode, also after its name was forgotten and found again. */
  readonly open = new Map<number, GoferInode>();

  /** Objects that the application watches, by identity: they stay the same when others move them. */
  private readonly watched = new Map<number, GoferInode>();

  private constructor(
    kernel: Kernel,
    client: GoferClient,
    options: GoferMountOptions,
    rootFid: number,
    entry: Entry,
    device: number,
    rootFd: number,
  ) {
    super(kernel.uniqueId());
    this.kernel = kernel;
    this.client = client;
    this.exclusive = options.exclusive;
    this.readonly = options.readonly;
    this.hostSockets = options.hostSockets === true;
    this.hostFifos = options.hostFifos === true;
    this.cachePolicy = options.exclusive ? 'forever' : 'revalidate';
    this.device = device;
    this.root = new GoferInode(this, null, '', entry, rootFid);
    this.direct = rootFd < 0 ? null : new DirectTree(kernel.host, rootFd, device, () => this.root);
    this.ahead = new ReadAhead(this);
    client.hold();
  }

  /** Attaches to a mount of the gofer. */
  static attach(kernel: Kernel, client: GoferClient, options: GoferMountOptions): GoferFilesystem | Errno {
    const fid = client.attach(options.name);
    if (fid < 0) return fid as Errno;
    const answer = client.call(Twalkx, { fid, newfid: P9_NOFID, open: P9_NO_OPEN, names: [] }, Rwalkx);
    if (isErrno(answer)) return answer;
    if (answer.ecode !== 0) return client.errnoOf(answer.ecode);
    const device = attrDevice(viewOf(answer.entries), 0);
    const entry = readEntries(answer.entries, device)?.[0];
    if (entry === undefined) return client.errnoOf(0);
    const rootFd = options.direct === true && !isErrno(client.call(Tdirectx, { fid }, Rdirectx)) ? client.takeDescriptor() : -1;
    return new GoferFilesystem(kernel, client, options, fid, entry, device, rootFd);
  }

  /** Who must be told of changes that we make; null: nobody watches anything on the host. */
  get watches(): HostWatches | null {
    const { watches } = this.client;
    return watches === null || watches.idle ? null : watches;
  }
  /** The application begins or ends to watch an object. Where nobody else changes files there is nothing to hear. */
  watchHost(inode: GoferInode): void {
    if (this.exclusive) return;
    const watches = (this.client.watches ??= new HostWatches(this.kernel, this.client));
    if (inode.watched) {
      this.watched.set(inode.ino, inode);
      watches.add(inode);
    } else {
      this.watched.delete(inode.ino);
      watches.remove(inode);
    }
  }

  stats(): FilesystemStats | Errno {
    return this.client.call(Tstatfs, { fid: this.root.fid }, Rstatfs);
  }
  /** Asked of the host once: what is mounted there stays. Of a mount below the root it is taken to be the same. */
  get flushesAtClose(): boolean {
    if (this.reportsAtClose === null) {
      const stats = this.stats();
      this.reportsAtClose = !isErrno(stats) && REPORTS_AT_CLOSE.has(stats.type);
    }
    return this.reportsAtClose;
  }
  /** syncfs(2): nothing is buffered here; the host's buffers go to its disk. */
  override sync(): number {
    const r = this.client.call(Tsyncfsx, { fid: this.root.fid }, Rsyncfsx);
    return isErrno(r) ? r : 0;
  }
  override options(): string {
    return this.exclusive ? 'cache=loose' : 'cache=none';
  }
  override release(): void {
    this.created?.dropUnusedWriter();
    if (this.listingTimer !== null) this.kernel.timers.cancel(this.listingTimer);
    if (this.idleTimer !== null) this.kernel.timers.cancel(this.idleTimer);
    for (const file of this.idle.values()) file.release();
    this.idle.clear();
    this.ahead.release();
    for (const inode of this.fids) inode.dropFid();
    this.fids.clear();
    this.direct?.close();
    this.client.clunk(this.root.fid);
    this.client.flushClunks();
    this.client.release();
  }

  /** The object of an entry at a name: one of several names leads to the same inode. */
  inodeFor(parent: GoferInode, name: ByteString, entry: Entry): GoferInode {
    const { ino, nlink, mode } = entry.attributes;
    const known = this.open.get(ino) ?? this.linked.get(ino) ?? this.watched.get(ino);
    if (known?.sameObject(entry.attributes)) {
      known.told(entry);
      known.moveTo(parent, name);
      return known;
    }
    const inode = new GoferInode(this, parent, name, entry, -1);
    if (nlink > 1 && (mode & 0o170000) !== 0o040000) this.rememberLinked(inode);
    return inode;
  }
  rememberLinked(inode: GoferInode): void {
    this.linked.set(inode.ino, inode);
    if (this.linked.size <= MAX_LINKED) return;
    const [oldest] = this.linked.keys();
    this.linked.delete(oldest as number);
  }
  forgetLinked(inode: GoferInode): void {
    if (this.linked.get(inode.ino) === inode) this.linked.delete(inode.ino);
  }

  /** `inode` has a fid and was just used. The one whose use is longest ago loses its own if there are too many. */
  touchFid(inode: GoferInode): void {
    this.fids.delete(inode);
    this.fids.add(inode);
    for (const oldest of this.fids) {
      if (this.fids.size <= MAX_FIDS) return;
      this.fids.delete(oldest);
      // An open file must stay reachable whatever becomes of its name: back to the end, and one more than the cap.
      if (!oldest.isOpen) oldest.dropFid();
      else {
        this.fids.add(oldest);
        return;
      }
    }
  }
  /** The inode's fid is its only way to the object: it stays. */
  keepFid(inode: GoferInode): void {
    this.fids.delete(inode);
  }
  /** The gofer has no room for more: gives back what can be made again. */
  shrink(): void {
    for (const inode of this.fids) {
      if (inode.isOpen) continue;
      this.fids.delete(inode);
      inode.dropFid();
    }
    this.client.flushClunks();
  }

  /**
   * An open descriptor for reading that nobody uses now: kept for the next open. Takes the reference. While it is open nothing else can get
   * its identity, so on a shared mount a walk that finds the same identity has found the same file; there it is kept for
   * a moment only, because a file that others have removed would keep its space.
   */
  keepIdle(inode: GoferInode, file: HostFd): void {
    if (!this.exclusive) {
      if (inode.fid < 0 && this.direct === null) {
        file.release();
        return;
      }
      this.idleTimer ??= this.kernel.timers.add(this.kernel.now() + SHARED_IDLE_NS, () => this.expireIdle());
    }
    this.dropIdle(inode);
    this.idle.set(inode, file);
    if (this.idle.size <= MAX_IDLE_FILES) return;
    for (const oldest of this.idle.keys()) {
      this.dropIdle(oldest);
      return;
    }
  }
  private expireIdle(): void {
    this.idleTimer = null;
    for (const inode of this.idle.keys()) this.dropIdle(inode);
  }
  takeIdle(inode: GoferInode): HostFd | null {
    // Without a fid the open file would be known by its name alone.
    if (!this.exclusive && inode.fid < 0 && this.direct === null) return null;
    const file = this.idle.get(inode) ?? null;
    if (file === null) return this.ahead.take(inode);
    this.idle.delete(inode);
    return file;
  }
  dropIdle(inode: GoferInode): void {
    this.idle.get(inode)?.release();
    this.idle.delete(inode);
    this.ahead.drop(inode);
  }

  keepListing(inode: GoferInode, listing: Listing): void {
    if (listing.size > MAX_ONE_LISTING) return;
    this.countListing(listing);
    this.holdListing(inode, listing);
    const above = inode.parent?.listing ?? null;
    const position = above === null ? -1 : above.position(inode.name);
    if (position >= 0) above?.below.set(position, listing);
    for (const oldest of this.listings) {
      if (this.listingBytes <= MAX_LISTING_BYTES) return;
      this.dropListing(oldest);
    }
  }
  /** A listing that is kept from now on, by its directory or with what it is below. */
  countListing(listing: Listing): void {
    this.listingBytes += listing.size;
    this.listingTimer ??= this.kernel.timers.add(this.kernel.now() + LISTING_LIFETIME_NS, () => this.expireListings());
  }
  /** `inode` keeps a listing that was counted. */
  holdListing(inode: GoferInode, listing: Listing): void {
    listing.held = true;
    inode.heldListing = listing;
    this.listings.add(inode);
  }
  private expireListings(): void {
    this.listingTimer = null;
    for (const inode of this.listings) this.dropListing(inode);
  }
  touchListing(inode: GoferInode): void {
    this.listings.delete(inode);
    this.listings.add(inode);
  }
  dropListing(inode: GoferInode): void {
    const { listing } = inode;
    if (listing === null) return;
    const above = inode.parent?.heldListing ?? null;
    above?.below.delete(above.position(inode.name));
    this.listingBytes -= listing.totalSize;
    this.listings.delete(inode);
    inode.heldListing = null;
    inode.forgetListing();
  }
}
