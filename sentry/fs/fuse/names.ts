/** Making, finding and removing names at a FUSE server. */
import { EINVAL, EIO, ELOOP, ENOENT, ENOSYS, EOPNOTSUPP, type Errno, EXDEV } from '../../../abi/errno.ts';
import { O_CREAT, O_EXCL, O_NOCTTY } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { S_IFMT, S_IFREG } from '../../../abi/stat.ts';
import type { ByteString } from '../../../lib/byte_string.ts';
import type { CreateOptions, Inode } from '../../vfs/inode.ts';
import { readEntry } from './entry.ts';
import { FuseHandle } from './handle.ts';
import type { FuseInode } from './inode.ts';
import type { FuseRequest, RequestPart } from './request.ts';

const ENTRY = F.FuseEntryOut.size;

/** The object that an answer tells of, named; ENOENT, EIO for what cannot be, ELOOP for a directory that lies in itself. */
function receiveEntry(directory: FuseInode, name: ByteString, view: DataView, request: FuseRequest): FuseInode | Errno {
  const { fs, connection } = directory;
  const entry = readEntry(view, 0, connection.userNamespace);
  if (entry === null || entry.nodeid === F.FUSE_ROOT_ID) return EIO;
  if (entry.nodeid === 0n) return ENOENT;
  const node = fs.nodes.receive(entry);
  node.told(entry.attributes, entry.attrValid, request.version);
  request.giveBack = () => fs.nodes.sweepLater();
  if (node.named(directory, name, connection.kernel.now() + entry.entryValid)) return node;
  fs.nodes.sweepLater();
  return ELOOP;
}

/** A request that is answered with an entry. `type`: what it must be (S_IFMT bits), 0: anything. */
function entryRequest(
  directory: FuseInode,
  opcode: number,
  name: ByteString,
  parts: readonly RequestPart[],
  type: number,
  umaskAt?: number,
): FuseRequest {
  const request: FuseRequest = directory.question(opcode, parts, {
    least: ENTRY,
    ...(umaskAt === undefined ? {} : { umaskAt }),
    receive: (_reply, view) => {
      const node = receiveEntry(directory, name, view, request);
      if (typeof node === 'number') return opcode === F.FUSE_LOOKUP ? node : EIO;
      if (type !== 0 && (node.mode & S_IFMT) !== type) return EIO;
      request.value = node;
      if (opcode !== F.FUSE_LOOKUP) directory.expire();
      return 0;
    },
  });
  return request;
}

export function lookupRequest(directory: FuseInode, name: ByteString): FuseRequest {
  return entryRequest(directory, F.FUSE_LOOKUP, name, [name], 0);
}

/** A server that has asked for it takes the umask off the mode itself. */
function modeFor({ connection }: FuseInode, { mode, umask = 0 }: CreateOptions): number {
  return connection.has(F.FUSE_DONT_MASK) ? mode : mode & ~umask;
}

function made(request: FuseRequest): Inode | Errno {
  return request.error !== 0 ? request.error : (request.value as FuseInode);
}

export function mkdir(directory: FuseInode, name: ByteString, options: CreateOptions): Inode | Errno {
  const mode = modeFor(directory, options);
  const body = F.FuseMkdirIn.encode({ mode, umask: 0 });
  const umaskAt = F.FuseMkdirIn.offsets.umask;
  return made(
    directory.change(`D${directory.nodeid}/${name}`, () =>
      entryRequest(directory, F.FUSE_MKDIR, name, [body, name], mode & S_IFMT, umaskAt),
    ),
  );
}

export function mknod(directory: FuseInode, name: ByteString, options: CreateOptions, rdev: number): Inode | Errno {
  const mode = modeFor(directory, options);
  const body = F.FuseMknodIn.encode({ mode, rdev, umask: 0 });
  const umaskAt = F.FuseMknodIn.offsets.umask;
  return made(
    directory.change(`N${directory.nodeid}/${name}`, () =>
      entryRequest(directory, F.FUSE_MKNOD, name, [body, name], mode & S_IFMT, umaskAt),
    ),
  );
}

export function symlink(directory: FuseInode, name: ByteString, target: ByteString): Inode | Errno {
  return made(
    directory.change(`Y${directory.nodeid}/${name}`, () => entryRequest(directory, F.FUSE_SYMLINK, name, [name, target], 0o120000)),
  );
}

export function link(directory: FuseInode, name: ByteString, target: FuseInode): 0 | Errno {
  if (target.fs !== directory.fs) return EXDEV;
  const body = F.FuseLinkIn.encode({ oldnodeid: target.nodeid });
  const request = directory.change(`H${directory.nodeid}/${name}`, () => {
    const asked = entryRequest(directory, F.FUSE_LINK, name, [body, name], 0);
    asked.afterwards = () => target.expire();
    return asked;
  });
  return request.error;
}

/** CREATE, which opens as well; or MKNOD and OPEN where the server has no CREATE. The handle waits for the open that follows. */
export function create(directory: FuseInode, name: ByteString, options: CreateOptions, flags: number): Inode | Errno {
  const { connection, fs } = directory;
  if (!connection.lacks(F.FUSE_CREATE)) {
    const request = directory.change(`C${directory.nodeid}/${name}`, () => createRequest(directory, F.FUSE_CREATE, name, options, flags));
    if (request.error === 0) return fs.keepCreated(request.value as FuseHandle);
    if (request.error !== ENOSYS) return request.error;
    connection.missing.add(F.FUSE_CREATE);
  }
  const node = mknod(directory, name, options, 0);
  if (typeof node === 'number') return node;
  const handle = (node as FuseInode).openHandle(flags);
  return typeof handle === 'number' ? handle : fs.keepCreated(handle);
}

export function tmpfile(directory: FuseInode, options: CreateOptions, flags: number): Inode | Errno {
  const { connection, fs } = directory;
  if (connection.lacks(F.FUSE_TMPFILE)) return EOPNOTSUPP;
  const request = directory.change(`T${directory.nodeid}`, () => createRequest(directory, F.FUSE_TMPFILE, '', options, flags));
  if (request.error === 0) return fs.keepCreated(request.value as FuseHandle);
  if (request.error !== ENOSYS) return request.error;
  connection.missing.add(F.FUSE_TMPFILE);
  return EOPNOTSUPP;
}

function createRequest(directory: FuseInode, opcode: number, name: ByteString, options: CreateOptions, given: number): FuseRequest {
  const mode = modeFor(directory, options);
  const flags = given & ~O_NOCTTY;
  const body = F.FuseCreateIn.encode({ flags, mode, umask: 0, open_flags: 0 });
  const request: FuseRequest = directory.question(opcode, [body, name], {
    least: ENTRY + F.FuseOpenOut.size,
    umaskAt: F.FuseCreateIn.offsets.umask,
    receive: (reply, view) => {
      const node = receiveEntry(directory, name, view, request);
      if (typeof node === 'number' || (node.mode & S_IFMT) !== S_IFREG) return EIO;
      const { fh, open_flags } = F.FuseOpenOut.decode(reply.subarray(ENTRY));
      const handle = new FuseHandle(node, fh, open_flags, flags & ~(O_CREAT | O_EXCL), false);
      request.value = handle;
      request.giveBack = () => handle.close();
      directory.expire();
      return 0;
    },
  });
  return request;
}

/** UNLINK, RMDIR. */
export function remove(directory: FuseInode, opcode: number, name: ByteString, target: FuseInode): 0 | Errno {
  const make = (): FuseRequest =>
    directory.question(opcode, [name], {
      receive: () => {
        directory.expire();
        target.unlinked();
        return 0;
      },
    });
  return directory.change(`U${directory.nodeid}/${name}`, make).error;
}

export function rename(
  from: FuseInode,
  oldName: ByteString,
  target: FuseInode,
  to: FuseInode,
  newName: ByteString,
  replaced: FuseInode | null,
  flags: number,
): 0 | Errno {
  const { connection } = from;
  if (flags !== 0 && connection.lacks(F.FUSE_RENAME2)) return EINVAL;
  const opcode = flags !== 0 ? F.FUSE_RENAME2 : F.FUSE_RENAME;
  const body = flags !== 0 ? F.FuseRename2In.encode({ newdir: to.nodeid, flags }) : F.FuseRenameIn.encode({ newdir: to.nodeid });
  const make = (): FuseRequest =>
    from.question(opcode, [body, oldName, newName], {
      receive: () => {
        from.expire();
        to.expire();
        target.expire();
        replaced?.unlinked();
        return target.named(to, newName, 0) ? 0 : ELOOP;
      },
    });
  const { error } = from.change(`M${from.nodeid}/${oldName}/${to.nodeid}/${newName}`, make);
  if (error !== ENOSYS || flags === 0) return error;
  connection.missing.add(F.FUSE_RENAME2);
  return EINVAL;
}
