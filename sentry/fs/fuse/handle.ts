/** What OPEN gave: the server's number for one open file, until RELEASE. */
import * as F from '../../../abi/fuse.ts';
import type { Task } from '../../kernel/task.ts';
import type { FuseConnection } from './connection.ts';
import type { FuseInode } from './inode.ts';
import { FuseRequest } from './request.ts';

export class FuseHandle {
  readonly node: FuseInode;
  readonly fh: bigint;
  /** FOPEN_*. */
  readonly options: number;
  /** O_*. */
  readonly flags: number;
  /** The server has no OPEN: it wants to hear of no end either. */
  private readonly implied: boolean;
  private closed = false;
  private busy = 0;
  private waiting: (() => void)[] = [];

  constructor(node: FuseInode, fh: bigint, options: number, flags: number, implied: boolean) {
    this.node = node;
    this.fh = fh;
    this.options = options;
    this.flags = flags;
    this.implied = implied;
    node.handles.add(this);
  }

  get isClosed(): boolean {
    return this.closed;
  }
  private get connection(): FuseConnection {
    return this.node.fs.connection;
  }

  /** Sends a request that nobody need wait for; the handle stays open until it is answered. `task` null: the kernel's own. */
  send(request: FuseRequest, task: Task | null): void {
    this.busy++;
    const { afterwards } = request;
    request.afterwards = () => {
      afterwards?.();
      this.busy--;
      this.settle();
    };
    if (task === null) request.beginUnowned();
    else request.begin(task);
  }
  /** Once everything that was sent so far has been answered. */
  whenIdle(run: () => void): void {
    this.waiting.push(run);
    this.settle();
  }
  private settle(): void {
    while (this.busy === 0) {
      const next = this.waiting.shift();
      if (next === undefined) return;
      next();
    }
  }

  /** Nobody uses it any more. `lockOwner`: whose flock(2) goes with it; 0n: none. */
  close(lockOwner = 0n): void {
    if (this.closed) return;
    this.closed = true;
    this.whenIdle(() => {
      this.node.handles.delete(this);
      this.node.fs.nodes.sweepLater();
      if (this.implied || this.connection.state === 'dead') return;
      const { fh, flags } = this;
      const release_flags = lockOwner !== 0n ? F.FUSE_RELEASE_FLOCK_UNLOCK : 0;
      const body = F.FuseReleaseIn.encode({ fh, flags, release_flags, lock_owner: lockOwner });
      const opcode = this.node.isDirectory ? F.FUSE_RELEASEDIR : F.FUSE_RELEASE;
      new FuseRequest(this.connection, opcode, this.node.nodeid, [body], { always: true }).beginUnowned();
    });
  }
}
