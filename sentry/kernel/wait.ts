/**
 * Waiting. A system call first tries; if it has to wait it becomes a generator that yields what it waits for, and tries again
 * when it is resumed: a wake-up is a hint, never a promise.
 *
 * Interface: the owner of a condition has a WaitQueue and calls `notify(events)` when the condition may hold. A generator yields
 * a `Wait`; the kernel registers it, parks the task, and resumes the generator with the reason. Before it yields, a generator has
 * just seen the condition false, and nothing runs between (one thread): no wake-up is lost.
 */

/** Why a wait ended. 'signal': a signal (or a kill) is pending; undo and return ERESTARTSYS, EINTR or a partial result. */
export type Wake = 'ready' | 'timeout' | 'signal';

export interface Wait {
  /** What to watch: any of these ends the wait. Empty: only time or a signal does. */
  readonly on: readonly WaitTarget[];
  /** Kernel monotonic time in ns; absent = no limit. */
  readonly deadline?: number;
  /** See TURN. */
  readonly turn?: boolean;
}

export interface WaitTarget {
  readonly queue: WaitQueue;
  /** Events of poll(2) that matter. notify(POLLERR | POLLHUP) always ends the wait. */
  readonly events: number;
}

export type Blocking = Generator<Wait, number, Wake>;
/** A count, 0 or a negative errno; or a generator that ends with one. */
export type SyscallResult = number | Blocking;

/** True for the generator half of a SyscallResult. */
export function isBlocking(result: SyscallResult): result is Blocking {
  return typeof result !== 'number';
}

/** One registration. `wake` must not block and must tolerate being called more than once. */
export interface WaitEntry {
  readonly events: number;
  /** Only one exclusive entry is woken for an event: the first whose wake gives true. */
  readonly exclusive?: boolean;
  wake(events: number): unknown;
}

const ALWAYS = 0x8 | 0x10; // POLLERR | POLLHUP

/** From so many on they are kept in a set: a guest that lets a hundred thousand wait for one object would make each end of a wait a search. */
const MANY = 32;

/** The tasks (and epoll instances) that wait for one object. Order of registration is order of waking. */
export class WaitQueue {
  private entries: WaitEntry[] | Set<WaitEntry> | null = null;

  /** An entry is in a queue once at most. */
  add(entry: WaitEntry): void {
    const { entries } = this;
    if (entries === null) this.entries = [entry];
    else if (entries instanceof Set) entries.add(entry);
    else if (entries.push(entry) === MANY) this.entries = new Set(entries);
  }

  remove(entry: WaitEntry): void {
    const { entries } = this;
    if (entries instanceof Set) {
      entries.delete(entry);
      if (entries.size === 0) this.entries = null;
      return;
    }
    const at = entries?.indexOf(entry) ?? -1;
    if (at >= 0) (entries as WaitEntry[]).splice(at, 1);
  }

  get empty(): boolean {
    const { entries } = this;
    return entries === null || (entries instanceof Set ? entries.size : entries.length) === 0;
  }

  /** Wakes everyone whose events overlap. Entries may come and go while it runs. */
  notify(events: number): void {
    const { entries } = this;
    if (entries === null) return;
    if (!(entries instanceof Set)) {
      if (entries.length === 0) return;
      if (entries.length === 1) {
        const only = entries[0] as WaitEntry;
        if (((only.events | ALWAYS) & events) !== 0) only.wake(events);
        return;
      }
    }
    let taken = false; // an exclusive entry has accepted
    for (const entry of [...entries]) {
      if (((entry.events | ALWAYS) & events) === 0 || (taken && entry.exclusive === true)) continue;
      const accepted = entry.wake(events);
      if (entry.exclusive === true && accepted === true) taken = true;
    }
  }

  /** Wakes the first `count` waiters whose events overlap; how many there were. Exclusive waits: futex, accept. */
  notifySome(events: number, count: number): number {
    let woken = 0;
    for (const entry of [...(this.entries ?? [])]) {
      if (woken >= count) break;
      if (((entry.events | ALWAYS) & events) === 0) continue;
      entry.wake(events);
      woken++;
    }
    return woken;
  }
}

/** The common wait: one queue. */
export function waitFor(queue: WaitQueue, events: number, deadline?: number): Wait {
  return deadline === undefined ? { on: [{ queue, events }] } : { on: [{ queue, events }], deadline };
}

/**
 * Lets the others run: who yields it goes on in a later round of the kernel's loop, one such task a round. For calls whose length the guest
 * chooses, because everybody waits for the one thread of the kernel.
 */
export const TURN: Wait = { on: [], turn: true };
