/** What signals leave behind: handlers (shared by CLONE_SIGHAND), pending queues, masks. Delivery is in signal_delivery.ts. */
import { NSIG, SIG_DFL, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGRTMIN, SIGSEGV, SIGSTOP, SIGSYS, SIGTRAP } from '../../abi/signal.ts';
import type { Trap } from '../../platforms/platform.ts';

/** A set of signals: bit n-1 is signal n. */
export type SignalSet = bigint;
const BITS: readonly SignalSet[] = Array.from({ length: NSIG + 1 }, (_, n) => (n === 0 ? 0n : 1n << BigInt(n - 1)));
/** signal: 1..NSIG. */
export function signalBit(signal: number): SignalSet {
  return BITS[signal] as SignalSet;
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
  /** SIGCHLD: exit code or signal; times in clock ticks. */
  readonly status?: number;
  readonly utime?: number;
  readonly stime?: number;
  /** Faults. */
  readonly address?: number;
  /** What the processor said, for faults. */
  readonly trap?: Trap;
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
  /** Raised by the kernel against the task's will (a fault, a broken frame): kills even the init of a pid namespace. */
  readonly forced?: boolean;
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

/** SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS: raised by the thread's own instruction, taken before all others. */
const SYNCHRONOUS: SignalSet = [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGSYS].reduce((set, s) => set | signalBit(s), 0n);

/** Signals waiting for a task or a process: standard ones once, real-time ones queued in order. */
export class PendingSignals {
  set: SignalSet = 0n;
  /** Queued instances. */
  count = 0;
  private readonly queued = new Map<number, SignalInfo[]>();

  /** False: a standard signal that was pending already (it is dropped). */
  add(info: SignalInfo): boolean {
    const bit = signalBit(info.signal);
    if ((this.set & bit) !== 0n && info.signal < SIGRTMIN) return false;
    this.set |= bit;
    this.count++;
    const queue = this.queued.get(info.signal);
    if (queue === undefined) this.queued.set(info.signal, [info]);
    else queue.push(info);
    return true;
  }
  /** The next one in `allowed`: synchronous ones first, then by number. */
  take(allowed: SignalSet): SignalInfo | null {
    const ready = this.set & allowed;
    if (ready === 0n) return null;
    return this.shift(lowest((ready & SYNCHRONOUS) === 0n ? ready : ready & SYNCHRONOUS));
  }
  /** Drops every instance of `signals`. */
  discard(signals: SignalSet): void {
    if ((this.set & signals) === 0n) return;
    this.set &= ~signals;
    for (const [signal, queue] of this.queued) {
      if ((signals & signalBit(signal)) === 0n) continue;
      this.count -= queue.length;
      this.queued.delete(signal);
    }
  }
  /** All that wait, in no order that matters to anybody but ptrace(2). */
  *all(): Generator<SignalInfo> {
    for (const queue of this.queued.values()) yield* queue;
  }
  /** This very instance still waits. */
  holds(info: SignalInfo): boolean {
    return this.queued.get(info.signal)?.includes(info) ?? false;
  }
  /** Takes one instance out that `is` picks (a timer that is deleted). */
  withdraw(signal: number, is: (info: SignalInfo) => boolean): void {
    const queue = this.queued.get(signal);
    const at = queue?.findIndex(is) ?? -1;
    if (queue === undefined || at < 0) return;
    queue.splice(at, 1);
    this.count--;
    if (queue.length === 0) this.forget(signal);
  }

  private shift(signal: number): SignalInfo {
    const queue = this.queued.get(signal) as SignalInfo[];
    const info = queue.shift() as SignalInfo;
    this.count--;
    if (queue.length === 0) this.forget(signal);
    return info;
  }
  private forget(signal: number): void {
    this.queued.delete(signal);
    this.set &= ~signalBit(signal);
  }
}

/** Number of the lowest signal in a set that is not empty. */
function lowest(set: SignalSet): number {
  const low = Number(set & 0xffff_ffffn);
  if (low !== 0) return 32 - Math.clz32(low & -low);
  const high = Number(set >> 32n);
  return 64 - Math.clz32(high & -high);
}
