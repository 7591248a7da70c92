/** What a write to a pipe or stream socket without a reader does to the writer. */
import { EPIPE, type Errno } from '../../abi/errno.ts';
import { SI_USER, SIGPIPE } from '../../abi/signal.ts';
import { sendToTask } from './signal_send.ts';
import type { Task } from './task.ts';

/** Sends SIGPIPE, as if from the writer itself, and gives EPIPE. */
export function sendBrokenPipe(task: Task): Errno {
  sendToTask(task, { signal: SIGPIPE, code: SI_USER, pid: task.pid, uid: task.creds.uid });
  return EPIPE;
}
