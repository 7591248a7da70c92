/** Extended attributes at a FUSE server. A server without them answers ENOSYS once, and is not asked again. */
import { EIO, ENOSYS, EOPNOTSUPP, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { XATTR_LIST_MAX, XATTR_SIZE_MAX } from '../../../abi/xattr.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';
import type { FuseInode } from './inode.ts';
import type { FuseRequest } from './request.ts';

function outcome(node: FuseInode, opcode: number, request: FuseRequest): 0 | Errno {
  if (request.error !== ENOSYS) return request.error;
  node.connection.missing.add(opcode);
  return EOPNOTSUPP;
}

export function getXattr(node: FuseInode, name: ByteString): Uint8Array | Errno {
  if (node.connection.lacks(F.FUSE_GETXATTR)) return EOPNOTSUPP;
  const body = F.FuseGetxattrIn.encode({ size: XATTR_SIZE_MAX });
  const request = node.connection.ask(`X${node.nodeid}/${name}`, () =>
    node.question(F.FUSE_GETXATTR, [body, name], { least: 0, most: XATTR_SIZE_MAX }),
  );
  return outcome(node, F.FUSE_GETXATTR, request) || request.reply;
}

export function listXattrs(node: FuseInode): ByteString[] | Errno {
  if (node.connection.lacks(F.FUSE_LISTXATTR)) return EOPNOTSUPP;
  const body = F.FuseGetxattrIn.encode({ size: XATTR_LIST_MAX });
  const request = node.connection.ask(`Z${node.nodeid}`, () => node.question(F.FUSE_LISTXATTR, [body], { least: 0, most: XATTR_LIST_MAX }));
  const error = outcome(node, F.FUSE_LISTXATTR, request);
  if (error !== 0) return error;
  const text = byteString(request.reply);
  if (text === '') return [];
  const names = text.split('\0');
  // Every name ends with its NUL, and none is empty.
  return names.pop() !== '' || names.includes('') ? EIO : names;
}

export function setXattr(node: FuseInode, name: ByteString, value: Uint8Array, flags: number): 0 | Errno {
  if (node.connection.lacks(F.FUSE_SETXATTR)) return EOPNOTSUPP;
  const body = F.FuseSetxattrIn.encode({ size: value.length, flags });
  const request = node.change(`W${node.nodeid}/${name}`, () => node.question(F.FUSE_SETXATTR, [body, name, value]));
  if (request.error === 0) node.expire();
  return outcome(node, F.FUSE_SETXATTR, request);
}

export function removeXattr(node: FuseInode, name: ByteString): 0 | Errno {
  if (node.connection.lacks(F.FUSE_REMOVEXATTR)) return EOPNOTSUPP;
  const request = node.change(`V${node.nodeid}/${name}`, () => node.question(F.FUSE_REMOVEXATTR, [name]));
  if (request.error === 0) node.expire();
  return outcome(node, F.FUSE_REMOVEXATTR, request);
}
