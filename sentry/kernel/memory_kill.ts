/** Who ends when memory is short: by resident size and oom_score_adj(5), as the host would choose. */
import { SIGKILL } from '../../abi/signal.ts';
import type { Container } from './container.ts';
import { exitGroup } from './exit.ts';
import type { Kernel } from './kernel.ts';
import type { ThreadGroup } from './thread_group.ts';

/** proc_pid_oom_score_adj(5): never to be ended; thousandths of all memory. */
const OOM_SCORE_ADJ_MIN = -1000;
const OOM_SCORE_UNIT = 1000;

export function livingProcesses(container: Container): ThreadGroup[] {
  return [...container.processes].filter((group) => !group.zombie && group.exiting === null);
}

/** Bytes. */
export function residentOf(group: ThreadGroup): number {
  return group.leader.state === 'dead' ? 0 : group.leader.mm.space.resident().total;
}

/** False: there is nobody. `limit`: all memory that they may have, bytes. */
export function endLargest(kernel: Kernel, containers: Iterable<Container>, limit: number, why: string): boolean {
  let victim: ThreadGroup | null = null;
  let most = Number.NEGATIVE_INFINITY;
  for (const container of containers) {
    for (const group of livingProcesses(container)) {
      if (group.oomScoreAdj <= OOM_SCORE_ADJ_MIN) continue;
      const points = residentOf(group) + (group.oomScoreAdj / OOM_SCORE_UNIT) * limit;
      if (points <= most) continue;
      most = points;
      victim = group;
    }
  }
  if (victim === null) return false;
  const { container, leader } = victim;
  kernel.log(`container ${container.id}: ${why}: process ${leader.pid} (${leader.name}) ends`);
  container.oomKills++;
  const text = Buffer.from(`${container.oomKills}\n`);
  // Before the end that it causes can be told.
  if (container.killsFd >= 0) kernel.host.pwrite(container.killsFd, text, 0, text.length, 0);
  exitGroup(victim, SIGKILL);
  return true;
}
