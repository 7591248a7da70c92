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
export type Wanted = (listing: Listing, index: number) => boolean;

/** Most entries that are passed over in search of those that are wanted. */
const MAX_PASSED = 2048;

/** Names from the mount's root on, joined; null: it has lost its name. */
export function pathBelowRoot(inode: GoferInode): ByteString | null {
  if (inode.parent === null) return inode === inode.fs.root ? '' : null;
  const above = pathBelowRoot(inode.parent);
  return above === null ? null : join(above, inode.name);
}

/** The next `count` entries behind an object that are wanted, as far as listings are known. */
export function following(inode: GoferInode, count: number, wanted: Wanted): Step[] {
  const search = { found: [] as Step[], count, wanted, passed: 0 };
  for (let at = inode; at.parent !== null && !isOver(search); at = at.parent) {
    const { listing } = at.parent;
    const path = pathBelowRoot(at.parent);
    const position = listing === null ? -1 : listing.position(at.name);
    if (listing === null || path === null || position < 0) break;
    searchListing(search, listing, path, position + 1);
  }
  return search.found;
}

interface Search {
  readonly found: Step[];
  readonly count: number;
  readonly wanted: Wanted;
  passed: number;
}
function isOver(search: Search): boolean {
  return search.found.length >= search.count || search.passed > MAX_PASSED;
}

function searchListing(search: Search, listing: Listing, path: ByteString, from: number): void {
  for (let index = from; index < listing.names.length && !isOver(search); index++) {
    search.passed++;
    if (listing.inos[index] === 0) continue; // removed
    const below = listing.below.get(index);
    const wanted = search.wanted(listing, index);
    if (!wanted && below === undefined) continue;
    const name = join(path, listing.names[index] as string);
    if (wanted) search.found.push({ listing, index, path: name });
    if (below !== undefined) searchListing(search, below, name, 0);
  }
}

function join(path: ByteString, name: ByteString): ByteString {
  return path === '' ? name : `${path}/${name}`;
}
