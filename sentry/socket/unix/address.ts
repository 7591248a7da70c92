/** unix(7) addresses: struct sockaddr_un as the kernel keeps it, the bytes of sun_path that count. */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import { AF_UNIX, SOCKADDR_UN_SIZE } from '../../../abi/socket.ts';
import { type ByteString, byteString } from '../../../lib/byte_string.ts';

/**
 * sun_path as getsockname(2) tells it: '' unnamed; "\0name" abstract; "path\0" in the filesystem.
 */
export type UnixAddress = ByteString;

/** From user memory: an unnamed, abstract or path address. EINVAL. */
export function decodeUnixAddress(raw: Uint8Array): UnixAddress | Errno {
  if (raw.length < 2 || raw.length > SOCKADDR_UN_SIZE) return EINVAL;
  if (((raw[0] as number) | ((raw[1] as number) << 8)) !== AF_UNIX) return EINVAL;
  if (raw.length === 2) return '';
  const path = byteString(raw, 2);
  if (path[0] === '\0') return path;
  const end = path.indexOf('\0');
  return `${end < 0 ? path : path.slice(0, end)}\0`;
}

export function encodeUnixAddress(address: UnixAddress): Uint8Array {
  const raw = Buffer.alloc(2 + address.length);
  raw.writeUInt16LE(AF_UNIX, 0);
  raw.write(address, 2, 'latin1');
  return new Uint8Array(raw);
}

export function isAbstract(address: UnixAddress): boolean {
  return address[0] === '\0';
}
/** The path of a path address. */
export function pathOf(address: UnixAddress): ByteString {
  return address.slice(0, -1);
}
