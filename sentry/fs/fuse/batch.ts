/** Several requests that are waited for together. */
import type { Errno } from '../../../abi/errno.ts';
import { POLLIN } from '../../../abi/poll.ts';
import type { Awaited } from '../../kernel/call_log.ts';
import type { Task } from '../../kernel/task.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import type { FuseHandle } from './handle.ts';
import type { FuseRequest } from './request.ts';

export class FuseBatch implements Awaited {
  readonly queue = new WaitQueue();
  /** Runs when all of them are done. */
  afterwards: (() => void) | null = null;
  private readonly requests: readonly FuseRequest[];
  private readonly handle: FuseHandle;

  constructor(handle: FuseHandle, requests: readonly FuseRequest[]) {
    this.handle = handle;
    this.requests = requests;
  }
  get done(): boolean {
    return this.requests.every((request) => request.done);
  }
  /** The first that went wrong. */
  get error(): 0 | Errno {
    return this.requests.find((request) => request.error !== 0)?.error ?? 0;
  }
  /** task null: the kernel's own. */
  begin(task: Task | null): void {
    for (const request of this.requests) {
      request.afterwards = () => {
        if (!this.done) return;
        this.queue.notify(POLLIN);
        this.afterwards?.();
        this.afterwards = null;
      };
      this.handle.send(request, task);
    }
  }
  interrupt(): boolean {
    for (const request of this.requests) if (!request.done) request.interrupt();
    return this.done;
  }
  abandon(): void {
    for (const request of this.requests) if (!request.done) request.abandon();
  }
}
