/** Sending: which bytes may go now (RFC 9293 §3.8, RFC 6675), and the segments that carry them. */
import type { ByteTaker } from '../../lib/byte_ring.ts';
import type { IpAddress } from '../address.ts';
import { IPPROTO_TCP, Packet, put16, put32 } from '../packet.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { CLOSED, type Connection, SYN_RECEIVED, SYN_SENT, TIME_WAIT, WINDOW_SCALE } from './connection.ts';
import { ACK, FIN, optionsLength, PSH, RST, type Segment, type SegmentOptions, SYN, TCP_HEADER, writeOptions } from './segment.ts';
import { add, distance, later, less } from './sequence.ts';

const CHECKSUM_OFFSET = 16;
const CORK_LIMIT = 200e6;
/** Room for options in a segment of an interface that cuts them. */
const HEADER_ROOM = 120;

/** SYN, or SYN and ACK where the other side has asked. */
export function sendSyn(c: Connection): void {
  const answer = c.state === SYN_RECEIVED;
  const options: SegmentOptions = {
    mss: c.localMss,
    windowScale: answer && c.receiveScale === 0 ? -1 : WINDOW_SCALE,
    sackPermitted: !answer || c.sack,
    timestamps: !answer || c.timestamps,
    timestamp: c.clock,
    echo: c.recentTimestamp,
    sack: null,
  };
  const window = Math.min(c.receiveCapacity, 0xffff);
  c.rcvEdge = add(c.rcvNxt, window);
  emit(c, c.iss, SYN | (answer ? ACK : 0), window, options, 0, 0);
  c.sndNxt = later(c.sndNxt, add(c.iss, 1));
  if (c.retries === 0) {
    c.timedAt = c.now;
    c.timedEnd = c.sndNxt;
    c.stuckSince = c.now;
  }
  c.timers.startRetransmit();
}

/** Retransmits what counts as lost and sends what is new, as far as the windows allow. `force`: one segment goes whatever they say. */
export function transmit(c: Connection, force = false): void {
  if (c.state === SYN_SENT || c.state === SYN_RECEIVED || c.state === CLOSED || c.state === TIME_WAIT) return;
  let forced = force;
  if (c.recovery !== 'open') {
    for (;;) {
      const length = nextRetransmission(c, forced);
      if (length === 0) break;
      forced = false;
    }
  }
  while (sendNew(c)) {}
  c.timers.afterTransmit();
}

/** Below it everything that is not held by the other side is to be sent again. */
function lostEdge(c: Connection): number {
  if (c.recovery === 'loss') return c.recoverPoint;
  const edge = c.sack ? c.scoreboard.lostEdge(c.sndUna, c.mss) : c.sndUna;
  const first = add(c.sndUna, Math.min(c.mss, c.inFlight));
  return later(edge, first);
}
/** Bytes that are believed to be on the way (RFC 6675 §4, SetPipe). */
function pipe(c: Connection): number {
  if (c.recovery === 'open') return c.inFlight - c.scoreboard.sackedBytes;
  const edge = lostEdge(c);
  const again = less(c.highRetransmit, edge) ? c.highRetransmit : edge;
  const underway = c.scoreboard.missing(edge, c.sndNxt) + c.scoreboard.missing(c.sndUna, again);
  return c.sack ? underway : Math.max(0, underway - c.duplicateAcks * c.mss);
}

/** Sends one hole's beginning again: how many sequence numbers, 0 if nothing is to go. */
function nextRetransmission(c: Connection, force: boolean): number {
  const hole = c.scoreboard.hole(later(c.highRetransmit, c.sndUna), lostEdge(c));
  if (hole.length === 0 || (!force && pipe(c) >= c.congestion.window)) return 0;
  const data = Math.max(0, Math.min(hole.length, c.mss, distance(c.dataEnd, hole.seq)));
  const fin = c.finSent && add(hole.seq, data) === c.dataEnd;
  if (data === 0 && !fin) return 0;
  sendData(c, hole.seq, data, fin);
  c.retransmitted++;
  c.timedAt = 0; // Karn: what was sent twice is not timed
  c.highRetransmit = add(hole.seq, data + (fin ? 1 : 0));
  return data + (fin ? 1 : 0);
}

function sendNew(c: Connection): boolean {
  const available = distance(c.dataEnd, c.sndNxt);
  if (available < 0 || (available === 0 && (!c.finQueued || c.finSent))) return false;
  if (available === 0) {
    sendData(c, c.sndNxt, 0, true);
    return true;
  }
  const window = distance(add(c.sndUna, c.sndWnd), c.sndNxt);
  const budget = c.congestion.window - pipe(c);
  if (budget < Math.min(c.mss, available)) c.windowLimited = true;
  if (window <= 0 || budget <= 0) return false;
  const length = segmentLength(c, available, window, budget);
  if (length === 0) return false;
  const last = length === available;
  sendData(c, c.sndNxt, length, last && c.finQueued && !c.finSent);
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
function sendData(c: Connection, seq: number, length: number, fin: boolean): void {
  const end = add(seq, length + (fin ? 1 : 0));
  const isNew = seq === c.sndNxt;
  if (isNew && c.inFlight === 0) {
    c.stuckSince = c.now;
    if (c.now - c.lastSent > c.roundTrip.timeout) c.congestion.idle();
  }
  const push = add(seq, length) === c.dataEnd && length > 0 ? PSH : 0;
  emit(c, seq, ACK | push | (fin ? FIN : 0), announce(c), plainOptions(c), seq, length);
  acknowledged(c);
  c.lastSent = c.now;
  if (!isNew) return;
  if (length % c.mss !== 0) c.smallEnd = end;
  c.corkSince = 0;
  if (c.timedAt === 0) {
    c.timedAt = c.now;
    c.timedEnd = end;
  }
  c.sndNxt = end;
  if (fin) c.finSent = true;
}

export function sendAck(c: Connection): void {
  emit(c, c.sndNxt, ACK, announce(c), plainOptions(c), 0, 0);
  acknowledged(c);
}
/** Asks for a sign of life: the number before the first unacknowledged one makes the other side answer. */
export function sendProbe(c: Connection): void {
  emit(c, add(c.sndUna, -1), ACK, announce(c), plainOptions(c), 0, 0);
}
export function sendReset(c: Connection): void {
  emit(c, c.sndNxt, RST | ACK, 0, plainOptions(c), 0, 0);
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
function plainOptions(c: Connection): SegmentOptions {
  return {
    mss: 0,
    windowScale: -1,
    sackPermitted: false,
    timestamps: c.timestamps,
    timestamp: c.timestamps ? c.clock : 0,
    echo: c.recentTimestamp,
    sack: c.sack ? c.receiving.blocks() : null,
  };
}

function emit(c: Connection, seq: number, flags: number, window: number, options: SegmentOptions, from: number, length: number): void {
  const optionBytes = optionsLength(options);
  const header = TCP_HEADER + optionBytes;
  const packet = new Packet(c.remote.length === 4 ? 4 : 6, header + length);
  const { bytes, transport: at } = packet;
  put16(bytes, at, c.localPort);
  put16(bytes, at + 2, c.remotePort);
  put32(bytes, at + 4, seq);
  put32(bytes, at + 8, (flags & ACK) !== 0 ? c.rcvNxt : 0);
  bytes[at + 12] = (header >> 2) << 4;
  bytes[at + 13] = flags;
  put16(bytes, at + 14, window);
  writeOptions(bytes, at + TCP_HEADER, options);
  if (length > 0) {
    let put = at + header;
    const target: ByteTaker = {
      put(source, start, end) {
        bytes.set(source.subarray(start, end), put);
        put += end - start;
        return end - start;
      },
    };
    c.sending.peek(target, length, distance(from, c.sendBase));
  }
  packet.checksumOffset = CHECKSUM_OFFSET;
  packet.transportHeader = header;
  if (length > c.mss) packet.segmentSize = c.mss;
  // Segments know the path's MTU; one that was made before the path shrank may be cut.
  const dontFragment = packet.length <= c.stack.mtuTo(c.route, c.remote);
  c.stack.send(packet, c.route, c.remote, IPPROTO_TCP, { ttl: c.options.ttl, tos: c.options.tos, dontFragment });
}
/** The answer to a segment that belongs to nothing (RFC 9293 §3.10.7.1). */
export function refuseSegment(stack: Stack, segment: Segment): void {
  if ((segment.flags & RST) !== 0) return;
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
