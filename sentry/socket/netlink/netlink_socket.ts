/** AF_NETLINK sockets (netlink(7)): requests go to the kernel and are answered at once, into the socket's own queue. */
import {
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  EFAULT,
  EINVAL,
  EMSGSIZE,
  ENOBUFS,
  ENOPROTOOPT,
  EOPNOTSUPP,
  EPERM,
  EPROTONOSUPPORT,
  type Errno,
  ESOCKTNOSUPPORT,
  isErrno,
} from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import { AF_NETLINK, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_RAW } from '../../../abi/socket.ts';
import { NetlinkMessage } from '../../../lib/netlink_message.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import { releaseNetwork } from '../../kernel/namespace_end.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import { answerSockDiag } from '../inet/sock_diag.ts';
import { type IncomingMessage, type OutgoingMessage, Socket } from '../socket.ts';
import { answerRoute } from './route.ts';

/** Bytes that one receive gives at most of a listing: what the smallest usual buffer holds. */
const DATAGRAM_SIZE = 4096;
/** Largest request. */
const REQUEST_MAX = 65_536;
/** Port numbers for sockets whose process has one already. */
const FIRST_AUTOMATIC_PORT = 0xffff_f000;

/** RTNLGRP_MAX, rounded up. */
const LAST_GROUP = 64;

interface Datagram {
  readonly bytes: Uint8Array;
  /** 0: for this socket alone. */
  readonly group: number;
}
function groupBit(group: number): number {
  return group === 0 || group > 32 ? 0 : (1 << (group - 1)) >>> 0;
}

/** Port numbers in use: `kernel.netlinkPorts`. */
export class NetlinkPorts {
  private readonly used = new Set<number>();
  private next = FIRST_AUTOMATIC_PORT;
  /** False if somebody has it. */
  claim(port: number): boolean {
    if (this.used.has(port)) return false;
    this.used.add(port);
    return true;
  }
  /** `preferred` (the process's number) or another free one. */
  automatic(preferred: number): number {
    if (this.claim(preferred)) return preferred;
    while (!this.claim(this.next)) this.next--;
    return this.next;
  }
  release(port: number): void {
    this.used.delete(port);
  }
}

export class NetlinkSocket extends Socket {
  private port = 0;
  /** Numbers of the groups that it listens to. */
  private readonly groups = new Set<number>();
  private readonly namespace: NetNamespace;
  private peer = { port: 0, groups: 0 };
  private datagrams: Datagram[] = [];
  private queued = 0;
  private overflow = false;

  constructor(task: Task, type: number, protocol: number) {
    super(task.kernel, AF_NETLINK, type, protocol);
    this.namespace = task.namespaces.net;
    this.namespace.handles++;
  }

  private parse(raw: Uint8Array): { port: number; groups: number } | Errno {
    if (raw.length < L.SockaddrNl.size) return EINVAL;
    const { nl_family, nl_pid, nl_groups } = L.SockaddrNl.decode(raw);
    return nl_family === AF_NETLINK ? { port: nl_pid, groups: nl_groups } : EINVAL;
  }
  private encode(port: number, groups: number): Uint8Array {
    return L.SockaddrNl.encode({ nl_family: AF_NETLINK, nl_pid: port, nl_groups: groups });
  }
  override bind(task: Task, raw: Uint8Array): number {
    const address = this.parse(raw);
    if (isErrno(address)) return address;
    if (this.port !== 0 && address.port !== this.port) return EINVAL;
    if (this.port === 0 && address.port !== 0) {
      if (!this.kernel.netlinkPorts.claim(address.port)) return EADDRINUSE;
      this.port = address.port;
    }
    this.bindAutomatically(task);
    for (let group = 1; group <= 32; group++) this.belong(group, (address.groups & (1 << (group - 1))) !== 0);
    return 0;
  }
  private belong(group: number, joins: boolean): void {
    if (joins) this.groups.add(group);
    else this.groups.delete(group);
    if (this.protocol !== L.NETLINK_ROUTE) return; // nobody else tells anything
    const notices = this.kernel.routeNotices.of(this.namespace);
    if (this.groups.size > 0) notices.join(this);
    else notices.leave(this);
  }
  belongsTo(group: number): boolean {
    return this.groups.has(group);
  }
  /** As sockaddr_nl.nl_groups has them. */
  private get groupBits(): number {
    let bits = 0;
    for (const group of this.groups) bits |= groupBit(group);
    return bits >>> 0;
  }
  private bindAutomatically(task: Task): void {
    if (this.port === 0) this.port = this.kernel.netlinkPorts.automatic(task.pid);
  }
  override connect(task: Task, raw: Uint8Array): number {
    const address = this.parse(raw);
    if (isErrno(address)) return address;
    if ((address.port !== 0 || address.groups !== 0) && !hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
    this.peer = address;
    this.bindAutomatically(task);
    return 0;
  }
  override name(): Uint8Array {
    return this.encode(this.port, this.groupBits);
  }
  override peerName(): Uint8Array {
    return this.encode(this.peer.port, this.peer.groups);
  }

  override send(task: Task, message: OutgoingMessage): number {
    const to = message.name === null ? this.peer : this.parse(message.name);
    if (isErrno(to)) return to;
    if (to.groups !== 0 && !hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
    if (to.port !== 0) return ECONNREFUSED; // only the kernel listens
    const length = message.data.remaining;
    if (length > REQUEST_MAX) return EMSGSIZE;
    this.bindAutomatically(task);
    const bytes = new Uint8Array(length);
    if (length > 0 && message.data.take(bytes, 0, length) !== length) return EFAULT;
    for (let at = 0; at + L.Nlmsghdr.size <= length; ) {
      const header = L.Nlmsghdr.read(new DataView(bytes.buffer), at);
      if (header.nlmsg_len < L.Nlmsghdr.size || at + header.nlmsg_len > length) break;
      this.request(task, bytes.subarray(at, at + header.nlmsg_len), header);
      at += (header.nlmsg_len + 3) & ~3;
    }
    return length;
  }

  /** Answers, then the end of the list, an error, or the acknowledgement that was asked for. */
  private request(task: Task, whole: Uint8Array, header: ReturnType<typeof L.Nlmsghdr.read>): void {
    const { nlmsg_type: type, nlmsg_flags: flags, nlmsg_seq: sequence } = header;
    if ((flags & L.NLM_F_REQUEST) === 0 || type < L.NLMSG_MIN_TYPE) {
      if ((flags & L.NLM_F_ACK) !== 0) this.acknowledge(whole, sequence, 0);
      return;
    }
    const body = whole.subarray(L.Nlmsghdr.size);
    const answers = this.answer(task, type, flags, body);
    // Whoever listens hears of a change before its maker hears that it is made.
    if (this.protocol === L.NETLINK_ROUTE && (type & 3) !== 2) this.kernel.routeNotices.of(task.namespaces.net).publish();
    if (typeof answers === 'number') {
      this.acknowledge(whole, sequence, answers);
      return;
    }
    const dump = (flags & L.NLM_F_DUMP) === L.NLM_F_DUMP && (this.protocol === L.NETLINK_SOCK_DIAG || (type & 3) === 2);
    if (dump) answers.push(new NetlinkMessage(L.NLMSG_DONE, L.NLM_F_MULTI, new Uint8Array(4)));
    this.deliverAll(answers.map((answer) => answer.encode(sequence, this.port)));
    if ((flags & L.NLM_F_ACK) !== 0 && !dump) this.acknowledge(whole, sequence, 0);
  }
  private answer(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
    if (this.protocol === L.NETLINK_ROUTE) return answerRoute(task, type, flags, body);
    if (this.protocol !== L.NETLINK_SOCK_DIAG) return EOPNOTSUPP;
    const multi = (flags & L.NLM_F_DUMP) === L.NLM_F_DUMP ? L.NLM_F_MULTI : 0;
    return answerSockDiag(task, type, multi, body);
  }
  /** NLMSG_ERROR: the errno and the request; its header alone if there was no error. */
  private acknowledge(whole: Uint8Array, sequence: number, errno: number): void {
    const echoed = errno === 0 ? whole.subarray(0, L.Nlmsghdr.size) : whole;
    const body = new Uint8Array(4 + echoed.length);
    new DataView(body.buffer).setInt32(0, errno, true);
    body.set(echoed, 4);
    this.deliver(new NetlinkMessage(L.NLMSG_ERROR, 0, body).encode(sequence, this.port));
  }
  private deliverAll(messages: readonly Uint8Array[]): void {
    let together: Uint8Array[] = [];
    let size = 0;
    for (const message of messages) {
      if (size + message.length > DATAGRAM_SIZE && size > 0) {
        this.deliver(Buffer.concat(together));
        together = [];
        size = 0;
      }
      together.push(message);
      size += message.length;
    }
    if (size > 0) this.deliver(Buffer.concat(together));
  }
  /** Queues one datagram from the kernel. One that does not fit is lost, and the next receive says so (ENOBUFS). */
  deliver(bytes: Uint8Array, group = 0): void {
    if (this.queued + bytes.length > this.options.receiveBuffer) {
      this.overflow = true;
      return;
    }
    this.datagrams.push({ bytes, group });
    this.queued += bytes.length;
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    if (this.overflow) {
      this.overflow = false;
      return ENOBUFS;
    }
    const first = this.datagrams[0];
    if (first === undefined) return EAGAIN;
    const datagram = first.bytes;
    const room = Math.min(dst.remaining, datagram.length);
    const n = room === 0 ? 0 : dst.put(datagram, 0, room);
    if (n < 0) return n;
    if (n < datagram.length) message.resultFlags |= MSG_TRUNC;
    message.name = this.encode(0, groupBit(first.group));
    if ((message.flags & MSG_PEEK) === 0) {
      this.datagrams.shift();
      this.queued -= datagram.length;
    }
    return (message.flags & MSG_TRUNC) !== 0 ? datagram.length : n;
  }
  override poll(_file: FileDescription): number {
    return (this.datagrams.length > 0 ? POLLIN | POLLRDNORM : 0) | POLLOUT | POLLWRNORM;
  }
  override inputQueued(): number {
    return this.datagrams[0]?.bytes.length ?? 0;
  }
  /** SOL_NETLINK: membership of groups; the rest are hints. */
  override setOption(_task: Task, level: number, option: number, value: Uint8Array): number {
    if (level !== L.SOL_NETLINK) return ENOPROTOOPT;
    if (option !== L.NETLINK_ADD_MEMBERSHIP && option !== L.NETLINK_DROP_MEMBERSHIP) return 0;
    const group = value.length < 4 ? 0 : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
    if (group === 0 || group > LAST_GROUP) return EINVAL;
    this.belong(group, option === L.NETLINK_ADD_MEMBERSHIP);
    return 0;
  }
  override getOption(_task: Task, level: number, option: number): Uint8Array | Errno {
    if (level !== L.SOL_NETLINK) return ENOPROTOOPT;
    if (option === L.NETLINK_LIST_MEMBERSHIPS) return new Uint8Array(Uint32Array.of(this.groupBits, 0).buffer);
    return new Uint8Array(4);
  }
  override release(): void {
    this.groups.clear();
    if (this.protocol === L.NETLINK_ROUTE) this.kernel.routeNotices.of(this.namespace).leave(this);
    if (this.port !== 0) this.kernel.netlinkPorts.release(this.port);
    this.datagrams = [];
    releaseNetwork(this.kernel, this.namespace);
  }
}

const PROTOCOLS: readonly number[] = [L.NETLINK_ROUTE, L.NETLINK_SOCK_DIAG, L.NETLINK_KOBJECT_UEVENT];

/** NETLINK_ROUTE, NETLINK_SOCK_DIAG, and NETLINK_KOBJECT_UEVENT on which nothing ever happens. */
export function makeNetlinkSocket(task: Task, type: number, protocol: number): NetlinkSocket | Errno {
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
  if (!PROTOCOLS.includes(protocol)) return EPROTONOSUPPORT;
  return new NetlinkSocket(task, type, protocol);
}
