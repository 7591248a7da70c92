/** What a directory holds, as the gofer told it: names, and each name's attributes, decoded when they are asked for. */
import { S_IFDIR, S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { byteString } from '../../../lib/byte_string.ts';
import { attrIdentity, attrMode, inodeIdentity } from '../../../lib/p9/attr.ts';
import { isPlainName, P9_MAX_NAME } from '../../../lib/p9/constants.ts';
import { ATTR_SIZE } from '../../../lib/p9/messages.ts';
import type { Attributes } from '../../vfs/inode.ts';
import { readAttributes, viewOf } from './attributes.ts';

/** One entry: `target` is empty but for links, and may be empty for them. */
export interface Entry {
  readonly attributes: Attributes;
  readonly target: ByteString;
}

// struct linux_dirent64: d_ino, d_off, d_reclen, d_type, d_name
const DIRENT_RECLEN = 16;
const DIRENT_TYPE = 18;
const DIRENT_NAME = 19;

export class Listing {
  readonly names: ByteString[] = [];
  /** Of each name: inode number, mode. */
  readonly inos: number[] = [];
  readonly modes: number[] = [];
  /** Bytes it occupies, about. */
  size = 0;
  /** What subdirectories hold, by position: as far as it is known, for the order of a tree (tree_order.ts). */
  readonly below = new Map<number, Listing>();
  /** It was fetched before anybody asked, and nobody has asked yet. */
  ahead = false;
  /** A directory that is known keeps it; else it goes with what it is below. */
  held = false;
  private readonly device: number;
  private readonly chunks: DataView[] = [];
  /** Position of each entry: chunk << 21 | offset (chunks are below 2 MiB). */
  private readonly places: number[] = [];
  private index: Map<ByteString, number> | null = null;

  constructor(device: number) {
    this.device = device;
  }

  /** Adds what one answer told. False: it is malformed. */
  add(data: Uint8Array): boolean {
    const bytes = data.slice();
    const view = viewOf(bytes);
    const chunk = this.chunks.push(view) - 1;
    this.size += bytes.length + 100;
    let at = 0;
    while (at < bytes.length) {
      const nameAt = at + ATTR_SIZE;
      if (nameAt + 2 > bytes.length) return false;
      const length = view.getUint16(nameAt, true);
      const targetAt = nameAt + 2 + length;
      if (length > P9_MAX_NAME || targetAt + 2 > bytes.length) return false;
      const end = targetAt + 2 + view.getUint16(targetAt, true);
      if (end > bytes.length) return false;
      const name = byteString(bytes, nameAt + 2, targetAt);
      if (!isPlainName(name)) return false;
      this.names.push(name);
      this.inos.push(attrIdentity(view, at, this.device));
      this.modes.push(attrMode(view, at));
      this.places.push(chunk * 0x20_0000 + at);
      this.size += 64;
      at = end;
    }
    return true;
  }

  /** Adds entries of getdents64(2): names without attributes. False: they are malformed. */
  addNames(data: Uint8Array): boolean {
    const view = viewOf(data);
    for (let at = 0; at < data.length; ) {
      const end = at + DIRENT_NAME >= data.length ? 0 : at + view.getUint16(at + DIRENT_RECLEN, true);
      if (end <= at + DIRENT_NAME || end > data.length) return false;
      const nameEnd = data.indexOf(0, at + DIRENT_NAME);
      if (nameEnd < 0 || nameEnd >= end) return false;
      const name = byteString(data, at + DIRENT_NAME, nameEnd);
      if (isPlainName(name)) {
        this.names.push(name);
        this.inos.push(inodeIdentity(view, at));
        this.modes.push((data[at + DIRENT_TYPE] as number) << 12);
      } else if (name !== '.' && name !== '..') return false;
      at = end;
    }
    return true;
  }

  /** Null: there is no such name. 'outdated': there is, and what is known of it is not true any more. */
  find(name: ByteString): Entry | null | 'outdated' {
    const i = this.at(name);
    if (i === undefined) return null;
    const place = this.places[i] as number;
    if (place < 0) return 'outdated';
    const view = this.chunks[Math.floor(place / 0x20_0000)] as DataView;
    return readEntry(view, (place % 0x20_0000) + 0, this.device, 2 + name.length);
  }
  /** Bytes of it and of what goes with it. */
  get totalSize(): number {
    let total = this.size;
    for (const listing of this.below.values()) if (!listing.held) total += listing.totalSize;
    return total;
  }
  /** What the directory of this name holds, if that is known. */
  belowName(name: ByteString): Listing | null {
    const i = this.below.size === 0 ? undefined : this.at(name);
    return i === undefined ? null : (this.below.get(i) ?? null);
  }
  /** Where a name stands, -1: there is none. */
  position(name: ByteString): number {
    return this.at(name) ?? -1;
  }
  isDirectory(i: number): boolean {
    return ((this.modes[i] as number) & S_IFMT) === S_IFDIR;
  }
  isRegular(i: number): boolean {
    return ((this.modes[i] as number) & S_IFMT) === S_IFREG;
  }
  /** A name was removed. The order that readers have seen stays. */
  forget(name: ByteString): void {
    const i = this.at(name);
    if (i === undefined) return;
    this.index?.delete(name);
    this.below.delete(i);
    this.inos[i] = 0;
  }
  /** The object changed. */
  outdate(name: ByteString): void {
    const i = this.at(name);
    if (i !== undefined) this.places[i] = -1;
  }
  private at(name: ByteString): number | undefined {
    this.index ??= new Map(this.names.map((n, i) => [n, i]));
    return this.index.get(name);
  }
}

/** attr[144], `skip` bytes, target[s]. */
function readEntry(view: DataView, at: number, device: number, skip: number): Entry {
  const targetAt = at + ATTR_SIZE + skip;
  const length = view.getUint16(targetAt, true);
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  return {
    attributes: readAttributes(view, at, device),
    target: length === 0 ? '' : byteString(bytes, targetAt + 2, targetAt + 2 + length),
  };
}

/** The entries of an Rwalkx; null if they are malformed. */
export function readEntries(data: Uint8Array, device: number): Entry[] | null {
  const view = viewOf(data);
  const entries: Entry[] = [];
  for (let at = 0; at < data.length; ) {
    if (at + ATTR_SIZE + 2 > data.length) return null;
    const end = at + ATTR_SIZE + 2 + view.getUint16(at + ATTR_SIZE, true);
    if (end > data.length) return null;
    entries.push(readEntry(view, at, device, 0));
    at = end;
  }
  return entries;
}
