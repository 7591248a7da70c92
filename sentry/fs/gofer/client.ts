/**
 * The Sentry's end of a gofer connection: one request, one answer, on the kernel thread. The gofer is ours and answers at once; should
 * it die or fall silent, every call answers EIO from then on, and the log says once why.
 */
import { EIO, type Errno, errnoName, isErrno } from '../../../abi/errno.ts';
import { setLen64 } from '../../../abi/struct.ts';
import type { Host } from '../../../lib/host.ts';
import { Channel } from '../../../lib/p9/channel.ts';
import { P9_MAX_CLUNK, P9_MAX_MSIZE, P9_NOFID, P9_VERSION_EXTENDED } from '../../../lib/p9/constants.ts';
import type { Body, Message } from '../../../lib/p9/message.ts';
import { Rattach, Rclunkx, Rlerror, Rversion, Tattach, Tclunkx, Tversion } from '../../../lib/p9/messages.ts';
import type { HostWatches } from './host_watches.ts';

/** An answer that takes longer means that the gofer hangs, and the whole sandbox with it. */
const ANSWER_TIMEOUT_S = 60;
const SETSOCKOPT = 54;
const SOL_SOCKET = 1;
const SO_RCVTIMEO = 20;

/** The channel's tag: there is never more than one request under way. */
const TAG = 0;
/** Fids to be clunked are told together: one round trip for so many. */
const CLUNK_BATCH = 64;

export class GoferClient {
  /** Round trips so far, for tests and measurements. */
  roundTrips = 0;
  /** Of all mounts of the connection; null: nothing is watched. */
  watches: HostWatches | null = null;
  private readonly channel: Channel;
  private readonly log: (line: string) => void;
  private dead = false;
  private nextFid = 1;
  private readonly freeFids: number[] = [];
  private unwanted: number[] = [];
  private users = 0;

  private constructor(host: Host, socketFd: number, log: (line: string) => void) {
    this.log = log;
    this.channel = new Channel(host, socketFd, P9_MAX_MSIZE);
  }

  /** Takes the socket over. Errno: nobody answers there, or not in our protocol (the log says more). */
  static connect(host: Host, socketFd: number, log: (line: string) => void): GoferClient | Errno {
    const timeout = new DataView(new ArrayBuffer(16)); // struct timeval
    setLen64(timeout, 0, ANSWER_TIMEOUT_S);
    host.syscall(SETSOCKOPT, socketFd, SOL_SOCKET, SO_RCVTIMEO, timeout, 16);
    const client = new GoferClient(host, socketFd, log);
    const answer = client.call(Tversion, { msize: P9_MAX_MSIZE, version: P9_VERSION_EXTENDED }, Rversion);
    if (isErrno(answer)) return answer;
    if (answer.version !== P9_VERSION_EXTENDED || answer.msize > P9_MAX_MSIZE) return client.fail('it speaks another version');
    client.channel.setLimit(answer.msize);
    return client;
  }

  /** A fid for the root of a mount, or an errno (ENOENT: the gofer has no such mount). */
  attach(name: string): number {
    const fid = this.newFid();
    const r = this.call(Tattach, { fid, afid: P9_NOFID, uname: '', aname: name, n_uname: 0 }, Rattach);
    if (!isErrno(r)) return fid;
    this.freeFids.push(fid);
    return r;
  }

  /** The answer's body (views in it last until the next call), or an errno: the gofer's, or EIO if it is gone. */
  call<T, R>(request: Message<T>, body: Parameters<Message<T>['write']>[1], answer: Message<R>): Body<Message<R>> | Errno {
    if (this.dead) return EIO;
    const { channel } = this;
    this.roundTrips++;
    channel.begin(request.type, TAG);
    request.write(channel.out, body);
    const sent = channel.send();
    if (sent !== 0) return this.fail(`sending ${request.name}: ${errnoName(sent)}`);
    const type = channel.receive();
    if (type === answer.type) {
      const read = answer.read(channel.in) as Body<Message<R>> | null;
      return read ?? this.fail(`malformed ${answer.name}`);
    }
    if (type === Rlerror.type) {
      const error = Rlerror.read(channel.in);
      return error === null ? this.fail('malformed Rlerror') : this.errnoOf(error.ecode);
    }
    if (type > 0) return this.fail(`message ${type} answers ${request.name}`);
    return this.fail(type === 0 ? 'it has closed its socket' : `waiting for ${answer.name}: ${errnoName(type)}`);
  }

  /** An errno as messages carry it. */
  errnoOf(ecode: number): Errno {
    return ecode >= 1 && ecode < 4096 ? (-ecode as Errno) : EIO;
  }

  /** The descriptor that came with the last answer, the caller's; -1: none. */
  takeDescriptor(): number {
    return this.channel.takeDescriptor();
  }

  newFid(): number {
    return this.freeFids.pop() ?? this.nextFid++;
  }
  /** A number that newFid gave and that no answer has made a fid. */
  unusedFid(fid: number): void {
    this.freeFids.push(fid);
  }
  /** The fid is not wanted any more. */
  clunk(fid: number): void {
    this.unwanted.push(fid);
    if (this.unwanted.length >= CLUNK_BATCH) this.flushClunks();
  }
  flushClunks(): void {
    const fids = this.unwanted.splice(0, P9_MAX_CLUNK);
    if (fids.length === 0) return;
    if (!isErrno(this.call(Tclunkx, { fids }, Rclunkx))) this.freeFids.push(...fids);
  }

  /** Filesystems that use the connection; the last one closes it. */
  hold(): void {
    this.users++;
  }
  release(): void {
    if (--this.users > 0) return;
    this.dead = true;
    this.watches?.close();
    this.channel.close();
  }

  /** The conversation is over: one line for the log. The socket stays open until release, so that its number is not used again. */
  private fail(cause: string): Errno {
    if (!this.dead) this.log(`gofer: ${cause}; its files answer EIO from now on`);
    this.dead = true;
    return EIO;
  }
}
