/** Which file a process's first argument means. The messages are those that engines look for in a runtime's output. */
import { ENOENT, ENOTDIR, isErrno } from '../../abi/errno.ts';
import { type ByteString, toUnicode } from '../../lib/byte_string.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { credentialsOn } from '../vfs/mount_id_map.ts';
import { inodeOf, type VfsPath } from '../vfs/path.ts';
import { checkPermission, MAY_EXEC } from '../vfs/permission.ts';
import { LOOKUP_FOLLOW, resolveFrom } from '../vfs/walk.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export class ProgramError extends Error {}

function fail(name: ByteString, why: string): never {
  throw new ProgramError(`exec: ${JSON.stringify(toUnicode(name))}: ${why}`);
}

/** A path for execve. @throws ProgramError */
export function findProgram(root: VfsPath, cwd: ByteString, creds: Credentials, name: ByteString, env: readonly ByteString[]): ByteString {
  if (name === '') fail(name, 'executable file not found in $PATH');
  if (name.includes('/')) {
    const path = name.startsWith('/') ? name : `${cwd}/${name}`;
    const state = examine(root, path, creds);
    if (state === 'missing') fail(name, `stat ${toUnicode(name)}: no such file or directory`);
    if (state !== 'program') fail(name, state === 'folder' ? 'is a directory' : 'permission denied');
    return path;
  }
  let denied = false;
  const path = env.findLast((e) => e.startsWith('PATH='))?.slice(5) ?? DEFAULT_PATH;
  for (const folder of path.split(':')) {
    const candidate = `${folder === '' ? cwd : folder}/${name}`;
    const state = examine(root, candidate.startsWith('/') ? candidate : `${cwd}/${candidate}`, creds);
    if (state === 'program') return candidate;
    if (state === 'denied') denied = true;
  }
  return fail(name, denied ? 'permission denied' : 'executable file not found in $PATH');
}

function examine(root: VfsPath, path: ByteString, creds: Credentials): 'program' | 'denied' | 'folder' | 'missing' {
  const found = resolveFrom(root, path, creds, LOOKUP_FOLLOW);
  if (isErrno(found)) return found === ENOENT || found === ENOTDIR ? 'missing' : 'denied';
  const inode = inodeOf(found);
  if (inode.isDirectory) return 'folder';
  return inode.isRegular && checkPermission(inode, credentialsOn(found.mount, creds), MAY_EXEC) === 0 ? 'program' : 'denied';
}
