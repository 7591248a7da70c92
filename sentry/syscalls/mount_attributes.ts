/** What the calls that mount by descriptors have in common: MOUNT_ATTR_* and how they name places. */
import { EINVAL, type Errno } from '../../abi/errno.ts';
import {
  MOUNT_ATTR__ATIME,
  MOUNT_ATTR_NOATIME,
  MOUNT_ATTR_NODEV,
  MOUNT_ATTR_NODIRATIME,
  MOUNT_ATTR_NOEXEC,
  MOUNT_ATTR_NOSUID,
  MOUNT_ATTR_NOSYMFOLLOW,
  MOUNT_ATTR_RDONLY,
  MOUNT_ATTR_STRICTATIME,
} from '../../abi/mount.ts';
import type { Task } from '../kernel/task.ts';
import {
  MS_NOATIME,
  MS_NODEV,
  MS_NODIRATIME,
  MS_NOEXEC,
  MS_NOSUID,
  MS_NOSYMFOLLOW,
  MS_RDONLY,
  MS_RELATIME,
  type VfsPath,
} from '../vfs/path.ts';
import { LOOKUP_EMPTY, LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';

/** MOUNT_ATTR_* as the bits that a mount keeps; the way of keeping access times apart. */
const ATTRIBUTES: readonly (readonly [number, number])[] = [
  [MOUNT_ATTR_RDONLY, MS_RDONLY],
  [MOUNT_ATTR_NOSUID, MS_NOSUID],
  [MOUNT_ATTR_NODEV, MS_NODEV],
  [MOUNT_ATTR_NOEXEC, MS_NOEXEC],
  [MOUNT_ATTR_NODIRATIME, MS_NODIRATIME],
  [MOUNT_ATTR_NOSYMFOLLOW, MS_NOSYMFOLLOW],
];
export const KNOWN_ATTRIBUTES = ATTRIBUTES.reduce((all, [bit]) => all | bit, MOUNT_ATTR__ATIME);

export function keptFlags(attributes: number): number {
  return ATTRIBUTES.reduce((all, [bit, ms]) => ((attributes & bit) !== 0 ? all | ms : all), 0);
}
/** How access times are kept; EINVAL for what is no way of it. */
export function accessTimes(attributes: number): number | Errno {
  const mode = attributes & MOUNT_ATTR__ATIME;
  if (mode === 0) return MS_RELATIME;
  return mode === MOUNT_ATTR_NOATIME ? MS_NOATIME : mode === MOUNT_ATTR_STRICTATIME ? 0 : EINVAL;
}

/** The place that a mount call means by a descriptor and a path. */
export function mountPlace(task: Task, dirfd: number, address: number, follow: boolean, empty: boolean): VfsPath | Errno {
  const text = task.readPath(address);
  if (typeof text === 'number') return text;
  return resolve(task, dirfd, text, (follow ? LOOKUP_FOLLOW : 0) | (empty ? LOOKUP_EMPTY : 0));
}
