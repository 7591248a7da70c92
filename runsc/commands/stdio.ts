/** The command's own descriptors as the program's. */
import { fstatSync } from 'node:fs';
import { F_GETFD } from '../../abi/fcntl.ts';
import { host } from '../../lib/host.ts';
import { UsageError } from '../cli/flags.ts';
import type { Stdio } from '../container/types.ts';

const FIRST_PRESERVED = 3;
const MAX_PRESERVED = 32;

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

export function inheritedStdio(): Stdio {
  const or = (fd: number): number | null => (isOpen(fd) ? fd : null);
  return { stdin: or(0), stdout: or(1), stderr: or(2) };
}

/** 3, 4, … as --preserve-fds and LISTEN_FDS count them. */
export function preservedFds(count: number | undefined): number[] {
  const total = (count ?? 0) + Number(process.env.LISTEN_FDS ?? 0);
  if (!Number.isInteger(total) || total < 0 || total > MAX_PRESERVED) throw new UsageError(`--preserve-fds: more than ${MAX_PRESERVED}`);
  const fds = Array.from({ length: total }, (_, i) => FIRST_PRESERVED + i);
  // What Node has opened itself is close-on-exec; what we were given is not.
  const missing = fds.find((fd) => host.fcntl(fd, F_GETFD) !== 0);
  if (missing !== undefined) throw new UsageError(`--preserve-fds: descriptor ${missing} is not open`);
  return fds;
}
