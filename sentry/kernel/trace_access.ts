/** Who may look into another process (ptrace(2), "Ptrace access mode checking"). */
import { CAP_SYS_PTRACE, hasCapIn } from './credentials.ts';
import type { Task } from './task.ts';

/** May `observer` read (or with ptrace attach to) `target`? The filesystem ids of the observer count. */
export function mayTrace(observer: Task, target: Task): boolean {
  if (observer.group === target.group) return true;
  const mine = observer.creds;
  const theirs = target.creds;
  if (hasCapIn(mine, CAP_SYS_PTRACE, theirs.namespace)) return true;
  const sameUser = [theirs.uid, theirs.euid, theirs.suid].every((id) => id === mine.fsuid);
  const sameGroup = [theirs.gid, theirs.egid, theirs.sgid].every((id) => id === mine.fsgid);
  const dumpable = target.state === 'dead' || target.mm.dumpable === 1;
  // The same user inside of a namespace of its own is somebody else outside: it has been shut in.
  return mine.namespace === theirs.namespace && sameUser && sameGroup && dumpable && (theirs.caps.permitted & ~mine.caps.permitted) === 0n;
}
