/**
 * The private futexes of one address space, of which the stub answers the simple calls itself (native-addon/stub/futex.c): how the Sentry
 * tells it of waiters on its own lists, and reaches those that sleep in the host.
 *
 * The page of counts is the application's to write: what it says of sleepers costs or saves a host call of its own, no more.
 */
import type { Errno } from '../../abi/errno.ts';
import { FUTEX_CMP_REQUEUE, FUTEX_PRIVATE_FLAG, FUTEX_REQUEUE, FUTEX_WAKE } from '../../abi/futex.ts';
import type { SpaceFutexes, ThreadContext } from '../platform.ts';
import { HOST_CALL } from '../ptrace/requests.ts';
import { COUNTS_PAGE, FUTEX_BUCKETS, OP_HOST } from './layout.ts';
import type { SlotWindow } from './slot_window.ts';
import type { SystrapThread } from './systrap_thread.ts';

export class SystrapFutexes implements SpaceFutexes {
  private readonly window: SlotWindow;
  /** Waiters on the Sentry's lists by bucket, also before there is a page to tell. */
  private readonly counts = new Int32Array(FUTEX_BUCKETS);
  /** The page's place in the window; -1: none. */
  private place = -1;
  /** Sleepers may have been moved to other words: they are counted where they went to sleep. */
  private moved = false;

  constructor(window: SlotWindow) {
    this.window = window;
  }

  /** The stub may answer calls from now on. False if there is no room. `memfd`: of the space's slots. */
  share(memfd: number): boolean {
    if (this.place >= 0) return true;
    const place = this.window.map(memfd, COUNTS_PAGE);
    if (place < 0) return false;
    this.place = place;
    this.window.words.set(this.counts, this.window.wordOf(place));
    return true;
  }
  release(): void {
    if (this.place >= 0) this.window.unmap(this.place);
    this.place = -1;
  }

  listed(address: number, change: 1 | -1): void {
    const bucket = bucketOf(address);
    const count = (this.counts[bucket] as number) + change;
    this.counts[bucket] = count;
    // Whoever counted reads the word next, and must not do so before the stub can see the count.
    if (this.place >= 0) Atomics.store(this.window.words, this.window.wordOf(this.place) + bucket, count);
  }
  wake(via: ThreadContext, address: number, count: number): number {
    return this.sleepers(address) ? call(via, address, FUTEX_WAKE, count) : 0;
  }
  requeue(via: ThreadContext, from: number, to: number, wake: number, move: number, value: number | null): number | Errno {
    if (!this.sleepers(from)) return 0;
    this.moved = true;
    return call(via, from, value === null ? FUTEX_REQUEUE : FUTEX_CMP_REQUEUE, wake, move, to, value ?? 0);
  }
  /** Whether anybody may sleep on the word. */
  private sleepers(address: number): boolean {
    if (this.place < 0) return false;
    const { words } = this.window;
    const first = this.window.wordOf(this.place) + FUTEX_BUCKETS;
    if (!this.moved) return Atomics.load(words, first + bucketOf(address)) !== 0;
    for (let bucket = 0; bucket < FUTEX_BUCKETS; bucket++) if (Atomics.load(words, first + bucket) !== 0) return true;
    return false;
  }
}

function bucketOf(address: number): number {
  return ((address / 4) ^ (address / 4096)) & (FUTEX_BUCKETS - 1);
}
function call(via: ThreadContext, address: number, command: number, a2: number, a3 = 0, a4 = 0, a5 = 0): number {
  const thread = via as SystrapThread;
  thread.push(OP_HOST, HOST_CALL.futex, address, command | FUTEX_PRIVATE_FLAG, a2, a3, a4, a5);
  return thread.runCommands();
}
