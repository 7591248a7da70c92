/** Freezing a container: none of its tasks runs in the application until it is resumed. What waits in a system call goes on waiting. */
import type { Container } from './container.ts';
import type { Task } from './task.ts';

export function pauseContainer(container: Container): void {
  if (container.paused) return;
  container.paused = true;
  for (const task of tasksOf(container)) {
    task.attention = true; // the slow way back sees that the container is paused
    if (task.state === 'app') task.thread.interrupt();
  }
}

export function resumeContainer(container: Container): void {
  if (!container.paused) return;
  container.paused = false;
  for (const task of tasksOf(container)) if (task.parked === 'paused') task.kernel.unpark(task);
}

function tasksOf(container: Container): Task[] {
  return [...container.processes].flatMap((process) => process.tasks);
}
