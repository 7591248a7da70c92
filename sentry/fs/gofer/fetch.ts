/** Look-ups behind the gofer: one round trip for the name that is asked for and those that follow it in the walk. */
import { EIO, ENOENT, type Errno, ESTALE, isErrno } from '../../../abi/errno.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { isPlainName, P9_MAX_WALK_EXTENDED, P9_NO_OPEN, P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rwalkx, Twalkx } from '../../../lib/p9/messages.ts';
import type { WalkAhead } from '../../vfs/inode.ts';
import { readAttributes, viewOf } from './attributes.ts';
import { DENIED, type DirectTree } from './direct.ts';
import type { GoferInode } from './inode.ts';
import { type Entry, readEntries } from './listing.ts';

/** What a name in a directory means now; what follows it in the walk is asked in the same round trip. */
export function fetchEntry(inode: GoferInode, name: ByteString, ahead: WalkAhead | undefined): Entry | Errno {
  const { fs } = inode;
  if (inode.isGone) return ENOENT;
  const direct = fs.direct === null ? DENIED : fetchDirectly(fs.direct, inode, name);
  if (direct !== DENIED) return direct;
  const known = fetchedBefore(inode, ahead);
  if (known !== null) return known;
  const place = inode.directoryPlace();
  if (isErrno(place)) return place;
  const base = place.names.length;
  const rest = ahead === undefined ? [name] : plainNames(ahead, P9_MAX_WALK_EXTENDED - base);
  const names = base === 0 ? rest : [...place.names, ...rest];
  const answer = fs.client.call(Twalkx, { fid: place.fid, newfid: P9_NOFID, open: P9_NO_OPEN, names }, Rwalkx);
  if (isErrno(answer)) return answer;
  const entries: (Entry | Errno)[] | null = readEntries(answer.entries, fs.device);
  if (entries === null) return EIO;
  const here = base === 0 ? undefined : entries[base - 1];
  if (base > 0 && (here === undefined || isErrno(here) || !inode.sameObject(here.attributes))) {
    return here === undefined && answer.ecode !== 0 && fs.exclusive ? fs.client.errnoOf(answer.ecode) : ESTALE;
  }
  // Whoever searches here next is judged by what this directory is now.
  if (!fs.exclusive) inode.tell(here === undefined || isErrno(here) ? readAttributes(viewOf(answer.start), 0, fs.device) : here.attributes);
  if (answer.ecode !== 0 && entries.length < names.length) entries.push(fs.client.errnoOf(answer.ecode));
  const results = entries.slice(base);
  if (ahead !== undefined) fs.fetched = { names: ahead.names, first: ahead.index, directory: inode.ino, results };
  return results[0] ?? EIO;
}
/** A name below a descriptor of our own. What is above the walk's first directory has just been looked at, but for the root. */
function fetchDirectly(direct: DirectTree, inode: GoferInode, name: ByteString): Entry | Errno | typeof DENIED {
  const { fs } = inode;
  if (!fs.exclusive && inode === fs.root) {
    const own = direct.attributes(inode);
    if (typeof own === 'object') inode.tell(own.attributes);
  }
  return direct.entry(inode, name);
}

/** What the same walk has fetched, if it was in this directory. */
function fetchedBefore(inode: GoferInode, ahead: WalkAhead | undefined): Entry | Errno | null {
  const { fetched } = inode.fs;
  if (ahead === undefined || fetched === null || fetched.names !== ahead.names) return null;
  const at = ahead.index - fetched.first;
  const result = fetched.results[at];
  if (result === undefined) return null;
  const before = at === 0 ? null : fetched.results[at - 1];
  const directory = before === null ? fetched.directory : before === undefined || isErrno(before) ? -1 : before.attributes.ino;
  if (directory !== inode.ino) return null;
  // ELOOP and ENOTDIR say that the walk went through something else than the names say: ask again, from here.
  return isErrno(result) && result !== ENOENT ? null : result;
}

/** The names of a walk from here on, up to one that no directory can hold: the walk will find out when it gets there. */
function plainNames({ names, index }: WalkAhead, max: number): ByteString[] {
  let end = index + 1;
  while (end < names.length && end - index < max && isPlainName(names[end] as string)) end++;
  return names.slice(index, end);
}
