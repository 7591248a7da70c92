/**
 * Names of this machine's users, as the C library finds them (files, LDAP, …: nsswitch.conf(5)); no system call can tell. Asked so rarely
 * that a foreign-function call will do, and loaded only then.
 */
import { UsageError } from '../cli/flags.ts';

export interface HostUser {
  readonly uid: number;
  readonly gid: number;
}

/** @throws UsageError: nobody has that name, or this installation lacks the package that asks. */
export function hostUser(name: string): HostUser {
  const koffi = loadKoffi(name);
  const passwd = koffi.struct('passwd', {
    pw_name: 'str',
    pw_passwd: 'str',
    pw_uid: 'uint32',
    pw_gid: 'uint32',
    pw_gecos: 'str',
    pw_dir: 'str',
    pw_shell: 'str',
  });
  const getpwnam = koffi.load('libc.so.6').func('passwd *getpwnam(const char *name)');
  const found: unknown = getpwnam(name);
  if (found === null) throw new UsageError(`--user: this machine has no user ${JSON.stringify(name)}`);
  const entry = koffi.decode(found, passwd) as { pw_uid: number; pw_gid: number };
  return { uid: entry.pw_uid, gid: entry.pw_gid };
}

function loadKoffi(name: string): typeof import('koffi') {
  try {
    return require('koffi') as typeof import('koffi');
  } catch (e) {
    throw new UsageError(`--user: ${JSON.stringify(name)} cannot be looked up (${(e as Error).message}); give UID[:GID]`);
  }
}
