/**
 * The two ends of a FUSE mount: requests wait here for the server to read them, and then for its answers. A connection lives from the mount
 * to the last unmount, or to the end of the server's last device descriptor.
 *
 * Everything that the server writes is hostile.
 */
import { EAGAIN, ECONNABORTED, EINVAL, EIO, ENODEV, ENOENT, ENOSYS, ENOTCONN, type Errno } from '../../../abi/errno.ts';
import * as F from '../../../abi/fuse.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { Suspension } from '../../kernel/call_log.ts';
import type { Credentials } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { PidNamespace } from '../../kernel/pid_namespace.ts';
import type { UserNamespace } from '../../kernel/user_namespace.ts';
import { WaitQueue } from '../../kernel/wait.ts';
import type { FuseMountOptions } from './mount_options.ts';
import { FuseRequest, type RequestOptions, type RequestPart } from './request.ts';
import { isRetrieval, Retrievals } from './retrievals.ts';
import { DEFAULT_LIMITS, initMessage, type Limits, limitsFrom } from './session.ts';

const IN_HEADER = F.FuseInHeader.size;
const OUT_HEADER = F.FuseOutHeader.size;
/** Largest message that the server may write: an answer to READ, or content that it stores; and what is in front of it. */
export const MAX_REPLY = (1 << 20) + 4096;
/** Forgotten nodes that one message tells of. */
const FORGETS_PER_MESSAGE = 256;
/** Forgotten nodes that wait while there are requests; beyond it the server hears of them first, or its answers would make ever more. */
const MAX_WAITING_FORGETS = 65_536;
/** Requests that the server has read, whose callers are gone. Beyond it nobody works on anything there. */
const MAX_ABANDONED = 65_536;
/** Questions of one system call. */
const MAX_QUESTIONS = 16_384;

/** What the server tells without being asked; see notices.ts. */
export type Notice = (code: number, body: Uint8Array) => number;

export class FuseConnection {
  readonly kernel: Kernel;
  readonly options: FuseMountOptions;
  /** Of who mounted: the server's numbers are theirs. */
  readonly userNamespace: UserNamespace;
  readonly pidNamespace: PidNamespace;
  /** Readers and pollers of the device. */
  readonly readers = new WaitQueue();
  limits: Limits = DEFAULT_LIMITS;
  state: 'new' | 'live' | 'dead' = 'new';
  /** Open device files. */
  devices = 0;
  /** Counts changes of attributes that were made here. */
  version = 0;
  /** Operations that the server does not have. */
  readonly missing = new Set<number>();
  notice: Notice = () => EINVAL;
  private lastUnique = 0;
  /** Before INIT is answered nothing else is sent. */
  private readonly early = new Set<FuseRequest>();
  private readonly pending = new Set<FuseRequest>();
  private readonly interrupts = new Set<FuseRequest>();
  private readonly sent = new Map<number, FuseRequest>();
  private forgets: { readonly nodeid: bigint; readonly nlookup: number }[] = [];
  private lost = 0;
  private readonly retrievals = new Retrievals();
  private readonly owners = new WeakMap<object, bigint>();
  private lastOwner = 0n;

  constructor(kernel: Kernel, options: FuseMountOptions, userNamespace: UserNamespace, pidNamespace: PidNamespace) {
    this.kernel = kernel;
    this.options = options;
    this.userNamespace = userNamespace;
    this.pidNamespace = pidNamespace;
  }

  /** The mount exists: asks the server how it wants to talk. */
  start(): void {
    const request = new FuseRequest(this, F.FUSE_INIT, 0n, [initMessage()], {
      least: 8,
      most: F.FuseInitOut.size,
      always: true,
      receive: (reply) => this.initialised(reply),
    });
    request.afterwards = () => {
      if (request.error !== 0) this.abort();
    };
    request.beginUnowned();
  }
  private initialised(reply: Uint8Array): 0 | Errno {
    const limits = limitsFrom(reply, this.options.maxRead);
    if (typeof limits === 'number') return limits;
    this.limits = limits;
    this.state = 'live';
    for (const request of this.early) this.pending.add(request);
    this.early.clear();
    this.wakeReaders();
    return 0;
  }

  /** Without allow_other the mount is its owner's alone, not even root's: a server sees everything that its users do. */
  allows(creds: Credentials): boolean {
    if (this.options.allowOther) return this.userNamespace.contains(creds.namespace);
    const { userId, groupId } = this.options;
    return (
      creds.euid === userId &&
      creds.suid === userId &&
      creds.uid === userId &&
      creds.egid === groupId &&
      creds.sgid === groupId &&
      creds.gid === groupId
    );
  }
  lacks(opcode: number): boolean {
    return this.missing.has(opcode);
  }
  has(feature: number): boolean {
    return (this.limits.features & feature) !== 0;
  }

  // Asking

  request(opcode: number, nodeid: bigint, parts: readonly RequestPart[], options?: RequestOptions): FuseRequest {
    return new FuseRequest(this, opcode, nodeid, parts, options);
  }

  /**
   * The answer to a question in the middle of a synchronous function: known from an earlier run of the call, or worth a suspension. `key`
   * tells the question from others of the call; the time of day is no part of it. A request that failed comes back with its error.
   */
  ask(key: string, make: () => FuseRequest): FuseRequest {
    const { calls } = this.kernel;
    const known = calls.suspends ? calls.log.take(key) : null;
    if (known instanceof FuseRequest) return known;
    if (this.state === 'dead') return FuseRequest.failed(this, 0, ENOTCONN);
    // A process's end, a container's set-up: nobody there can wait.
    if (!calls.suspends || calls.log.size >= MAX_QUESTIONS) return FuseRequest.failed(this, 0, EIO);
    const request = make();
    calls.log.add(key, request);
    throw new Suspension(request);
  }

  /** How the server knows an owner of locks: a descriptor table, an open file. */
  ownerNumber(owner: object): bigint {
    const known = this.owners.get(owner);
    if (known !== undefined) return known;
    this.owners.set(owner, ++this.lastOwner);
    return this.lastOwner;
  }
  nextUnique(): number {
    this.lastUnique += 2; // the odd ones are interrupts'
    return this.lastUnique;
  }
  enqueue(request: FuseRequest): void {
    if (this.state === 'dead') {
      request.finish(ENOTCONN);
      return;
    }
    if (this.state === 'new' && request.opcode !== F.FUSE_INIT) {
      this.early.add(request);
      return;
    }
    this.pending.add(request);
    this.wakeReaders();
  }
  withdraw(request: FuseRequest): void {
    this.early.delete(request);
    this.pending.delete(request);
  }
  askInterrupt(request: FuseRequest): void {
    if (request.interruptAsked || this.lacks(F.FUSE_INTERRUPT)) return;
    request.interruptAsked = true;
    this.interrupts.add(request);
    this.wakeReaders();
  }
  abandoned(request: FuseRequest): void {
    this.askInterrupt(request);
    if (++this.lost > MAX_ABANDONED) this.abort();
  }
  /** The server need not remember the node for `nlookup` of its answers. */
  forget(nodeid: bigint, nlookup: number): void {
    if (this.state === 'dead') return;
    this.forgets.push({ nodeid, nlookup });
    this.wakeReaders();
  }
  /** Content that the server has asked for. */
  sendBack(unique: bigint, nodeid: bigint, offset: number, bytes: Uint8Array): 0 | Errno {
    const r = this.retrievals.add(unique, nodeid, offset, bytes);
    this.wakeReaders();
    return r;
  }
  private wakeReaders(): void {
    this.readers.notify(POLLIN | POLLRDNORM);
  }

  // The server's side

  get readable(): boolean {
    return this.pending.size > 0 || this.interrupts.size > 0 || this.retrievals.any || (this.forgets.length > 0 && this.state === 'live');
  }
  poll(): number {
    if (this.state === 'dead') return POLLERR;
    return POLLOUT | POLLWRNORM | (this.readable ? POLLIN | POLLRDNORM : 0);
  }
  /** Smallest buffer that every message fits in. */
  get leastRoom(): number {
    return Math.max(F.FUSE_MIN_READ_BUFFER, IN_HEADER + F.FuseWriteIn.size + this.limits.maxWrite);
  }

  /** The next message for a buffer of `room` bytes; EAGAIN: there is none; ENODEV: there never will be. */
  next(room: number): Uint8Array | Errno {
    if (this.state === 'dead') return this.has(F.FUSE_ABORT_ERROR) ? ECONNABORTED : ENODEV;
    for (const request of this.interrupts) {
      this.interrupts.delete(request);
      if (request.state === 'sent')
        return this.message(F.FUSE_INTERRUPT, request.unique + 1, F.FuseInterruptIn.encode({ unique: request.unique }));
    }
    if (this.forgets.length > MAX_WAITING_FORGETS) return this.forgetMessage(room);
    const retrieved = this.retrievals.next(room);
    if (retrieved !== null) return retrieved;
    for (const request of this.pending) {
      this.pending.delete(request);
      if (request.length > room) {
        request.finish(EIO);
        continue;
      }
      this.sent.set(request.unique, request);
      return request.send();
    }
    return this.forgets.length > 0 && this.state === 'live' ? this.forgetMessage(room) : EAGAIN;
  }
  /** The server's buffer was not there: the request in it fails. */
  undelivered(message: Uint8Array): void {
    if (isRetrieval(message)) return;
    const { unique } = F.FuseInHeader.decode(message);
    this.sent.get(unique)?.finish(EIO);
    this.sent.delete(unique);
  }
  private forgetMessage(room: number): Uint8Array {
    const fits = Math.floor((room - IN_HEADER - F.FuseBatchForgetIn.size) / F.FuseForgetOne.size);
    const told = this.forgets.splice(0, Math.min(fits, FORGETS_PER_MESSAGE));
    const [first] = told;
    if (told.length === 1 && first !== undefined) {
      return this.message(F.FUSE_FORGET, this.nextUnique(), F.FuseForgetIn.encode({ nlookup: first.nlookup }), first.nodeid);
    }
    const body = new Uint8Array(F.FuseBatchForgetIn.size + told.length * F.FuseForgetOne.size);
    const view = new DataView(body.buffer);
    F.FuseBatchForgetIn.write(view, 0, { count: told.length });
    for (const [i, one] of told.entries()) F.FuseForgetOne.write(view, F.FuseBatchForgetIn.size + i * F.FuseForgetOne.size, one);
    return this.message(F.FUSE_BATCH_FORGET, this.nextUnique(), body);
  }
  private message(opcode: number, unique: number, body: Uint8Array, nodeid = 0n): Uint8Array {
    const out = new Uint8Array(IN_HEADER + body.length);
    F.FuseInHeader.write(new DataView(out.buffer), 0, { len: out.length, opcode, unique, nodeid, uid: 0, gid: 0, pid: 0 });
    out.set(body, IN_HEADER);
    return out;
  }

  /**
   * One message from the server: its length, or what is wrong with it. The bytes are the connection's from now on. spliced: its header may
   * tell of more than there was to send: libfuse corrects that in the page that it has given to the pipe, of which we have a copy.
   */
  receive(message: Uint8Array, spliced = false): number {
    if (message.length < OUT_HEADER) return EINVAL;
    const { len, error, unique } = F.FuseOutHeader.decode(message);
    if (len !== message.length && !(spliced && len > message.length)) return EINVAL;
    if (unique === 0) {
      const r = this.state === 'live' ? this.notice(error, message.subarray(OUT_HEADER)) : EINVAL;
      return r === 0 ? message.length : r;
    }
    if (error > 0 || error <= -512) return EINVAL;
    if (unique % 2 === 1) return this.interruptAnswered(unique - 1, error, message.length);
    const request = this.sent.get(unique);
    if (request === undefined) return ENOENT;
    this.sent.delete(unique);
    this.interrupts.delete(request);
    const length = message.length - OUT_HEADER;
    if (error !== 0) {
      request.finish(length === 0 ? (error as Errno) : EIO);
      return length === 0 ? message.length : EINVAL;
    }
    if (!request.accepts(length)) {
      request.finish(EIO);
      return EINVAL;
    }
    request.answer(message.subarray(OUT_HEADER));
    return message.length;
  }
  private interruptAnswered(unique: number, error: number, length: number): number {
    if (length !== OUT_HEADER) return EINVAL;
    const request = this.sent.get(unique);
    if (request === undefined) return ENOENT;
    if (error === ENOSYS) this.missing.add(F.FUSE_INTERRUPT);
    else if (error === EAGAIN) {
      request.interruptAsked = false;
      this.askInterrupt(request);
    }
    return length;
  }

  /** Nothing is asked any more, and nothing answered: unmounted, aborted, or the server is gone. */
  abort(): void {
    if (this.state === 'dead') return;
    this.state = 'dead';
    this.forgets = [];
    this.retrievals.clear();
    const waiting = [...this.early, ...this.pending, ...this.sent.values()];
    this.early.clear();
    this.pending.clear();
    this.interrupts.clear();
    this.sent.clear();
    for (const request of waiting) request.finish(ECONNABORTED);
    this.readers.notify(POLLIN | POLLERR | POLLHUP);
  }
}
