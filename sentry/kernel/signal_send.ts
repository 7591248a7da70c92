/** Sending signals: to a thread, to a process, to a process group. */
import type { ProcessGroup } from './session.ts';
import type { SignalInfo } from './signal_state.ts';
import type { Task } from './task.ts';
import type { ThreadGroup } from './thread_group.ts';

export function sendToTask(task: Task, info: SignalInfo): void {
  task.pending.add(info);
  wake(task);
}

export function sendToGroup(group: ThreadGroup, info: SignalInfo): void {
  if (group.zombie) return;
  group.pending.add(info);
  for (const task of group.tasks) wake(task);
}

export function sendToProcessGroup(group: ProcessGroup, info: SignalInfo): void {
  for (const member of [...group.members]) sendToGroup(member, info);
}

function wake(task: Task): void {
  task.attention = true;
  if (task.blocked !== null) task.blocked.notify('signal');
  else if (task.state === 'app') task.thread.interrupt();
}

/** A fault of the task's own instruction: neither blocked nor ignored. */
export function forceSignal(task: Task, info: SignalInfo): void {
  sendToTask(task, info);
}
