/**
 * Extended attributes behind the gofer. It serves user.*, file capabilities and access control lists; programs that ask for others (labels) with
 * every listing get their answer without a round trip. What was told stays true as long as the object's ctime does not move.
 */
import { ENODATA, EOPNOTSUPP, type Errno, isErrno } from '../../../abi/errno.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { byteString } from '../../../lib/byte_string.ts';
import { XATTRX_GET, XATTRX_LIST, XATTRX_REMOVE, XATTRX_SET } from '../../../lib/p9/constants.ts';
import { Rxattrx, Txattrx } from '../../../lib/p9/messages.ts';
import type { Timestamp } from '../../vfs/inode.ts';
import { ACL_ACCESS, ACL_DEFAULT } from '../../vfs/posix_acl.ts';
import type { GoferInode } from './inode.ts';

const NOTHING = new Uint8Array(0);
/** Those that the kernel itself asks for, again and again. */
const KEPT: readonly ByteString[] = ['security.capability', ACL_ACCESS, ACL_DEFAULT];
/** The host's clock for ctime ticks this seldom, at worst: what changed just now may change again unseen. */
const TICK_NS = 20e6;

function served(name: ByteString): boolean {
  return name.startsWith('user.') || KEPT.includes(name);
}

export class XattrCache {
  private readonly inode: GoferInode;
  private names: ByteString[] | null = null;
  private readonly values = new Map<ByteString, Uint8Array | Errno>();
  private ctime: Timestamp | null = null;

  constructor(inode: GoferInode) {
    this.inode = inode;
  }

  get(name: ByteString): Uint8Array | Errno {
    if (!served(name)) return name.startsWith('system.') ? EOPNOTSUPP : ENODATA;
    const lasting = this.begin();
    const known = this.values.get(name);
    if (known !== undefined) return known;
    if (this.inode.fs.exclusive) {
      const names = this.list();
      if (isErrno(names)) return names === EOPNOTSUPP ? ENODATA : names;
      if (!names.includes(name)) return ENODATA;
    }
    const value = this.call(XATTRX_GET, name, NOTHING, 0);
    if (lasting && KEPT.includes(name) && (!isErrno(value) || value === ENODATA || value === EOPNOTSUPP)) this.values.set(name, value);
    return value;
  }
  set(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    if (!served(name)) return EOPNOTSUPP;
    return this.change(XATTRX_SET, name, value, flags);
  }
  remove(name: ByteString): 0 | Errno {
    return served(name) ? this.change(XATTRX_REMOVE, name, NOTHING, 0) : ENODATA;
  }
  list(): ByteString[] | Errno {
    const lasting = this.begin();
    if (this.names !== null) return this.names;
    const list = this.call(XATTRX_LIST, '', NOTHING, 0);
    if (isErrno(list)) return list;
    const names = byteString(list).split('\0').slice(0, -1);
    if (lasting) this.names = names;
    return names;
  }
  /** The host may have removed some: a write takes file capabilities. */
  changed(): void {
    this.ctime = null;
  }

  /** Forgets what may not be true any more; is what is told now worth keeping? */
  private begin(): boolean {
    const { fs } = this.inode;
    const { ctime } = this.inode.attributes();
    if (this.ctime === null || ctime.sec !== this.ctime.sec || ctime.nsec !== this.ctime.nsec) {
      this.names = null;
      this.values.clear();
      this.ctime = ctime;
    }
    return fs.exclusive || fs.kernel.realtime() - (ctime.sec * 1e9 + ctime.nsec) > TICK_NS;
  }
  private change(operation: number, name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    const { watches } = this.inode.fs;
    watches?.before();
    const r = this.call(operation, name, value, flags);
    watches?.after(...this.inode.touched());
    this.changed();
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
