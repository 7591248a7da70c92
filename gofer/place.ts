/** Where an extension message's object is: a fid, and names to walk from there. */
import { EINVAL, ELOOP, ENOTDIR, type Errno } from '../abi/errno.ts';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../abi/stat.ts';
import type { ByteString } from '../lib/byte_string.ts';
import { attrMode } from '../lib/p9/attr.ts';
import { isPlainName } from '../lib/p9/constants.ts';
import type { Connection } from './connection.ts';
import { Fid, Node } from './fid.ts';

/** Why nothing can be looked up in what is no directory. A link is never followed: that is the client's to do. */
export function notDirectory(mode: number): Errno {
  return (mode & S_IFMT) === S_IFLNK ? ELOOP : ENOTDIR;
}

/** A fid of its own, in no table, for the object at a place; the caller releases or binds it. */
export function walkPlace(c: Connection, number: number, names: readonly ByteString[], inStore = false): Fid | Errno {
  const from = inStore ? c.anyFid(number) : c.fid(number);
  if (typeof from === 'number') return from;
  if (names.length === 0) return new Fid(from.node.share(), from.mount, from.mode, from.uid);
  let fd = from.fd;
  let { mode } = from;
  for (const name of names) {
    let next: number = isPlainName(name) ? 0 : EINVAL;
    if (next === 0) next = (mode & S_IFMT) === S_IFDIR ? c.calls.openPath(fd, name) : notDirectory(mode);
    if (fd !== from.fd) c.calls.close(fd);
    if (next < 0) return next as Errno;
    fd = next;
    const r = c.calls.stat(fd, c.statAddress);
    if (r < 0) {
      c.calls.close(fd);
      return r as Errno;
    }
    mode = attrMode(c.stat, 0);
  }
  return new Fid(new Node(fd), from.mount, mode, from.uid);
}
