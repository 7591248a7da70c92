/** Bringing pages from the server into the cache. */
import { O_ACCMODE, O_WRONLY } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { FuseBatch } from './batch.ts';
import type { FuseHandle } from './handle.ts';
import type { FuseInode } from './inode.ts';
import { FuseRequest } from './request.ts';

/** READs that are under way at once for one reader. */
const PARALLEL_READS = 8;

/** READs for what is missing from `offset` on, for `length` bytes at most; perhaps not for all of it. */
export function fetchPages(handle: FuseHandle, offset: number, length: number): FuseBatch {
  const { node } = handle;
  const step = Math.floor(node.connection.limits.maxRead / PAGE_SIZE) * PAGE_SIZE;
  const requests: FuseRequest[] = [];
  const end = Math.min(offset + length, node.size);
  for (let at = offset; at < end && requests.length < PARALLEL_READS; ) {
    const missing = node.pages.firstMissing(at, end - at);
    if (missing < 0) break;
    const from = missing * PAGE_SIZE;
    const size = Math.min(step, Math.ceil((end - from) / PAGE_SIZE) * PAGE_SIZE);
    requests.push(pageRequest(handle, from, size));
    at = from + size;
  }
  return new FuseBatch(handle, requests);
}

function pageRequest(handle: FuseHandle, offset: number, size: number): FuseRequest {
  const { node } = handle;
  const request: FuseRequest = new FuseRequest(node.connection, F.FUSE_READ, node.nodeid, [readBody(handle, offset, size, handle.flags)], {
    least: 0,
    most: size,
    // What was written since it was asked for is newer.
    receive: (reply) => (node.isNewer(request.version) ? 0 : node.pages.store(offset, reply, size)),
  });
  return request;
}

export function readBody(handle: FuseHandle, offset: number, size: number, flags: number): Uint8Array {
  return F.FuseReadIn.encode({ fh: handle.fh, offset, size, read_flags: 0, lock_owner: 0n, flags });
}

/** What is mapped and has been invalidated comes again, while whoever has it mapped goes on with the old content. */
export function reloadPages(node: FuseInode, length: number): void {
  const { connection } = node;
  const handle = [...node.handles].find(({ flags, isClosed }) => !isClosed && (flags & O_ACCMODE) !== O_WRONLY);
  if (handle === undefined || connection.state === 'dead') return;
  const batch = fetchPages(handle, 0, length);
  if (batch.done) return;
  batch.afterwards = () => {
    if (batch.error === 0) reloadPages(node, length);
  };
  batch.begin(null);
}
