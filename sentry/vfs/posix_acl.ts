/** POSIX access control lists (acl(5)) as the attributes system.posix_acl_access and system.posix_acl_default carry them. */
import { EINVAL, EOPNOTSUPP, type Errno } from '../../abi/errno.ts';
import { type Credentials, inGroup } from '../kernel/credentials.ts';
import type { AccessRule } from './inode.ts';

export const ACL_ACCESS = 'system.posix_acl_access';
export const ACL_DEFAULT = 'system.posix_acl_default';

// linux/posix_acl_xattr.h: version[4], then tag[2] perm[2] id[4] each
const VERSION = 2;
const HEADER = 4;
const ENTRY = 8;
const USER_OBJ = 0x01;
const USER = 0x02;
const GROUP_OBJ = 0x04;
const GROUP = 0x08;
const MASK = 0x10;
const OTHER = 0x20;
const NO_ID = 0xffff_ffff;
/** Entries of one list: as many as an attribute's value holds. */
const ENTRIES_MAX = 8191;

interface AclEntry {
  readonly tag: number;
  readonly perm: number;
  readonly id: number;
}

export class PosixAcl implements AccessRule {
  private readonly entries: readonly AclEntry[];
  private constructor(entries: readonly AclEntry[]) {
    this.entries = entries;
  }

  /** EOPNOTSUPP: another version; EINVAL: no valid list. Entries must be in the order of acl(5): owner, users, group, groups, mask, others. */
  static parse(bytes: Uint8Array): PosixAcl | Errno {
    const count = (bytes.length - HEADER) / ENTRY;
    if (!Number.isInteger(count) || count < 0 || count > ENTRIES_MAX) return EINVAL;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    if (view.getUint32(0, true) !== VERSION) return EOPNOTSUPP;
    const entries: AclEntry[] = [];
    for (let at = HEADER; at < bytes.length; at += ENTRY) {
      entries.push({ tag: view.getUint16(at, true), perm: view.getUint16(at + 2, true), id: view.getUint32(at + 4, true) });
    }
    return isValid(entries) ? new PosixAcl(entries) : EINVAL;
  }

  encode(): Uint8Array {
    const bytes = new Uint8Array(HEADER + ENTRY * this.entries.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, VERSION, true);
    for (const [i, { tag, perm, id }] of this.entries.entries()) {
      const at = HEADER + ENTRY * i;
      view.setUint16(at, tag, true);
      view.setUint16(at + 2, perm, true);
      view.setUint32(at + 4, tag === USER || tag === GROUP ? id : NO_ID, true);
    }
    return bytes;
  }

  private find(tag: number): AclEntry | undefined {
    return this.entries.find((entry) => entry.tag === tag);
  }

  /** The nine permission bits that say the same, as far as bits can: the group's are the mask. */
  get mode(): number {
    const group = this.find(MASK) ?? this.find(GROUP_OBJ);
    return ((this.find(USER_OBJ)?.perm ?? 0) << 6) | ((group?.perm ?? 0) << 3) | (this.find(OTHER)?.perm ?? 0);
  }
  /** It says nothing that the bits do not. */
  get isMinimal(): boolean {
    return this.entries.length === 3;
  }
  /** chmod(2). */
  withMode(mode: number): PosixAcl {
    const group = this.find(MASK) === undefined ? GROUP_OBJ : MASK;
    const shifts = new Map([
      [USER_OBJ, 6],
      [group, 3],
      [OTHER, 0],
    ]);
    return new PosixAcl(
      this.entries.map((entry) => {
        const shift = shifts.get(entry.tag);
        return shift === undefined ? entry : { ...entry, perm: (mode >> shift) & 7 };
      }),
    );
  }

  /** The same for other numbers of its users and groups. */
  withIds(user: (id: number) => number, group: (id: number) => number): PosixAcl {
    const translate = (entry: AclEntry): AclEntry =>
      entry.tag === USER ? { ...entry, id: user(entry.id) } : entry.tag === GROUP ? { ...entry, id: group(entry.id) } : entry;
    return new PosixAcl(this.entries.map(translate));
  }
  /** An entry for a user or a group without one to go with it. */
  get namesNobody(): boolean {
    return this.entries.some(({ tag, id }) => (tag === USER || tag === GROUP) && id === NO_ID);
  }

  /** Is all of `mask` (rwx bits) granted to these credentials on an object of this owner and group? */
  grants({ uid, gid }: { readonly uid: number; readonly gid: number }, creds: Credentials, mask: number): boolean {
    if (creds.fsuid === uid) return ((this.find(USER_OBJ)?.perm ?? 0) & mask) === mask;
    const limit = this.find(MASK)?.perm ?? 7;
    // Linux does not look at a list whose mask is empty: the bits decide, and named users are others.
    if (limit === 0) return !inGroup(creds, gid) && ((this.find(OTHER)?.perm ?? 0) & mask) === mask;
    let member = false;
    for (const { tag, perm, id } of this.entries) {
      if (tag === USER && id === creds.fsuid) return (perm & limit & mask) === mask;
      if ((tag === GROUP_OBJ && inGroup(creds, gid)) || (tag === GROUP && inGroup(creds, id))) {
        if ((perm & limit & mask) === mask) return true;
        member = true;
      }
    }
    return !member && ((this.find(OTHER)?.perm ?? 0) & mask) === mask;
  }

  /** As the default list of a directory: the list of an object that is made there with `mode`, whose bits it can only lose by. */
  inherited(mode: number): PosixAcl {
    return this.withMode(this.mode & mode);
  }
}

function isValid(entries: readonly AclEntry[]): boolean {
  const order = [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER];
  const counts = new Map<number, number>();
  let last = 0;
  for (const { tag, perm } of entries) {
    const place = order.indexOf(tag);
    if (place < last || (perm & ~7) !== 0) return false;
    last = place;
    counts.set(tag, (counts.get(tag) ?? 0) + 1);
  }
  const has = (tag: number): number => counts.get(tag) ?? 0;
  if (has(USER_OBJ) !== 1 || has(GROUP_OBJ) !== 1 || has(OTHER) !== 1 || has(MASK) > 1) return false;
  return has(MASK) === 1 || (has(USER) === 0 && has(GROUP) === 0);
}
