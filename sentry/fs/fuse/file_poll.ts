/** poll(2) on a FUSE file: the server is asked, and says later when it may have changed. A server without POLL has files that are always ready. */
import { ENOSYS } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { POLLERR, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import type { Task } from '../../kernel/task.ts';
import type { WaitQueue } from '../../kernel/wait.ts';
import type { FuseHandle } from './handle.ts';
import type { FuseRequest } from './request.ts';

const READY = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;

export class FilePoll {
  private readonly handle: FuseHandle;
  private readonly queue: WaitQueue;
  /** How the server's notification names the file; 0: it has not been asked yet. */
  private number = 0;
  private notified = 0;
  private known = 0;
  private asking = false;

  constructor(handle: FuseHandle, queue: WaitQueue) {
    this.handle = handle;
    this.queue = queue;
  }

  /** `task`: who can wait for the answer; null: epoll, which is told when it comes. */
  events(task: Task | null): number {
    const { connection } = this.handle.node;
    if (connection.state === 'dead') return POLLERR;
    if (connection.lacks(F.FUSE_POLL)) return READY;
    if (this.number === 0) this.number = this.handle.node.fs.polls.add(this);
    if (task === null || !connection.kernel.calls.suspends) {
      if (!this.asking) this.askLater();
      return this.known;
    }
    const request = connection.ask(`E${this.number}:${this.notified}`, () => this.request());
    return this.outcome(request);
  }
  /** FUSE_NOTIFY_POLL. */
  changed(): void {
    this.notified++;
    this.askLater();
  }
  close(): void {
    if (this.number !== 0) this.handle.node.fs.polls.remove(this.number);
  }

  private askLater(): void {
    this.asking = true;
    const request = this.request();
    request.afterwards = () => {
      this.asking = false;
      this.known = this.outcome(request);
      if (this.known !== 0) this.queue.notify(this.known);
    };
    this.handle.send(request, null);
  }
  private request(): FuseRequest {
    const body = F.FusePollIn.encode({ fh: this.handle.fh, kh: this.number, flags: F.FUSE_POLL_SCHEDULE_NOTIFY, events: READY });
    return this.handle.node.question(F.FUSE_POLL, [body], { least: F.FusePollOut.size });
  }
  private outcome(request: FuseRequest): number {
    if (request.error === 0) return F.FusePollOut.decode(request.reply).revents & 0xffff;
    if (request.error !== ENOSYS) return POLLERR;
    this.handle.node.connection.missing.add(F.FUSE_POLL);
    return READY;
  }
}
