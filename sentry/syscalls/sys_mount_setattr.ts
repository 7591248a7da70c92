/** mount_setattr(2): attributes, propagation and ID mapping of a mount, or of a tree of them: all or none. */
import { E2BIG, EBADF, EBUSY, EINVAL, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import { AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_RECURSIVE, AT_SYMLINK_NOFOLLOW } from '../../abi/fcntl.ts';
import { PAGE_SIZE } from '../../abi/mman.ts';
import { MOUNT_ATTR__ATIME, MOUNT_ATTR_IDMAP, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE } from '../../abi/mount.ts';
import { NamespaceFile } from '../fs/nsfs.ts';
import type { Task } from '../kernel/task.ts';
import type { UserNamespace } from '../kernel/user_namespace.ts';
import { unplacedTree } from '../vfs/detached_mount.ts';
import { setPropagation, subtree } from '../vfs/mount.ts';
import { checkLockedFlags, mayMount } from '../vfs/mount_access.ts';
import { checkIdMapping, checkMapSource, MountIdMap } from '../vfs/mount_id_map.ts';
import { isMountOpen } from '../vfs/mount_use.ts';
import { type Mount, MS_NOATIME, MS_RELATIME, type Propagation } from '../vfs/path.ts';
import { addr, fd, flags, path, size, syscall } from './definition.ts';
import { accessTimes, KNOWN_ATTRIBUTES, keptFlags, mountPlace } from './mount_attributes.ts';

/** struct mount_attr: attr_set, attr_clr, propagation, userns_fd. */
const MOUNT_ATTR_SIZE_VER0 = 32;
const SETTABLE = KNOWN_ATTRIBUTES | MOUNT_ATTR_IDMAP;
const INT_MAX = 0x7fff_ffff;
const PROPAGATION: Readonly<Record<number, Propagation>> = {
  [MS_PRIVATE]: 'private',
  [MS_SHARED]: 'shared',
  [MS_SLAVE]: 'slave',
  [MS_UNBINDABLE]: 'unbindable',
};

/** What is to become of each mount. */
interface Change {
  readonly set: number;
  readonly clear: number;
  /** MS_* of access times; null: as they are. */
  readonly times: number | null;
  readonly propagation: Propagation | undefined;
  /** MOUNT_ATTR_IDMAP. */
  readonly shown: UserNamespace | null;
}

function mountSetattr(task: Task, dirfd: number, pathAddress: number, bits: number, address: number, length: number): number {
  if ((bits & ~(AT_EMPTY_PATH | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)) !== 0) return EINVAL;
  if (length < MOUNT_ATTR_SIZE_VER0) return EINVAL;
  if (length > PAGE_SIZE) return E2BIG;
  if (!mayMount(task)) return EPERM;
  const raw = task.readBytes(address, length);
  if (typeof raw === 'number') return raw;
  if (raw.subarray(MOUNT_ATTR_SIZE_VER0).some((b) => b !== 0)) return E2BIG;
  const change = readChange(task, new Uint32Array(raw.buffer, 0, MOUNT_ATTR_SIZE_VER0 / 4));
  if (change === null) return 0;
  if (isErrno(change)) return change;
  const place = mountPlace(task, dirfd, pathAddress, (bits & AT_SYMLINK_NOFOLLOW) === 0, (bits & AT_EMPTY_PATH) !== 0);
  if (typeof place === 'number') return place;
  if (place.dentry !== place.mount.root) return EINVAL;
  const recursive = (bits & AT_RECURSIVE) !== 0;
  const mounts = [...(recursive ? subtree(place.mount) : [place.mount])];
  const denied = checkAll(task, dirfd, mounts, change);
  if (denied !== 0) return denied;
  for (const mount of mounts) apply(mount, change);
  if (change.propagation !== undefined) setPropagation(task.kernel, place.mount, change.propagation, recursive);
  return 0;
}

/** `words`: struct mount_attr in 32-bit halves. Null: nothing is asked for. */
function readChange(task: Task, words: Uint32Array): Change | null | Errno {
  const [set, setHigh, clear, clearHigh, kind, kindHigh, userFd, userFdHigh] = words as unknown as [
    ...[number, number, number, number],
    ...[number, number, number, number],
  ];
  if ((set | setHigh | clear | clearHigh | kind | kindHigh) === 0) return null;
  if ((setHigh | clearHigh | kindHigh) !== 0 || ((set | clear) & ~SETTABLE) !== 0) return EINVAL;
  const propagation = PROPAGATION[kind];
  if (kind !== 0 && propagation === undefined) return EINVAL;
  // Another way of keeping access times is set only where the old one is cleared as a whole.
  if ((set & MOUNT_ATTR__ATIME) !== 0 && (clear & MOUNT_ATTR__ATIME) !== MOUNT_ATTR__ATIME) return EINVAL;
  const times = (clear & MOUNT_ATTR__ATIME) === 0 ? null : accessTimes(set);
  if (times !== null && times < 0) return times as Errno;
  // A map is for good.
  if ((clear & MOUNT_ATTR_IDMAP) !== 0) return EINVAL;
  const shown = (set & MOUNT_ATTR_IDMAP) === 0 ? null : userFdHigh !== 0 || userFd > INT_MAX ? EINVAL : namespaceAt(task, userFd);
  return isErrno(shown) ? shown : { set, clear, times, propagation, shown };
}

/** The user namespace whose map is asked for. */
function namespaceAt(task: Task, number: number): UserNamespace | Errno {
  const file = task.fds.get(number);
  if (typeof file === 'number' || file.isPath) return EBADF;
  if (!(file.impl instanceof NamespaceFile) || file.impl.type !== 'user') return EINVAL;
  const namespace = file.impl.namespace as UserNamespace;
  const denied = checkMapSource(task.creds, namespace);
  return denied !== 0 ? denied : namespace;
}

function checkAll(task: Task, dirfd: number, mounts: readonly Mount[], { set, clear, shown }: Change): 0 | Errno {
  const file = task.fds.get(dirfd);
  const unplaced = typeof file === 'number' ? null : unplacedTree(file);
  for (const mount of mounts) {
    if (checkLockedFlags(mount, (mount.flags & ~keptFlags(clear)) | keptFlags(set)) !== 0) return EPERM;
    if (shown === null) continue;
    const denied = checkIdMapping(task.creds, mount, shown, !isPartOf(mount, unplaced));
    if (denied !== 0) return denied;
    if (isMountOpen(task.kernel, mount, (open) => open.writable)) return EBUSY;
  }
  return 0;
}

function isPartOf(mount: Mount, tree: Mount | null): boolean {
  for (let at: Mount | null = mount; at !== null; at = at.parent) if (at === tree) return true;
  return false;
}

function apply(mount: Mount, { set, clear, times, shown }: Change): void {
  mount.flags = (mount.flags & ~keptFlags(clear)) | keptFlags(set);
  if (times !== null) mount.flags = (mount.flags & ~(MS_NOATIME | MS_RELATIME)) | times;
  if (shown !== null) mount.idMap = MountIdMap.ofNamespace(shown, mount.userNamespace);
}

export const MOUNT_SETATTR_CALLS = {
  mount_setattr: syscall({ x64: 442, man: 'mount_setattr(2)', args: [fd, path, flags, addr, size], run: mountSetattr }),
};
