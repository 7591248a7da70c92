/** A user's home as the container's /etc/passwd has it: programs expect HOME, and no login sets it. */
import { type Errno, isErrno } from '../../abi/errno.ts';
import { O_RDONLY } from '../../abi/fcntl.ts';
import { PROT_READ } from '../../abi/mman.ts';
import { type ByteString, byteString } from '../../lib/byte_string.ts';
import { rootCredentials } from '../kernel/credentials.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { FileDescription } from '../vfs/file.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { find } from './mount_points.ts';

/** As much of /etc/passwd as is looked at. */
const PASSWD_MAX = 1 << 20;

export function homeOf(kernel: Kernel, root: VfsPath, uid: number): ByteString {
  const text = readSmall(kernel, root, '/etc/passwd');
  const home = isErrno(text) ? undefined : homeInPasswd(text, uid);
  return home ?? (uid === 0 ? '/root' : '/');
}

/** passwd(5): the sixth field of the first line with this uid. */
export function homeInPasswd(text: string, uid: number): string | undefined {
  for (const line of text.split('\n')) {
    const fields = line.split(':');
    if (fields[2] === String(uid) && fields[5] !== undefined && fields[5] !== '') return fields[5];
  }
  return undefined;
}

/** Through the host file that a mapping would use: no task exists yet that could read. */
function readSmall(kernel: Kernel, root: VfsPath, path: ByteString): ByteString | Errno {
  const place = find(root, path);
  if (isErrno(place)) return place;
  const impl = inodeOf(place).open(O_RDONLY, { path: place, creds: rootCredentials(), task: null });
  if (isErrno(impl)) return impl;
  const file = new FileDescription(impl, O_RDONLY, place);
  try {
    const mapping = impl.mapping(file, false, PROT_READ);
    if (isErrno(mapping)) return mapping;
    const bytes = new Uint8Array(Math.min(PASSWD_MAX, inodeOf(place).attributes().size));
    const n = kernel.host.pread(mapping.hostFd, bytes, 0, bytes.length, mapping.offset);
    return n < 0 ? (n as Errno) : byteString(bytes, 0, n);
  } finally {
    file.release();
  }
}
