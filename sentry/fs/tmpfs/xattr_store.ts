/** Extended attributes kept in memory (xattr(7)). */
import { EEXIST, ENODATA, ENOSPC, type Errno } from '../../../abi/errno.ts';
import { XATTR_CREATE, XATTR_REPLACE } from '../../../abi/xattr.ts';
import type { ByteString } from '../../../lib/byte_string.ts';

/** Names and values of one object together: as much as listxattr(2) could ever tell, twice. */
const XATTR_TOTAL_MAX = 128 << 10;

export class XattrStore {
  private readonly values = new Map<ByteString, Uint8Array>();
  private bytes = 0;

  get(name: ByteString): Uint8Array | Errno {
    return this.values.get(name) ?? ENODATA;
  }
  set(name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
    const old = this.values.get(name);
    if (old !== undefined && (flags & XATTR_CREATE) !== 0) return EEXIST;
    if (old === undefined && (flags & XATTR_REPLACE) !== 0) return ENODATA;
    const growth = value.length - (old === undefined ? -name.length : old.length);
    if (this.bytes + growth > XATTR_TOTAL_MAX) return ENOSPC;
    this.bytes += growth;
    this.values.set(name, value.slice());
    return 0;
  }
  remove(name: ByteString): 0 | Errno {
    const old = this.values.get(name);
    if (old === undefined) return ENODATA;
    this.bytes -= old.length + name.length;
    this.values.delete(name);
    return 0;
  }
  names(): ByteString[] {
    return [...this.values.keys()];
  }
}
