/** What `runsc debug` shows. */
import type { RequestOf } from '../../proto/control.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Task } from '../kernel/task.ts';

export function debugText(kernel: Kernel, request: RequestOf<'Debug'>): string {
  const parts: string[] = [];
  if (request.stacks) parts.push(stacks(kernel));
  if (request.unimplemented) parts.push(unimplemented(kernel));
  return parts.join('\n');
}

/** Every task, its state and the call it is in. */
function stacks(kernel: Kernel): string {
  const lines = ['container\tpid\ttid\tstate\tsystem call\tname'];
  for (const container of kernel.containers.values()) {
    for (const group of container.processes) {
      for (const task of group.tasks) {
        const state = task.parked ?? task.state;
        lines.push([container.id, task.pid, task.tid, state, inCall(task) ? task.syscallNumber : '-', task.name].join('\t'));
      }
    }
  }
  return lines.join('\n');
}

function inCall(task: Task): boolean {
  return task.state === 'blocked' || task.state === 'kernel';
}

/** Calls that were answered ENOSYS, the most frequent first. */
function unimplemented(kernel: Kernel): string {
  const rows = [...kernel.unimplemented].sort((a, b) => b[1] - a[1]);
  return rows.length === 0 ? 'no system call was refused' : rows.map(([what, count]) => `${count}\t${what}`).join('\n');
}
