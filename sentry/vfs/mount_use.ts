/** Who uses a mount: what keeps it from being taken away, or given another shape. */
import type { Kernel } from '../kernel/kernel.ts';
import type { FileDescription } from './file.ts';
import type { Mount } from './path.ts';

/** Some process has a file of it open that is `counted`. */
export function isMountOpen(kernel: Kernel, mount: Mount, counted: (file: FileDescription) => boolean): boolean {
  for (const task of kernel.rootPidNamespace.tasks.values()) {
    for (const number of task.fds.numbers()) {
      const file = task.fds.get(number);
      if (typeof file !== 'number' && file.path?.mount === mount && counted(file)) return true;
    }
  }
  return false;
}

/** Some process stands in it or has a file of it open. */
export function isMountUsed(kernel: Kernel, mount: Mount): boolean {
  for (const { fs } of kernel.rootPidNamespace.tasks.values()) if (fs.root.mount === mount || fs.cwd.mount === mount) return true;
  return isMountOpen(kernel, mount, () => true);
}
