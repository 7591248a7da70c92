/**
 * AF_UNIX SOCK_STREAM and SOCK_SEQPACKET: connections.
 *
 * States: fresh → (listen) listening, or → (connect, accept, socketpair) connected, for good. A connected socket keeps its peer after
 * that one has closed, for getpeername(2). What the peer sends lies in our `incoming`.
 */
import {
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINTR,
  EINVAL,
  EISCONN,
  EMSGSIZE,
  ENOTCONN,
  EOPNOTSUPP,
  EPIPE,
  EPROTOTYPE,
  ERESTARTSYS,
  type Errno,
  isErrno,
} from '../../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDHUP, POLLRDNORM, POLLWRBAND, POLLWRNORM } from '../../../abi/poll.ts';
import { MSG_OOB, SHUT_RD, SHUT_RDWR, SHUT_WR, SO_OOBINLINE, type SOCK_SEQPACKET, SOCK_STREAM } from '../../../abi/socket.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../../kernel/wait.ts';
import { tellUrgent } from '../../vfs/async_notice.ts';
import type { FileDescription } from '../../vfs/file.ts';
import { Inode } from '../../vfs/inode.ts';
import type { Sink } from '../../vfs/io.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import { deadlineOf } from '../socket_io.ts';
import { decodeUnixAddress, encodeUnixAddress } from './address.ts';
import { ConnectionQueue } from './connection_queue.ts';
import { HostConnection, HostListener } from './host_connection.ts';
import { findUnixSocket, type PeerCredentials, peerCredentials, UnixSocket } from './unix_socket.ts';

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM | POLLWRBAND;

/** How long a connect waits before it looks again whether the host's backlog has room. */
const HOST_BACKLOG_NS = 20e6;

export class UnixStream extends UnixSocket {
  private peer: UnixStream | null = null;
  private readonly incoming: ConnectionQueue;
  private receiveShutdown = false;
  private sendShutdown = false;
  /** Connections to accept; null: does not listen. */
  private pending: UnixStream[] | null = null;
  private backlog = 0;
  /** The host can connect to it, too. */
  private hostListener: HostListener | null = null;

  constructor(kernel: Kernel, net: NetNamespace, type: number) {
    super(kernel, net, type);
    this.incoming = new ConnectionQueue(kernel.unix.inFlight);
  }
  override get isStream(): boolean {
    return this.type === SOCK_STREAM;
  }
  override get listening(): boolean {
    return this.pending !== null;
  }
  override get endOfInput(): boolean {
    return this.receiveShutdown;
  }
  override get stateCode(): number {
    return this.peer === null ? 1 : 3;
  }

  override listen(task: Task, backlog: number): number {
    if (this.address === '' || this.peer !== null) return EINVAL;
    this.backlog = backlog;
    this.pending ??= [];
    this.peerCreds = peerCredentials(task);
    const bound = this.boundTo?.takeBoundSocket() ?? -1;
    if (bound >= 0) this.hostListener = new HostListener(this.kernel, task, bound, (client) => this.admit(task, client) === 0);
    const r = this.hostListener?.listen(backlog) ?? 0;
    if (r < 0) return r;
    this.queue.notify(POLLOUT); // a longer backlog may have room
    return 0;
  }
  override accept(_task: Task): UnixStream | Errno {
    if (this.pending === null) return EINVAL;
    const connection = this.pending.shift();
    if (connection === undefined) return EAGAIN;
    this.queue.notify(POLLOUT);
    return connection;
  }

  override connect(task: Task, raw: Uint8Array, file: FileDescription): SyscallResult {
    const address = decodeUnixAddress(raw);
    if (isErrno(address)) return address;
    const r = this.tryConnect(task, address);
    return r === EAGAIN && !file.nonblocking ? this.connectBlocking(task, address, file) : r;
  }
  /** EAGAIN: the backlog is full. */
  private tryConnect(task: Task, address: string): number {
    if (this.pending !== null) return EINVAL;
    if (this.peer !== null) return EISCONN;
    const target = findUnixSocket(task, address);
    if (isErrno(target)) return target;
    if (target instanceof Inode) return this.connectToHost(task, target);
    if (target.type !== this.type) return EPROTOTYPE;
    return (target as UnixStream).admit(task, this);
  }
  private *connectBlocking(task: Task, address: string, file: FileDescription): Blocking {
    const limit = this.options.sendTimeout;
    const deadline = deadlineOf(task, limit);
    file.hold();
    try {
      for (;;) {
        const target = findUnixSocket(task, address);
        if (isErrno(target)) return target;
        // Nobody tells when the host's backlog has room: look again.
        const hosted = target instanceof Inode;
        const wake = yield hosted
          ? waitFor(this.queue, 0, Math.min(deadline ?? Number.POSITIVE_INFINITY, task.kernel.now() + HOST_BACKLOG_NS))
          : waitFor(target.queue, POLLOUT, deadline);
        const r = this.tryConnect(task, address);
        if (r !== EAGAIN || (wake === 'timeout' && !(hosted && task.kernel.now() < (deadline ?? Number.POSITIVE_INFINITY)))) return r;
        if (wake === 'signal') return Number.isFinite(limit) ? EINTR : ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }
  /** A socket file of a volume: the host may listen there. */
  private connectToHost(task: Task, file: Inode): number {
    const fd = file.connectHost(this.type);
    if (fd < 0) return fd;
    const bridge = new HostConnection(this.kernel, task, fd);
    this.join(bridge.inner, null);
    bridge.inner.join(this, peerCredentials(task));
    bridge.start();
    this.queue.notify(WRITABLE);
    return 0;
  }
  /** A connection from `client` joins the backlog: both ends can be used at once. */
  private admit(task: Task, client: UnixStream): number {
    if (this.pending === null || this.closed || this.receiveShutdown) return ECONNREFUSED;
    if (this.pending.length > this.backlog) return EAGAIN;
    const server = new UnixStream(this.kernel, this.net, this.type);
    server.address = this.address;
    server.options.set(16 /* SO_PASSCRED */, this.options.get(16));
    if (client.options.passCredentials && client.address === '') client.autobind();
    client.join(server, this.peerCreds);
    server.join(client, peerCredentials(task));
    this.pending.push(server);
    this.queue.notify(READABLE);
    client.queue.notify(WRITABLE);
    return 0;
  }
  /** Becomes one end of a connection. */
  join(peer: UnixStream, creds: PeerCredentials | null): void {
    this.peer = peer;
    this.peerCreds = creds;
  }

  override send(task: Task, message: OutgoingMessage): number {
    const { peer } = this;
    if (peer === null) return message.name !== null && this.isStream ? EOPNOTSUPP : ENOTCONN;
    if (message.name !== null && this.isStream) return EISCONN;
    if (this.error !== 0) return this.takeError();
    if (this.sendShutdown || peer.closed || peer.receiveShutdown) return EPIPE;
    const wanted = message.data.remaining;
    const limit = this.options.sendBuffer;
    if (!this.isStream) return this.sendPacket(task, message, peer, wanted, limit);
    const urgent = (message.flags & MSG_OOB) !== 0;
    if (wanted === 0) return urgent ? EOPNOTSUPP : 0;
    const room = limit - peer.incoming.charge;
    if (room <= 0) return EAGAIN;
    const n = urgent && wanted === 1 ? 0 : peer.incoming.append(task, message, Math.min(room, urgent ? wanted - 1 : wanted), false);
    if (n > 0) peer.queue.notify(READABLE);
    return urgent && n >= 0 && n === wanted - 1 ? this.sendUrgent(task, message, peer, n) : n;
  }
  /** The last byte of the message; `before`: how many came before it. */
  private sendUrgent(task: Task, message: OutgoingMessage, peer: UnixStream, before: number): number {
    const n = peer.incoming.appendUrgent(task, message);
    if (n < 0) return before > 0 ? before : n;
    if (peer.file !== null) tellUrgent(peer.file);
    peer.queue.notify(READABLE | POLLPRI);
    return before + n;
  }
  override get supportsOutOfBand(): boolean {
    return this.isStream;
  }
  override get atMark(): boolean {
    return this.incoming.atMark;
  }
  private sendPacket(task: Task, message: OutgoingMessage, peer: UnixStream, wanted: number, limit: number): number {
    if (wanted > limit - 32) return EMSGSIZE;
    if (!peer.incoming.empty && peer.incoming.charge + wanted > limit) return EAGAIN;
    const n = peer.incoming.append(task, message, wanted, true);
    if (n >= 0) peer.queue.notify(READABLE);
    return n;
  }

  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const { peer } = this;
    if (peer === null) return this.isStream ? EINVAL : ENOTCONN;
    if (this.incoming.empty && (message.flags & MSG_OOB) === 0) {
      if (this.error !== 0) return this.takeError();
      return this.receiveShutdown || peer.closed ? 0 : EAGAIN;
    }
    const n = this.isStream ? this.receiveBytes(dst, message) : this.incoming.receivePacket(dst, message);
    if (n >= 0) {
      if (peer.address !== '') message.name = encodeUnixAddress(peer.address);
      if (this.writableBy(peer)) peer.queue.notify(WRITABLE);
    }
    return n;
  }
  private receiveBytes(dst: Sink, message: IncomingMessage): number {
    const inline = this.options.get(SO_OOBINLINE) !== 0;
    if ((message.flags & MSG_OOB) !== 0) return inline ? EINVAL : this.incoming.receiveUrgent(dst, message);
    const n = this.incoming.receive(dst, message, this.options.passCredentials, inline);
    // What was left may have been an urgent byte that is passed over.
    return n === EAGAIN && (this.receiveShutdown || this.peer?.closed) ? 0 : n;
  }
  /** Enough has been read that the peer should send on. */
  private writableBy(peer: UnixStream): boolean {
    return this.incoming.charge * 2 <= peer.options.sendBuffer;
  }

  override shutdown(_task: Task, how: number): number {
    const { peer } = this;
    if (how === SHUT_RD || how === SHUT_RDWR) this.receiveShutdown = true;
    if (how === SHUT_WR || how === SHUT_RDWR) this.sendShutdown = true;
    if (peer !== null && !peer.closed) {
      if (how !== SHUT_WR) peer.sendShutdown = true;
      if (how !== SHUT_RD) peer.receiveShutdown = true;
      peer.announceShutdown();
    }
    this.announceShutdown();
    return 0;
  }
  private announceShutdown(): void {
    let events = READABLE | WRITABLE | POLLRDHUP;
    if (this.receiveShutdown && this.sendShutdown) events |= POLLHUP;
    this.queue.notify(events);
  }

  override poll(_file: FileDescription): number {
    const { peer } = this;
    let events = 0;
    if (this.error !== 0) events |= POLLERR;
    if (this.receiveShutdown && this.sendShutdown) events |= POLLHUP;
    if (this.receiveShutdown) events |= POLLRDHUP | READABLE;
    if (this.pending !== null) return this.pending.length > 0 ? events | READABLE : events;
    if (peer === null) return events | POLLHUP | WRITABLE;
    if (!this.incoming.empty) events |= READABLE;
    if (this.incoming.hasUrgent) events |= POLLPRI;
    if (peer.closed || peer.writableBy(this)) events |= WRITABLE;
    return events;
  }

  override peerName(): Uint8Array | Errno {
    return this.peer === null ? ENOTCONN : encodeUnixAddress(this.peer.address);
  }
  override inputQueued(): number {
    return this.incoming.length;
  }
  override outputQueued(): number {
    return this.peer?.incoming.length ?? 0;
  }

  override close(): void {
    super.close();
    this.hostListener?.close();
    this.hostListener = null;
    const unread = !this.incoming.empty;
    this.incoming.clear();
    this.peer?.peerClosed(unread);
    const { pending } = this;
    this.pending = null;
    for (const connection of pending ?? []) {
      connection.close();
      connection.peer?.reset();
    }
    this.queue.notify(POLLHUP | POLLERR);
  }
  /** The other end is gone; with our bytes unread that is an error. */
  private peerClosed(unread: boolean): void {
    if (this.closed) return;
    this.receiveShutdown = this.sendShutdown = true;
    if (unread) this.error = ECONNRESET;
    this.announceShutdown();
  }
  private reset(): void {
    this.error = ECONNRESET;
    this.queue.notify(POLLERR);
  }

  eachFileInFlight(visit: (file: FileDescription) => void): void {
    this.incoming.eachFile(visit);
    for (const connection of this.pending ?? []) connection.incoming.eachFile(visit);
  }
  takeFilesInFlight(): FileDescription[] {
    return [...this.incoming.takeFiles(), ...(this.pending ?? []).flatMap((connection) => connection.incoming.takeFiles())];
  }
}

/** socketpair(2): two ends of one connection. */
export function connectPair(task: Task, type: typeof SOCK_STREAM | typeof SOCK_SEQPACKET): [UnixStream, UnixStream] {
  const make = (): UnixStream => new UnixStream(task.kernel, task.namespaces.net, type);
  const [a, b] = [make(), make()];
  a.join(b, peerCredentials(task));
  b.join(a, peerCredentials(task));
  return [a, b];
}
