/** CPU time of threads and processes, ns: the application's own from the platform, the kernel's as accounted. */
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

/** USER_HZ: the unit of times(2), clock(3) and siginfo. ns. */
export const NS_PER_TICK = 10_000_000;

export interface CpuTimes {
  readonly user: number;
  readonly system: number;
}

export function taskCpuTime(task: Task): number {
  return (task.state === 'dead' ? 0 : task.thread.cpuTime()) + task.systemTime;
}

/** Live threads and those that have exited. */
export function groupCpuTimes(group: ThreadGroup): CpuTimes {
  let user = group.dead.userTime;
  let system = group.dead.systemTime;
  for (const task of group.tasks) {
    if (task.state === 'dead') continue;
    user += task.thread.cpuTime();
    system += task.systemTime;
  }
  return { user, system };
}

export function groupCpuTime(group: ThreadGroup): number {
  const { user, system } = groupCpuTimes(group);
  return user + system;
}

/** As SIGCHLD's siginfo has them. */
export function clockTicks(group: ThreadGroup): { utime: number; stime: number } {
  const { user, system } = groupCpuTimes(group);
  return { utime: Math.floor(user / NS_PER_TICK), stime: Math.floor(system / NS_PER_TICK) };
}
