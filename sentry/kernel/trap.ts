/** Faults as the processor words them, for hosts that tell only the signal: vector and error code follow from it and from what is mapped. */
import { PROT_EXEC, PROT_READ, PROT_WRITE } from '../../abi/mman.ts';
import { SEGV_ACCERR, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, TRAP_TRACE } from '../../abi/signal.ts';
import { REG, type Trap } from '../../platforms/platform.ts';
import type { Task } from './task.ts';

// Vectors of exceptions
const DIVIDE_ERROR = 0;
const DEBUG = 1;
const BREAKPOINT = 3;
const INVALID_OPCODE = 6;
const GENERAL_PROTECTION = 13;
export const PAGE_FAULT = 14;
const FLOATING_POINT = 16;
const SIMD = 19;
// Error code of a page fault
const PRESENT = 1;
const WRITE = 2;
const USER = 4;
const FETCH = 16;
const SI_KERNEL = 0x80;
const FPE_INTDIV = 1;
const FPE_FLTDIV = 3;

export function guessTrap(task: Task, signal: number, code: number, address: number): Trap {
  switch (signal) {
    case SIGSEGV:
      return code >= SI_KERNEL ? { error: 0, vector: GENERAL_PROTECTION } : { error: pageFault(task, code, address), vector: PAGE_FAULT };
    case SIGBUS:
      return { error: USER, vector: PAGE_FAULT };
    case SIGILL:
      return { error: 0, vector: INVALID_OPCODE };
    case SIGTRAP:
      return { error: 0, vector: code === TRAP_TRACE ? DEBUG : BREAKPOINT };
    case SIGFPE:
      return { error: 0, vector: code === FPE_INTDIV ? DIVIDE_ERROR : code >= FPE_FLTDIV ? SIMD : FLOATING_POINT };
    default:
      return { error: 0, vector: 0 };
  }
}

/** What may be read but not written was written, or fetched where it may not be executed. Elsewhere a read is assumed. */
function pageFault(task: Task, code: number, address: number): number {
  if (code !== SEGV_ACCERR) return USER;
  const prot = task.mm.vmas.find(address)?.prot ?? 0;
  if ((prot & PROT_EXEC) === 0 && task.thread.registers().get(REG.rip) === address) return USER | PRESENT | FETCH;
  return (prot & PROT_READ) !== 0 && (prot & PROT_WRITE) === 0 ? USER | PRESENT | WRITE : USER | PRESENT;
}
