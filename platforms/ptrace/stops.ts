/** The records that native.ptraceWait fills: struct stop of native-addon/src/ptrace.c, in 32-bit words. */
import { SIGTRAP } from '../../abi/signal.ts';

export const STOP_WORDS = 18;
/** Most stops that one wait reports. */
export const MAX_STOPS = 64;
/** Set in ptraceWait's result: the poll descriptor is readable. */
export const POLL_READABLE = 1 << 16;

export const STOP_PID = 0;
export const STOP_STATUS = 1;
/** System-call stops: 1 if the 64-bit instruction made it. Signal stops: si_code. */
export const STOP_CODE = 2;
/** System-call stops: its number, low and high. Signal stops: si_addr. */
export const STOP_NUMBER = 4;
export const STOP_ARGS = 6;
export const ARG_WORDS = 12;

/** WSTOPSIG of a system-call stop (PTRACE_O_TRACESYSGOOD). */
export const SYSCALL_STOP = SIGTRAP | 0x80;

/** Why a thread ended, for the log; from a status of wait4(2). */
export function describeEnd(status: number): string {
  return (status & 0x7f) === 0 ? `exited with status ${(status >> 8) & 0xff}` : `killed by signal ${status & 0x7f}`;
}
