/**
 * What a client will ask for next: directories and files that follow in a tree it goes through. Paths have several names here, resolved by one openat2
 * beneath the fid (host_calls.ts); whatever cannot be told is left out, and the client asks for it by itself.
 */
import { EPROTO } from '../abi/errno.ts';
import { O_RDONLY } from '../abi/fcntl.ts';
import { S_IFMT, S_IFREG } from '../abi/stat.ts';
import { attrMode } from '../lib/p9/attr.ts';
import { isPlainPath, P9_NOT_TOLD } from '../lib/p9/constants.ts';
import { Rlistx, Ropenx, Tlistx, Topenx } from '../lib/p9/messages.ts';
import type { Connection, Handler } from './connection.ts';
import { putEntries } from './entries.ts';
import type { Fid } from './fid.ts';
import { openObject } from './objects.ts';
import { notDirectory } from './place.ts';

/** Most bytes of one directory: a large one must not take the room of all others. */
const MAX_LISTING = 128 << 10;
/** Room below which no further directory is begun. */
const LEAST_ROOM = 16 << 10;

function listx(c: Connection): number {
  const m = c.extended ? c.read(Tlistx) : null;
  if (m === null) return EPROTO;
  const from = c.fid(m.fid);
  if (typeof from === 'number') return from;
  if (!from.isDirectory) return notDirectory(from.mode);
  c.begin(Rlistx);
  const { out } = c.channel;
  const length = out.take(4);
  const start = out.at;
  const limit = Math.min(out.limit, start + m.count);
  for (const path of m.paths) {
    if (limit - out.at < LEAST_ROOM) break;
    putListing(c, from, path, Math.min(limit, out.at + MAX_LISTING));
  }
  out.view.setUint32(length, out.at - start, true);
  return 0;
}

function putListing(c: Connection, from: Fid, path: string, limit: number): void {
  const { out } = c.channel;
  const length = out.take(4);
  const start = out.at;
  const fd = isPlainPath(path) ? c.calls.openDirectoryAt(from.fd, path) : -1;
  const left = fd < 0 ? -1 : putEntries(c, fd, limit);
  if (fd >= 0) c.calls.close(fd);
  if (left !== 0) out.at = start;
  out.view.setUint32(length, left === 0 ? out.at - start : P9_NOT_TOLD, true);
}

function openx(c: Connection): number {
  const m = c.extended ? c.read(Topenx) : null;
  if (m === null) return EPROTO;
  const from = c.fid(m.fid);
  if (typeof from === 'number') return from;
  if (!from.isDirectory) return notDirectory(from.mode);
  const opened = new Uint8Array(m.paths.length);
  for (const [i, path] of m.paths.entries()) {
    const fd = openBelow(c, from, path);
    if (fd < 0) continue;
    c.donate(fd);
    opened[i] = 1;
  }
  return c.reply(Ropenx, { opened });
}

/** A regular file, open for reading; negative: not that. */
function openBelow(c: Connection, from: Fid, path: string): number {
  const { calls } = c;
  const place = isPlainPath(path) ? calls.openPath(from.fd, path) : -1;
  if (place < 0) return place;
  const mode = calls.stat(place, c.statAddress) < 0 ? 0 : attrMode(c.stat, 0);
  const fd = (mode & S_IFMT) === S_IFREG ? openObject(c, place, mode, from.mount, O_RDONLY) : -1;
  calls.close(place);
  return fd;
}

export const AHEAD_HANDLERS: Readonly<Record<number, Handler>> = {
  [Tlistx.type]: listx,
  [Topenx.type]: openx,
};
