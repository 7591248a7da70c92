/** Extended attributes: setxattr(2), getxattr(2), listxattr(2), removexattr(2), by path, by link and by descriptor. */

import { XATTR_NAME_CAPS } from '../../abi/capability.ts';
import { E2BIG, EBADF, EINVAL, ENAMETOOLONG, ENODATA, EOPNOTSUPP, EPERM, ERANGE, type Errno } from '../../abi/errno.ts';
import { AT_FDCWD } from '../../abi/fcntl.ts';
import { IN_ATTRIB } from '../../abi/inotify.ts';
import { S_IALLUGO, S_ISGID, S_ISVTX } from '../../abi/stat.ts';
import { XATTR_CREATE, XATTR_LIST_MAX, XATTR_NAME_MAX, XATTR_REPLACE, XATTR_SIZE_MAX } from '../../abi/xattr.ts';
import { type ByteString, bytesOf } from '../../lib/byte_string.ts';
import { CAP_FSETID, CAP_SETFCAP, CAP_SYS_ADMIN, type Credentials, hasCap, hasCapOver, inGroup } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { Inode } from '../vfs/inode.ts';
import { credentialsOn, isUnmapped } from '../vfs/mount_id_map.ts';
import { aclInward, aclOutward, capsInward, capsOutward } from '../vfs/owner_xattrs.ts';
import { inodeOf, type Mount, type VfsPath } from '../vfs/path.ts';
import { checkMountWrite, checkPermission, MAY_READ, MAY_WRITE, ownerOrCapable } from '../vfs/permission.ts';
import { ACL_ACCESS, ACL_DEFAULT } from '../vfs/posix_acl.ts';
import { LOOKUP_FOLLOW, resolve } from '../vfs/walk.ts';
import { addr, fd, flags, path, size, syscall } from './definition.ts';

type Place = VfsPath | Errno;

function byPath(task: Task, address: number, options: number): Place {
  const text = task.readPath(address);
  return typeof text === 'number' ? text : resolve(task, AT_FDCWD, text, options);
}
function byDescriptor(task: Task, number: number): Place {
  const file = task.fds.get(number);
  if (typeof file === 'number') return file;
  return file.isPath || file.path === null ? EBADF : file.path;
}

function readName(task: Task, address: number): ByteString | Errno {
  const name = task.readString(address, XATTR_NAME_MAX);
  if (typeof name === 'number') return name === ENAMETOOLONG ? ERANGE : name;
  return name === '' ? ERANGE : name;
}

/** Namespaces are no names. */
const PREFIXES: readonly ByteString[] = ['user.', 'trusted.', 'security.', 'system.'];

/** xattr(7): what each namespace asks of the caller. `mask`: MAY_READ or MAY_WRITE. */
function checkNamespace(inode: Inode, creds: Credentials, name: ByteString, mask: number): 0 | Errno {
  const writes = mask === MAY_WRITE;
  if (PREFIXES.includes(name)) return EINVAL;
  if (writes && isUnmapped(creds, inode)) return EPERM;
  if (name.startsWith('user.')) {
    // User attributes belong to what has content; in sticky directories to the owner.
    if (!inode.isRegular && !inode.isDirectory) return writes ? EPERM : ENODATA;
    if (writes && inode.isDirectory && (inode.mode & S_ISVTX) !== 0 && !ownerOrCapable(inode, creds)) return EPERM;
    return checkPermission(inode, creds, mask);
  }
  if (name.startsWith('trusted.')) return hasCap(creds, CAP_SYS_ADMIN) ? 0 : writes ? EPERM : ENODATA;
  if (name.startsWith('security.')) {
    if (!writes) return 0;
    if (name === XATTR_NAME_CAPS) return hasCapOver(creds, CAP_SETFCAP, inode) ? 0 : EPERM;
    return hasCap(creds, CAP_SYS_ADMIN) ? 0 : EPERM;
  }
  if (name !== ACL_ACCESS && name !== ACL_DEFAULT) return EOPNOTSUPP;
  if (inode.isSymlink) return EOPNOTSUPP;
  return writes && !ownerOrCapable(inode, creds) ? EPERM : 0;
}

function set(task: Task, place: Place, nameAddress: number, address: number, length: number, how: number): number {
  if ((how & ~(XATTR_CREATE | XATTR_REPLACE)) !== 0) return EINVAL;
  const name = readName(task, nameAddress);
  if (typeof name === 'number') return name;
  if (length > XATTR_SIZE_MAX) return E2BIG;
  const value = task.readBytes(address, length);
  if (typeof value === 'number') return value;
  if (typeof place === 'number') return place;
  const kept = inward(task.creds, place.mount, name, value);
  if (typeof kept === 'number') return kept;
  if (name === ACL_ACCESS) return changeOf(task, place, name, (inode, creds) => setAccessAcl(creds, inode, kept, how));
  return changeOf(task, place, name, (inode) => inode.setXattr(name, kept, how));
}

/** With the filesystem's numbers of users. */
function inward(creds: Credentials, mount: Mount, name: ByteString, value: Uint8Array): Uint8Array | Errno {
  if (name === XATTR_NAME_CAPS && value.length > 0) return capsInward(creds, mount, value);
  return name === ACL_ACCESS || name === ACL_DEFAULT ? aclInward(creds, mount, value) : value;
}
/** With the caller's numbers of users. */
function outward(creds: Credentials, mount: Mount, name: ByteString, value: Uint8Array): Uint8Array | Errno {
  if (name === XATTR_NAME_CAPS) return capsOutward(creds, mount, value);
  return name === ACL_ACCESS || name === ACL_DEFAULT ? aclOutward(creds, mount, value) : value;
}

/** An empty list takes the ACL away. As chmod(2), it takes setgid from who is not of the group. */
function setAccessAcl(creds: Credentials, inode: Inode, value: Uint8Array, how: number): 0 | Errno {
  const r = value.length === 0 ? inode.removeXattr(ACL_ACCESS) : inode.setXattr(ACL_ACCESS, value, how);
  if (r !== 0) return r === ENODATA ? 0 : r;
  const { mode } = inode;
  if ((mode & S_ISGID) === 0 || inGroup(creds, inode.gid) || hasCap(creds, CAP_FSETID)) return 0;
  return inode.setAttributes({ mode: mode & S_IALLUGO & ~S_ISGID });
}

function remove(task: Task, place: Place, nameAddress: number): number {
  const name = readName(task, nameAddress);
  return typeof name === 'number' ? name : changeOf(task, place, name, (inode) => inode.removeXattr(name));
}

function changeOf(task: Task, place: Place, name: ByteString, change: (inode: Inode, creds: Credentials) => 0 | Errno): number {
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const creds = credentialsOn(place.mount, task.creds);
  const denied = checkMountWrite(place.mount) || checkNamespace(inode, creds, name, MAY_WRITE);
  const r = denied !== 0 ? denied : change(inode, creds);
  if (r === 0) task.kernel.notify?.object(IN_ATTRIB, place.dentry);
  return r;
}

function get(task: Task, place: Place, nameAddress: number, address: number, length: number): number {
  const name = readName(task, nameAddress);
  if (typeof name === 'number') return name;
  if (typeof place === 'number') return place;
  const inode = inodeOf(place);
  const denied = checkNamespace(inode, credentialsOn(place.mount, task.creds), name, MAY_READ);
  if (denied !== 0) return denied;
  const kept = inode.getXattr(name);
  const value = typeof kept === 'number' ? kept : outward(task.creds, place.mount, name, kept);
  return typeof value === 'number' ? value : give(task, value, address, length);
}

function list(task: Task, place: Place, address: number, length: number): number {
  if (typeof place === 'number') return place;
  const names = inodeOf(place).listXattrs();
  if (typeof names === 'number') return names;
  const trusted = hasCap(task.creds, CAP_SYS_ADMIN);
  let text = '';
  for (const name of names) if (trusted || !name.startsWith('trusted.')) text += `${name}\0`;
  return text.length > XATTR_LIST_MAX ? E2BIG : give(task, bytesOf(text), address, length);
}

/** Size 0 asks how much there is. */
function give(task: Task, bytes: Uint8Array, address: number, length: number): number {
  if (length === 0) return bytes.length;
  return bytes.length > length ? ERANGE : task.copyOut(address, bytes) || bytes.length;
}

const SET = [path, addr, addr, size, flags] as const;
const GET = [path, addr, addr, size] as const;
const LIST = [path, addr, size] as const;
const REMOVE = [path, addr] as const;

export const XATTR_CALLS = {
  setxattr: syscall({
    x64: 188,
    man: 'setxattr(2)',
    args: SET,
    run: (t, p, n, a, l, f) => set(t, byPath(t, p, LOOKUP_FOLLOW), n, a, l, f),
  }),
  lsetxattr: syscall({ x64: 189, man: 'setxattr(2)', args: SET, run: (t, p, n, a, l, f) => set(t, byPath(t, p, 0), n, a, l, f) }),
  fsetxattr: syscall({
    x64: 190,
    man: 'setxattr(2)',
    args: [fd, addr, addr, size, flags],
    run: (t, d, n, a, l, f) => set(t, byDescriptor(t, d), n, a, l, f),
  }),
  getxattr: syscall({ x64: 191, man: 'getxattr(2)', args: GET, run: (t, p, n, a, l) => get(t, byPath(t, p, LOOKUP_FOLLOW), n, a, l) }),
  lgetxattr: syscall({ x64: 192, man: 'getxattr(2)', args: GET, run: (t, p, n, a, l) => get(t, byPath(t, p, 0), n, a, l) }),
  fgetxattr: syscall({
    x64: 193,
    man: 'getxattr(2)',
    args: [fd, addr, addr, size],
    run: (t, d, n, a, l) => get(t, byDescriptor(t, d), n, a, l),
  }),
  listxattr: syscall({ x64: 194, man: 'listxattr(2)', args: LIST, run: (t, p, a, l) => list(t, byPath(t, p, LOOKUP_FOLLOW), a, l) }),
  llistxattr: syscall({ x64: 195, man: 'listxattr(2)', args: LIST, run: (t, p, a, l) => list(t, byPath(t, p, 0), a, l) }),
  flistxattr: syscall({ x64: 196, man: 'listxattr(2)', args: [fd, addr, size], run: (t, d, a, l) => list(t, byDescriptor(t, d), a, l) }),
  removexattr: syscall({ x64: 197, man: 'removexattr(2)', args: REMOVE, run: (t, p, n) => remove(t, byPath(t, p, LOOKUP_FOLLOW), n) }),
  lremovexattr: syscall({ x64: 198, man: 'removexattr(2)', args: REMOVE, run: (t, p, n) => remove(t, byPath(t, p, 0), n) }),
  fremovexattr: syscall({ x64: 199, man: 'removexattr(2)', args: [fd, addr], run: (t, d, n) => remove(t, byDescriptor(t, d), n) }),
};
