/** Credentials of a task (credentials(7), capabilities(7)). Immutable: a change makes a new object. */
import { NO_ID, type OwnerMap, ROOT_USER_NAMESPACE, type UserNamespace } from './user_namespace.ts';

export const CAP_CHOWN = 0;
export const CAP_DAC_OVERRIDE = 1;
export const CAP_DAC_READ_SEARCH = 2;
export const CAP_FOWNER = 3;
export const CAP_FSETID = 4;
export const CAP_KILL = 5;
export const CAP_SETGID = 6;
export const CAP_SETUID = 7;
export const CAP_SETPCAP = 8;
export const CAP_LINUX_IMMUTABLE = 9;
export const CAP_NET_BIND_SERVICE = 10;
export const CAP_NET_ADMIN = 12;
export const CAP_NET_RAW = 13;
export const CAP_IPC_LOCK = 14;
export const CAP_IPC_OWNER = 15;
export const CAP_SYS_CHROOT = 18;
export const CAP_SYS_PTRACE = 19;
export const CAP_SYS_ADMIN = 21;
export const CAP_SYS_BOOT = 22;
export const CAP_SYS_NICE = 23;
export const CAP_SYS_RESOURCE = 24;
export const CAP_SYS_TIME = 25;
export const CAP_SYS_TTY_CONFIG = 26;
export const CAP_MKNOD = 27;
export const CAP_LEASE = 28;
export const CAP_AUDIT_WRITE = 29;
export const CAP_AUDIT_CONTROL = 30;
export const CAP_SETFCAP = 31;
export const CAP_WAKE_ALARM = 35;
export const CAP_SYSLOG = 34;
export const CAP_CHECKPOINT_RESTORE = 40;
export const CAP_LAST_CAP = 40;
export const ALL_CAPS = (1n << BigInt(CAP_LAST_CAP + 1)) - 1n;

export interface Capabilities {
  readonly effective: bigint;
  readonly permitted: bigint;
  readonly inheritable: bigint;
  readonly bounding: bigint;
  readonly ambient: bigint;
}

/** All numbers are those of the first user namespace; `namespace` says what the process itself calls them. */
export interface Credentials {
  /** Where the capabilities count, and below. */
  readonly namespace: UserNamespace;
  readonly uid: number;
  readonly euid: number;
  readonly suid: number;
  readonly fsuid: number;
  readonly gid: number;
  readonly egid: number;
  readonly sgid: number;
  readonly fsgid: number;
  readonly groups: readonly number[];
  readonly caps: Capabilities;
  /** prctl(2) PR_SET_SECUREBITS. */
  readonly securebits: number;
  readonly noNewPrivs: boolean;
  /** fsuid, fsgid and groups are numbers of a filesystem that an ID-mapped mount shows under others (vfs/mount_id_map.ts). */
  readonly seenThrough?: OwnerMap;
}

/** Over the whole sandbox: a capability that was gained in a namespace of one's own does not count. */
export function hasCap(creds: Credentials, cap: number): boolean {
  return creds.namespace.parent === null && hasOwnCap(creds, cap);
}

/** In the process's own user namespace. */
export function hasOwnCap(creds: Credentials, cap: number): boolean {
  return ((creds.caps.effective >> BigInt(cap)) & 1n) === 1n;
}

/** Over what belongs to `namespace` (user_namespaces(7), "Capabilities"): who made a namespace has them all in it. */
export function hasCapIn(creds: Credentials, cap: number, namespace: UserNamespace): boolean {
  for (let at = namespace; ; ) {
    if (at === creds.namespace) return hasOwnCap(creds, cap);
    const { parent } = at;
    if (parent === null || at.level <= creds.namespace.level) return false;
    if (parent === creds.namespace && at.owner === creds.euid) return true;
    at = parent;
  }
}

/** Over an object whose owner and group have names in the process's namespace. */
export function hasCapOver(creds: Credentials, cap: number, object: { readonly uid: number; readonly gid: number }): boolean {
  if (!hasOwnCap(creds, cap)) return false;
  const { namespace, seenThrough } = creds;
  if (seenThrough === undefined) return namespace.parent === null || isNamedIn(namespace, object.uid, object.gid);
  return isNamedIn(namespace, seenThrough.uids.toKernel(object.uid), seenThrough.gids.toKernel(object.gid));
}
/** Over what belongs to a user, whatever its group: his files are his to describe (CAP_FOWNER). */
export function hasCapOverUser(creds: Credentials, cap: number, user: number): boolean {
  if (!hasOwnCap(creds, cap)) return false;
  const { namespace, seenThrough } = creds;
  return namespace.uids.fromKernel(seenThrough === undefined ? user : seenThrough.uids.toKernel(user)) !== NO_ID;
}
function isNamedIn({ uids, gids }: UserNamespace, uid: number, gid: number): boolean {
  return uids.fromKernel(uid) !== NO_ID && gids.fromKernel(gid) !== NO_ID;
}

/** What a process is when it has made or entered `namespace`: everything there, nothing outside. */
export function credentialsIn(creds: Credentials, namespace: UserNamespace): Credentials {
  const caps = { effective: ALL_CAPS, permitted: ALL_CAPS, inheritable: 0n, bounding: ALL_CAPS, ambient: 0n };
  return { ...creds, namespace, caps, securebits: 0 };
}

/** Member of `gid` for permission checks: fsgid or a supplementary group. */
export function inGroup(creds: Credentials, gid: number): boolean {
  return creds.fsgid === gid || creds.groups.includes(gid);
}

/** User 0 of a namespace, with every capability there: who sets up a container. */
export function rootOf(namespace: UserNamespace): Credentials {
  const uid = namespace.rootUser;
  const gid = namespace.gids.toKernel(0);
  const users = { uid, euid: uid, suid: uid, fsuid: uid, gid, egid: gid, sgid: gid, fsgid: gid };
  return { ...rootCredentials(), ...users, namespace };
}

/** root with the given capabilities in every set but inheritable and ambient. */
export function rootCredentials(caps: bigint = ALL_CAPS): Credentials {
  return {
    namespace: ROOT_USER_NAMESPACE,
    uid: 0,
    euid: 0,
    suid: 0,
    fsuid: 0,
    gid: 0,
    egid: 0,
    sgid: 0,
    fsgid: 0,
    groups: [],
    caps: { effective: caps, permitted: caps, inheritable: 0n, bounding: caps, ambient: 0n },
    securebits: 0,
    noNewPrivs: false,
  };
}
