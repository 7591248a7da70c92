/**
 * Extended attributes that hold numbers of users and groups: access control lists, and file capabilities with the root that they count for.
 * Filesystems keep their own numbers; callers give and see those of their user namespace, through the mount's map.
 */
import { VFS_CAP_FLAGS_EFFECTIVE, VFS_CAP_REVISION_2, VFS_CAP_REVISION_3, VFS_CAP_REVISION_MASK } from '../../abi/capability.ts';
import { EINVAL, EOVERFLOW, type Errno, isErrno } from '../../abi/errno.ts';
import { CAP_SETFCAP, type Credentials, hasCapIn } from '../kernel/credentials.ts';
import { isRootOf } from '../kernel/exec_credentials.ts';
import { type IdMap, NO_ID } from '../kernel/user_namespace.ts';
import type { Mount } from './path.ts';
import { PosixAcl } from './posix_acl.ts';

/** struct vfs_cap_data and vfs_ns_cap_data: the latter ends with the number of a root. */
const CAPS_2_SIZE = 20;
const CAPS_3_SIZE = 24;
const ROOT_ID = 20;

type Translate = (id: number) => number;

/** From the caller's numbers to the filesystem's; NO_ID: it has none. */
function inward(map: IdMap | undefined, names: IdMap): Translate {
  return (id) => {
    const kernel = names.toKernel(id);
    return map === undefined || kernel === NO_ID ? kernel : map.fromKernel(kernel);
  };
}
/** From the filesystem's numbers to the caller's; NO_ID: it has none. */
function outward(map: IdMap | undefined, names: IdMap): Translate {
  return (id) => {
    const kernel = map === undefined ? id : map.toKernel(id);
    return kernel === NO_ID ? NO_ID : names.fromKernel(kernel);
  };
}
function isPlain(creds: Credentials, mount: Mount): boolean {
  return creds.namespace.parent === null && mount.idMap === null;
}

/** An access control list as the filesystem keeps it. EINVAL: it names somebody whom the filesystem has no number for. */
export function aclInward(creds: Credentials, mount: Mount, value: Uint8Array): Uint8Array | Errno {
  if (isPlain(creds, mount) || value.length === 0) return value;
  const acl = PosixAcl.parse(value);
  if (isErrno(acl)) return acl;
  const { uids, gids } = creds.namespace;
  const kept = acl.withIds(inward(mount.idMap?.uids, uids), inward(mount.idMap?.gids, gids));
  return kept.namesNobody ? EINVAL : kept.encode();
}
/** An access control list as the caller sees it. */
export function aclOutward(creds: Credentials, mount: Mount, value: Uint8Array): Uint8Array {
  const acl = isPlain(creds, mount) ? EINVAL : PosixAcl.parse(value);
  if (isErrno(acl)) return value;
  const { uids, gids } = creds.namespace;
  return acl.withIds(outward(mount.idMap?.uids, uids), outward(mount.idMap?.gids, gids)).encode();
}

function revisionOf(value: Uint8Array): 2 | 3 | null {
  if (value.length !== CAPS_2_SIZE && value.length !== CAPS_3_SIZE) return null;
  const revision = (new DataView(value.buffer, value.byteOffset).getUint32(0, true) & VFS_CAP_REVISION_MASK) >>> 0;
  if (revision === VFS_CAP_REVISION_2 && value.length === CAPS_2_SIZE) return 2;
  return revision === VFS_CAP_REVISION_3 && value.length === CAPS_3_SIZE ? 3 : null;
}
/** The same sets for the namespaces of `root`; null: for all. */
function capsFor(value: Uint8Array, root: number | null): Uint8Array {
  const out = new Uint8Array(root === null ? CAPS_2_SIZE : CAPS_3_SIZE);
  out.set(value.subarray(0, CAPS_2_SIZE));
  const view = new DataView(out.buffer);
  const flags = view.getUint32(0, true) & VFS_CAP_FLAGS_EFFECTIVE;
  view.setUint32(0, ((root === null ? VFS_CAP_REVISION_2 : VFS_CAP_REVISION_3) | flags) >>> 0, true);
  if (root !== null) view.setUint32(ROOT_ID, root, true);
  return out;
}
function rootIn(value: Uint8Array): number {
  return value.length === CAPS_3_SIZE ? new DataView(value.buffer, value.byteOffset).getUint32(ROOT_ID, true) : 0;
}

/** security.capability as the filesystem keeps it: what a namespace sets counts in it and below. EINVAL: malformed, or for a root that has no number. */
export function capsInward(creds: Credentials, mount: Mount, value: Uint8Array): Uint8Array | Errno {
  const revision = revisionOf(value);
  if (revision === null) return EINVAL;
  if (revision === 2 && mount.idMap === null && hasCapIn(creds, CAP_SETFCAP, mount.userNamespace)) return value;
  const root = inward(mount.idMap?.uids, creds.namespace.uids)(rootIn(value));
  return root === NO_ID ? EINVAL : capsFor(value, root);
}
/** security.capability as the caller sees it. EOVERFLOW: for a root that has no number here. */
export function capsOutward({ namespace }: Credentials, mount: Mount, value: Uint8Array): Uint8Array | Errno {
  if (revisionOf(value) === null) return EINVAL;
  const kernel = mount.idMap === null ? rootIn(value) : mount.idMap.uids.toKernel(rootIn(value));
  const root = kernel === NO_ID ? NO_ID : namespace.uids.fromKernel(kernel);
  if (root !== NO_ID && root !== 0) return capsFor(value, root);
  return isRootOf(kernel, namespace) ? capsFor(value, null) : EOVERFLOW;
}
