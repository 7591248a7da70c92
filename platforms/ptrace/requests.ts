/** ptrace(2) requests, options and stop events, x86-64; wait4(2). */
export const PTRACE_CONT = 7;
export const PTRACE_GETREGS = 12;
export const PTRACE_SETREGS = 13;
export const PTRACE_SYSEMU = 31;
export const PTRACE_SYSEMU_SINGLESTEP = 32;
export const PTRACE_GETREGSET = 0x4204;
export const PTRACE_SETREGSET = 0x4205;
export const PTRACE_SEIZE = 0x4206;
export const PTRACE_INTERRUPT = 0x4207;
export const PTRACE_SETSIGMASK = 0x420b;
export const PTRACE_O_TRACESYSGOOD = 0x1;
export const PTRACE_O_EXITKILL = 0x10_0000;
export const PTRACE_EVENT_STOP = 128;
/** Register set of the XSAVE area (elf(5) note type). */
export const NT_X86_XSTATE = 0x202;
export const __WALL = 0x4000_0000;

/** Numbers of the host calls that the platforms make themselves or inject, x86-64. */
export const HOST_CALL = {
  close: 3,
  mmap: 9,
  mprotect: 10,
  munmap: 11,
  mremap: 25,
  madvise: 28,
  recvmsg: 47,
  exit: 60,
  wait4: 61,
  kill: 62,
  ptrace: 101,
  futex: 202,
  sched_setaffinity: 203,
  tgkill: 234,
  eventfd2: 290,
  prlimit64: 302,
  membarrier: 324,
  rseq: 334,
} as const;
