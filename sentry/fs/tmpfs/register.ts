/** tmpfs (and ramfs, which is one without limits) for mount(2). */
import type { Kernel } from '../../kernel/kernel.ts';
import { parseTmpFsOptions, TmpFs } from './tmpfs.ts';

export function registerTmpFs(kernel: Kernel): void {
  for (const name of ['tmpfs', 'ramfs']) {
    kernel.filesystems.register(name, (_kernel, { data }) => {
      const options = parseTmpFsOptions(data);
      return typeof options === 'number' ? options : new TmpFs(kernel, kernel.uniqueId(), options);
    });
  }
}
