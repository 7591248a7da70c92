/** What the platform may do with code of an address space: see platforms/platform.ts. */
import { isErrno } from '../../abi/errno.ts';
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import type { CodePolicy, ThreadContext } from '../../platforms/platform.ts';
import type { Task } from '../kernel/task.ts';
import { MAX_MAP_COUNT, type MemoryMap } from './memory_map.ts';
import type { Vma } from './vma.ts';

export class MappedCode implements CodePolicy {
  private readonly mm: MemoryMap;

  constructor(mm: MemoryMap) {
    this.mm = mm;
  }
  private at(address: number): Vma | undefined {
    const { vmas } = this.mm;
    const vma = vmas.all[vmas.indexAt(address)];
    return vma !== undefined && vma.start <= address ? vma : undefined;
  }
  isFixedCode(via: ThreadContext, address: number, length: number): boolean {
    if ((via.data as Task).trace !== null) return false;
    const vma = this.at(address);
    if (vma === undefined || vma.file === null || vma.shared || address + length > vma.end) return false;
    return (vma.prot & (PROT_EXEC | PROT_WRITE)) === PROT_EXEC;
  }
  /** Below the file: above the program the heap grows. */
  reserveCode(via: ThreadContext, near: number, length: number): number {
    const { mm } = this;
    const file = this.at(near);
    if (file === undefined || mm.vmas.all.length >= MAX_MAP_COUNT) return 0;
    const start = mm.choose(Math.max(file.start - 16 * length, 0), length, 0);
    if (isErrno(start)) return 0;
    const prot = PROT_READ | PROT_EXEC;
    const row = { start, end: start + length, prot, maxProt: prot, shared: false, advice: 0, file: null, offset: 0, label: '[syscalls]' };
    return mm.place(via, row, null) === 0 ? start : 0;
  }
}
