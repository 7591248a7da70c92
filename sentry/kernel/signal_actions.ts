/** What a signal does to a process that has no handler for it (signal(7), "Standard signals"). */
import {
  SIGABRT,
  SIGBUS,
  SIGCHLD,
  SIGCONT,
  SIGFPE,
  SIGILL,
  SIGKILL,
  SIGQUIT,
  SIGSEGV,
  SIGSTOP,
  SIGSYS,
  SIGTRAP,
  SIGTSTP,
  SIGTTIN,
  SIGTTOU,
  SIGURG,
  SIGWINCH,
  SIGXCPU,
  SIGXFSZ,
} from '../../abi/signal.ts';
import { type SignalSet, signalBit } from './signal_state.ts';

function setOf(...signals: number[]): SignalSet {
  return signals.reduce((set, signal) => set | signalBit(signal), 0n);
}

export const STOP_SIGNALS = setOf(SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU);
export const CONTINUE_SIGNAL = signalBit(SIGCONT);
/** Neither blocked nor caught nor ignored. */
export const KERNEL_ONLY = setOf(SIGKILL, SIGSTOP);
const IGNORED = setOf(SIGCHLD, SIGCONT, SIGURG, SIGWINCH);
const CORE = setOf(SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGFPE, SIGSEGV, SIGBUS, SIGSYS, SIGXCPU, SIGXFSZ);

export type DefaultAction = 'terminate' | 'core' | 'stop' | 'ignore';

export function inSet(set: SignalSet, signal: number): boolean {
  return (set & signalBit(signal)) !== 0n;
}

/** SIGCONT counts as ignored: continuing happens when it is sent. */
export function defaultAction(signal: number): DefaultAction {
  if (inSet(IGNORED, signal)) return 'ignore';
  if (inSet(STOP_SIGNALS, signal)) return 'stop';
  return inSet(CORE, signal) ? 'core' : 'terminate';
}
