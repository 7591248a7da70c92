/**
 * Extended attributes behind the gofer. It serves user.* and security.capability alone; programs that ask for others (ACLs, labels) with
 * every listing get their answer without a round trip, and on exclusive mounts the names are asked for once.
 */
import { ENODATA, EOPNOTSUPP, type Errno, isErrno } from '../../../abi/errno.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { byteString } from '../../../lib/byte_string.ts';
import { XATTRX_GET, XATTRX_LIST, XATTRX_REMOVE, XATTRX_SET } from '../../../lib/p9/constants.ts';
import { Rxattrx, Txattrx } from '../../../lib/p9/messages.ts';
import type { GoferInode } from './inode.ts';

const NOTHING = new Uint8Array(0);

function served(name: ByteString): boolean {
  return name.startsWith('user.') || name === 'security.capability';
}

export class XattrCache {
  private readonly inode: GoferInode;
  private names: ByteString[] | null = null;

  constructor(inode: GoferInode) {
    this.inode = inode;
  }

  get(name: ByteString): Uint8Array | Errno {
    if (!served(name)) return name.startsWith('system.') ? EOPNOTSUPP : ENODATA;
    if (this.inode.fs.exclusive) {
      const names = this.list();
      if (isErrno(names)) return names === EOPNOTSUPP ? ENODATA : names;
      if (!names.includes(name)) return ENODATA;
    }
    return this.call(XATTRX_GET, name, NOTHING, 0);
  }
  set(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    if (!served(name)) return EOPNOTSUPP;
    return this.change(XATTRX_SET, name, value, flags);
  }
  remove(name: ByteString): 0 | Errno {
    return served(name) ? this.change(XATTRX_REMOVE, name, NOTHING, 0) : ENODATA;
  }
  list(): ByteString[] | Errno {
    if (this.names !== null) return this.names;
    const list = this.call(XATTRX_LIST, '', NOTHING, 0);
    if (isErrno(list)) return list;
    const names = byteString(list).split('\0').slice(0, -1);
    if (this.inode.fs.exclusive) this.names = names;
    return names;
  }
  /** The host may have removed some: a write takes file capabilities. */
  changed(): void {
    this.names = null;
  }

  private change(operation: number, name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    const { watches } = this.inode.fs;
    watches?.before();
    const r = this.call(operation, name, value, flags);
    watches?.after(...this.inode.touched());
    this.names = null;
    this.inode.markStale();
    return isErrno(r) ? r : 0;
  }
  /** The value is a copy: the caller may keep it. */
  private call(operation: number, name: ByteString, value: Uint8Array, flags: number): Uint8Array | Errno {
    const place = this.inode.place();
    if (isErrno(place)) return place;
    const answer = this.inode.fs.client.call(Txattrx, { ...place, operation, flags, name, value }, Rxattrx);
    return isErrno(answer) ? answer : answer.data.slice();
  }
}
