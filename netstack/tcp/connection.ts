/**
 * One TCP connection (RFC 9293): its variables and what its owner may ask. Segments come in through input.ts, go out through output.ts,
 * time passes in timers.ts.
 *
 * Interface: `notify` is called with POLL* bits when readiness may have changed. Calls only queue segments; the owner calls
 * stack.deliver() afterwards.
 */
import { EAGAIN, ENOTCONN, EPIPE, type Errno } from '../../abi/errno.ts';
import { POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDHUP, POLLRDNORM, POLLWRNORM } from '../../abi/poll.ts';
import { type ByteGiver, ByteRing, type ByteTaker } from '../../lib/byte_ring.ts';
import type { IpAddress } from '../address.ts';
import { type IncomingPacket, IP4_HEADER, IP6_HEADER } from '../packet.ts';
import type { Binding } from '../ports.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { Congestion } from './congestion.ts';
import type { Listener } from './listener.ts';
import { sendAck, sendReset, sendSyn, transmit } from './output.ts';
import { Rack } from './rack.ts';
import { ReceiveQueue } from './receive_queue.ts';
import { RoundTrip } from './round_trip.ts';
import { TCP_HEADER, TIMESTAMP_SPACE } from './segment.ts';
import { SentLog } from './sent_log.ts';
import { add, distance } from './sequence.ts';
import { ConnectionTimers } from './timers.ts';
import { upToMark, urgentPoll } from './urgent.ts';

// The numbers of TCP_INFO and /proc/net/tcp.
export const ESTABLISHED = 1;
export const SYN_SENT = 2;
export const SYN_RECEIVED = 3;
export const FIN_WAIT_1 = 4;
export const FIN_WAIT_2 = 5;
export const TIME_WAIT = 6;
export const CLOSED = 7;
export const CLOSE_WAIT = 8;
export const LAST_ACK = 9;
export const LISTEN = 10;
export const CLOSING = 11;

const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;
/** net.ipv4.tcp_rmem and tcp_wmem: what buffers begin with and grow to. */
const FIRST_BUFFER = 262_144;
const LARGEST_BUFFER = 4 << 20;
/** Lets windows of up to 16 MiB be told. */
export const WINDOW_SCALE = 8;

export type Recovery = 'open' | 'fast' | 'loss';

/** What setsockopt(2) changes; an accepted connection begins with its listener's. */
export class TcpOptions {
  noDelay = false;
  cork = false;
  quickAck = false;
  keepAlive = false;
  /** ns. */
  keepIdle = 7200e9;
  keepInterval = 75e9;
  keepCount = 9;
  /** ns; 0: by the number of retries. */
  userTimeout = 0;
  /** 0: what the path allows. */
  maxSegment = 0;
  synRetries = 6;
  /** ns; how long FIN_WAIT_2 lasts without an owner. */
  finWait = 60e9;
  ttl = 64;
  /** SO_MARK. */
  mark = 0;
  /** SO_ATTACH_FILTER: false for segments that are as good as lost; null: none. */
  filter: ((packet: IncomingPacket) => boolean) | null = null;
  tos = 0;
  congestion: 'cubic' | 'reno' = 'cubic';
  /** 0: grows by itself. */
  sendBuffer = 0;
  receiveBuffer = 0;
  /** Tries that a connection without data is kept from accept(2); 0: none. */
  deferAccept = 0;
  /** SO_OOBINLINE. */
  urgentInline = false;
  /** Writable only while fewer bytes than this wait to be sent for the first time. */
  unsentLimit = Number.POSITIVE_INFINITY;
  /** Window that is told at most; 0: no limit. */
  windowClamp = 0;
}

const NOBODY = (): void => {};

/** Largest payload without options that our side of the path takes. */
export function mssOf(stack: Stack, route: Route, remote: IpAddress, options: TcpOptions): number {
  const headers = (remote.length === 4 ? IP4_HEADER : IP6_HEADER) + TCP_HEADER;
  const mss = Math.min(stack.mtuTo(route, remote) - headers, 65_495);
  return options.maxSegment > 0 ? Math.min(mss, options.maxSegment) : mss;
}

export class Connection {
  readonly stack: Stack;
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly options: TcpOptions;
  readonly binding: Binding;
  route: Route;
  state = CLOSED;
  /** Of a connection that was asked for: where it goes when it is made. */
  listener: Listener | null = null;
  notify: (events: number) => void = NOBODY;
  /** The other side has marked a byte as urgent: SIGURG. */
  onUrgent: () => void = NOBODY;
  /** SO_RCVLOWAT: bytes that make it readable. */
  lowWater = 1;
  /** Nobody holds it any more: it ends by itself. */
  orphan = false;
  error: Errno | 0 = 0;
  lastSoftError: Errno | 0 = 0;

  // Send side. `sending` begins at sequence number `sendBase`.
  readonly sending: ByteRing;
  sendBase = 0;
  iss = 0;
  sndUna = 0;
  sndNxt = 0;
  sndWnd = 0;
  sndWl1 = 0;
  sndWl2 = 0;
  largestWindow = 0;
  sendScale = 0;
  finQueued = false;
  finSent = false;
  mss: number;
  sendCapacity = FIRST_BUFFER;
  /** End of the last segment that was not full: Nagle's algorithm waits for it (Minshall's form). */
  smallEnd = 0;
  corkSince = 0;
  congestion: Congestion;
  roundTrip = new RoundTrip();
  sent = new SentLog();
  rack = new Rack();
  recovery: Recovery = 'open';
  recoverPoint = 0;
  /** The window has answered to a loss or a mark; what was sent before this number does not count again. */
  slowedUntil = 0;
  duplicateAcks = 0;
  windowLimited = false;
  /** When our SYN left (ns); 0: it was sent again. */
  timedAt = 0;
  /** Round trip that the acknowledgement in hand has measured, ns; 0: none. */
  ackRtt = 0;
  retries = 0;
  /** ns; when the oldest unacknowledged thing was first sent. */
  stuckSince = 0;
  lastSent = 0;
  lastAck = 0;
  // For TCP_INFO.
  retransmitted = 0;
  bytesRetransmitted = 0;
  bytesSent = 0;
  segmentsOut = 0;
  segmentsIn = 0;
  dataSegmentsOut = 0;
  dataSegmentsIn = 0;
  duplicatesReported = 0;
  outOfOrder = 0;
  delivered = 0;
  deliveredMarked = 0;

  // Receive side.
  readonly receiving: ReceiveQueue;
  irs = 0;
  rcvNxt = 0;
  /** Right edge of the window that was told. */
  rcvEdge = 0;
  receiveScale = 0;
  receiveCapacity = FIRST_BUFFER;
  receiveShut = false;
  finReceived = false;
  /** Where a FIN that came early lies; null: none. */
  earlyFin: number | null = null;
  unackedBytes = 0;
  quickAcks = 8;
  peerMss = 536;
  lastReceived = 0;
  /** Bytes the owner has read since `readSince` (ns): the buffer grows with it. */
  private readBytes = 0;
  private readSince = 0;
  bytesReceived = 0;
  bytesAcked = 0;

  // Urgent data (urgent.ts). The numbers of the bytes that the two sides have marked; null: none.
  urgentSent: number | null = null;
  urgent: number | null = null;
  /** Where it is: not here yet, here, read. */
  urgentState: 'expected' | 'here' | 'read' = 'read';
  urgentByte = 0;

  // Options in use.
  timestamps = false;
  sack = false;
  /** RFC 3168. A mark was seen and is told until the other side answers; ours was answered and that is told once. */
  ecn = false;
  markSeen = false;
  askedEcn = false;
  tellSlowed = false;
  timestampBase: number;
  recentTimestamp = 0;
  recentAt = 0;
  /** Of a connection in the making: the other side has answered, but sent no data yet (TCP_DEFER_ACCEPT). */
  heldBack = false;
  challenges = 0;
  challengeSecond = 0;
  /** tcp.ts counts it among those in TIME_WAIT. */
  countedTimeWait = false;
  readonly timers: ConnectionTimers;

  constructor(stack: Stack, binding: Binding, local: IpAddress, remote: IpAddress, remotePort: number, route: Route, options: TcpOptions) {
    this.stack = stack;
    this.sending = new ByteRing(stack.buffers);
    this.receiving = new ReceiveQueue(stack.buffers);
    this.binding = binding;
    this.local = local;
    this.localPort = binding.port;
    this.remote = remote;
    this.remotePort = remotePort;
    this.route = route;
    this.options = options;
    this.mss = this.localMss;
    this.congestion = new Congestion(this.mss);
    this.congestion.name = options.congestion;
    this.timestampBase = stack.environment.random(0x1_0000_0000);
    this.timers = new ConnectionTimers(this);
    this.lastReceived = stack.environment.now();
    if (options.sendBuffer > 0) this.sendCapacity = options.sendBuffer;
    if (options.receiveBuffer > 0) this.receiveCapacity = options.receiveBuffer;
  }

  get now(): number {
    return this.stack.environment.now();
  }
  /** The clock of our timestamps: ms. */
  get clock(): number {
    return this.clockAt(this.now);
  }
  clockAt(time: number): number {
    return (Math.floor(time / 1e6) + this.timestampBase) >>> 0;
  }
  /** Largest payload without options that our side of the path takes. */
  get localMss(): number {
    return mssOf(this.stack, this.route, this.remote, this.options);
  }
  /** The peer's and our limits, less the options that every segment has. */
  updateMss(): void {
    this.mss = Math.max(Math.min(this.localMss, this.peerMss) - (this.timestamps ? TIMESTAMP_SPACE : 0), 48);
    this.congestion.setMss(this.mss);
  }
  get inFlight(): number {
    return distance(this.sndNxt, this.sndUna);
  }
  /** Sequence number behind the last byte that the owner has written. */
  get dataEnd(): number {
    return add(this.sendBase, this.sending.length);
  }
  get established(): boolean {
    return this.state !== SYN_SENT && this.state !== SYN_RECEIVED && this.state !== CLOSED;
  }
  get sendClosed(): boolean {
    return this.finQueued;
  }
  get endOfInput(): boolean {
    return this.finReceived || this.receiveShut || this.state === CLOSED;
  }

  // What the owner asks.

  open(iss: number): void {
    this.state = SYN_SENT;
    this.startSequence(iss);
    sendSyn(this);
  }
  startSequence(iss: number): void {
    this.iss = this.sndUna = this.sndNxt = this.slowedUntil = this.smallEnd = iss;
    this.rack.start(iss);
    this.sendBase = add(iss, 1);
  }

  /** Bytes taken, EAGAIN if there is no room, or why nothing can be sent. `urgent`: the last of them is (MSG_OOB). */
  write(source: ByteGiver, length: number, urgent = false): number {
    if (this.error !== 0) return this.takeError();
    if (this.finQueued || this.state === CLOSED) return EPIPE;
    if (this.state === SYN_SENT || this.state === SYN_RECEIVED) return EAGAIN;
    const room = this.sendCapacity - this.sending.length;
    if (room <= 0) return EAGAIN;
    const n = this.sending.fill(source, Math.min(length, room));
    if (n <= 0) return n;
    this.quickAcks = 0;
    if (urgent && n === length) this.urgentSent = add(this.dataEnd, -1);
    transmit(this);
    return n;
  }
  /** Bytes given, 0 at the end, EAGAIN. */
  read(target: ByteTaker, length: number, peek: boolean, offset = 0): number {
    const { ring } = this.receiving;
    if (ring.length <= offset) {
      if (this.error !== 0) return this.takeError();
      if (this.endOfInput) return 0;
      return this.state === SYN_SENT || this.state === SYN_RECEIVED ? (this.listener === null ? EAGAIN : ENOTCONN) : EAGAIN;
    }
    const limit = this.urgent === null ? length : upToMark(this, length, true);
    if (ring.length === 0) return this.endOfInput ? 0 : EAGAIN;
    if (peek) return ring.peek(target, limit, offset);
    const n = ring.drain(target, limit);
    if (n > 0) this.hasRead(n);
    return n;
  }
  private hasRead(n: number): void {
    this.grow(n);
    if (this.receiving.ring.length === 0) this.receiving.ring.clear();
    if (!this.established || this.finReceived) return;
    const edge = add(this.rcvNxt, this.window);
    const opened = distance(edge, this.rcvEdge);
    const told = distance(this.rcvEdge, this.rcvNxt);
    if (opened >= Math.min(this.receiveCapacity >> 1, 2 * this.mss) && (opened >= told || told < 2 * this.mss)) sendAck(this);
  }
  /** A reader that empties half of the buffer in one round trip gets a larger one. */
  private grow(n: number): void {
    if (this.options.receiveBuffer > 0 || this.receiveCapacity >= LARGEST_BUFFER) return;
    const { now } = this;
    if (now - this.readSince > Math.max(this.roundTrip.smoothed, 1e6)) {
      this.readSince = now;
      this.readBytes = 0;
    }
    this.readBytes += n;
    if (this.readBytes < this.receiveCapacity >> 1) return;
    this.receiveCapacity = Math.min(this.receiveCapacity * 2, LARGEST_BUFFER);
    this.readBytes = 0;
  }
  /** The window grew: more may lie in the send buffer. */
  growSending(): void {
    if (this.options.sendBuffer > 0) return;
    const wanted = Math.min(2 * this.congestion.window, LARGEST_BUFFER);
    if (wanted > this.sendCapacity) this.sendCapacity = wanted;
  }
  /** Room to tell; never less than was told before. */
  get window(): number {
    const free = Math.max(0, this.receiveCapacity - this.receiving.ring.length);
    const clamp = this.options.windowClamp;
    const limit = Math.min(0xffff * 2 ** this.receiveScale, clamp > 0 ? clamp : Number.POSITIVE_INFINITY);
    const told = distance(this.rcvEdge, this.rcvNxt);
    // Silly windows are not worth telling (RFC 9293 §3.8.6.2.2).
    const worth = free - told >= Math.min(this.receiveCapacity >> 1, this.mss) ? free : told;
    return Math.min(Math.max(worth, told, 0), limit);
  }

  shutdownWrite(): void {
    if (this.finQueued) return;
    this.finQueued = true;
    if (this.state === ESTABLISHED) this.state = FIN_WAIT_1;
    else if (this.state === CLOSE_WAIT) this.state = LAST_ACK;
    transmit(this);
  }
  shutdownRead(): void {
    this.receiveShut = true;
  }
  /** The owner lets go. `abort`: SO_LINGER of zero. */
  close(abort: boolean): void {
    this.orphan = true;
    this.notify = this.onUrgent = NOBODY;
    if (this.state === TIME_WAIT) this.rest();
    if (this.state === CLOSED || this.state === TIME_WAIT) return;
    const unread = this.receiving.ring.length > 0;
    if (abort || unread || this.state === SYN_SENT || this.state === SYN_RECEIVED) {
      this.abort(0);
      return;
    }
    this.receiving.clear();
    this.shutdownWrite();
    if (this.state === FIN_WAIT_2) this.timers.startFinWait();
  }
  /** Ends it now, with a reset to the other side where it has a connection. */
  abort(error: Errno | 0): void {
    if (this.state !== CLOSED && this.state !== SYN_SENT && this.state !== TIME_WAIT) sendReset(this);
    this.fail(error);
  }
  /** Ends it without another word. */
  fail(error: Errno | 0): void {
    if (this.state === CLOSED) return;
    this.state = CLOSED;
    this.error = error;
    this.finish();
    this.notify(READABLE | WRITABLE | POLLHUP | POLLRDHUP | (error === 0 ? 0 : POLLERR));
  }
  /** Out of the tables; what was received can still be read. */
  finish(): void {
    this.timers.stop();
    this.sending.clear();
    this.sent.clear();
    if (this.orphan) this.receiving.clear();
    this.listener?.forget(this);
    this.stack.tcp.remove(this);
  }
  /** In TIME_WAIT, and nobody will ask for more than its numbers: what only transfers need goes, as there may be thousands like it. */
  rest(): void {
    if (!this.orphan) return;
    this.receiving.clear();
    ({ congestion: this.congestion, roundTrip: this.roundTrip, sent: this.sent, rack: this.rack } = this.stack.tcp.resting);
  }
  takeError(): Errno | 0 {
    const { error } = this;
    this.error = 0;
    return error;
  }

  poll(): number {
    let events = 0;
    if (this.error !== 0) events |= POLLERR;
    if (this.state === CLOSED) return events | READABLE | WRITABLE | POLLHUP | POLLRDHUP;
    if (this.state === SYN_SENT || this.state === SYN_RECEIVED) return events;
    const ended = this.finReceived || this.receiveShut;
    if (ended) events |= READABLE | POLLRDHUP;
    if (this.receiving.ring.length >= this.lowWater) events |= READABLE;
    if (this.urgent !== null) events |= urgentPoll(this);
    if (ended && this.finQueued) events |= POLLHUP;
    if (this.finQueued || this.writable) events |= WRITABLE;
    return events;
  }
  /** A third of the buffer is free, as Linux has it, and not too much is still unsent. */
  get writable(): boolean {
    if ((this.sendCapacity - this.sending.length) * 3 < this.sendCapacity) return false;
    const { unsentLimit } = this.options;
    return unsentLimit === Number.POSITIVE_INFINITY || distance(this.dataEnd, this.sndNxt) < unsentLimit;
  }
}
