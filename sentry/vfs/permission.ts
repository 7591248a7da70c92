/** Who may do what to an inode: path_resolution(7), inode(7), capabilities(7). */
import { EACCES, EOVERFLOW, EPERM, EROFS, type Errno } from '../../abi/errno.ts';
import { S_IFDIR, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP } from '../../abi/stat.ts';
import {
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  type Credentials,
  hasCap,
  hasCapOver,
  hasCapOverUser,
  inGroup,
} from '../kernel/credentials.ts';
import type { CreateOptions, Inode } from './inode.ts';
import { isUnmapped, isUnmappedMaker } from './mount_id_map.ts';
import { type Mount, MS_RDONLY } from './path.ts';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/** May `creds` do all of `mask` (MAY_*) to the object? 0 or EACCES. On an ID-mapped mount `creds` are those of `credentialsOn`, here and below. */
export function checkPermission(inode: Inode, creds: Credentials, mask: number): 0 | Errno {
  if (creds.seenThrough !== undefined && (mask & MAY_WRITE) !== 0 && isUnmapped(creds, inode)) return EACCES;
  let rule = inode.accessRule;
  if (rule === undefined) {
    // A list that has to be fetched says nothing new of the owner, and does not bind whoever overrides permissions.
    if (inode.uid === creds.fsuid) rule = null;
    else if (overridesPermission(inode, inode.mode, creds, mask)) return 0;
    else rule = inode.findAccessRule();
  }
  if (rule === null) return checkModeBits(inode, creds, mask);
  const granted = rule.grants(inode, creds, mask);
  if (typeof granted === 'number') return granted;
  if (granted) return 0;
  return rule.final !== true && overridesPermission(inode, inode.mode, creds, mask) ? 0 : EACCES;
}

/** By mode, owner and capabilities alone. */
export function checkModeBits(inode: Inode, creds: Credentials, mask: number): 0 | Errno {
  const mode = inode.mode;
  // Granted to everybody alike: no need to know who asks.
  if ((mode & (mode >> 3) & (mode >> 6) & mask) === mask) return 0;
  const bits = inode.uid === creds.fsuid ? mode >> 6 : inGroup(creds, inode.gid) ? mode >> 3 : mode;
  if ((bits & mask) === mask) return 0;
  return overridesPermission(inode, mode, creds, mask) ? 0 : EACCES;
}

function overridesPermission(inode: Inode, mode: number, creds: Credentials, mask: number): boolean {
  const directory = (mode & S_IFMT) === S_IFDIR;
  // Root may execute only what somebody may execute.
  const overridable = directory || (mask & MAY_EXEC) === 0 || (mode & 0o111) !== 0;
  if (overridable && hasCapOver(creds, CAP_DAC_OVERRIDE, inode)) return true;
  const readOnly = directory ? (mask & MAY_WRITE) === 0 : mask === MAY_READ;
  return readOnly && hasCapOver(creds, CAP_DAC_READ_SEARCH, inode);
}

/** Permission to use names in a directory: the walk's check. */
export function checkSearch(directory: Inode, creds: Credentials): 0 | Errno {
  return (directory.mode & 0o111) === 0o111 && directory.accessRule === null ? 0 : checkPermission(directory, creds, MAY_EXEC);
}

/** May something get a name in the directory? */
export function checkMaking(directory: Inode, creds: Credentials): 0 | Errno {
  return isUnmappedMaker(creds) ? EOVERFLOW : checkPermission(directory, creds, MAY_WRITE | MAY_EXEC);
}

export function checkMountWrite(mount: Mount): 0 | Errno {
  return (mount.flags & MS_RDONLY) !== 0 ? EROFS : 0;
}

/** The sticky bit: in such a directory only the owner of the file or of the directory removes it. 0 or EPERM. */
export function checkSticky(directory: Inode, victim: Inode, creds: Credentials): 0 | Errno {
  if ((directory.mode & S_ISVTX) === 0) return 0;
  if (victim.uid === creds.fsuid || directory.uid === creds.fsuid || hasCapOver(creds, CAP_FOWNER, victim)) return 0;
  return EPERM;
}

/** The owner, or somebody with CAP_FOWNER. */
export function ownerOrCapable(inode: Inode, creds: Credentials): boolean {
  return inode.uid === creds.fsuid || hasCapOverUser(creds, CAP_FOWNER, inode.uid) || inode.accessRule?.mayChange?.(inode, creds) === true;
}

/** Owner and mode of a new object in `directory`. `mode` has its type bits; the umask is applied here. */
export function createOptions(directory: Inode, creds: Credentials, mode: number, umask: number): CreateOptions {
  const inherits = (directory.mode & S_ISGID) !== 0;
  const gid = inherits ? directory.gid : creds.fsgid;
  // A default ACL takes the umask's place.
  const { appliesUmask } = directory;
  let bits = appliesUmask || directory.findDefaultAcl() !== null ? mode : mode & ~umask;
  if (inherits && (mode & S_IFMT) === S_IFDIR) bits |= S_ISGID;
  else if ((bits & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) && !inGroup(creds, gid) && !hasCapOver(creds, CAP_FSETID, directory))
    bits &= ~S_ISGID;
  return appliesUmask ? { mode: bits, umask, uid: creds.fsuid, gid } : { mode: bits, uid: creds.fsuid, gid };
}

/** Mode of a regular file after somebody without CAP_FSETID wrote to it: setuid goes, and setgid unless it means nothing and is of a group of theirs. */
export function modeAfterWrite({ mode, gid }: { readonly mode: number; readonly gid: number }, creds: Credentials): number {
  if ((mode & (S_ISUID | S_ISGID)) === 0 || (mode & S_IFMT) !== S_IFREG || hasCap(creds, CAP_FSETID)) return mode;
  const setgid = (mode & S_IXGRP) !== 0 || !inGroup(creds, gid) ? S_ISGID : 0;
  return mode & ~(S_ISUID | setgid);
}
