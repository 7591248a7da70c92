/** Making, moving and removing names behind the gofer, and what that does to what we have cached. */
import { EIO, type Errno, isErrno } from '../../../abi/errno.ts';
import { AT_REMOVEDIR, O_RDWR, RENAME_EXCHANGE } from '../../../abi/fcntl.ts';
import { major, minor, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import { P9_NO_OPEN, P9_NOFID } from '../../../lib/p9/constants.ts';
import { Rlink, Rmakex, Rrenamex, Runlinkat, Tlink, Tmakex, Trenamex, Tunlinkat } from '../../../lib/p9/messages.ts';
import type { CreateOptions } from '../../vfs/inode.ts';
import { readAttributes, viewOf } from './attributes.ts';
import { GoferInode } from './inode.ts';

export interface Made {
  readonly inode: GoferInode;
  /** Open file of a regular file; -1: none. The caller's. */
  readonly hostFd: number;
}

/** One round trip: the object with its owner and mode, and for a regular file (`open`: O_RDWR) its descriptor. */
export function createObject(
  directory: GoferInode,
  name: ByteString,
  mode: number,
  options: CreateOptions,
  rdev: number,
  target: ByteString,
  open: number,
): Made | Errno {
  const made = make(directory, name, mode, options, rdev, target, open, P9_NOFID);
  if (!isErrno(made)) directory.namesChanged(null);
  return made;
}

/** O_TMPFILE: a name of no bytes. It has nothing but its fid. */
export function makeTemporary(directory: GoferInode, options: CreateOptions): Made | Errno {
  const fid = directory.fs.client.newFid();
  const made = make(directory, '', S_IFREG | (options.mode & 0o7777), options, 0, '', O_RDWR, fid);
  if (isErrno(made)) directory.fs.client.unusedFid(fid);
  else {
    made.inode.setFid(fid);
    made.inode.loseName();
  }
  return made;
}

function make(
  directory: GoferInode,
  name: ByteString,
  mode: number,
  options: CreateOptions,
  rdev: number,
  target: ByteString,
  open: number,
  newfid: number,
): Made | Errno {
  const { fs } = directory;
  const place = directory.directoryPlace();
  if (isErrno(place)) return place;
  const { uid, gid, umask = 0 } = options;
  const what = { name, mode, umask, uid, gid, target, open, newfid, major: major(rdev), minor: minor(rdev) };
  const { watches } = fs;
  watches?.before();
  const answer = fs.client.call(Tmakex, { ...place, ...what }, Rmakex);
  watches?.after({ inode: directory, name });
  if (isErrno(answer)) return answer;
  const hostFd = fs.client.takeDescriptor();
  const attributes = readAttributes(viewOf(answer.attr), 0, fs.device);
  if (open !== P9_NO_OPEN && answer.opened !== 0 && hostFd < 0) return EIO;
  return { inode: new GoferInode(fs, directory, name, { attributes, target }, -1), hostFd };
}

export function linkObject(directory: GoferInode, name: ByteString, target: GoferInode): 0 | Errno {
  const { fs } = directory;
  const r = directory.ensureFid() || target.ensureFid();
  if (r !== 0) return r as Errno;
  const { watches } = fs;
  watches?.before();
  const answer = fs.client.call(Tlink, { dfid: directory.fid, fid: target.fid, name }, Rlink);
  watches?.after({ inode: directory, name }, ...target.touched());
  if (isErrno(answer)) return answer;
  directory.namesChanged(null);
  target.markStale();
  target.moveTo(directory, name);
  fs.rememberLinked(target);
  return 0;
}

export function removeName(directory: GoferInode, name: ByteString, target: GoferInode, isDirectory: boolean): 0 | Errno {
  const { fs } = directory;
  const r = directory.ensureFid();
  if (r !== 0) return r;
  if (!isDirectory) target.surviveName();
  const { watches } = fs;
  watches?.before();
  const answer = fs.client.call(Tunlinkat, { dirfd: directory.fid, name, flags: isDirectory ? AT_REMOVEDIR : 0 }, Runlinkat);
  watches?.after({ inode: directory, name }, ...target.touched());
  if (isErrno(answer)) return answer;
  directory.namesChanged(name);
  nameGone(directory, name, target, isDirectory);
  return 0;
}

function nameGone(directory: GoferInode, name: ByteString, target: GoferInode, isDirectory: boolean): void {
  // Another of its names may be the one we know it by.
  if (target.parent === directory && target.name === name) target.loseName();
  if (isDirectory) target.gone();
  else target.lostLink();
}

export function renameObject(
  oldParent: GoferInode,
  oldName: ByteString,
  target: GoferInode,
  newParent: GoferInode,
  newName: ByteString,
  replaced: GoferInode | null,
  flags: number,
): 0 | Errno {
  const { fs } = oldParent;
  const r = oldParent.ensureFid() || newParent.ensureFid();
  if (r !== 0) return r as Errno;
  const exchange = (flags & RENAME_EXCHANGE) !== 0;
  if (replaced !== null && !exchange && replaced !== target) replaced.surviveName();
  const request = { olddirfid: oldParent.fid, oldname: oldName, newdirfid: newParent.fid, newname: newName, flags };
  const { watches } = fs;
  watches?.before();
  const answer = fs.client.call(Trenamex, request, Rrenamex);
  const gone = replaced === null ? [] : replaced.touched();
  watches?.after({ inode: oldParent, name: oldName }, { inode: newParent, name: newName }, ...target.touched(), ...gone);
  if (isErrno(answer)) return answer;
  oldParent.namesChanged(exchange ? null : oldName);
  newParent.namesChanged(null);
  // Two names of one object: rename(2) does nothing.
  if (replaced === target) return 0;
  target.moveTo(newParent, newName);
  target.markStale();
  if (replaced === null) return 0;
  if (exchange) replaced.moveTo(oldParent, oldName);
  else nameGone(newParent, newName, replaced, replaced.isDirectory);
  return 0;
}
