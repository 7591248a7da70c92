/** A sigset_t argument that may be absent. */
import { EFAULT, EINVAL, type Errno } from '../../abi/errno.ts';
import type { SignalSet } from '../kernel/signal_state.ts';
import type { Task } from '../kernel/task.ts';

const SIGSET_SIZE = 8;

/** Null if `address` is 0; EINVAL unless `size` is the kernel's, EFAULT. */
export function readSignalMask(task: Task, address: number, size: number): SignalSet | null | Errno {
  if (address === 0) return null;
  if (size !== SIGSET_SIZE) return EINVAL;
  const { scratch8, scratch8View } = task.kernel;
  return task.userMemory.read(address, scratch8, 0, 8) === 8 ? scratch8View.getBigUint64(0, true) : EFAULT;
}
