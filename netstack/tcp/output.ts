/** Sending: which bytes may go now (RFC 9293 §3.8, RFC 6675), and the segments that carry them. */
import type { IpAddress } from '../address.ts';
import { IPPROTO_TCP, Packet, put16, put32 } from '../packet.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { CLOSED, type Connection, SYN_RECEIVED, SYN_SENT, TIME_WAIT, WINDOW_SCALE } from './connection.ts';
import {
  ACK,
  CWR,
  ECE,
  FIN,
  PSH,
  RST,
  type Segment,
  SYN,
  type SynOptions,
  sackSpace,
  synOptionsLength,
  TCP_HEADER,
  TIMESTAMP_SPACE,
  URG,
  writeSack,
  writeSynOptions,
  writeTimestamps,
} from './segment.ts';
import { add, distance, later, less } from './sequence.ts';

const CHECKSUM_OFFSET = 16;
const CORK_LIMIT = 200e6;
/** Room for options in a segment of an interface that cuts them. */
const HEADER_ROOM = 120;
/** Of the type-of-service byte: this transport understands congestion marks. */
const ECT0 = 2;

/** SYN, or SYN and ACK where the other side has asked. */
export function sendSyn(c: Connection): void {
  const answer = c.state === SYN_RECEIVED;
  const { settings } = c.stack;
  const options: SynOptions = {
    mss: c.localMss,
    windowScale: answer ? (c.receiveScale === 0 ? -1 : WINDOW_SCALE) : settings.windowScaling ? WINDOW_SCALE : -1,
    sackPermitted: answer ? c.sack : settings.selectiveAcks,
    timestamps: answer ? c.timestamps : settings.timestamps,
    timestamp: c.clock,
    echo: c.recentTimestamp,
  };
  const window = Math.min(c.receiveCapacity, 0xffff);
  c.rcvEdge = add(c.rcvNxt, window);
  // The second try does without: somebody on the way may not like it (RFC 3168 §6.1.1.1).
  const ecn = answer ? (c.ecn ? ECE : 0) : settings.ecn === 1 && c.retries === 0 ? ECE | CWR : 0;
  c.askedEcn = !answer && ecn !== 0;
  const length = synOptionsLength(options);
  const packet = begin(c, c.iss, SYN | (answer ? ACK : 0) | ecn, window, TCP_HEADER + length, 0);
  writeSynOptions(packet.bytes, packet.transport + TCP_HEADER, options);
  finish(c, packet, c.options.tos);
  c.sndNxt = later(c.sndNxt, add(c.iss, 1));
  if (c.retries === 0) {
    c.timedAt = c.now;
    c.stuckSince = c.now;
  } else c.timedAt = 0;
  c.timers.startRetransmit();
}

/** Retransmits what counts as lost and sends what is new, as far as the windows allow. `force`: one segment goes whatever they say. */
export function transmit(c: Connection, force = false): void {
  if (c.state === SYN_SENT || c.state === SYN_RECEIVED || c.state === CLOSED || c.state === TIME_WAIT) return;
  if (c.recovery !== 'open' && c.sent.lostBytes > 0) {
    let forced = force;
    while (sendAgain(c, forced)) forced = false;
  }
  while (sendNew(c)) {}
  c.timers.afterTransmit();
}

/** Numbers that are believed to be on the way (RFC 6675 §4, SetPipe). */
function pipe(c: Connection): number {
  const underway = c.inFlight - c.sent.sackedBytes - c.sent.lostBytes;
  return c.sack ? underway : Math.max(0, underway - c.duplicateAcks * c.mss);
}

/** Sends the first lost piece again: false if there is none, or no room. */
function sendAgain(c: Connection, force: boolean): boolean {
  if (!force && pipe(c) >= c.congestion.window) return false;
  const index = c.sent.firstLost();
  if (index < 0) return false;
  repeat(c, index);
  return true;
}
/** Sends the piece at `index`, or its first segment's worth, again. */
export function repeat(c: Connection, index: number): void {
  const piece = c.sent.limit(index, c.mss);
  const data = Math.max(0, Math.min(distance(piece.end, piece.start), distance(c.dataEnd, piece.start)));
  const fin = c.finSent && less(add(piece.start, data), piece.end);
  if (piece.lost) c.sent.recover(piece);
  piece.retransmitted = true;
  piece.at = c.now;
  c.retransmitted++;
  c.bytesRetransmitted += data;
  c.stack.counters.tcp.RetransSegs++;
  sendData(c, piece.start, data, fin, false);
}
/** A probe for losses at the end (RFC 8985 §7.3): something new if there is, else the last piece again. */
export function sendLossProbe(c: Connection): void {
  c.stack.counters.tcpExt.TCPLossProbes++;
  const available = distance(c.dataEnd, c.sndNxt);
  const room = distance(add(c.sndUna, c.sndWnd), c.sndNxt);
  const fresh = Math.min(available, room, c.mss);
  c.rack.probeRepeated = fresh <= 0;
  if (fresh > 0) sendData(c, c.sndNxt, fresh, false, true);
  else {
    const last = c.sent.length - 1;
    if (last < 0) return;
    const piece = c.sent.at(last);
    const over = distance(piece.end, piece.start) - c.mss;
    if (over > 0) c.sent.split(last, add(piece.start, over));
    repeat(c, c.sent.length - 1);
  }
  c.rack.probeOut = true;
  c.rack.probeEnd = c.sndNxt;
}

function sendNew(c: Connection): boolean {
  const available = distance(c.dataEnd, c.sndNxt);
  if (available < 0 || (available === 0 && (!c.finQueued || c.finSent))) return false;
  if (available === 0) {
    sendData(c, c.sndNxt, 0, true, true);
    return true;
  }
  const window = distance(add(c.sndUna, c.sndWnd), c.sndNxt);
  const budget = c.congestion.window - pipe(c);
  if (budget < Math.min(c.mss, available)) c.windowLimited = true;
  if (window <= 0 || budget <= 0) return false;
  const length = segmentLength(c, available, window, budget);
  if (length === 0) return false;
  const last = length === available;
  sendData(c, c.sndNxt, length, last && c.finQueued && !c.finSent, true);
  return true;
}

/** How many bytes the next segment (or train of segments) has; 0: wait. */
function segmentLength(c: Connection, available: number, window: number, budget: number): number {
  const { mss } = c;
  const limit = Math.min(available, window, largest(c));
  if (limit >= mss) {
    const train = limit - (limit % mss);
    if (limit === available && limit < budget && (limit % mss === 0 || !holdSmall(c))) return limit;
    return Math.max(mss, Math.min(train, budget - (budget % mss)));
  }
  // Less than a segment: because of the window (wait while something is underway), or because there is no more.
  if (limit < available) return c.inFlight === 0 || limit >= c.largestWindow >> 1 ? limit : 0;
  return holdSmall(c) ? 0 : limit;
}
/** Nagle's algorithm and TCP_CORK: does a segment that is not full have to wait? */
function holdSmall(c: Connection): boolean {
  if (c.finQueued) return false;
  if (c.options.cork) {
    if (c.corkSince === 0) c.corkSince = c.now;
    if (c.now - c.corkSince < CORK_LIMIT) {
      c.timers.startCork(c.corkSince + CORK_LIMIT);
      return true;
    }
  }
  return !c.options.noDelay && less(c.sndUna, c.smallEnd);
}
function largest(c: Connection): number {
  const { segmentationLimit } = c.route.device;
  if (segmentationLimit === 0) return c.mss;
  const room = segmentationLimit - HEADER_ROOM;
  return Math.max(c.mss, room - (room % c.mss));
}

/** Sends bytes of the buffer from `seq` on, and the FIN behind them if `fin`. */
function sendData(c: Connection, seq: number, length: number, fin: boolean, isNew: boolean): void {
  const { now } = c;
  const end = add(seq, length + (fin ? 1 : 0));
  if (isNew && c.inFlight === 0) {
    c.stuckSince = now;
    if (now - c.lastSent > c.roundTrip.timeout) c.congestion.idle();
  }
  let flags = ACK | (add(seq, length) === c.dataEnd && length > 0 ? PSH : 0) | (fin ? FIN : 0);
  let { tos } = c.options;
  if (c.ecn && isNew && length > 0) {
    // Only what is new may be marked on the way (RFC 3168 §6.1.5).
    tos |= ECT0;
    if (c.tellSlowed) flags |= CWR;
    c.tellSlowed = false;
  }
  emit(c, seq, flags, seq, length, tos);
  acknowledged(c);
  c.lastSent = now;
  c.bytesSent += length;
  c.dataSegmentsOut += length > c.mss ? Math.ceil(length / c.mss) : 1;
  if (!isNew) return;
  if (length % c.mss !== 0) c.smallEnd = end;
  c.corkSince = 0;
  c.sent.append(seq, end, now);
  c.sndNxt = end;
  if (fin) c.finSent = true;
}

export function sendAck(c: Connection): void {
  emit(c, c.sndNxt, ACK, 0, 0, c.options.tos);
  acknowledged(c);
}
/** Asks for a sign of life: the number before the first unacknowledged one makes the other side answer. */
export function sendProbe(c: Connection): void {
  emit(c, add(c.sndUna, -1), ACK, 0, 0, c.options.tos);
}
export function sendReset(c: Connection): void {
  c.stack.counters.tcp.OutRsts++;
  emit(c, c.sndNxt, RST | ACK, 0, 0, c.options.tos);
}
function acknowledged(c: Connection): void {
  c.unackedBytes = 0;
  if (c.quickAcks > 0) c.quickAcks--;
  c.timers.acknowledged();
}
/** The window field; moves the edge that was told. */
function announce(c: Connection): number {
  const { window } = c;
  const field = window >>> c.receiveScale;
  const edge = add(c.rcvNxt, field << c.receiveScale);
  c.rcvEdge = later(c.rcvEdge, edge);
  return field;
}

function emit(c: Connection, seq: number, flags: number, from: number, length: number, tos: number): void {
  const window = (flags & RST) !== 0 ? 0 : announce(c);
  const sack = c.sack && (c.receiving.hasGap || c.receiving.hasDuplicate) ? c.receiving.blocks(c.timestamps ? 3 : 4) : null;
  const stamps = c.timestamps ? TIMESTAMP_SPACE : 0;
  const header = TCP_HEADER + stamps + sackSpace(sack);
  const packet = begin(c, seq, c.ecn && c.markSeen ? flags | ECE : flags, window, header, length);
  const { bytes, transport: at } = packet;
  if (stamps > 0) writeTimestamps(bytes, at + TCP_HEADER, c.clock, c.recentTimestamp);
  if (sack !== null && sack.length > 0) writeSack(bytes, at + TCP_HEADER + stamps, sack);
  if (length > 0) c.sending.copy(bytes, at + header, length, distance(from, c.sendBase));
  if (length > c.mss) packet.segmentSize = c.mss;
  if (c.urgentSent !== null) pointAtUrgent(c, bytes, at, seq);
  finish(c, packet, tos);
}
/** As Linux has it, the pointer tells the byte behind the urgent one. */
function pointAtUrgent(c: Connection, bytes: Uint8Array, at: number, seq: number): void {
  const behind = add(c.urgentSent as number, 1);
  if (!less(c.sndUna, behind)) {
    c.urgentSent = null;
    return;
  }
  const offset = distance(behind, seq);
  if (offset <= 0 || offset > 0xffff) return;
  bytes[at + 13] = (bytes[at + 13] as number) | URG;
  put16(bytes, at + 18, offset);
}
function begin(c: Connection, seq: number, flags: number, window: number, header: number, length: number): Packet {
  // Only what goes over the loopback is surely used up when it is delivered.
  const memory = c.route.device.loopback ? c.stack.loopbackMemory : c.stack.buffers;
  const packet = new Packet(c.remote.length === 4 ? 4 : 6, header + length, memory);
  const { bytes, transport: at } = packet;
  put16(bytes, at, c.localPort);
  put16(bytes, at + 2, c.remotePort);
  put32(bytes, at + 4, seq);
  put32(bytes, at + 8, (flags & ACK) !== 0 ? c.rcvNxt : 0);
  bytes[at + 12] = (header >> 2) << 4;
  bytes[at + 13] = flags;
  put16(bytes, at + 14, window);
  packet.checksumOffset = CHECKSUM_OFFSET;
  packet.transportHeader = header;
  return packet;
}
function finish(c: Connection, packet: Packet, tos: number): void {
  c.segmentsOut++;
  c.stack.counters.tcp.OutSegs++;
  // Segments know the path's MTU; one that was made before the path shrank may be cut.
  const dontFragment = packet.length <= c.stack.mtuTo(c.route, c.remote);
  c.stack.send(packet, c.route, c.remote, IPPROTO_TCP, { ttl: c.options.ttl, tos, dontFragment });
}
/** Answers a SYN without remembering it (syn_cookie.ts). */
export function sendCookie(stack: Stack, s: Segment, route: Route, seq: number, options: SynOptions, window: number, ecn: boolean): void {
  const { packet } = s;
  const length = TCP_HEADER + synOptionsLength(options);
  const reply = new Packet(packet.version, length);
  const { bytes, transport: at } = reply;
  put16(bytes, at, s.destinationPort);
  put16(bytes, at + 2, s.sourcePort);
  put32(bytes, at + 4, seq);
  put32(bytes, at + 8, add(s.seq, 1));
  bytes[at + 12] = (length >> 2) << 4;
  bytes[at + 13] = SYN | ACK | (ecn ? ECE : 0);
  put16(bytes, at + 14, window);
  writeSynOptions(bytes, at + TCP_HEADER, options);
  reply.checksumOffset = CHECKSUM_OFFSET;
  stack.counters.tcp.OutSegs++;
  stack.send(reply, route, packet.source, IPPROTO_TCP, { ttl: 64, tos: 0, dontFragment: true });
}
/** The answer to a segment that belongs to nothing (RFC 9293 §3.10.7.1). */
export function refuseSegment(stack: Stack, segment: Segment): void {
  if ((segment.flags & RST) !== 0) return;
  stack.counters.tcp.OutRsts++;
  const { packet } = segment;
  const route: Route | number = stack.route(packet.source, packet.destination);
  if (typeof route === 'number') return;
  const hasAck = (segment.flags & ACK) !== 0;
  const length = segment.end - segment.start + ((segment.flags & SYN) !== 0 ? 1 : 0) + ((segment.flags & FIN) !== 0 ? 1 : 0);
  const reply = new Packet(packet.version, TCP_HEADER);
  const { bytes, transport: at } = reply;
  put16(bytes, at, segment.destinationPort);
  put16(bytes, at + 2, segment.sourcePort);
  put32(bytes, at + 4, hasAck ? segment.ack : 0);
  put32(bytes, at + 8, hasAck ? 0 : add(segment.seq, length));
  bytes[at + 12] = (TCP_HEADER >> 2) << 4;
  bytes[at + 13] = hasAck ? RST : RST | ACK;
  reply.checksumOffset = CHECKSUM_OFFSET;
  const to: IpAddress = packet.source;
  stack.send(reply, route, to, IPPROTO_TCP, { ttl: 64, tos: 0, dontFragment: true });
}
