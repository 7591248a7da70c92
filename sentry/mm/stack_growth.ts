/** MAP_GROWSDOWN (mmap(2)): a mapping that grows downwards when somebody touches what is below it. */
import { PAGE_SIZE } from '../../abi/mman.ts';
import type { ThreadContext } from '../../platforms/platform.ts';
import { type ResourceLimits, RLIMIT_STACK } from '../kernel/rlimits.ts';
import { type MemoryMap, pageDown } from './memory_map.ts';
import { VMA_GROWSDOWN } from './vma.ts';

/** Room that stays free to what lies below and can be accessed (stack_guard_gap). Bytes. */
const GUARD_GAP = 256 * PAGE_SIZE;

/** After a fault where nothing is mapped: true if there is something now. */
export function growStack(mm: MemoryMap, via: ThreadContext, limits: ResourceLimits, address: number): boolean {
  const { all } = mm.vmas;
  const index = mm.vmas.indexAt(address);
  const stack = all[index];
  if (stack === undefined || address >= stack.start || (stack.advice & VMA_GROWSDOWN) === 0) return false;
  const start = pageDown(address);
  if (stack.end - start > limits.soft(RLIMIT_STACK)) return false;
  const below = all[index - 1];
  const open = below !== undefined && below.prot !== 0 && (below.advice & VMA_GROWSDOWN) === 0;
  if (open && start - below.end < GUARD_GAP) return false;
  return mm.place(via, { ...stack, start, end: stack.start }, null) === 0;
}
