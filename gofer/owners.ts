/**
 * Whom a container may make owners of files: the users of its own user namespace, on an ID-mapped mount those that the map reaches. Objects
 * of others stay what they are; what is made, given away, or made privileged is never theirs. So a Sentry that was taken over makes
 * nothing that counts for other users of the host.
 */
import { VFS_CAP_REVISION_3, VFS_CAP_REVISION_MASK, XATTR_NAME_CAPS } from '../abi/capability.ts';
import { S_ISGID, S_ISUID } from '../abi/stat.ts';
import type { ByteString } from '../lib/byte_string.ts';
import type { GoferOwners, IdSpan } from '../lib/gofer_config.ts';

/** struct vfs_ns_cap_data */
const CAPS_3_SIZE = 24;
const ROOT_ID = 20;

function isListed(spans: readonly IdSpan[], id: number): boolean {
  return spans.some(({ first, count }) => id >= first && id - first < count);
}

/** Null owners: no limit. */
export class Owners {
  private readonly listed: GoferOwners | null;
  constructor(listed: GoferOwners | null) {
    this.listed = listed;
  }

  /** May an object be given to these? Undefined: it stays with whom it is. */
  mayOwn(uid: number | undefined, gid: number | undefined): boolean {
    const { listed } = this;
    if (listed === null) return true;
    return (uid === undefined || isListed(listed.uids, uid)) && (gid === undefined || isListed(listed.gids, gid));
  }
  /** May an object of these have such a mode? */
  mayHave(mode: number, uid: number, gid: number): boolean {
    return this.mayOwn((mode & S_ISUID) !== 0 ? uid : undefined, (mode & S_ISGID) !== 0 ? gid : undefined);
  }
  /** File capabilities count for the namespace of a root: it has to be listed. */
  maySetXattr(name: ByteString, value: Uint8Array): boolean {
    if (this.listed === null || name !== XATTR_NAME_CAPS) return true;
    if (value.length !== CAPS_3_SIZE) return false;
    const view = new DataView(value.buffer, value.byteOffset);
    const revision = (view.getUint32(0, true) & VFS_CAP_REVISION_MASK) >>> 0;
    return revision === VFS_CAP_REVISION_3 && isListed(this.listed.uids, view.getUint32(ROOT_ID, true));
  }
}
