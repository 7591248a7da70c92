/** User and group numbers of the caller (credentials(7)). */
import { EFAULT, EINVAL, EPERM } from '../../abi/errno.ts';
import { commitCredentials, groupOf, type Identity, userOf, withGroup, withUser } from '../kernel/credential_change.ts';
import { CAP_SETGID, CAP_SETUID, hasOwnCap } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { type IdMap, NO_ID } from '../kernel/user_namespace.ts';
import { addr, int, syscall, uint } from './definition.ts';

/** (uid_t)-1: leave it as it is. */
const SAME = 0xffffffff;
/** Most supplementary groups (NGROUPS_MAX). */
const NGROUPS_MAX = 65536;

/** One kind of number: users or groups. */
interface Kind {
  readonly map: (task: Task) => IdMap;
  readonly of: (task: Task) => Identity;
  readonly commit: (task: Task, next: Identity) => void;
  readonly capability: number;
}
const USER: Kind = {
  map: (task) => task.creds.namespace.uids,
  of: (task) => userOf(task.creds),
  commit: (task, next) => commitCredentials(task, withUser(task.creds, next)),
  capability: CAP_SETUID,
};
const GROUP: Kind = {
  map: (task) => task.creds.namespace.gids,
  of: (task) => groupOf(task.creds),
  commit: (task, next) => commitCredentials(task, withGroup(task.creds, next)),
  capability: CAP_SETGID,
};

/** The kernel's number of one that the caller names; SAME stays, null: its namespace has no such number. */
function kernelId(kind: Kind, task: Task, id: number): number | null {
  if (id === SAME) return SAME;
  const found = kind.map(task).toKernel(id);
  return found === NO_ID ? null : found;
}

/** setuid(2), setgid(2). */
function set(kind: Kind, task: Task, wanted: number): number {
  const id = kernelId(kind, task, wanted);
  if (id === SAME || id === null) return EINVAL;
  const old = kind.of(task);
  if (hasOwnCap(task.creds, kind.capability)) kind.commit(task, { real: id, effective: id, saved: id, fs: id });
  else if (id === old.real || id === old.saved) kind.commit(task, { ...old, effective: id, fs: id });
  else return EPERM;
  return 0;
}

/** setreuid(2), setregid(2). */
function setre(kind: Kind, task: Task, wantedReal: number, wantedEffective: number): number {
  const real = kernelId(kind, task, wantedReal);
  const effective = kernelId(kind, task, wantedEffective);
  if (real === null || effective === null) return EINVAL;
  const old = kind.of(task);
  const free = hasOwnCap(task.creds, kind.capability);
  if (real !== SAME && !free && real !== old.real && real !== old.effective) return EPERM;
  if (effective !== SAME && !free && effective !== old.real && effective !== old.effective && effective !== old.saved) return EPERM;
  const nextEffective = effective === SAME ? old.effective : effective;
  // The saved number follows whenever a real one was given, or an effective one that is not the old real one.
  const follows = real !== SAME || (effective !== SAME && effective !== old.real);
  kind.commit(task, {
    real: real === SAME ? old.real : real,
    effective: nextEffective,
    saved: follows ? nextEffective : old.saved,
    fs: nextEffective,
  });
  return 0;
}

/** setresuid(2), setresgid(2). */
function setres(kind: Kind, task: Task, ...wanted: readonly [number, number, number]): number {
  const [real, effective, saved] = wanted.map((id) => kernelId(kind, task, id)) as [number | null, number | null, number | null];
  if (real === null || effective === null || saved === null) return EINVAL;
  const old = kind.of(task);
  if (!hasOwnCap(task.creds, kind.capability)) {
    for (const id of [real, effective, saved]) {
      if (id !== SAME && id !== old.real && id !== old.effective && id !== old.saved) return EPERM;
    }
  }
  const nextEffective = effective === SAME ? old.effective : effective;
  kind.commit(task, {
    real: real === SAME ? old.real : real,
    effective: nextEffective,
    saved: saved === SAME ? old.saved : saved,
    fs: nextEffective,
  });
  return 0;
}

/** setfsuid(2), setfsgid(2): the old number, whether or not it changed. */
function setfs(kind: Kind, task: Task, wanted: number): number {
  const old = kind.of(task);
  const before = kind.map(task).shown(old.fs);
  const id = kernelId(kind, task, wanted);
  if (id === null) return before;
  const known = id === old.real || id === old.effective || id === old.saved || id === old.fs;
  if (id !== SAME && (known || hasOwnCap(task.creds, kind.capability))) kind.commit(task, { ...old, fs: id });
  return before;
}

function getres(kind: Kind, task: Task, real: number, effective: number, saved: number): number {
  const now = kind.of(task);
  const map = kind.map(task);
  return (
    task.writeU32(real, map.shown(now.real)) ||
    task.writeU32(effective, map.shown(now.effective)) ||
    task.writeU32(saved, map.shown(now.saved))
  );
}

function getgroups(task: Task, count: number, list: number): number {
  const { groups } = task.creds;
  if (count < 0) return EINVAL;
  if (count === 0) return groups.length;
  if (count < groups.length) return EINVAL;
  const { gids } = task.creds.namespace;
  const words = Uint32Array.from(groups, (gid) => gids.shown(gid));
  return task.copyOut(list, new Uint8Array(words.buffer)) === 0 ? groups.length : EFAULT;
}

function setgroups(task: Task, count: number, list: number): number {
  const { namespace } = task.creds;
  if (!hasOwnCap(task.creds, CAP_SETGID) || namespace.gids.ranges.length === 0 || !namespace.setgroupsAllowed) return EPERM;
  if (count < 0 || count > NGROUPS_MAX) return EINVAL;
  const words = new Uint32Array(count);
  if (count > 0 && task.copyIn(list, new Uint8Array(words.buffer)) !== 0) return EFAULT;
  const groups = words.map((gid) => namespace.gids.toKernel(gid));
  if (groups.includes(NO_ID)) return EINVAL;
  task.creds = { ...task.creds, groups: [...groups.sort()] };
  return 0;
}

export const CREDENTIAL_CALLS = {
  getuid: syscall({ x64: 102, man: 'getuid(2)', args: [], run: ({ creds }) => creds.namespace.uids.shown(creds.uid) }),
  getgid: syscall({ x64: 104, man: 'getgid(2)', args: [], run: ({ creds }) => creds.namespace.gids.shown(creds.gid) }),
  setuid: syscall({ x64: 105, man: 'setuid(2)', args: [uint], run: (task, id) => set(USER, task, id) }),
  setgid: syscall({ x64: 106, man: 'setgid(2)', args: [uint], run: (task, id) => set(GROUP, task, id) }),
  geteuid: syscall({ x64: 107, man: 'getuid(2)', args: [], run: ({ creds }) => creds.namespace.uids.shown(creds.euid) }),
  getegid: syscall({ x64: 108, man: 'getgid(2)', args: [], run: ({ creds }) => creds.namespace.gids.shown(creds.egid) }),
  setreuid: syscall({ x64: 113, man: 'setreuid(2)', args: [uint, uint], run: (task, r, e) => setre(USER, task, r, e) }),
  setregid: syscall({ x64: 114, man: 'setreuid(2)', args: [uint, uint], run: (task, r, e) => setre(GROUP, task, r, e) }),
  getgroups: syscall({ x64: 115, man: 'getgroups(2)', args: [int, addr], run: getgroups }),
  setgroups: syscall({ x64: 116, man: 'getgroups(2)', args: [int, addr], run: setgroups }),
  setresuid: syscall({ x64: 117, man: 'setresuid(2)', args: [uint, uint, uint], run: (task, r, e, s) => setres(USER, task, r, e, s) }),
  getresuid: syscall({ x64: 118, man: 'getresuid(2)', args: [addr, addr, addr], run: (task, r, e, s) => getres(USER, task, r, e, s) }),
  setresgid: syscall({ x64: 119, man: 'setresuid(2)', args: [uint, uint, uint], run: (task, r, e, s) => setres(GROUP, task, r, e, s) }),
  getresgid: syscall({ x64: 120, man: 'getresuid(2)', args: [addr, addr, addr], run: (task, r, e, s) => getres(GROUP, task, r, e, s) }),
  setfsuid: syscall({ x64: 122, man: 'setfsuid(2)', args: [uint], run: (task, id) => setfs(USER, task, id) }),
  setfsgid: syscall({ x64: 123, man: 'setfsgid(2)', args: [uint], run: (task, id) => setfs(GROUP, task, id) }),
};
