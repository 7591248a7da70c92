/** An open directory behind the gofer. What it holds is told as of the moment reading began; rewinding looks again. */
import { EINVAL, EIO, ENOENT, type Errno, isErrno } from '../../../abi/errno.ts';
import { SEEK_CUR, SEEK_SET } from '../../../abi/fcntl.ts';
import { direntType, S_IFDIR } from '../../../abi/stat.ts';
import { P9_MAX_MSIZE, P9_NOFID, READDIRX_NAMES, READDIRX_RESTART } from '../../../lib/p9/constants.ts';
import { Rfsync, Rreaddirx, Tfsync, Treaddirx } from '../../../lib/p9/messages.ts';
import { type EmitEntry, type FileDescription, FileImpl } from '../../vfs/file.ts';
import { readAttributes, viewOf } from './attributes.ts';
import { DENIED } from './direct.ts';
import type { GoferInode } from './inode.ts';
import { Listing } from './listing.ts';

/** Positions of "." and ".."; the entries of the listing follow. */
const DOT = 0;
const DOTDOT = 1;
const FIRST = 2;
/** Most entries of one directory that are read: the Sentry's memory pays for them. */
const MAX_ENTRIES = 4_000_000;

export class GoferDirectory extends FileImpl {
  private readonly inode: GoferInode;
  private listing: Listing | null = null;

  constructor(inode: GoferInode) {
    super();
    this.inode = inode;
  }

  override readdir(file: FileDescription, emit: EmitEntry): number {
    if (file.position === 0 || this.listing === null) {
      const listing = listDirectory(this.inode);
      if (isErrno(listing)) return listing;
      this.listing = listing;
    }
    const { names, inos, modes } = this.listing;
    if (file.position === DOT && emit('.', this.inode.ino, direntType(S_IFDIR), DOTDOT)) file.position = DOTDOT;
    if (file.position === DOTDOT) {
      const above = file.path?.dentry.parent?.inode?.attributes().ino ?? this.inode.ino;
      if (!emit('..', above, direntType(S_IFDIR), FIRST)) return 0;
      file.position = FIRST;
    }
    for (let i = file.position - FIRST; i >= 0 && i < names.length; i++) {
      const ino = inos[i] as number;
      // 0: removed since, by this sandbox.
      if (ino !== 0 && !emit(names[i] as string, ino, direntType(modes[i] as number), i + FIRST + 1)) return 0;
      file.position = i + FIRST + 1;
    }
    return 0;
  }
  override seek(file: FileDescription, offset: number, whence: number): number {
    const target = whence === SEEK_SET ? offset : whence === SEEK_CUR ? file.position + offset : -1;
    if (target < 0 || target > MAX_ENTRIES + FIRST) return EINVAL;
    file.position = target;
    return target;
  }
  /** A round trip that waits for the disk: what it makes durable are names. */
  override sync(_file: FileDescription, dataOnly: boolean): number {
    const { fs } = this.inode;
    const r = this.inode.ensureFid();
    if (r !== 0) return r;
    const answer = fs.client.call(Tfsync, { fid: this.inode.fid, datasync: dataOnly ? 1 : 0 }, Rfsync);
    return isErrno(answer) ? answer : 0;
  }
}

/** All of a directory: one round trip for what fits into the largest message. */
export function listDirectory(inode: GoferInode): Listing | Errno {
  const { fs } = inode;
  const known = inode.listing;
  if (known !== null) {
    fs.ahead.listed(known);
    return known;
  }
  if (inode.isGone) return ENOENT;
  const direct = new Listing(fs.device);
  const r = fs.direct?.list(inode, direct) ?? DENIED;
  if (r !== DENIED) return r === 0 ? direct : r;
  const ahead = fs.ahead.list(inode);
  if (ahead !== null) return ahead;
  const place = inode.place();
  if (isErrno(place)) return place;
  const newfid = inode.fid < 0 ? fs.client.newFid() : P9_NOFID;
  const listing = new Listing(fs.device);
  // Attributes are for the look-ups that follow; where each of those asks anyway they would serve nobody.
  const names = fs.exclusive ? 0 : READDIRX_NAMES;
  let request = { ...place, newfid, how: READDIRX_RESTART | names, count: P9_MAX_MSIZE };
  for (;;) {
    const answer = fs.client.call(Treaddirx, request, Rreaddirx);
    if (isErrno(answer)) {
      if (newfid !== P9_NOFID && inode.fid < 0) fs.client.unusedFid(newfid);
      return answer;
    }
    if (inode.fid < 0) inode.setFid(newfid);
    inode.tell(readAttributes(viewOf(answer.attr), 0, fs.device));
    if (!(names === 0 ? listing.add(answer.data) : listing.addNames(answer.data))) return EIO;
    if (answer.eof !== 0 || listing.names.length > MAX_ENTRIES) break;
    request = { fid: inode.fid, names: [], newfid: P9_NOFID, how: names, count: P9_MAX_MSIZE };
  }
  if (fs.exclusive) fs.keepListing(inode, listing);
  return listing;
}
