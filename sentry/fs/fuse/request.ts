/** One question to a FUSE server, from the call that has it to its answer. */
import { EACCES, EINTR, EIO, EPERM, type Errno } from '../../../abi/errno.ts';
import { FuseInHeader } from '../../../abi/fuse.ts';
import { POLLIN } from '../../../abi/poll.ts';
import { type ByteString, bytesOf } from '../../../lib/byte_string.ts';
import type { Awaited, Unused } from '../../kernel/call_log.ts';
import type { Task } from '../../kernel/task.ts';
import { NO_ID } from '../../kernel/user_namespace.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import type { FuseConnection } from './connection.ts';

const HEADER = FuseInHeader.size;
const NOTHING = new Uint8Array(0);

/** Bytes, and names that the server reads up to their NUL. */
export type RequestPart = Uint8Array | ByteString;

/** Takes an answer without an error apart as it arrives, whether or not somebody still waits: 0, or what is wrong with it. */
export type Receive = (reply: Uint8Array, view: DataView) => 0 | Errno;

export interface RequestOptions {
  /** Length of a proper answer, in bytes: exactly `least` unless `most` is given. */
  readonly least?: number;
  readonly most?: number;
  readonly receive?: Receive;
  /** It takes something back that was given before: who asks does not matter. */
  readonly always?: boolean;
  /** Where the caller's umask goes in the message's body. */
  readonly umaskAt?: number;
}

export class FuseRequest implements Awaited, Unused {
  readonly queue = new WaitQueue();
  readonly opcode: number;
  readonly nodeid: bigint;
  state: 'new' | 'queued' | 'sent' | 'done' = 'new';
  unique = 0;
  error: 0 | Errno = 0;
  reply: Uint8Array = NOTHING;
  /** What `receive` made of the answer. */
  value: object | null = null;
  /** Gives back what the answer brought, if nobody took it. */
  giveBack: (() => void) | null = null;
  /** Runs when it is done, after everything else. */
  afterwards: (() => void) | null = null;
  interruptAsked = false;
  /** Attributes that were changed here after this moment are newer than what the answer says. */
  version = 0;
  private wasted = false;
  /** The header, then the body; empty once it has been sent. */
  private message: Uint8Array;
  private readonly connection: FuseConnection;
  private readonly options: RequestOptions;

  constructor(connection: FuseConnection, opcode: number, nodeid: bigint, parts: readonly RequestPart[], options: RequestOptions = {}) {
    this.connection = connection;
    this.opcode = opcode;
    this.nodeid = nodeid;
    this.options = options;
    const bodies = parts.map((part) => (typeof part === 'string' ? bytesOf(`${part}\0`) : part));
    this.message = new Uint8Array(bodies.reduce((sum, body) => sum + body.length, HEADER));
    let at = HEADER;
    for (const body of bodies) {
      this.message.set(body, at);
      at += body.length;
    }
  }

  get done(): boolean {
    return this.state === 'done';
  }
  /** Bytes of the whole message. */
  get length(): number {
    return this.message.length;
  }

  begin(task: Task): void {
    if (this.options.always !== true && !this.connection.allows(task.creds)) this.finish(EACCES);
    else this.queueFor(task.creds.fsuid, task.creds.fsgid, task.group.idIn(this.connection.pidNamespace), task.fs.umask);
  }
  /** The kernel itself asks. */
  beginUnowned(): void {
    this.queueFor(0, 0, 0, 0);
  }
  private queueFor(fsuid: number, fsgid: number, pid: number, umask: number): void {
    const { uids, gids } = this.connection.userNamespace;
    const uid = uids.fromKernel(fsuid);
    const gid = gids.fromKernel(fsgid);
    // Somebody who has no number in the server's namespace cannot be told of there.
    if ((uid === NO_ID || gid === NO_ID) && this.options.always !== true) {
      this.finish(EPERM);
      return;
    }
    this.unique = this.connection.nextUnique();
    this.version = this.connection.version;
    const view = new DataView(this.message.buffer);
    FuseInHeader.write(view, 0, { len: this.message.length, opcode: this.opcode, unique: this.unique, nodeid: this.nodeid, uid, gid, pid });
    if (this.options.umaskAt !== undefined) view.setUint32(HEADER + this.options.umaskAt, umask, true);
    this.state = 'queued';
    this.connection.enqueue(this);
  }

  /** The message, for the server. */
  send(): Uint8Array {
    this.state = 'sent';
    const { message } = this;
    this.message = NOTHING;
    return message;
  }

  interrupt(): boolean {
    if (this.state === 'sent') {
      this.connection.askInterrupt(this);
      return false;
    }
    this.withdraw();
    return true;
  }
  abandon(): void {
    this.unused();
  }
  /** The call that asked has ended, or has gone another way. */
  unused(): void {
    if (this.wasted) return;
    this.wasted = true;
    if (this.state === 'sent') this.connection.abandoned(this);
    else if (this.state !== 'done') this.withdraw();
    else this.discard();
  }
  private withdraw(): void {
    this.connection.withdraw(this);
    this.finish(EINTR);
  }
  private discard(): void {
    this.giveBack?.();
    this.giveBack = null;
  }

  /** May an answer have so many bytes behind its header? */
  accepts(length: number): boolean {
    const { least = 0, most = least } = this.options;
    return length >= least && length <= most;
  }
  /** `reply`: what follows the header of an answer without an error; its own. */
  answer(reply: Uint8Array): void {
    this.reply = reply;
    const { receive } = this.options;
    this.finish(receive === undefined ? 0 : receive(reply, new DataView(reply.buffer, reply.byteOffset, reply.byteLength)));
  }
  finish(error: 0 | Errno): void {
    if (this.state === 'done') return;
    this.state = 'done';
    this.error = error;
    this.message = NOTHING;
    if (this.wasted) this.discard();
    this.queue.notify(POLLIN);
    this.afterwards?.();
    this.afterwards = null;
  }
  /** For what could not be asked at all. */
  static failed(connection: FuseConnection, opcode: number, error: Errno = EIO): FuseRequest {
    const request = new FuseRequest(connection, opcode, 0n, []);
    request.finish(error);
    return request;
  }
}
