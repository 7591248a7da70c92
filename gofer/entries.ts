/** Entries of a directory with their attributes, as Rreaddirx and Rlistx carry them. */
import { EINVAL } from '../abi/errno.ts';
import { ATTR_SIZE } from '../lib/p9/messages.ts';
import type { Connection } from './connection.ts';
import { SMALLEST_DIRENT } from './dirents.ts';
import { STATX_SIZE } from './host_calls.ts';

/** Bytes of an entry beside its name and target. */
const FIXED = ATTR_SIZE + 4;
/** How much longer an entry gets on the wire, at most, without its target: the smallest has a name of one byte. */
const GROWTH = Math.ceil((FIXED + 1) / SMALLEST_DIRENT);
/** Less room is not worth a call. */
const LEAST_ROOM = 512;

/** Adds what follows in an open directory, up to position `limit` of the answer. 0: all is told; positive: more follows; EINVAL: no room for any; or an errno. */
export function putEntries(c: Connection, fd: number, limit: number): number {
  const { out } = c.channel;
  let n: number = EINVAL;
  // What one getdents64 gives must fit: the host cannot take entries back.
  for (let room = 0; (room = Math.floor((limit - STATX_SIZE - out.at) / GROWTH)) >= LEAST_ROOM; ) {
    n = c.dirents.fill(fd, room);
    if (n <= 0) return n;
    const end = c.calls.host.encodeEntries(fd, c.dirents.bytes, n, out.bytes, out.at, limit, GROWTH);
    if (end < 0) return end;
    out.at = end;
  }
  return n;
}
