/**
 * What a program that goes through a tree (find, tar, grep -r, rm -r) will ask for next, fetched with what it asks for: listings of the directories that
 * follow, descriptors of the files that follow. A round trip then serves dozens of them. Exclusive mounts alone: elsewhere every use asks anyway.
 */
import { isErrno } from '../../../abi/errno.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { P9_MAX_AHEAD, P9_MAX_DESCRIPTORS, P9_MAX_STRING, P9_NOT_TOLD } from '../../../lib/p9/constants.ts';
import { Rlistx, Ropenx, Tlistx, Topenx } from '../../../lib/p9/messages.ts';
import { HostFd } from '../host_fd.ts';
import { viewOf } from './attributes.ts';
import type { GoferFilesystem } from './filesystem.ts';
import type { GoferInode } from './inode.ts';
import { Listing } from './listing.ts';
import { following, pathBelowRoot, type Step } from './tree_order.ts';

/** Most bytes of entries that one look ahead brings. */
const MAX_BYTES = 512 << 10;
/** So far behind the last opened file the next one of a program may be that goes through a directory: others it has passed over. */
const NEAR = 8;
/** How much more is fetched each time that it was of use. */
const GROWTH = 4;

/** How far to look ahead: further each time, as long as what was fetched is used. */
class Reach {
  private readonly max: number;
  private steps = 0;
  private fetched = 0;
  private used = 0;

  constructor(max: number) {
    this.max = max;
  }
  hit(): void {
    this.used++;
  }
  /** Something is asked for that was not fetched. `inOrder`: as by a program that goes through a tree. How much to fetch, it itself included; 0: it alone. */
  miss(inOrder: boolean): number {
    const useful = this.used * 2 >= this.fetched;
    this.steps = !inOrder ? 0 : useful ? this.steps + 1 : 1;
    this.used = 0;
    this.fetched = 0;
    return this.steps < 2 ? 0 : Math.min(this.max, GROWTH ** (this.steps - 1));
  }
  brought(count: number): void {
    this.fetched = count;
  }
}

export class ReadAhead {
  private readonly fs: GoferFilesystem;
  private readonly listings = new Reach(P9_MAX_AHEAD);
  private readonly files = new Reach(P9_MAX_DESCRIPTORS);
  /** Descriptors that nobody has asked for yet, by the file's identity; the oldest first. */
  private readonly opened = new Map<number, HostFd>();
  /** Where the last file was opened. */
  private lastParent: GoferInode | null = null;
  private lastPosition = 0;

  constructor(fs: GoferFilesystem) {
    this.fs = fs;
  }

  /** A directory is listed whose listing is there. */
  listed(listing: Listing): void {
    if (!listing.ahead) return;
    listing.ahead = false;
    this.listings.hit();
  }
  /** A directory is listed whose listing is not there: brings it with others. Null: it must be asked for alone. */
  list(inode: GoferInode): Listing | null {
    const { fs } = this;
    if (!fs.exclusive) return null;
    const count = this.listings.miss(inode.parent !== null && inode.parent.listing !== null);
    const path = count === 0 ? null : pathBelowRoot(inode);
    if (path === null || path.length > P9_MAX_STRING) return null;
    const steps = following(inode, count - 1, (listing, index) => listing.isDirectory(index) && !listing.below.has(index));
    const paths = pathsOf(path, steps);
    const answer = fs.client.call(Tlistx, { fid: fs.root.fid, count: MAX_BYTES, paths }, Rlistx);
    if (isErrno(answer)) return null;
    const [own, ...others] = readListings(answer.data, fs.device);
    this.listings.brought(others.length);
    for (const [i, listing] of others.entries()) {
      const step = steps[i];
      if (listing === null || step === undefined) continue;
      listing.ahead = true;
      step.listing.below.set(step.index, listing);
      fs.countListing(listing);
    }
    if (own === null || own === undefined) return null;
    fs.keepListing(inode, own);
    return own;
  }

  /** A regular file is opened for reading: its descriptor, if others were opened with it; -1: it must be asked for alone. */
  open(inode: GoferInode): number {
    const { fs } = this;
    if (!fs.exclusive) return -1;
    const count = this.files.miss(this.follows(inode));
    const path = count === 0 ? null : pathBelowRoot(inode);
    if (path === null || path.length > P9_MAX_STRING) return -1;
    const steps = following(inode, count - 1, (listing, index) => listing.isRegular(index));
    const paths = pathsOf(path, steps);
    const answer = fs.client.call(Topenx, { fid: fs.root.fid, paths }, Ropenx);
    if (isErrno(answer)) return -1;
    this.release();
    this.files.brought(steps.length);
    let own = -1;
    for (let i = 0; i < Math.min(answer.opened.length, paths.length); i++) {
      const fd = answer.opened[i] === 1 ? fs.client.takeDescriptor() : -1;
      if (i === 0) own = fd;
      else if (fd >= 0) this.keep(steps[i - 1] as Step, fd);
    }
    return own;
  }
  private keep({ listing, index }: Step, fd: number): void {
    const file = new HostFd(this.fs.kernel.host, fd);
    const ino = listing.inos[index] as number;
    this.opened.get(ino)?.release(); // another of its names
    this.opened.set(ino, file);
  }
  /** The descriptor that was fetched for a file. */
  take(inode: GoferInode): HostFd | null {
    const file = this.opened.get(inode.ino) ?? null;
    if (file === null) return null;
    this.opened.delete(inode.ino);
    this.files.hit();
    this.follows(inode);
    return file;
  }
  /** The file is gone: its room is the host's again. */
  drop(inode: GoferInode): void {
    const file = this.opened.get(inode.ino);
    this.opened.delete(inode.ino);
    file?.release();
  }
  release(): void {
    for (const file of this.opened.values()) file.release();
    this.opened.clear();
  }

  /** Whether the file comes soon after the one that was opened last; or it is among the first of another directory that has been listed. */
  private follows(inode: GoferInode): boolean {
    const { parent } = inode;
    const listing = parent?.listing ?? null;
    const position = listing === null ? -1 : listing.position(inode.name);
    const passed = position - (parent === this.lastParent ? this.lastPosition : -1);
    this.lastParent = parent;
    this.lastPosition = position;
    return position >= 0 && passed > 0 && passed <= NEAR;
  }
}

/** For a request: the path of what is asked for, then those of what follows. One that is too long ends them. */
function pathsOf(path: ByteString, steps: readonly Step[]): ByteString[] {
  const end = steps.findIndex((step) => step.path.length > P9_MAX_STRING);
  return [path, ...steps.slice(0, end < 0 ? steps.length : end).map((step) => step.path)];
}

/** Of an Rlistx, in its order; null: not told, or malformed. */
function readListings(data: Uint8Array, device: number): (Listing | null)[] {
  const view = viewOf(data);
  const found: (Listing | null)[] = [];
  for (let at = 0; at + 4 <= data.length && found.length < P9_MAX_AHEAD; ) {
    const length = view.getUint32(at, true);
    at += 4;
    const listing = new Listing(device);
    const told = length !== P9_NOT_TOLD;
    if (told && at + length > data.length) break;
    found.push(told && listing.add(data.subarray(at, at + length)) ? listing : null);
    if (told) at += length;
  }
  return found;
}
