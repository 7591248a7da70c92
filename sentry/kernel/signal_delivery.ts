/** What a task meets on its way back to the application. */
import { SIGKILL } from '../../abi/signal.ts';
import { REG } from '../../platforms/platform.ts';
import { exitGroup } from './exit.ts';
import { ALL_SIGNALS } from './signal_state.ts';
import type { Task } from './task.ts';

/** Puts task.syscallResult into the registers, then handles what is pending. 'run': the thread may be resumed. */
export function deliverPending(task: Task): 'run' | 'parked' | 'dead' {
  task.attention = false;
  if (task.syscallResult !== null) {
    task.thread.registers().set(REG.rax, task.syscallResult);
    task.thread.setRegisters();
    task.syscallResult = null;
  }
  const info = task.pending.take(ALL_SIGNALS & ~task.signalMask) ?? task.group.pending.take(ALL_SIGNALS & ~task.signalMask);
  if (info === null) return 'run';
  exitGroup(task.group, info.signal === 0 ? SIGKILL : info.signal);
  return 'dead';
}
