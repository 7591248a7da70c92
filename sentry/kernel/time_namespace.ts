/**
 * time_namespaces(7): other values for CLOCK_MONOTONIC and CLOCK_BOOTTIME. A task makes one for its children, sets it by
 * /proc/PID/timens_offsets, and the first who enters freezes it.
 *
 * The clocks of the vDSO are the host's, so programs that are started in a namespace with offsets get no vDSO and ask the kernel. Who enters
 * one otherwise (fork(2), setns(2)) has found the vDSO already: there it is made to ask the kernel (sentry/mm/vdso.ts).
 */
import { EACCES, EINVAL, EPERM, ERANGE } from '../../abi/errno.ts';
import { CLOCK_BOOTTIME, CLOCK_MONOTONIC, NSEC_PER_SEC } from '../../abi/time.ts';
import { divertClocks } from '../mm/vdso.ts';
import { CAP_SYS_TIME, type Credentials, hasCapIn } from './credentials.ts';
import type { Kernel } from './kernel.ts';
import type { Task } from './task.ts';
import { ROOT_USER_NAMESPACE, type UserNamespace } from './user_namespace.ts';

/** Of the first one: nsfs shows it with Linux's number. */
export const INITIAL_TIME_ID = -166;
/** Half of what ktime_t holds: nothing a sum could leave. Seconds. */
const MAX_SECONDS = 4_611_686_018;

export class TimeNamespace {
  readonly id: number;
  readonly owner: UserNamespace;
  /** What is added to the host's clocks, ns. */
  monotonic = 0;
  boottime = 0;
  /** Somebody has entered: the offsets stay. */
  frozen = false;

  constructor(id: number, owner = ROOT_USER_NAMESPACE) {
    this.id = id;
    this.owner = owner;
  }
  /** Where it has offsets. */
  get shifted(): boolean {
    return this.monotonic !== 0 || this.boottime !== 0;
  }
  copy(id: number, owner: UserNamespace): TimeNamespace {
    const copy = new TimeNamespace(id, owner);
    copy.monotonic = this.monotonic;
    copy.boottime = this.boottime;
    return copy;
  }
}

/** The task is in the namespace that it had made for its children from now on: execve(2). */
export function enterTimeNamespace(task: Task): void {
  const { namespaces } = task;
  if (namespaces.time === namespaces.timeForChildren) return;
  namespaces.timeForChildren.frozen = true;
  task.namespaces = { ...namespaces, time: namespaces.timeForChildren };
}
/** As enterTimeNamespace, in the middle of a program: fork(2). */
export function forkIntoTimeNamespace(task: Task): void {
  const before = task.namespaces.time;
  enterTimeNamespace(task);
  if (task.namespaces.time !== before) adoptClocks(task, task.namespaces.time);
}
/** The program that the task is in has found the vDSO, if there is one. */
export function adoptClocks(task: Task, namespace: TimeNamespace): void {
  if (namespace.shifted) divertClocks(task.mm.space);
}

export function offsetsText({ monotonic, boottime }: TimeNamespace): string {
  const row = (name: string, ns: number): string => {
    const seconds = Math.floor(ns / NSEC_PER_SEC);
    return `${name.padEnd(10)} ${String(seconds).padStart(10)} ${String(Math.floor(ns - seconds * NSEC_PER_SEC)).padStart(9)}\n`;
  };
  return row('monotonic', monotonic) + row('boottime', boottime);
}

/** "monotonic 86400 0" a line. */
export function writeOffsets(namespace: TimeNamespace, text: string, kernel: Kernel, opener: Credentials): number {
  const next = { monotonic: namespace.monotonic, boottime: namespace.boottime };
  const lines = text.replace(/\n$/, '').split('\n');
  if (lines.length > 2) return EINVAL;
  for (const line of lines) {
    const match = /^\s*(monotonic|boottime|[0-9]+)\s+(-?[0-9]{1,18})\s+([0-9]{1,9})\s*$/.exec(line);
    if (match === null) return EINVAL;
    const clock = CLOCKS[match[1] as string];
    if (clock === undefined) return EINVAL;
    const seconds = Number(match[2]);
    if (Math.abs(seconds) > MAX_SECONDS) return ERANGE;
    next[clock] = seconds * NSEC_PER_SEC + Number(match[3]);
    const now = clock === 'monotonic' ? kernel.now() : kernel.bootTime();
    if (now + next[clock] < 0) return ERANGE; // no clock runs before its beginning
  }
  if (!hasCapIn(opener, CAP_SYS_TIME, namespace.owner)) return EPERM;
  if (namespace.frozen) return EACCES;
  Object.assign(namespace, next);
  return 0;
}
const CLOCKS: Readonly<Record<string, 'monotonic' | 'boottime'>> = {
  monotonic: 'monotonic',
  boottime: 'boottime',
  [CLOCK_MONOTONIC]: 'monotonic',
  [CLOCK_BOOTTIME]: 'boottime',
};
