/** What a server tells without being asked: its objects have changed. */
import { EINVAL, ENOENT, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { PAGE_SIZE } from '../../../abi/mman.ts';
import { byteString } from '../../../lib/byte_string.ts';
import { unhash } from '../../vfs/dentry_cache.ts';
import { BufferIo } from '../../vfs/io.ts';
import type { FuseFilesystem } from './filesystem.ts';
import type { FuseInode } from './inode.ts';

/** body: what follows the header. 0, or what is wrong. */
export function handleNotice(fs: FuseFilesystem, code: number, body: Uint8Array): 0 | Errno {
  switch (code) {
    case F.FUSE_NOTIFY_INVAL_INODE:
      return body.length === F.FuseNotifyInvalInode.size ? invalidateInode(fs, body) : EINVAL;
    case F.FUSE_NOTIFY_INVAL_ENTRY:
      return body.length > F.FuseNotifyInvalEntry.size ? invalidateEntry(fs, body) : EINVAL;
    case F.FUSE_NOTIFY_DELETE:
      return body.length > F.FuseNotifyDelete.size ? deleteEntry(fs, body) : EINVAL;
    case F.FUSE_NOTIFY_STORE:
      return body.length >= F.FuseNotifyStore.size ? store(fs, body) : EINVAL;
    case F.FUSE_NOTIFY_POLL: {
      if (body.length !== F.FuseNotifyPollWakeup.size) return EINVAL;
      fs.polls.find(F.FuseNotifyPollWakeup.decode(body).kh)?.changed();
      return 0;
    }
    case F.FUSE_NOTIFY_RETRIEVE:
      return body.length === F.FuseNotifyRetrieve.size ? retrieve(fs, body) : EINVAL;
    default:
      return EINVAL;
  }
}

function invalidateInode(fs: FuseFilesystem, body: Uint8Array): 0 | Errno {
  const { ino, off, len } = F.FuseNotifyInvalInode.decode(body);
  const node = fs.nodes.find(ino);
  if (node === null) return ENOENT;
  node.expire();
  // A negative offset: attributes alone. A length of 0 or less: up to the end.
  if (off >= 0) node.cachedPages?.invalidate(off, len <= 0 ? Number.POSITIVE_INFINITY : len);
  return 0;
}

/** The name behind a struct, with its NUL; null: another length than said. */
function nameBehind(body: Uint8Array, at: number, length: number): string | null {
  return length > 0 && length <= F.FUSE_NAME_MAX && body.length === at + length + 1 ? byteString(body, at, at + length) : null;
}

function invalidateEntry(fs: FuseFilesystem, body: Uint8Array): 0 | Errno {
  const { parent, namelen } = F.FuseNotifyInvalEntry.decode(body);
  const name = nameBehind(body, F.FuseNotifyInvalEntry.size, namelen);
  if (name === null) return EINVAL;
  const directory = fs.nodes.find(parent);
  if (directory === null) return ENOENT;
  const child = childOf(fs, directory, name);
  if (child === null) return ENOENT;
  directory.expire();
  child.forgetName();
  return 0;
}

function deleteEntry(fs: FuseFilesystem, body: Uint8Array): 0 | Errno {
  const { parent, child, namelen } = F.FuseNotifyDelete.decode(body);
  const name = nameBehind(body, F.FuseNotifyDelete.size, namelen);
  if (name === null) return EINVAL;
  const directory = fs.nodes.find(parent);
  if (directory === null) return ENOENT;
  const dentry = fs.nodes.dentryOf(directory)?.children?.get(name);
  if (dentry === undefined || dentry.inode !== fs.nodes.find(child)) return ENOENT;
  directory.expire();
  if (dentry.mountCount > 0) return 0;
  unhash(dentry);
  (dentry.inode as FuseInode).unlinked();
  return 0;
}

function childOf(fs: FuseFilesystem, directory: FuseInode, name: string): FuseInode | null {
  const inode = fs.nodes.dentryOf(directory)?.children?.get(name)?.inode ?? null;
  return inode as FuseInode | null;
}

/** Content for the cache: kept where the file is as long as it says, in whole pages. */
function store(fs: FuseFilesystem, body: Uint8Array): 0 | Errno {
  const { nodeid, offset, size } = F.FuseNotifyStore.decode(body);
  const bytes = body.subarray(F.FuseNotifyStore.size);
  if (size !== bytes.length || !Number.isSafeInteger(offset + size)) return EINVAL;
  const node = fs.nodes.find(nodeid);
  if (node === null) return ENOENT;
  if (!node.isRegular) return EINVAL;
  if (offset + size > node.size) node.changed(offset + size, false);
  if (offset % PAGE_SIZE === 0) {
    const whole = offset + size >= node.size ? size : size - (size % PAGE_SIZE);
    if (whole > 0) node.pages.store(offset, bytes.subarray(0, whole), whole);
  } else node.cachedPages?.invalidate(offset, size);
  return 0;
}

/** What is kept from `offset` on, up to the first byte that is not here; perhaps nothing. */
function retrieve(fs: FuseFilesystem, body: Uint8Array): 0 | Errno {
  const { notify_unique, nodeid, offset, size } = F.FuseNotifyRetrieve.decode(body);
  const node = fs.nodes.find(nodeid);
  if (node === null) return ENOENT;
  const wanted = new Uint8Array(Math.max(0, Math.min(size, fs.connection.limits.maxWrite, node.size - offset)));
  const kept = node.cachedPages?.read(new BufferIo(wanted), offset) ?? 0;
  return fs.connection.sendBack(notify_unique, nodeid, offset, wanted.subarray(0, kept));
}
