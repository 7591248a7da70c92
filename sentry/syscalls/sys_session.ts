/** Sessions and process groups: setsid(2), setpgid(2), vhangup(2). */
import { EACCES, EINVAL, EPERM, type Errno, ESRCH, isErrno } from '../../abi/errno.ts';
import { CAP_SYS_TTY_CONFIG, hasCap } from '../kernel/credentials.ts';
import { controllingTerminal, joinGroup, startGroup, startSession } from '../kernel/session.ts';
import type { Task } from '../kernel/task.ts';
import type { ThreadGroup } from '../kernel/thread_group.ts';
import { int, syscall } from './definition.ts';

export function setsid(task: Task): number {
  const process = task.group;
  const { pidNamespace } = process;
  if (process.group.session.leader === process || pidNamespace.groups.has(process.leader.tid)) return EPERM;
  return startSession(process).idIn(pidNamespace);
}

function find(task: Task, pid: number): ThreadGroup | Errno {
  if (pid === 0) return task.group;
  return task.pidNamespace.tasks.get(pid)?.group ?? ESRCH;
}

export function getsid(task: Task, pid: number): number {
  const process = find(task, pid);
  return isErrno(process) ? process : process.group.session.idIn(task.pidNamespace);
}

export function getpgid(task: Task, pid: number): number {
  const process = find(task, pid);
  return isErrno(process) ? process : process.group.idIn(task.pidNamespace);
}

export function setpgid(task: Task, pid: number, pgid: number): number {
  const caller = task.group;
  const ns = caller.pidNamespace;
  const number = pid === 0 ? caller.leader.tid : pid;
  const wanted = pgid === 0 ? number : pgid;
  if (wanted < 0) return EINVAL;
  const target = ns.tasks.get(number);
  if (target === undefined) return ESRCH;
  const process = target.group;
  if (process.leader !== target) return EINVAL;
  if (process.parent === caller) {
    if (process.group.session !== caller.group.session) return EPERM;
    if (process.hasExeced) return EACCES;
  } else if (process !== caller) return ESRCH;
  if (process.group.session.leader === process) return EPERM;
  const group = ns.groups.get(wanted);
  if (wanted !== number && (group === undefined || group.session !== caller.group.session)) return EPERM;
  if (group === undefined) startGroup(process);
  else if (group.session !== process.group.session) return EPERM;
  else if (group !== process.group) joinGroup(process, group);
  return 0;
}

/** vhangup(2): as if the terminal's line had gone. */
export function vhangup(task: Task): number {
  if (!hasCap(task.creds, CAP_SYS_TTY_CONFIG)) return EPERM;
  controllingTerminal(task.group)?.hangUp();
  return 0;
}

export const SESSION_CALLS = {
  setpgid: syscall({ x64: 109, man: 'setpgid(2)', args: [int, int], run: setpgid }),
  getpgrp: syscall({ x64: 111, man: 'getpgrp(2)', args: [], run: (task) => getpgid(task, 0) }),
  setsid: syscall({ x64: 112, man: 'setsid(2)', args: [], run: setsid }),
  getpgid: syscall({ x64: 121, man: 'getpgid(2)', args: [int], run: getpgid }),
  getsid: syscall({ x64: 124, man: 'getsid(2)', args: [int], run: getsid }),
  vhangup: syscall({ x64: 153, man: 'vhangup(2)', args: [], run: vhangup }),
} as const;
