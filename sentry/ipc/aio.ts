/**
 * Linux AIO (io_setup(2)): contexts of one address space and the events that wait in them. Transfers happen while io_submit runs;
 * only IOCB_CMD_POLL completes later.
 */
import { POLLIN } from '../../abi/poll.ts';
import { type WaitEntry, WaitQueue } from '../kernel/wait.ts';
import type { MemoryMap } from '../mm/memory_map.ts';
import type { FileDescription } from '../vfs/file.ts';

/** fs.aio-max-nr: events that all contexts of an address space may hold. */
export const AIO_MAX_NR = 65_536;

export interface AioEvent {
  readonly data: bigint;
  /** Address of the iocb. */
  readonly object: number;
  readonly result: number;
}

/** IOCB_CMD_POLL: waits on a file that it holds until something is ready or it is cancelled. */
export interface AioPoll {
  readonly object: number;
  readonly file: FileDescription;
  readonly entry: WaitEntry;
}

export class AioContext {
  readonly capacity: number;
  readonly queue = new WaitQueue();
  readonly polls = new Set<AioPoll>();
  private events: AioEvent[] = [];
  destroyed = false;

  constructor(capacity: number) {
    this.capacity = capacity;
  }
  get count(): number {
    return this.events.length;
  }
  /** Room for another request. */
  get full(): boolean {
    return this.events.length + this.polls.size >= this.capacity;
  }
  complete(event: AioEvent): void {
    this.events.push(event);
    this.queue.notify(POLLIN);
  }
  take(max: number): AioEvent[] {
    return this.events.splice(0, max);
  }
  endPoll(poll: AioPoll): void {
    if (!this.polls.delete(poll)) return;
    poll.file.impl.queue?.remove(poll.entry);
    poll.file.release();
  }
  destroy(): void {
    this.destroyed = true;
    for (const poll of [...this.polls]) this.endPoll(poll);
    this.events = [];
    this.queue.notify(POLLIN);
  }
}

/** All contexts: `kernel.aio`. They end with their address space. */
export class AioContexts {
  private readonly spaces = new WeakMap<MemoryMap, Map<number, AioContext>>();

  /** By identifier, the address of the page that stands for it in the application. */
  of(mm: MemoryMap): Map<number, AioContext> {
    let contexts = this.spaces.get(mm);
    if (contexts === undefined) {
      contexts = new Map();
      this.spaces.set(mm, contexts);
    }
    return contexts;
  }
  /** The address space has ended. */
  released(mm: MemoryMap): void {
    for (const context of this.spaces.get(mm)?.values() ?? []) context.destroy();
    this.spaces.delete(mm);
  }
}
