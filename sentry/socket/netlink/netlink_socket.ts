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
import { AF_NETLINK, MSG_PEEK, MSG_TRUNC, SOCK_DGRAM, SOCK_RAW, SOL_SOCKET } from '../../../abi/socket.ts';
import { NetlinkMessage } from '../../../lib/netlink_message.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import type { Kernel } from '../../kernel/kernel.ts';
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
  private groups = 0;
  private peer = { port: 0, groups: 0 };
  private datagrams: Uint8Array[] = [];
  private queued = 0;
  private overflow = false;

  constructor(kernel: Kernel, type: number, protocol: number) {
    super(kernel, AF_NETLINK, type, protocol);
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
    this.groups = address.groups;
    return 0;
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
    return this.encode(this.port, this.groups);
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
  deliver(datagram: Uint8Array): void {
    if (this.queued + datagram.length > this.options.receiveBuffer) {
      this.overflow = true;
      return;
    }
    this.datagrams.push(datagram);
    this.queued += datagram.length;
    this.queue.notify(POLLIN | POLLRDNORM);
  }

  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    if (this.overflow) {
      this.overflow = false;
      return ENOBUFS;
    }
    const datagram = this.datagrams[0];
    if (datagram === undefined) return EAGAIN;
    const room = Math.min(dst.remaining, datagram.length);
    const n = room === 0 ? 0 : dst.put(datagram, 0, room);
    if (n < 0) return n;
    if (n < datagram.length) message.resultFlags |= MSG_TRUNC;
    message.name = this.encode(0, 0);
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
    return this.datagrams[0]?.length ?? 0;
  }
  /** SOL_NETLINK: group membership and hints; there are no notifications, so that nothing follows from them. */
  override setOption(_task: Task, level: number, _option: number, _value: Uint8Array): number {
    return level === L.SOL_NETLINK ? 0 : ENOPROTOOPT;
  }
  override getOption(_task: Task, level: number, _option: number): Uint8Array | Errno {
    return level === SOL_SOCKET || level !== L.SOL_NETLINK ? ENOPROTOOPT : new Uint8Array(4);
  }
  override release(): void {
    if (this.port !== 0) this.kernel.netlinkPorts.release(this.port);
    this.datagrams = [];
  }
}

const PROTOCOLS: readonly number[] = [L.NETLINK_ROUTE, L.NETLINK_SOCK_DIAG, L.NETLINK_KOBJECT_UEVENT];

/** NETLINK_ROUTE, NETLINK_SOCK_DIAG, and NETLINK_KOBJECT_UEVENT on which nothing ever happens. */
export function makeNetlinkSocket(task: Task, type: number, protocol: number): NetlinkSocket | Errno {
  if (type !== SOCK_RAW && type !== SOCK_DGRAM) return ESOCKTNOSUPPORT;
  if (!PROTOCOLS.includes(protocol)) return EPROTONOSUPPORT;
  return new NetlinkSocket(task.kernel, type, protocol);
}
