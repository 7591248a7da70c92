/**
 * AF_INET and AF_INET6 sockets of --network=host: each is a socket of the host, which the Sentry opened, non-blocking. Stream and datagram
 * alone: raw and packet sockets would be the host's network laid open. Waiting is the kernel's own, as for every other socket.
 */
import {
  EACCES,
  EAFNOSUPPORT,
  EAGAIN,
  EALREADY,
  EINPROGRESS,
  EINTR,
  EINVAL,
  EMSGSIZE,
  ENOPROTOOPT,
  EPERM,
  EPROTONOSUPPORT,
  ERESTARTSYS,
  type Errno,
  ESOCKTNOSUPPORT,
  isErrno,
} from '../../../../abi/errno.ts';
import * as I from '../../../../abi/in.ts';
import { FIONREAD } from '../../../../abi/ioctl.ts';
import {
  POLLERR,
  POLLHUP,
  POLLIN,
  POLLOUT,
  POLLPRI,
  POLLRDBAND,
  POLLRDHUP,
  POLLRDNORM,
  POLLWRBAND,
  POLLWRNORM,
} from '../../../../abi/poll.ts';
import * as S from '../../../../abi/socket.ts';
import type { Host } from '../../../../lib/host.ts';
import { isAny, isLoopback } from '../../../../netstack/address.ts';
import type { Egress } from '../../../../netstack/egress/egress.ts';
import type { HostPoll } from '../../../../platforms/host_poll.ts';
import type { Task } from '../../../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../../../kernel/wait.ts';
import type { FileDescription } from '../../../vfs/file.ts';
import type { Sink } from '../../../vfs/io.ts';
import { type IncomingMessage, type OutgoingMessage, Socket } from '../../socket.ts';
import { deadlineOf } from '../../socket_io.ts';
import { DEFAULT_BUFFER } from '../../socket_options.ts';
import { decodeInetAddress, familyOf } from '../inet_address.ts';
import { HostMessage } from './host_message.ts';
import { MAX_OPTION, mayRead, mayWrite } from './host_options.ts';

// Host system calls, x86-64.
const NR = {
  ...{ poll: 7, socket: 41, connect: 42, sendto: 44, recvfrom: 45, shutdown: 48, bind: 49, listen: 50, getsockname: 51 },
  ...{ getpeername: 52, setsockopt: 54, getsockopt: 55, accept4: 288 },
} as const;
const EPOLLET = 0x8000_0000;
const WATCHED = POLLIN | POLLOUT | POLLPRI | POLLRDHUP;
const ALL_EVENTS = WATCHED | POLLERR | POLLHUP | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND;
/** Flags that reach the host beside MSG_DONTWAIT. */
const SEND_FLAGS = S.MSG_OOB | S.MSG_MORE | S.MSG_DONTROUTE | S.MSG_CONFIRM;
const RECEIVE_FLAGS = S.MSG_OOB | S.MSG_PEEK | S.MSG_TRUNC;
/** Of one call: the host's socket buffers are smaller. */
const CHUNK = 1 << 20;
/** Of a stream, in one send. */
const STREAM_CHUNK = 256 << 10;
/** struct sockaddr_in6. */
const LONGEST_ADDRESS = 28;
const SOMAXCONN = 4096;

/** What the sockets of one kernel share. */
export interface HostNetwork {
  readonly host: Host;
  readonly poll: HostPoll;
  readonly message: HostMessage;
  /** What the application may reach; null: everything. */
  readonly egress: Egress | null;
}
export function hostNetwork(host: Host, poll: HostPoll, egress: Egress | null): HostNetwork {
  return { host, poll, message: new HostMessage(host), egress };
}

export function makeHostSocket(task: Task, network: HostNetwork, family: number, type: number, protocol: number): HostSocket | Errno {
  const wanted = type === S.SOCK_STREAM ? I.IPPROTO_TCP : type === S.SOCK_DGRAM ? I.IPPROTO_UDP : -1;
  if (wanted < 0) return type === S.SOCK_RAW ? EPERM : ESOCKTNOSUPPORT;
  if (protocol !== 0 && protocol !== wanted) return EPROTONOSUPPORT;
  const fd = network.host.syscall(NR.socket, family, type | S.SOCK_NONBLOCK | S.SOCK_CLOEXEC, wanted);
  return fd < 0 ? (fd as Errno) : new HostSocket(task, network, fd, family, type, wanted);
}

export class HostSocket extends Socket {
  private readonly network: HostNetwork;
  private readonly fd: number;
  private readonly host: Host;
  private isListening = false;
  private readShut = false;
  private unsent: Uint8Array | null = null;
  /** shutdown(2) waits for what is unsent, and so does the end of the last descriptor. */
  private writeShut = false;
  private released = false;

  constructor(task: Task, network: HostNetwork, fd: number, family: number, type: number, protocol: number) {
    super(task.kernel, family, type, protocol);
    this.network = network;
    this.host = network.host;
    this.fd = fd;
    network.poll.add(fd, (WATCHED | EPOLLET) >>> 0, (events) => this.ready(events));
  }
  override get isStream(): boolean {
    return this.type === S.SOCK_STREAM;
  }
  override get listening(): boolean {
    return this.isListening;
  }
  override get endOfInput(): boolean {
    return this.readShut;
  }
  override get supportsOutOfBand(): boolean {
    return this.isStream;
  }

  /** Nothing but addresses of this family gets to the host. */
  private check(raw: Uint8Array): 0 | Errno {
    const family = familyOf(raw);
    if (raw.length > S.SOCKADDR_MAX || family < 0) return EINVAL;
    if (family !== this.family && family !== S.AF_UNSPEC && !(this.family === S.AF_INET6 && family === S.AF_INET)) return EAFNOSUPPORT;
    return 0;
  }
  private permits(raw: Uint8Array): 0 | Errno {
    const { egress } = this.network;
    if (egress === null || familyOf(raw) === S.AF_UNSPEC) return 0;
    const to = decodeInetAddress(raw, this.family);
    if (isErrno(to)) return to;
    return isLoopback(to.address) || isAny(to.address) || egress.permitsTo(this.protocol, to.address, to.port) ? 0 : EACCES;
  }
  private call(nr: number, raw: Uint8Array): number {
    return this.host.syscall(nr, this.fd, raw, Math.min(raw.length, LONGEST_ADDRESS));
  }
  override bind(_task: Task, raw: Uint8Array): number {
    return this.check(raw) || this.call(NR.bind, raw);
  }
  override listen(_task: Task, backlog: number): number {
    const r = this.host.syscall(NR.listen, this.fd, Math.min(Math.max(backlog, 0), SOMAXCONN));
    if (r === 0) this.isListening = true;
    return r;
  }
  override accept(task: Task): Socket | Errno {
    const fd = this.host.syscall(NR.accept4, this.fd, null, null, S.SOCK_NONBLOCK | S.SOCK_CLOEXEC);
    return fd < 0 ? (fd as Errno) : new HostSocket(task, this.network, fd, this.family, this.type, this.protocol);
  }
  override connect(task: Task, raw: Uint8Array, file: FileDescription): SyscallResult {
    const refused = this.check(raw) || this.permits(raw);
    if (refused !== 0) return refused;
    const r = this.call(NR.connect, raw);
    if ((r !== EINPROGRESS && r !== EALREADY) || file.nonblocking) return r;
    return this.connectBlocking(task, file);
  }
  private *connectBlocking(task: Task, file: FileDescription): Blocking {
    const limit = this.options.sendTimeout;
    const wait = waitFor(this.queue, POLLOUT, deadlineOf(task, limit));
    file.hold();
    try {
      for (;;) {
        const wake = yield wait;
        if ((this.pollHost() & (POLLOUT | POLLERR | POLLHUP)) !== 0) return this.takeError();
        if (wake === 'timeout') return EINPROGRESS;
        if (wake === 'signal') return Number.isFinite(limit) ? EINTR : ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }

  override send(task: Task, message: OutgoingMessage): number {
    const { data, name } = message;
    if (name !== null && !this.isStream) {
      const refused = this.check(name) || this.permits(name);
      if (refused !== 0) return refused;
    }
    const flags = (message.flags & SEND_FLAGS) | S.MSG_DONTWAIT | S.MSG_NOSIGNAL;
    if (this.isStream) return this.sendStream(task, message, flags);
    const { ioScratch } = task.kernel;
    const length = data.remaining;
    if (length > CHUNK) return EMSGSIZE;
    const taken = length === 0 ? 0 : data.take(ioScratch, 0, length);
    if (taken < length) return taken < 0 ? taken : EINVAL;
    const to = name === null ? null : name.subarray(0, LONGEST_ADDRESS);
    return this.network.message.send(this.fd, ioScratch, length, to, message.control?.others ?? [], flags);
  }
  /** Bytes that the application has given and the host has not taken stay here, a chunk at most, and go before all others. */
  private sendStream(task: Task, { data }: OutgoingMessage, flags: number): number {
    const { ioScratch } = task.kernel;
    const flushed = this.flushUnsent();
    if (flushed < 0) return flushed;
    let total = 0;
    while (data.remaining > 0 && this.unsent === null) {
      const n = data.take(ioScratch, 0, Math.min(data.remaining, STREAM_CHUNK));
      if (n <= 0) return total > 0 ? total : n;
      const sent = this.host.syscall(NR.sendto, this.fd, ioScratch, n, flags, null, 0);
      if (sent < 0 && sent !== EAGAIN && sent !== EINTR) return total > 0 ? total : sent;
      if (sent < n) this.unsent = ioScratch.slice(Math.max(sent, 0), n);
      total += n;
    }
    return total;
  }
  /** EAGAIN: something is left. */
  private flushUnsent(): number {
    const { unsent } = this;
    if (unsent === null) return 0;
    const sent = this.host.syscall(NR.sendto, this.fd, unsent, unsent.length, S.MSG_DONTWAIT | S.MSG_NOSIGNAL, null, 0);
    if (sent === EAGAIN || sent === EINTR) return EAGAIN;
    this.unsent = sent < 0 || sent === unsent.length ? null : unsent.subarray(sent);
    if (sent < 0) return sent;
    if (this.unsent !== null) return EAGAIN;
    if (this.writeShut) this.host.syscall(NR.shutdown, this.fd, S.SHUT_WR);
    return 0;
  }
  private ready(events: number): void {
    if (this.unsent !== null && (events & (POLLOUT | POLLERR | POLLHUP)) !== 0) this.flushUnsent();
    if (!this.released) this.queue.notify(widen(events));
    else if (this.unsent === null) this.close();
  }
  override receive(task: Task, dst: Sink, message: IncomingMessage): number {
    const { ioScratch } = task.kernel;
    const length = Math.min(dst.remaining, CHUNK);
    const flags = (message.flags & RECEIVE_FLAGS) | S.MSG_DONTWAIT;
    if (this.isStream && !message.wantsControl) {
      const n = this.host.syscall(NR.recvfrom, this.fd, ioScratch, length, flags, null, 0);
      return n <= 0 || (flags & S.MSG_TRUNC) !== 0 ? n : dst.put(ioScratch, 0, n);
    }
    const { message: incoming } = this.network;
    const n = incoming.receive(this.fd, ioScratch, length, flags);
    if (n < 0) return n;
    message.name = this.isStream ? null : incoming.name;
    message.resultFlags |= incoming.flags & (S.MSG_TRUNC | S.MSG_CTRUNC | S.MSG_OOB);
    const others = incoming.controls;
    if (others.length > 0) message.control = { others };
    const there = Math.min(n, length);
    const moved = there === 0 || (this.isStream && (flags & S.MSG_TRUNC) !== 0) ? 0 : dst.put(ioScratch, 0, there);
    return moved < 0 ? moved : n;
  }

  override shutdown(_task: Task, how: number): number {
    if (how !== S.SHUT_RD && this.unsent !== null) {
      this.writeShut = true;
      if (how === S.SHUT_WR) return 0;
    }
    const r = this.host.syscall(NR.shutdown, this.fd, this.unsent === null ? how : S.SHUT_RD);
    if (r === 0 && how !== S.SHUT_WR) this.readShut = true;
    this.queue.notify(POLLIN | POLLOUT | POLLRDHUP);
    return r;
  }
  private nameBy(nr: number): Uint8Array | Errno {
    const raw = new Uint8Array(LONGEST_ADDRESS);
    const length = Uint32Array.of(raw.length);
    const r = this.host.syscall(nr, this.fd, raw, length);
    return r < 0 ? (r as Errno) : raw.subarray(0, Math.min(length[0] as number, raw.length));
  }
  override name(): Uint8Array | Errno {
    return this.nameBy(NR.getsockname);
  }
  override peerName(): Uint8Array | Errno {
    return this.nameBy(NR.getpeername);
  }

  private pollHost(): number {
    const request = Int32Array.of(this.fd, ALL_EVENTS);
    const r = this.host.syscall(NR.poll, request, 1, 0);
    return r <= 0 ? 0 : (request[1] as number) >>> 16;
  }
  override poll(_file: FileDescription): number {
    return this.unsent === null ? this.pollHost() : this.pollHost() & ~(POLLOUT | POLLWRNORM);
  }

  private readOption(level: number, option: number, size: number): Uint8Array | Errno {
    const value = new Uint8Array(size);
    const length = Uint32Array.of(size);
    const r = this.host.syscall(NR.getsockopt, this.fd, level, option, value, length);
    return r < 0 ? (r as Errno) : value.subarray(0, Math.min(length[0] as number, size));
  }
  override takeError(): number {
    const value = this.readOption(S.SOL_SOCKET, S.SO_ERROR, 4);
    return isErrno(value) ? value : -new DataView(value.buffer).getInt32(0, true);
  }
  override getOption(_task: Task, level: number, option: number): Uint8Array | Errno {
    return mayRead(level, option) ? this.readOption(level, option, MAX_OPTION) : ENOPROTOOPT;
  }
  override setOption(_task: Task, level: number, option: number, value: Uint8Array): number {
    if (!mayWrite(level, option)) return ENOPROTOOPT;
    if (value.length > MAX_OPTION) return EINVAL;
    return this.host.syscall(NR.setsockopt, this.fd, level, option, value, value.length);
  }
  override buffersChanged(): void {
    const set = (option: number, size: number): void => {
      if (size !== DEFAULT_BUFFER) this.host.syscall(NR.setsockopt, this.fd, S.SOL_SOCKET, option, Int32Array.of(size >> 1), 4);
    };
    set(S.SO_SNDBUF, this.options.sendBuffer);
    set(S.SO_RCVBUF, this.options.receiveBuffer);
  }
  private queuedBy(request: number): number {
    const count = new Int32Array(1);
    return this.host.ioctl(this.fd, request, count) < 0 ? 0 : (count[0] as number);
  }
  override inputQueued(): number {
    return this.queuedBy(FIONREAD);
  }
  override outputQueued(): number {
    return this.queuedBy(S.SIOCOUTQ);
  }
  override release(_file: FileDescription): void {
    this.released = true;
    if (this.unsent === null || this.flushUnsent() !== EAGAIN) this.close();
  }
  private close(): void {
    this.network.poll.remove(this.fd);
    this.host.close(this.fd);
  }
}

/** The bits that poll(2) tells in two forms. */
function widen(events: number): number {
  return events | ((events & POLLIN) !== 0 ? POLLRDNORM : 0) | ((events & POLLOUT) !== 0 ? POLLWRNORM : 0);
}
