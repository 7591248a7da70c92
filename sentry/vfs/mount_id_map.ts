/**
 * ID-mapped mounts (mount_setattr(2)): an object's owner on the filesystem passes through the mount's map, and then through the caller's user
 * namespace; what is made or changed through the mount goes the other way.
 *
 * Checks do not translate every object that they look at, but the caller: `credentialsOn` gives its user and groups as the filesystem
 * numbers them. What follows from these, the owner of a new object included, is in the filesystem's numbers then. A caller without a number
 * there is NO_ID, which owns nothing.
 */

import { EINVAL, EPERM, type Errno } from '../../abi/errno.ts';
import { CAP_SYS_ADMIN, type Credentials, hasCapIn } from '../kernel/credentials.ts';
import { IdMap, type IdRange, NO_ID, type OwnerMap, ROOT_USER_NAMESPACE, type UserNamespace } from '../kernel/user_namespace.ts';
import type { Inode } from './inode.ts';
import type { Mount } from './path.ts';

/** `toKernel`: from a number on the filesystem to the one that is seen; `fromKernel`: back. */
export class MountIdMap implements OwnerMap {
  readonly uids: IdMap;
  readonly gids: IdMap;
  /** Credentials are immutable: each is translated once. */
  private readonly translated = new WeakMap<Credentials, Credentials>();

  constructor(uids: IdMap, gids: IdMap) {
    this.uids = uids;
    this.gids = gids;
  }

  /** mount_setattr(2): the map of a user namespace, whose inner numbers are those that the filesystem's own namespace gives its objects. */
  static ofNamespace(shown: UserNamespace, filesystem: UserNamespace): MountIdMap {
    return new MountIdMap(compose(shown.uids, filesystem.uids), compose(shown.gids, filesystem.gids));
  }

  credentials(creds: Credentials): Credentials {
    let here = this.translated.get(creds);
    if (here === undefined) {
      const { uids, gids } = this;
      here = {
        ...creds,
        fsuid: uids.fromKernel(creds.fsuid),
        fsgid: gids.fromKernel(creds.fsgid),
        groups: creds.groups.map((gid) => gids.fromKernel(gid)).filter((gid) => gid !== NO_ID),
        seenThrough: this,
      };
      this.translated.set(creds, here);
    }
    return here;
  }
}

/** What both do, one after the other; `first` from numbers of the filesystem's namespace to kernel numbers. */
function compose(map: IdMap, first: IdMap): IdMap {
  const ranges: IdRange[] = [];
  for (const outer of map.ranges) {
    for (const inner of first.ranges) {
      const from = Math.max(outer.inside, inner.inside);
      const count = Math.min(outer.inside + outer.count, inner.inside + inner.count) - from;
      if (count > 0) ranges.push({ inside: inner.kernel + (from - inner.inside), kernel: outer.kernel + (from - outer.inside), count });
    }
  }
  return new IdMap(ranges);
}

/** The caller as it is to be checked against objects that are reached through `mount`. */
export function credentialsOn(mount: Mount | undefined, creds: Credentials): Credentials {
  const map = mount?.idMap ?? null;
  return map === null ? creds : map.credentials(creds);
}

/** The owner of an object as kernel numbers; NO_ID: the mount has none for it. */
export function ownerThrough(
  mount: Mount | undefined,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): { uid: number; gid: number } {
  const map = mount?.idMap ?? null;
  return map === null ? { uid, gid } : { uid: map.uids.toKernel(uid), gid: map.gids.toKernel(gid) };
}

/** Its owner or its group has no number on the mount that it was reached through: nobody changes it. */
export function isUnmapped({ seenThrough }: Credentials, { uid, gid }: Pick<Inode, 'uid' | 'gid'>): boolean {
  return seenThrough !== undefined && (seenThrough.uids.toKernel(uid) === NO_ID || seenThrough.gids.toKernel(gid) === NO_ID);
}

/** What the caller makes there would belong to nobody. */
export function isUnmappedMaker({ seenThrough, fsuid, fsgid }: Credentials): boolean {
  return seenThrough !== undefined && (fsuid === NO_ID || fsgid === NO_ID);
}

/** May the mount get the map of `shown`? Only before it has been in sight, and once. `placed`: it is part of a namespace's tree. */
export function checkIdMapping(creds: Credentials, mount: Mount, shown: UserNamespace, placed: boolean): 0 | Errno {
  if (shown === mount.userNamespace) return EINVAL;
  if (mount.idMap !== null) return EPERM;
  if (!mount.fs.idMappable) return EINVAL;
  if (!hasCapIn(creds, CAP_SYS_ADMIN, mount.userNamespace)) return EPERM;
  return placed ? EINVAL : 0;
}

/** May the caller use the namespace as a map? */
export function checkMapSource(creds: Credentials, shown: UserNamespace): 0 | Errno {
  if (shown === ROOT_USER_NAMESPACE || !hasCapIn(creds, CAP_SYS_ADMIN, shown)) return EPERM;
  return shown.uids.ranges.length === 0 || shown.gids.ranges.length === 0 ? EINVAL : 0;
}
