/** TCP sockets: fresh, then listening or with one connection. */
import {
  EADDRINUSE,
  EAGAIN,
  EALREADY,
  ECONNABORTED,
  EINPROGRESS,
  EINTR,
  EINVAL,
  EISCONN,
  ENOPROTOOPT,
  ENOTCONN,
  EPIPE,
  ERESTARTSYS,
  type Errno,
  isErrno,
} from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLPRI, POLLRDNORM, POLLWRNORM } from '../../../abi/poll.ts';
import {
  AF_UNSPEC,
  MSG_ERRQUEUE,
  MSG_FASTOPEN,
  MSG_MORE,
  MSG_OOB,
  MSG_PEEK,
  MSG_TRUNC,
  MSG_ZEROCOPY,
  SHUT_RD,
  SHUT_WR,
  SO_DEBUG,
  SO_DONTROUTE,
  SO_KEEPALIVE,
  SO_MARK,
  SO_OOBINLINE,
  SO_PRIORITY,
  SO_RCVLOWAT,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SO_ZEROCOPY,
  SOCK_STREAM,
  SOL_SOCKET,
} from '../../../abi/socket.ts';
import { ErrorQueue } from '../../../netstack/error_queue.ts';
import { ORIGIN_ZEROCOPY } from '../../../netstack/icmp_error.ts';
import type { Binding } from '../../../netstack/ports.ts';
import { CLOSED, type Connection, ESTABLISHED, LISTEN, SYN_SENT, TcpOptions } from '../../../netstack/tcp/connection.ts';
import type { Listener } from '../../../netstack/tcp/listener.ts';
import { transmit } from '../../../netstack/tcp/output.ts';
import { atMark, readUrgent } from '../../../netstack/tcp/urgent.ts';
import type { Task } from '../../kernel/task.ts';
import { type Blocking, type SyscallResult, waitFor } from '../../kernel/wait.ts';
import { tellUrgent } from '../../vfs/async_notice.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { Sink } from '../../vfs/io.ts';
import type { IncomingMessage, OutgoingMessage } from '../socket.ts';
import { deadlineOf } from '../socket_io.ts';
import { DEFAULT_BUFFER } from '../socket_options.ts';
import { decodeInetAddress, familyOf } from './inet_address.ts';
import { InetSocket, intBytes } from './inet_socket.ts';
import type { Network } from './networks.ts';
import { errorControl } from './received_controls.ts';
import { getTcpOption, setTcpOption } from './tcp_options.ts';

/** What an accepted socket has from the one that listened. */
const INHERITED = [SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_KEEPALIVE, SO_OOBINLINE, SO_PRIORITY, SO_REUSEPORT, SO_RCVLOWAT, SO_MARK];
/** SO_EE_CODE_ZEROCOPY_COPIED. */
const CODE_COPIED = 1;
const NOTHING = new Uint8Array(0);
const DISCARD = { put: (_bytes: Uint8Array, start: number, end: number) => end - start };

export class InetStream extends InetSocket {
  tcp = new TcpOptions();
  /** Options of TCP that are kept and told, and nothing more. */
  readonly keptOptions = new Map<number, number>();
  connection: Connection | null = null;
  listener: Listener | null = null;
  /** Ours until a connection or a listener has it. */
  private binding: Binding | null = null;
  /** connect(2) has told, or accept(2) has made it: the next connect(2) gives EISCONN. */
  private connected = false;
  private readonly wake = (events: number): void => this.queue.notify(events);
  private readonly urgent = (): void => {
    if (this.file !== null) tellUrgent(this.file);
    this.queue.notify(POLLPRI);
  };
  private readonly completions = new ErrorQueue();
  private completed = 0;
  /** What close(2) waits for (SO_LINGER). */
  private lingering: Connection | null = null;

  constructor(task: Task, network: Network, family: number) {
    super(task, network, family, SOCK_STREAM, I.IPPROTO_TCP);
    const { keepAlive } = network.stack.settings;
    this.tcp.keepIdle = keepAlive.idle * 1e9;
    this.tcp.keepInterval = keepAlive.interval * 1e9;
    this.tcp.keepCount = keepAlive.count;
  }
  override get isStream(): boolean {
    return true;
  }
  override get listening(): boolean {
    return this.listener !== null;
  }
  override get supportsOutOfBand(): boolean {
    return true;
  }
  override get atMark(): boolean {
    return this.connection !== null && atMark(this.connection);
  }
  override get endOfInput(): boolean {
    return this.listener === null && this.connection?.receiveShut === true;
  }
  get stateCode(): number {
    return this.listener !== null ? LISTEN : (this.connection?.state ?? 7);
  }
  protected override get isBound(): boolean {
    return this.binding !== null || this.connection !== null || this.listener !== null;
  }

  override bind(task: Task, raw: Uint8Array): number {
    const to = decodeInetAddress(raw, this.family);
    if (isErrno(to)) return to;
    if (this.isBound) return EINVAL;
    const denied = this.checkBind(task, to);
    return denied !== 0 ? denied : this.take(to.address, to.port);
  }
  private take(address: string, port: number): 0 | Errno {
    const wanted = { address, port, onlyV6: this.onlyV6, listening: false, shared: false, ...this.reuse };
    const binding = this.stack.tcp.ports.bind(wanted);
    if (isErrno(binding)) return binding;
    this.binding = binding;
    return 0;
  }
  override listen(_task: Task, backlog: number): number {
    if (this.connection !== null) return EINVAL;
    if (this.listener !== null) {
      this.listener.backlog = backlog;
      return 0;
    }
    const r = this.binding === null ? this.take(this.wildcard, 0) : 0;
    if (r !== 0) return r;
    const binding = this.binding as Binding;
    Object.assign(binding, this.reuse);
    this.tcp.keepAlive = this.options.get(SO_KEEPALIVE) !== 0;
    this.tcp.mark = this.options.get(SO_MARK);
    const listener = this.stack.tcp.listen(binding, this.version, this.tcp, this.device, backlog, this.wake);
    if (isErrno(listener)) return EADDRINUSE;
    this.listener = listener;
    this.binding = null;
    return 0;
  }
  override accept(task: Task): InetStream | Errno {
    if (this.listener === null) return EINVAL;
    const connection = this.listener.accept();
    if (isErrno(connection)) return connection;
    const socket = new InetStream(task, this.network, this.family);
    socket.tcp = connection.options;
    socket.options.sendBuffer = this.options.sendBuffer;
    socket.options.receiveBuffer = this.options.receiveBuffer;
    for (const option of INHERITED) {
      const value = this.options.get(option);
      if (value !== socket.options.get(option)) socket.options.set(option, value);
    }
    socket.inherit(this);
    socket.options.linger = this.options.linger;
    socket.connected = true;
    socket.connection = connection;
    connection.lowWater = socket.options.get(SO_RCVLOWAT);
    connection.notify = socket.wake;
    connection.onUrgent = socket.urgent;
    return socket;
  }

  override connect(task: Task, raw: Uint8Array, file: FileDescription): SyscallResult {
    if (familyOf(raw) === AF_UNSPEC) return this.disconnect();
    const decoded = decodeInetAddress(raw, this.family);
    if (isErrno(decoded)) return decoded;
    if (this.listener !== null) return EISCONN;
    const { connection } = this;
    if (connection !== null && connection.established) {
      if (this.connected) return EISCONN;
      this.connected = true;
      return 0;
    }
    if (connection?.state === SYN_SENT) return file.nonblocking ? EALREADY : this.connectBlocking(task, file, connection);
    if (connection !== null) {
      const failed = this.connected ? 0 : connection.takeError() || ECONNABORTED;
      this.connection = null;
      if (failed !== 0) return failed;
    }
    const to = this.checkDestination(decoded);
    if (isErrno(to)) return to;
    const r = this.begin(to.address, to.port);
    if (r !== 0) return r;
    const begun = this.connection as unknown as Connection;
    this.stack.deliver();
    if (file.nonblocking) return EINPROGRESS;
    return begun.state === SYN_SENT ? this.connectBlocking(task, file, begun) : this.outcome(begun);
  }
  private begin(address: string, port: number): 0 | Errno {
    this.tcp.keepAlive = this.options.get(SO_KEEPALIVE) !== 0;
    this.tcp.mark = this.options.get(SO_MARK);
    const made = this.stack.tcp.connect({ address, port }, this.binding, this.tcp, this.device, this.uid);
    if (isErrno(made)) return made;
    this.binding = null;
    this.connected = false;
    this.connection = made;
    made.notify = this.wake;
    made.onUrgent = this.urgent;
    made.lowWater = this.options.get(SO_RCVLOWAT);
    return 0;
  }
  private outcome(c: Connection): number {
    if (c.established) {
      this.connected = true;
      return 0;
    }
    const error = c.takeError() || ECONNABORTED;
    if (this.connection === c) this.connection = null;
    return error;
  }
  private *connectBlocking(task: Task, file: FileDescription, c: Connection): Blocking {
    const limit = this.options.sendTimeout;
    const wait = waitFor(this.queue, POLLOUT, deadlineOf(task, limit));
    file.hold();
    try {
      for (;;) {
        const wake = yield wait;
        if (c.state !== SYN_SENT && (c.established || c.state === 7)) return this.outcome(c);
        if (wake === 'timeout') return EINPROGRESS;
        if (wake === 'signal') return Number.isFinite(limit) ? EINTR : ERESTARTSYS;
      }
    } finally {
      file.release();
    }
  }
  private disconnect(): number {
    this.connection?.abort(0);
    this.connection = null;
    this.connected = false;
    this.stack.deliver();
    return 0;
  }

  override send(_task: Task, message: OutgoingMessage): number {
    if ((message.flags & MSG_FASTOPEN) !== 0 && this.connection === null) return this.openAndSend(message);
    const c = this.connection;
    if (c === null) return EPIPE;
    const { data } = message;
    if ((message.flags & MSG_FASTOPEN) !== 0 && c.established && this.connected) return EISCONN;
    const urgent = (message.flags & MSG_OOB) !== 0;
    if (data.remaining === 0) return 0;
    const { cork } = this.tcp;
    if ((message.flags & MSG_MORE) !== 0) this.tcp.cork = true;
    // Over the loopback what was sent may be acknowledged at once: whoever waits must have seen that there is no room.
    let total = 0;
    let n = 0;
    while (data.remaining > 0 && (total === 0 || c.error === 0)) {
      n = c.write(data, data.remaining, urgent);
      if (n <= 0) break;
      total += n;
      this.stack.deliver();
    }
    this.tcp.cork = cork;
    if (total > 0 && (message.flags & MSG_ZEROCOPY) !== 0 && this.options.get(SO_ZEROCOPY) !== 0) this.complete();
    return total > 0 ? total : n;
  }
  /** MSG_ZEROCOPY: the bytes were copied, the caller may use its memory again at once; it is told so. */
  private complete(): void {
    const number = this.completed++;
    const { last } = this.completions;
    const done = { errno: 0 as const, origin: ORIGIN_ZEROCOPY, type: 0, code: CODE_COPIED, data: number };
    const rest = { from: null, told: null, destination: null, port: 0, payload: NOTHING };
    if (last !== null && last.data === number - 1) this.completions.replaceLast({ ...done, ...rest, info: last.info });
    else this.completions.push({ ...done, ...rest, info: number });
    this.queue.notify(POLLERR);
  }
  private receiveCompletion(message: IncomingMessage): number {
    const completion = this.completions.next();
    if (completion === null) return EAGAIN;
    message.resultFlags |= MSG_ERRQUEUE;
    message.control = { others: [errorControl(this, completion)] };
    return 0;
  }
  override receive(_task: Task, dst: Sink, message: IncomingMessage): number {
    const c = this.connection;
    if (c === null) return (message.flags & MSG_ERRQUEUE) !== 0 ? EAGAIN : ENOTCONN;
    if ((message.flags & MSG_OOB) !== 0) return this.receiveUrgent(c, dst, message);
    if ((message.flags & MSG_ERRQUEUE) !== 0) return this.receiveCompletion(message);
    const target = (message.flags & MSG_TRUNC) !== 0 ? DISCARD : dst;
    const n = c.read(target, dst.remaining, (message.flags & MSG_PEEK) !== 0);
    if (n > 0) this.stack.deliver();
    return n;
  }
  /** MSG_FASTOPEN (RFC 7413): no cookie is kept, so that it is connect(2) and then send(2), as Linux does without one. */
  private openAndSend(message: OutgoingMessage): number {
    if (message.name === null) return ENOTCONN;
    const decoded = decodeInetAddress(message.name, this.family);
    if (isErrno(decoded)) return decoded;
    if (this.listener !== null) return EISCONN;
    const to = this.checkDestination(decoded);
    if (isErrno(to)) return to;
    const r = this.begin(to.address, to.port);
    this.stack.deliver();
    const begun = this.connection as Connection | null;
    if (r !== 0 || begun === null) return r;
    if (begun.state === SYN_SENT) return this.file?.nonblocking === true ? EINPROGRESS : EAGAIN;
    const failed = this.outcome(begun);
    return failed !== 0 ? failed : this.send(null as never, { ...message, flags: message.flags & ~MSG_FASTOPEN });
  }
  private receiveUrgent(c: Connection, dst: Sink, message: IncomingMessage): number {
    const byte = readUrgent(c, (message.flags & MSG_PEEK) !== 0);
    if (byte < 0) return byte === EAGAIN && c.endOfInput ? 0 : byte;
    message.resultFlags |= MSG_OOB;
    if (dst.remaining === 0) {
      message.resultFlags |= MSG_TRUNC;
      return 0;
    }
    return dst.put(Uint8Array.of(byte), 0, 1);
  }
  override shutdown(_task: Task, how: number): number {
    if (this.listener !== null) {
      if (how === SHUT_WR) return 0;
      this.stopListening();
      return 0;
    }
    const c = this.connection;
    if (c === null || (!c.established && c.state !== SYN_SENT)) return ENOTCONN;
    if (how !== SHUT_WR) c.shutdownRead();
    if (how !== SHUT_RD) c.shutdownWrite();
    this.stack.deliver();
    this.queue.notify(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM | (how === 2 ? POLLHUP : 0));
    return 0;
  }
  /** shutdown(2) of a listener: those who wait in accept(2) get EINVAL. */
  private stopListening(): void {
    this.listener?.close();
    this.listener = null;
    this.stack.deliver();
    this.queue.notify(POLLIN | POLLHUP);
  }

  override poll(_file: FileDescription): number {
    if (this.listener !== null) return this.listener.waiting > 0 ? POLLIN | POLLRDNORM : 0;
    const told = this.completions.length > 0 ? POLLERR : 0;
    return told | (this.connection === null ? POLLHUP | POLLOUT | POLLWRNORM : this.connection.poll());
  }
  override name(): Uint8Array {
    const c = this.connection;
    if (c !== null) return this.encode(c.local, c.localPort);
    const binding = this.listener?.binding ?? this.binding;
    return this.encode(binding?.address ?? this.wildcard, binding?.port ?? 0);
  }
  override peerName(): Uint8Array | Errno {
    const c = this.connection;
    if (c === null || (!c.established && !this.connected) || (c.state === 7 && c.error === 0 && c.sendClosed)) return ENOTCONN;
    return this.encode(c.remote, c.remotePort);
  }
  override takeError(): number {
    const c = this.connection;
    return c === null ? 0 : c.takeError();
  }
  override inputQueued(): number {
    return this.connection?.receiving.ring.length ?? 0;
  }
  override outputQueued(): number {
    return this.connection?.sending.length ?? 0;
  }
  override buffersChanged(): void {
    if (this.options.receiveBuffer !== DEFAULT_BUFFER) this.tcp.receiveBuffer = this.options.receiveBuffer;
    if (this.options.sendBuffer !== DEFAULT_BUFFER) this.tcp.sendBuffer = this.options.sendBuffer;
    const c = this.connection;
    if (c === null) return;
    if (this.tcp.receiveBuffer > 0) c.receiveCapacity = this.tcp.receiveBuffer;
    if (this.tcp.sendBuffer > 0) c.sendCapacity = this.tcp.sendBuffer;
  }

  protected override pathMtu(): Uint8Array | Errno {
    const c = this.connection;
    return c === null || c.state !== ESTABLISHED ? ENOTCONN : intBytes(this.stack.mtuTo(c.route, c.remote));
  }
  protected override ipOptionsChanged(): void {
    // What an IPv6 socket was told of IPv4 counts for IPv4, and the other way about.
    const { ttl, tos } = this.sendOptions(this.connection?.remote ?? this.wildcard);
    this.tcp.ttl = ttl;
    this.tcp.tos = tos;
  }
  protected override socketOptionsChanged(): void {
    this.tcp.filter = this.messageFilter;
  }
  protected override getProtocolOption(_task: Task, level: number, option: number): Uint8Array | Errno {
    return getTcpOption(this, level, option);
  }
  protected override setProtocolOption(_task: Task, level: number, option: number, value: Uint8Array): number {
    if (level === SOL_SOCKET) {
      if (option === SO_KEEPALIVE) this.keepAliveChanged();
      else if (option === SO_OOBINLINE) this.tcp.urgentInline = this.options.get(SO_OOBINLINE) !== 0;
      else if (option === SO_RCVLOWAT) {
        const bytes = Math.max(1, this.options.get(SO_RCVLOWAT));
        this.options.set(SO_RCVLOWAT, bytes);
        if (this.connection !== null) this.connection.lowWater = bytes;
      } else return ENOPROTOOPT;
      return 0;
    }
    const r = setTcpOption(this, level, option, value);
    if (this.connection !== null) {
      transmit(this.connection); // what a cork or Nagle's algorithm held back
      this.stack.deliver();
    }
    return r;
  }
  private keepAliveChanged(): void {
    this.tcp.keepAlive = this.options.get(SO_KEEPALIVE) !== 0;
    const c = this.connection;
    if (c === null || !c.established) return;
    if (this.tcp.keepAlive) c.timers.startKeepAlive();
    else c.timers.stopKeepAlive();
  }

  /** SO_LINGER of zero resets; a longer one is waited for by close(2) itself. */
  close(): void {
    this.listener?.close();
    const c = this.connection;
    c?.close(this.options.linger === 0);
    if (c !== null && this.options.linger > 0 && unsettled(c)) {
      c.notify = this.wake;
      this.lingering = c;
    }
    if (this.binding !== null) this.stack.tcp.ports.release(this.binding);
    this.binding = null;
    this.listener = null;
  }
  override afterClose(file: FileDescription): SyscallResult {
    const c = this.lingering;
    if (c === null || file.nonblocking) return 0;
    return this.linger(c, this.kernel.now() + this.options.linger * 1e9);
  }
  private *linger(c: Connection, deadline: number): Blocking {
    const wait = waitFor(this.queue, POLLOUT | POLLHUP, deadline);
    while (unsettled(c)) if ((yield wait) !== 'ready') break;
    return 0;
  }
}

/** Something of ours, the FIN included, is not acknowledged. */
function unsettled(c: Connection): boolean {
  return c.state !== CLOSED && (c.sending.length > 0 || c.inFlight > 0);
}
