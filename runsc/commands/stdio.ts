/** The command's own descriptors as the program's. */
import { fstatSync, readdirSync, readlinkSync } from 'node:fs';
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
  const missing = fds.find((fd) => !isOpen(fd) || isNodesOwn(fd));
  if (missing !== undefined) throw new UsageError(`--preserve-fds: descriptor ${missing} is not open`);
  return fds;
}

/**
 * Node opens some for itself, from the first free number on, and marks all as close-on-exec: only what they are tells them apart. Its own are
 * event queues, and pipes of which it holds both ends.
 */
function isNodesOwn(fd: number): boolean {
  const target = readlinkSync(`/proc/self/fd/${fd}`);
  if (target.startsWith('anon_inode:')) return true;
  const same = (other: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${other}`) === target;
    } catch {
      return false; // of the listing itself
    }
  };
  return target.startsWith('pipe:') && readdirSync('/proc/self/fd').filter(same).length > 1;
}
