/** Times in user memory: struct timespec and timeval as nanoseconds, and back. */
import { EFAULT, EINVAL, type Errno } from '../../abi/errno.ts';
import { getLen64, setLen64 } from '../../abi/struct.ts';
import { NSEC_PER_SEC } from '../../abi/time.ts';
import type { Task } from '../kernel/task.ts';

/** 64-bit signed seconds as a number. */
function seconds(view: DataView, offset: number): number {
  return view.getInt32(offset + 4, true) * 0x1_0000_0000 + view.getUint32(offset, true);
}

/** From a struct timespec in `view`: ns, or EINVAL if it is negative or its nanoseconds are out of range. */
export function decodeTimespec(view: DataView, offset: number): number {
  const sec = seconds(view, offset);
  const nsec = getLen64(view, offset + 8); // a negative value is huge here
  if (sec < 0 || nsec >= NSEC_PER_SEC) return EINVAL;
  return sec * NSEC_PER_SEC + nsec;
}
export function encodeTimespec(view: DataView, offset: number, ns: number): void {
  const sec = Math.floor(ns / NSEC_PER_SEC);
  setLen64(view, offset, sec);
  setLen64(view, offset + 8, Math.floor(ns - sec * NSEC_PER_SEC));
}

/** A duration or time, ns; EFAULT, EINVAL. Exact up to 2^53 ns (104 days), then to a few ns. */
export function readTimespec(task: Task, address: number): number {
  const { scratch16, scratch16View } = task.kernel;
  return task.userMemory.read(address, scratch16, 0, 16) === 16 ? decodeTimespec(scratch16View, 0) : EFAULT;
}
/** struct timeval; microseconds beyond a second are carried over, as select(2) allows. */
export function readTimeval(task: Task, address: number): number {
  const { scratch16, scratch16View: view } = task.kernel;
  if (task.userMemory.read(address, scratch16, 0, 16) !== 16) return EFAULT;
  const sec = seconds(view, 0);
  const usec = seconds(view, 8);
  if (sec < 0 || usec < 0) return EINVAL;
  return sec * NSEC_PER_SEC + usec * 1000;
}
export function writeTimespec(task: Task, address: number, ns: number): 0 | Errno {
  encodeTimespec(task.kernel.scratch16View, 0, ns);
  return task.copyOut(address, task.kernel.scratch16);
}
export function writeTimeval(task: Task, address: number, ns: number): 0 | Errno {
  const view = task.kernel.scratch16View;
  const sec = Math.floor(ns / NSEC_PER_SEC);
  setLen64(view, 0, sec);
  setLen64(view, 8, Math.floor((ns - sec * NSEC_PER_SEC) / 1000));
  return task.copyOut(address, task.kernel.scratch16);
}
