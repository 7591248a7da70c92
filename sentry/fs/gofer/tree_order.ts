/** The order in which programs go through a tree: each directory's entries as they were listed, and what a subdirectory holds right behind it. */
import type { ByteString } from '../../../lib/byte_string.ts';
import type { GoferInode } from './inode.ts';
import type { Listing } from './listing.ts';

/** Entry `index` of a listing; `path` of it, from the mount's root on. */
export interface Step {
  readonly listing: Listing;
  readonly index: number;
  readonly path: ByteString;
}

/** Names from the mount's root on, joined; null: it has lost its name. */
export function pathBelowRoot(inode: GoferInode): ByteString | null {
  if (inode.parent === null) return inode === inode.fs.root ? '' : null;
  const above = pathBelowRoot(inode.parent);
  return above === null ? null : join(above, inode.name);
}

/** What follows an object, as far as listings are known. */
export function* following(inode: GoferInode): Generator<Step> {
  for (let at = inode; at.parent !== null; at = at.parent) {
    const { listing } = at.parent;
    const path = pathBelowRoot(at.parent);
    const position = listing === null ? -1 : listing.position(at.name);
    if (listing === null || path === null || position < 0) return;
    yield* within(listing, path, position + 1);
  }
}

function* within(listing: Listing, path: ByteString, from: number): Generator<Step> {
  for (let index = from; index < listing.names.length; index++) {
    if (listing.inos[index] === 0) continue; // removed
    const step = { listing, index, path: join(path, listing.names[index] as string) };
    yield step;
    const below = listing.below.get(index);
    if (below !== undefined) yield* within(below, step.path, 0);
  }
}

function join(path: ByteString, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}
