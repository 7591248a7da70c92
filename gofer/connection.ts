/**
 * One client: its socket, mounts and fids. A client is assumed to be hostile: whatever it sends is answered or ends the
 * connection, and reaches nothing but its own mounts.
 */
import { EACCES, EBADF, EINVAL, EMFILE, EMSGSIZE, EPROTO, type Errno } from '../abi/errno.ts';
import type { GoferOwners } from '../lib/gofer_config.ts';
import type { Host } from '../lib/host.ts';
import { attrDevice } from '../lib/p9/attr.ts';
import { Channel } from '../lib/p9/channel.ts';
import { P9_MAX_MSIZE, P9_NOFID } from '../lib/p9/constants.ts';
import type { Body, Message } from '../lib/p9/message.ts';
import { Rlerror, Tversion } from '../lib/p9/messages.ts';
import { Dirents } from './dirents.ts';
import type { Fid, Mount } from './fid.ts';
import { type HostCalls, STATX_SIZE } from './host_calls.ts';
import { Owners } from './owners.ts';
import { Watches } from './watches.ts';

/** Answers one request: 0 when `reply` has begun the answer, or an errno. */
export type Handler = (c: Connection) => number;

export interface MountRequest {
  readonly name: string;
  readonly rootFd: number;
  readonly readonly: boolean;
  readonly direct?: boolean;
  readonly store?: boolean;
  readonly owners?: GoferOwners | null;
}

/** Most fids of one connection, and how many descriptors a fid may need: its own, its parent's, its open file. */
export const MAX_FIDS = 65536;
export const DESCRIPTORS_PER_FID = 3;

/** What the gofer was told about sockets and fifos (lib/gofer_config.ts). */
export interface HostObjects {
  readonly connectSockets: boolean;
  readonly makeSockets: boolean;
  readonly openFifos: boolean;
}

export class Connection {
  readonly hostObjects: HostObjects;
  readonly calls: HostCalls;
  readonly channel: Channel;
  readonly dirents: Dirents;
  readonly mounts = new Map<string, Mount>();
  readonly watches: Watches;
  /** After Tversion with P9_VERSION_EXTENDED. */
  extended = false;
  versioned = false;
  /** struct statx of what was looked at last. */
  readonly stat = new DataView(new ArrayBuffer(STATX_SIZE));
  readonly statAddress: number;
  private readonly fids = new Map<number, Fid>();
  private readonly maxFids: number;
  private readonly handlers: Readonly<Record<number, Handler>>;
  /** Descriptors that go with the answer, closed once it is sent. */
  private readonly donated: number[] = [];

  constructor(
    host: Host,
    calls: HostCalls,
    socketFd: number,
    mounts: readonly MountRequest[],
    handlers: Connection['handlers'],
    maxFids: number,
    hostObjects: HostObjects,
  ) {
    this.hostObjects = hostObjects;
    this.calls = calls;
    this.handlers = handlers;
    this.maxFids = Math.min(MAX_FIDS, maxFids);
    this.channel = new Channel(host, socketFd, P9_MAX_MSIZE);
    this.dirents = new Dirents(calls);
    this.watches = new Watches(calls);
    this.statAddress = host.addressOf(this.stat);
    for (const { name, rootFd, readonly, direct = false, store = false, owners = null } of mounts) {
      const r = calls.stat(rootFd, this.statAddress);
      if (r < 0) throw new Error(`mount ${name}: statx of descriptor ${rootFd}: errno ${-r}`);
      this.mounts.set(name, { name, rootFd, readonly, direct, store, owners: new Owners(owners), device: attrDevice(this.stat, 0) });
    }
  }

  /** Receives and answers one request; false: the conversation is over. */
  serve(): boolean {
    const type = this.channel.receive();
    if (type <= 0) return false;
    const handler = type === Tversion.type || this.versioned ? this.handlers[type] : undefined;
    const r = handler === undefined ? EPROTO : handler(this);
    if (r < 0) {
      this.dropDonated();
      this.reply(Rlerror, { ecode: -r });
    }
    let sent = this.channel.send(this.donated);
    this.dropDonated();
    if (sent === EMSGSIZE) {
      this.reply(Rlerror, { ecode: -EMSGSIZE });
      sent = this.channel.send();
    }
    return sent === 0;
  }

  close(): void {
    this.clear();
    for (const { rootFd } of this.mounts.values()) this.calls.close(rootFd);
    this.mounts.clear();
    this.channel.close();
  }

  // For the handlers

  /** The request's body; null (the handler then answers EPROTO) if it is malformed. */
  read<F>(message: Message<F>): Body<Message<F>> | null {
    return message.read(this.channel.in) as Body<Message<F>> | null;
  }
  reply<F>(message: Message<F>, body: Parameters<Message<F>['write']>[1]): 0 {
    this.begin(message);
    message.write(this.channel.out, body);
    return 0;
  }
  /** Begins an answer whose body the handler writes itself. */
  begin<F>(message: Message<F>): void {
    this.channel.begin(message.type, this.channel.tag);
  }
  get donating(): boolean {
    return this.donated.length > 0;
  }
  /** `fd` travels with the answer, after those before it; ours until then. At most P9_MAX_DESCRIPTORS do. */
  donate(fd: number): void {
    this.donated.push(fd);
  }

  /** EACCES for a store: what is not for files without names alone gets nothing of it. */
  fid(number: number): Fid | Errno {
    const fid = this.fids.get(number) ?? EBADF;
    return typeof fid !== 'number' && fid.mount.store ? EACCES : fid;
  }
  /** For the requests that a store answers as well. */
  anyFid(number: number): Fid | Errno {
    return this.fids.get(number) ?? EBADF;
  }
  /** 0 if `number` can stand for something new; EBADF: it is taken, EMFILE: there are too many. */
  checkNew(number: number): 0 | Errno {
    if (number === P9_NOFID) return EINVAL;
    if (this.fids.has(number)) return EBADF;
    return this.fids.size < this.maxFids ? 0 : EMFILE;
  }
  bind(number: number, fid: Fid): void {
    this.fids.set(number, fid);
  }
  unbind(number: number): Fid | undefined {
    const fid = this.fids.get(number);
    this.fids.delete(number);
    return fid;
  }
  get fidCount(): number {
    return this.fids.size;
  }
  /** Forgets every fid and watch (Tversion). */
  clear(): void {
    for (const fid of this.fids.values()) fid.release(this.calls);
    this.fids.clear();
    this.watches.clear();
  }

  private dropDonated(): void {
    for (const fd of this.donated) this.calls.close(fd);
    this.donated.length = 0;
  }
}
