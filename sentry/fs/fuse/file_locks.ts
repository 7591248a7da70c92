/** Locks that the server keeps, where it has asked for that (FUSE_POSIX_LOCKS, FUSE_FLOCK_LOCKS); others are the sandbox's own. */
import { EINTR, EIO, ERESTARTSYS } from '../../../abi/errno.ts';
import { F_RDLCK, F_UNLCK, F_WRLCK } from '../../../abi/fcntl.ts';
import * as F from '../../../abi/fuse.ts';
import { answered } from '../../kernel/call_log.ts';
import type { Task } from '../../kernel/task.ts';
import type { Blocking } from '../../kernel/wait.ts';
import type { LockServer } from '../../vfs/file.ts';
import type { RecordLock } from '../../vfs/locks.ts';
import type { FuseHandle } from './handle.ts';

const OFFSET_MAX = (1n << 63n) - 1n;

export class FuseLocks implements LockServer {
  readonly keepsRecords: boolean;
  readonly keepsWhole: boolean;
  private readonly handle: FuseHandle;

  constructor(handle: FuseHandle) {
    this.handle = handle;
    this.keepsRecords = handle.node.connection.has(F.FUSE_POSIX_LOCKS);
    this.keepsWhole = handle.node.connection.has(F.FUSE_FLOCK_LOCKS);
  }

  *set(task: Task, lock: RecordLock, type: number, wait: boolean): Blocking {
    return yield* this.ask(task, wait ? F.FUSE_SETLKW : F.FUSE_SETLK, this.body(lock, type, 0));
  }
  *whole(task: Task, owner: object, type: number, wait: boolean): Blocking {
    const lock: RecordLock = { start: 0, end: Number.POSITIVE_INFINITY, exclusive: type === F_WRLCK, owner, pid: task.pid };
    return yield* this.ask(task, wait ? F.FUSE_SETLKW : F.FUSE_SETLK, this.body(lock, type, F.FUSE_LK_FLOCK));
  }
  *get(task: Task, lock: RecordLock, type: number, tell: (held: RecordLock | null) => number): Blocking {
    const { node } = this.handle;
    const request = node.question(F.FUSE_GETLK, [this.body(lock, type, 0)], { least: F.FuseLkOut.size });
    const r = (yield* answered(request, task)) || request.error;
    if (r !== 0) return r;
    const held = F.FuseLkOut.decode(request.reply);
    if (held.type === F_UNLCK) return tell(null);
    if ((held.type !== F_RDLCK && held.type !== F_WRLCK) || held.start > held.end || held.end > OFFSET_MAX) return EIO;
    const end = held.end === OFFSET_MAX ? Number.POSITIVE_INFINITY : Number(held.end) + 1;
    return tell({ start: Number(held.start), end, exclusive: held.type === F_WRLCK, owner: this, pid: held.pid });
  }

  private *ask(task: Task, opcode: number, body: Uint8Array): Blocking {
    const request = this.handle.node.question(opcode, [body]);
    const r = (yield* answered(request, task)) || request.error;
    // A signal while the server held the question back: the call may be made again.
    return r === EINTR ? ERESTARTSYS : r;
  }
  private body(lock: RecordLock, type: number, lk_flags: number): Uint8Array {
    const { connection } = this.handle.node;
    const end = lock.end === Number.POSITIVE_INFINITY || lock.end > 2 ** 62 ? OFFSET_MAX : BigInt(lock.end) - 1n;
    return F.FuseLkIn.encode({
      fh: this.handle.fh,
      owner: connection.ownerNumber(lock.owner),
      start: BigInt(lock.start),
      end,
      type,
      pid: type === F_UNLCK || lock.pid < 0 ? 0 : lock.pid,
      lk_flags,
    });
  }
}
