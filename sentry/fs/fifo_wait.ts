/** The wait of open(2) for a fifo that the host has, too. */
import { ENXIO, ERESTARTSYS, type Errno } from '../../abi/errno.ts';
import { O_NONBLOCK } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Wait, WaitQueue, type Wake, waitFor } from '../kernel/wait.ts';
import type { FileImpl } from '../vfs/file.ts';

/** How often a writer looks whether there is a reader: the host tells nobody. */
const LOOK_NS = 50e6;

/** Opens for writing, waiting for a reader. `open`: ENXIO while there is none. */
export function* openWaiting(kernel: Kernel, flags: number, open: () => FileImpl | Errno): Generator<Wait, FileImpl | Errno, Wake> {
  const nobody = new WaitQueue();
  for (;;) {
    const impl = open();
    if (impl !== ENXIO || (flags & O_NONBLOCK) !== 0) return impl;
    const wake = yield waitFor(nobody, 0, kernel.now() + LOOK_NS);
    if (wake === 'signal') return ERESTARTSYS;
  }
}
