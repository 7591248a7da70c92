/**
 * What execve(2) makes of credentials: set-user-ID and set-group-ID bits, file capabilities, the special treatment of root
 * (capabilities(7), "Transformation of capabilities during execve()" and "Capabilities and execution of programs by root").
 */
import {
  SECBIT_KEEP_CAPS,
  SECBIT_NOROOT,
  VFS_CAP_FLAGS_EFFECTIVE,
  VFS_CAP_REVISION_1,
  VFS_CAP_REVISION_2,
  VFS_CAP_REVISION_3,
  VFS_CAP_REVISION_MASK,
  XATTR_NAME_CAPS,
} from '../../abi/capability.ts';
import { S_ISGID, S_ISUID, S_IXGRP } from '../../abi/stat.ts';
import type { FileDescription } from '../vfs/file.ts';
import type { Inode } from '../vfs/inode.ts';
import { ownerThrough } from '../vfs/mount_id_map.ts';
import { type Mount, MS_NOSUID } from '../vfs/path.ts';
import { ALL_CAPS, CAP_SYS_PTRACE, type Capabilities, type Credentials, hasCapIn } from './credentials.ts';
import type { Task } from './task.ts';
import { NO_ID, type UserNamespace } from './user_namespace.ts';

/** A file's capability sets; `effective` is one bit for all. */
export interface FileCapabilities {
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly effective: boolean;
}
const NO_FILE_CAPS: FileCapabilities = { permitted: 0n, inheritable: 0n, effective: false };

export function execCredentials(task: Task, file: FileDescription): Credentials {
  const { creds } = task;
  const { inode } = file;
  if (inode === null) return creds;
  // A tracer without power of its own must not get a privileged tracee.
  const watched = task.trace !== null && !hasCapIn(task.trace.tracer.creds, CAP_SYS_PTRACE, creds.namespace);
  const mount = file.path?.mount;
  // A file that a namespace has mounted counts for that namespace and those below.
  const trusted = mount === undefined || ((mount.flags & MS_NOSUID) === 0 && mount.userNamespace.contains(creds.namespace));
  const mayGain = trusted && !creds.noNewPrivs && !watched;
  return mayGain
    ? transform(creds, setIdsOf(inode, mount, creds), readFileCapabilities(inode, mount, creds.namespace))
    : transform(creds, { mode: 0, uid: 0, gid: 0 }, NO_FILE_CAPS);
}

/** Numbers that the process's namespace has no name for are not taken. */
function setIdsOf(inode: Inode, mount: Mount | undefined, { namespace }: Credentials): { mode: number; uid: number; gid: number } {
  const { mode } = inode;
  const { uid, gid } = ownerThrough(mount, inode);
  const known = namespace.uids.fromKernel(uid) !== NO_ID && namespace.gids.fromKernel(gid) !== NO_ID;
  return { mode: known ? mode : 0, uid, gid };
}

/** The rules alone; mode, uid and gid are the file's, with mode 0 where its set-ID bits do not count. */
export function transform(
  creds: Credentials,
  { mode, uid, gid }: { readonly mode: number; readonly uid: number; readonly gid: number },
  fileCaps: FileCapabilities,
): Credentials {
  const euid = (mode & S_ISUID) !== 0 ? uid : creds.euid;
  const egid = (mode & (S_ISGID | S_IXGRP)) === (S_ISGID | S_IXGRP) ? gid : creds.egid;
  return {
    ...creds,
    euid,
    suid: euid,
    fsuid: euid,
    egid,
    sgid: egid,
    fsgid: egid,
    caps: newSets(creds, euid, egid, fileCaps),
    securebits: creds.securebits & ~SECBIT_KEEP_CAPS,
  };
}

function newSets(creds: Credentials, euid: number, egid: number, fileCaps: FileCapabilities): Capabilities {
  const { inheritable, bounding } = creds.caps;
  const root = creds.namespace.rootUser;
  const asRoot = (creds.securebits & SECBIT_NOROOT) === 0 && (euid === root || creds.uid === root);
  const hasCaps = fileCaps.permitted !== 0n || fileCaps.inheritable !== 0n;
  // A set-user-ID-root program with capabilities of its own gets those and no more.
  const rootRules = asRoot && !(hasCaps && euid === root && creds.uid !== root);
  const granted = rootRules ? { permitted: ALL_CAPS, inheritable: ALL_CAPS, effective: euid === root } : fileCaps;
  const privileged = hasCaps || euid !== creds.euid || egid !== creds.egid;
  const ambient = privileged ? 0n : creds.caps.ambient;
  const permitted = (inheritable & granted.inheritable) | (bounding & granted.permitted) | ambient;
  return { inheritable, bounding, ambient, permitted, effective: granted.effective ? permitted : ambient };
}

/** The user 0 of the namespace, or of one that it lies in. */
export function isRootOf(id: number, namespace: UserNamespace): boolean {
  for (let ns: UserNamespace | null = namespace; ns !== null; ns = ns.parent) if (id !== NO_ID && ns.rootUser === id) return true;
  return false;
}

/** security.capability of the file; none if it is absent or malformed. */
export function readFileCapabilities(inode: Inode, mount: Mount | undefined, namespace: UserNamespace): FileCapabilities {
  const value = inode.getXattr(XATTR_NAME_CAPS);
  if (typeof value === 'number' || value.length < 12) return NO_FILE_CAPS;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const magic = view.getUint32(0, true);
  const revision = (magic & VFS_CAP_REVISION_MASK) >>> 0;
  const effective = (magic & VFS_CAP_FLAGS_EFFECTIVE) !== 0;
  const word = (at: number): bigint => BigInt(view.getUint32(at, true));
  if (revision === VFS_CAP_REVISION_1) return { permitted: word(4), inheritable: word(8), effective };
  const length = revision === VFS_CAP_REVISION_2 ? 20 : revision === VFS_CAP_REVISION_3 ? 24 : 0;
  if (value.length !== length) return NO_FILE_CAPS;
  // It counts for the user namespaces whose root it names, and those below; version 2 names the first one's.
  const root = ownerThrough(mount, { uid: revision === VFS_CAP_REVISION_3 ? view.getUint32(20, true) : 0, gid: 0 }).uid;
  if (!isRootOf(root, namespace)) return NO_FILE_CAPS;
  return { permitted: (word(4) | (word(12) << 32n)) & ALL_CAPS, inheritable: (word(8) | (word(16) << 32n)) & ALL_CAPS, effective };
}
