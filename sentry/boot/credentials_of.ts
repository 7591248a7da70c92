/** From "process" of an OCI spec to what a task has: credentials, limits, environment. */
import { type ByteString, fromUnicode } from '../../lib/byte_string.ts';
import type { SpecCapabilities, SpecProcess, SpecRlimit } from '../../proto/oci_spec.ts';
import type { Credentials } from '../kernel/credentials.ts';
import { type Limit, ResourceLimits, RLIM_INFINITY } from '../kernel/rlimits.ts';
import { type IdMap, NO_ID, ROOT_USER_NAMESPACE } from '../kernel/user_namespace.ts';

/** Position = number (capabilities(7)). */
const CAPABILITIES = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST ' +
  'NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE ' +
  'SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND ' +
  'AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
).split(' ');

/** Position = number (getrlimit(2)). */
const RLIMITS = 'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'.split(' ');

/** Names that nobody knows are ignored, as the specification asks. */
function capabilitySet(names: readonly string[] | undefined): bigint {
  let set = 0n;
  for (const name of names ?? []) {
    const number = CAPABILITIES.indexOf(name.replace(/^CAP_/, '').toUpperCase());
    if (number >= 0) set |= 1n << BigInt(number);
  }
  return set;
}

/** @throws UnmappedIdError */
export function credentialsOf(process: SpecProcess, namespace = ROOT_USER_NAMESPACE): Credentials {
  const user = process.user ?? { uid: 0, gid: 0 };
  const uid = kernelNumber(namespace.uids, user.uid ?? 0, 'uid');
  const gid = kernelNumber(namespace.gids, user.gid ?? 0, 'gid');
  const groups = (user.additionalGids ?? []).map((group) => kernelNumber(namespace.gids, group, 'additionalGids'));
  const caps: SpecCapabilities = process.capabilities ?? {};
  return {
    namespace,
    uid,
    euid: uid,
    suid: uid,
    fsuid: uid,
    gid,
    egid: gid,
    sgid: gid,
    fsgid: gid,
    groups,
    caps: {
      effective: capabilitySet(caps.effective),
      permitted: capabilitySet(caps.permitted),
      inheritable: capabilitySet(caps.inheritable),
      bounding: capabilitySet(caps.bounding),
      ambient: capabilitySet(caps.ambient),
    },
    securebits: 0,
    noNewPrivs: process.noNewPrivileges === true,
  };
}

/** The container's process would be somebody whom its user namespace does not know. */
export class UnmappedIdError extends Error {}

function kernelNumber(map: IdMap, id: number, field: string): number {
  const number = map.toKernel(id);
  if (number === NO_ID) throw new UnmappedIdError(`process.user.${field}: ${id} is not mapped in the container's user namespace`);
  return number;
}

/** 2^64-1 and its neighbours, which JSON numbers cannot tell apart, mean no limit. */
function limit(value: number): number {
  return value >= 2 ** 63 ? RLIM_INFINITY : value;
}

export function limitsOf(rlimits: readonly SpecRlimit[] | undefined): ResourceLimits {
  const limits = new ResourceLimits();
  for (const { type, soft, hard } of rlimits ?? []) {
    const number = RLIMITS.indexOf(type.replace(/^RLIMIT_/, ''));
    const value: Limit = { soft: limit(soft), hard: limit(hard) };
    if (number >= 0) limits.set(number, value);
  }
  return limits;
}

export interface ProgramStrings {
  readonly argv: ByteString[];
  readonly env: ByteString[];
  readonly cwd: ByteString;
}

/** As the bytes the guest sees. HOME is added where it is missing. */
export function stringsOf(process: SpecProcess, home: () => ByteString): ProgramStrings {
  const env = (process.env ?? []).map(fromUnicode);
  if (!env.some((e) => e.startsWith('HOME='))) env.push(`HOME=${home()}`);
  return { argv: process.args.map(fromUnicode), env, cwd: fromUnicode(process.cwd) };
}
