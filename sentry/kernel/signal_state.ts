/** What signals leave behind: handlers (shared by CLONE_SIGHAND), pending queues, masks. Delivery is in signal_delivery.ts. */
import { NSIG, SIG_DFL, SIGKILL, SIGRTMIN, SIGSTOP } from '../../abi/signal.ts';

/** A set of signals: bit n-1 is signal n. */
export type SignalSet = bigint;
export function signalBit(signal: number): SignalSet {
  return 1n << BigInt(signal - 1);
}
export const UNBLOCKABLE: SignalSet = signalBit(SIGKILL) | signalBit(SIGSTOP);
export const ALL_SIGNALS: SignalSet = (1n << BigInt(NSIG)) - 1n;

/** siginfo_t before it is laid out; which fields count depends on signal and code (sigaction(2)). */
export interface SignalInfo {
  readonly signal: number;
  readonly code: number;
  readonly errno?: number;
  /** Sender, as the receiver's pid namespace numbers it; the sender's real uid. */
  readonly pid?: number;
  readonly uid?: number;
  /** SIGCHLD. */
  readonly status?: number;
  readonly utime?: number;
  readonly stime?: number;
  /** Faults. */
  readonly address?: number;
  /** sigval of sigqueue and timers. */
  readonly value?: bigint;
  /** POSIX timers: id and overrun. */
  readonly timerId?: number;
  readonly overrun?: number;
  /** SIGIO. */
  readonly band?: number;
  readonly fd?: number;
  /** SIGSYS. */
  readonly callAddress?: number;
  readonly syscall?: number;
  readonly arch?: number;
  /** rt_sigqueueinfo(2): the caller's own bytes, delivered as they are. */
  readonly raw?: Uint8Array;
}

/** struct sigaction as the kernel keeps it. handler: address, SIG_DFL or SIG_IGN. */
export interface SignalAction {
  readonly handler: number;
  readonly flags: number;
  readonly restorer: number;
  readonly mask: SignalSet;
}
export const DEFAULT_ACTION: SignalAction = { handler: SIG_DFL, flags: 0, restorer: 0, mask: 0n };

export class SignalHandlers {
  private readonly actions: SignalAction[];
  constructor(from?: SignalHandlers) {
    this.actions = from ? from.actions.slice() : new Array<SignalAction>(NSIG + 1).fill(DEFAULT_ACTION);
  }
  get(signal: number): SignalAction {
    return this.actions[signal] as SignalAction;
  }
  set(signal: number, action: SignalAction): void {
    this.actions[signal] = action;
  }
  /** execve(2): caught signals go back to the default, ignored ones stay ignored. */
  resetCaught(): void {
    for (let s = 1; s <= NSIG; s++) if ((this.actions[s] as SignalAction).handler > 1) this.actions[s] = DEFAULT_ACTION;
  }
}

/** Signals waiting for a task or a process: standard ones once, real-time ones queued in order. */
export class PendingSignals {
  set: SignalSet = 0n;
  private readonly queued = new Map<number, SignalInfo[]>();

  /** False: a standard signal that was pending already (it is dropped). */
  add(info: SignalInfo): boolean {
    const bit = signalBit(info.signal);
    const has = (this.set & bit) !== 0n;
    if (has && info.signal < SIGRTMIN) return false;
    this.set |= bit;
    const queue = this.queued.get(info.signal);
    if (queue === undefined) this.queued.set(info.signal, [info]);
    else queue.push(info);
    return true;
  }
  /** The next one in `allowed`: lowest number first, as Linux prefers synchronous and standard signals. */
  take(allowed: SignalSet): SignalInfo | null {
    const ready = this.set & allowed;
    if (ready === 0n) return null;
    let signal = 1;
    while ((ready & signalBit(signal)) === 0n) signal++;
    const queue = this.queued.get(signal) as SignalInfo[];
    const info = queue.shift() as SignalInfo;
    if (queue.length === 0) {
      this.queued.delete(signal);
      this.set &= ~signalBit(signal);
    }
    return info;
  }
  /** Drops every instance of `signals`. */
  discard(signals: SignalSet): void {
    this.set &= ~signals;
    for (const signal of this.queued.keys()) if ((signals & signalBit(signal)) !== 0n) this.queued.delete(signal);
  }
  get count(): number {
    let n = 0;
    for (const q of this.queued.values()) n += q.length;
    return n;
  }
}
