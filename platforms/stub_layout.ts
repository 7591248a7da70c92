/**
 * Where a platform keeps its own pages in the address space of an application: at STUB_BASE and above, out of the
 * application's range. native-addon/stub/*.ld place the programs accordingly.
 */
import { PAGE_SIZE } from '../abi/mman.ts';

/** The stub's code; the application's range ends here. */
export const STUB_BASE = 0x7ff0_0000_0000;
/** One private page for arguments of injected calls. The application may write it: nothing read from it is trusted. */
export const STUB_SCRATCH = STUB_BASE + PAGE_SIZE;
/** The host's [vvar] and [vdso], in their original order. */
export const VDSO_PLACE = STUB_BASE + 0x10_0000;
/** Below it the host refuses to map (vm.mmap_min_addr's usual value). */
export const MIN_ADDRESS = 0x1_0000;
