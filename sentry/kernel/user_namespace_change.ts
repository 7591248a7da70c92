/** Making, entering and describing user namespaces (user_namespaces(7)): clone(2), unshare(2), setns(2), /proc/PID/{uid_map,gid_map,setgroups}. */
import { EINVAL, ENOSPC, EPERM, type Errno } from '../../abi/errno.ts';
import { samePath } from '../vfs/path.ts';
import { CAP_SETFCAP, CAP_SETGID, CAP_SETUID, CAP_SYS_ADMIN, type Credentials, credentialsIn, hasCapIn, hasOwnCap } from './credentials.ts';
import type { Task } from './task.ts';
import { IdMap, type IdRange, MAX_LEVEL, NO_ID, UserNamespace } from './user_namespace.ts';

/** UID_GID_MAP_MAX_EXTENTS. */
const MAX_RANGES = 340;

/** CLONE_NEWUSER: the caller's credentials in a fresh namespace below its own. */
export function newUserNamespace(task: Task): Credentials | Errno {
  const { creds } = task;
  const { namespace } = creds;
  if (namespace.level >= MAX_LEVEL) return ENOSPC;
  // Who is shut in by chroot(2) must not get the power to leave.
  if (!samePath(task.fs.root, task.namespaces.mount.rootPath)) return EPERM;
  if (namespace.uids.fromKernel(creds.euid) === NO_ID || namespace.gids.fromKernel(creds.egid) === NO_ID) return EPERM;
  const setfcap = hasOwnCap(creds, CAP_SETFCAP);
  return credentialsIn(creds, new UserNamespace(namespace, task.kernel.uniqueId(), creds.euid, creds.egid, setfcap));
}

/** setns(2). */
export function enterUserNamespace(task: Task, namespace: UserNamespace): Credentials | Errno {
  if (namespace === task.creds.namespace || task.group.tasks.length > 1 || task.fs.shared) return EINVAL;
  return hasCapIn(task.creds, CAP_SYS_ADMIN, namespace) ? credentialsIn(task.creds, namespace) : EPERM;
}

export type MapKind = 'uids' | 'gids';

/** A map as `reader` sees it: the numbers outside are those of its own namespace, or of the parent if it is in the very one. */
export function idMapText(namespace: UserNamespace, kind: MapKind, reader: Task): string {
  const own = reader.creds.namespace;
  const outer = own === namespace && own.parent !== null ? own.parent : own;
  return namespace[kind].ranges
    .map(({ inside, kernel, count }) => [inside, outer[kind].fromKernel(kernel), count])
    .map((row) => `${row.map((n) => String(n).padStart(10)).join(' ')}\n`)
    .join('');
}

/**
 * 0, or the errno of the write. Who opened the file decides: a program with more power may have been given it as its output. What takes
 * power over the parent takes both.
 */
export function writeIdMap(namespace: UserNamespace, kind: MapKind, text: string, writer: Task, creds: Credentials): number {
  const { parent } = namespace;
  if (parent === null || namespace[kind].ranges.length > 0) return EPERM;
  if (creds.namespace !== namespace && creds.namespace !== parent) return EPERM;
  if (!hasCapIn(creds, CAP_SYS_ADMIN, namespace)) return EPERM;
  const rows = parseRows(text);
  if (rows === null) return EINVAL;
  if (!mayMap(namespace, parent, kind, rows, creds, writer.creds)) return EPERM;
  const ranges: IdRange[] = [];
  for (const { inside, outside, count } of rows) {
    const kernel = parent[kind].rangeToKernel(outside, count);
    if (kernel === null) return EPERM;
    ranges.push({ inside, kernel, count });
  }
  namespace[kind] = new IdMap(ranges);
  return 0;
}

interface MapRow {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** "0 1000 1" a line; null if it is malformed, too long or overlaps. */
function parseRows(text: string): MapRow[] | null {
  const rows: MapRow[] = [];
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const match = /^\s*([0-9]{1,10})\s+([0-9]{1,10})\s+([0-9]{1,10})\s*$/.exec(line);
    if (match === null || rows.length >= MAX_RANGES) return null;
    const [inside, outside, count] = [Number(match[1]), Number(match[2]), Number(match[3])];
    if (count === 0 || inside + count > NO_ID || outside + count > NO_ID) return null;
    const overlaps = rows.some(
      (row) =>
        (inside < row.inside + row.count && row.inside < inside + count) ||
        (outside < row.outside + row.count && row.outside < outside + count),
    );
    if (overlaps) return null;
    rows.push({ inside, outside, count });
  }
  return rows;
}

/** One's own number alone may always be mapped (groups: once setgroups(2) is denied); more takes power over the parent. */
function mayMap(
  namespace: UserNamespace,
  parent: UserNamespace,
  kind: MapKind,
  rows: readonly MapRow[],
  creds: Credentials,
  writer: Credentials,
): boolean {
  const [only] = rows;
  if (kind === 'uids' && rows.some((row) => row.outside === 0)) {
    const power = creds.namespace === namespace ? namespace.makerHadSetfcap : hasCapIn(creds, CAP_SETFCAP, parent);
    if (!power) return false;
  }
  if (rows.length === 1 && only !== undefined && only.count === 1 && namespace.owner === creds.euid) {
    const id = parent[kind].toKernel(only.outside);
    if (kind === 'uids' && id === creds.euid) return true;
    if (kind === 'gids' && id === creds.egid && !namespace.setgroupsAllowed) return true;
  }
  const needed = kind === 'uids' ? CAP_SETUID : CAP_SETGID;
  return hasCapIn(creds, needed, parent) && hasCapIn(writer, needed, parent);
}

/** /proc/PID/setgroups: "deny" before gid_map is written, and never "allow" again. */
export function writeSetgroups(namespace: UserNamespace, text: string, opener: Credentials): number {
  if (!hasCapIn(opener, CAP_SYS_ADMIN, namespace)) return EPERM;
  const word = text.replace(/\s+$/, '');
  if (word !== 'allow' && word !== 'deny') return EINVAL;
  if (word === 'allow') return namespace.setgroupsAllowed ? 0 : EPERM;
  if (namespace.setgroupsAllowed && namespace.gids.ranges.length > 0) return EPERM;
  namespace.setgroupsAllowed = false;
  return 0;
}
