/** setuid(2) and its relatives: which changes are allowed, and what they do to capabilities (capabilities(7)). */
import { SECBIT_KEEP_CAPS, SECBIT_NO_SETUID_FIXUP } from '../../abi/capability.ts';
import { processesExceed } from './clone.ts';
import {
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_MKNOD,
  type Capabilities,
  type Credentials,
} from './credentials.ts';
import type { Task } from './task.ts';

/** The four user or group numbers of credentials(7). */
export interface Identity {
  readonly real: number;
  readonly effective: number;
  readonly saved: number;
  readonly fs: number;
}

const CAP_MAC_OVERRIDE = 32;
/** Those that count for the file system user (capabilities(7), "Effect of user ID changes on capabilities"). */
const FS_CAPS = [
  CAP_CHOWN,
  CAP_DAC_OVERRIDE,
  CAP_DAC_READ_SEARCH,
  CAP_FOWNER,
  CAP_FSETID,
  CAP_LINUX_IMMUTABLE,
  CAP_MKNOD,
  CAP_MAC_OVERRIDE,
].reduce((set, cap) => set | (1n << BigInt(cap)), 0n);

export function userOf(creds: Credentials): Identity {
  return { real: creds.uid, effective: creds.euid, saved: creds.suid, fs: creds.fsuid };
}
export function groupOf(creds: Credentials): Identity {
  return { real: creds.gid, effective: creds.egid, saved: creds.sgid, fs: creds.fsgid };
}

export function withUser(creds: Credentials, next: Identity): Credentials {
  const { real, effective, saved, fs } = next;
  return { ...creds, uid: real, euid: effective, suid: saved, fsuid: fs, caps: adjusted(creds, next) };
}
export function withGroup(creds: Credentials, { real, effective, saved, fs }: Identity): Credentials {
  return { ...creds, gid: real, egid: effective, sgid: saved, fsgid: fs };
}

/** The four rules of capabilities(7) for changes of user numbers. */
function adjusted(creds: Credentials, next: Identity): Capabilities {
  const { caps } = creds;
  if ((creds.securebits & SECBIT_NO_SETUID_FIXUP) !== 0) return caps;
  let { effective, permitted, ambient } = caps;
  const root = creds.namespace.rootUser;
  const hadRoot = creds.uid === root || creds.euid === root || creds.suid === root;
  const hasRoot = next.real === root || next.effective === root || next.saved === root;
  if (hadRoot && !hasRoot) {
    if ((creds.securebits & SECBIT_KEEP_CAPS) === 0) {
      permitted = 0n;
      effective = 0n;
    }
    ambient = 0n;
  }
  if (creds.euid === root && next.effective !== root) effective = 0n;
  if (creds.euid !== root && next.effective === root) effective = permitted;
  if (creds.fsuid === root && next.fs !== root) effective &= ~FS_CAPS;
  if (creds.fsuid !== root && next.fs === root) effective |= permitted & FS_CAPS;
  return { ...caps, effective, permitted, ambient };
}

/** The task's new credentials. A change of effective or file system identity makes the process undumpable (prctl(2)). */
export function commitCredentials(task: Task, next: Credentials): void {
  const old = task.creds;
  if (old.euid !== next.euid || old.egid !== next.egid || old.fsuid !== next.fsuid || old.fsgid !== next.fsgid) {
    task.mm.dumpable = 0;
    task.parentDeathSignal = 0;
  }
  // Programs do not look at what setuid(2) says: who is one too many fails at execve(2).
  if (old.uid !== next.uid) task.processLimitExceeded = processesExceed(task, next, 0);
  task.creds = next;
}
