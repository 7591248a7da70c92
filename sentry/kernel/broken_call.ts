/**
 * What happens when a system call's handler throws. Errors of the application are returned, so an exception is a broken invariant of
 * ours, reached by what one process asked for.
 *
 * The process is killed, and the sandbox goes on. Its call stopped half-way: no errno would be true of that, and an application that
 * retries would stand on whatever was left. Ending the Sentry instead would let one process end every container of its pod with one
 * call. Linux chooses the same for a fault inside the kernel. If the process cannot even be ended, the exception leaves the loop, and
 * the Sentry ends (sentry/main.ts).
 */
import { SIGKILL } from '../../abi/signal.ts';
import { exitGroup } from './exit.ts';
import type { Task } from './task.ts';

/** How the log line begins. */
export const BROKEN_CALL = 'broken call:';

/** `man`: the page of the call, if it is one that somebody implements. */
export function endBrokenCall(task: Task, error: unknown, man: string): void {
  const { args } = task.thread;
  const words: string[] = [];
  for (let i = 0; i < 6; i++) words.push(hex((args[2 * i + 1] as number) * 0x1_0000_0000 + (args[2 * i] as number)));
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  task.kernel.log(`${BROKEN_CALL} ${task.syscallNumber} ${man} [${words.join(' ')}] by thread ${task.tid} of ${task.name}: ${stack}`);
  exitGroup(task.group, SIGKILL);
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
