/** Calls that wait with another signal mask (ppoll, pselect6, epoll_pwait): the mask changes and the wait begins in one step. */
import { EINTR, ERESTART_RESTARTBLOCK, ERESTARTNOHAND, ERESTARTSYS } from '../../abi/errno.ts';
import { setSignalMask } from './signal_send.ts';
import type { SignalSet } from './signal_state.ts';
import type { Task } from './task.ts';
import type { Blocking, SyscallResult } from './wait.ts';

/** Runs `call` with `mask`; null leaves the mask alone. */
export function withSignalMask(task: Task, mask: SignalSet | null, call: () => SyscallResult): SyscallResult {
  if (mask === null) return call();
  task.savedMask = task.signalMask;
  setSignalMask(task, mask); // a signal that is free now and pending keeps the wait from beginning
  const result = call();
  if (typeof result !== 'number') return finish(task, result);
  restore(task, result);
  return result;
}

function* finish(task: Task, call: Blocking): Blocking {
  const result = yield* call;
  restore(task, result);
  return result;
}

/** After an interruption the temporary mask stays until delivery has chosen the signal; the old one goes into the handler's frame. */
function restore(task: Task, result: number): void {
  task.attention = true;
  if (result === EINTR || result === ERESTARTNOHAND || result === ERESTARTSYS || result === ERESTART_RESTARTBLOCK) return;
  if (task.savedMask === null) return;
  const saved = task.savedMask;
  task.savedMask = null;
  setSignalMask(task, saved);
}
