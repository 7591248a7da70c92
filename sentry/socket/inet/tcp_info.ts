/** struct tcp_info (linux/tcp.h), up to and with tcpi_total_rto_time. Times in us (rto, ato, rtt) or ms (last_*). */
import type { Connection } from '../../../netstack/tcp/connection.ts';
import { distance } from '../../../netstack/tcp/sequence.ts';

const SIZE = 248;
/** tcpi_ca_state. */
const CA_OPEN = 0;
const CA_DISORDER = 1;
const CA_CWR = 2;
const CA_RECOVERY = 3;
const CA_LOSS = 4;
// tcpi_options
const OPT_TIMESTAMPS = 1;
const OPT_SACK = 2;
const OPT_WSCALE = 4;
const OPT_ECN = 8;
const OPT_ECN_SEEN = 16;
/** tcpi_snd_ssthresh before the first loss. */
const NO_THRESHOLD = 0x7fff_ffff;
const ATO = 40_000;

function congestionState(c: Connection): number {
  if (c.recovery === 'fast') return CA_RECOVERY;
  if (c.recovery === 'loss') return CA_LOSS;
  if (c.sent.sackedBytes > 0 || c.duplicateAcks > 0) return CA_DISORDER;
  return c.tellSlowed ? CA_CWR : CA_OPEN;
}
function optionsOf(c: Connection): number {
  let bits = c.timestamps ? OPT_TIMESTAMPS : 0;
  if (c.sack) bits |= OPT_SACK;
  if (c.receiveScale > 0) bits |= OPT_WSCALE;
  if (c.ecn) bits |= OPT_ECN;
  return c.deliveredMarked > 0 ? bits | OPT_ECN_SEEN : bits;
}

export function tcpInfo(state: number, c: Connection | null): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const view = new DataView(bytes.buffer);
  bytes[0] = state;
  if (c === null) return bytes;
  bytes[1] = congestionState(c);
  bytes[2] = c.retries;
  bytes[4] = Math.min(c.retries, 255);
  bytes[5] = optionsOf(c);
  bytes[6] = c.sendScale | (c.receiveScale << 4);
  const { now, mss } = c;
  const ms = (since: number): number => (since === 0 ? 0 : Math.max(0, Math.floor((now - since) / 1e6)));
  const segments = (length: number): number => Math.ceil(Math.max(0, length) / mss);
  const threshold = Number.isFinite(c.congestion.threshold) ? Math.floor(c.congestion.threshold / mss) : NO_THRESHOLD;
  const unsent = Math.max(0, distance(c.dataEnd, c.sndNxt));
  const words = [
    ...[c.roundTrip.timeout / 1e3, ATO, mss, Math.min(c.peerMss, mss)],
    ...[segments(c.inFlight), segments(c.sent.sackedBytes), segments(c.sent.lostBytes), 0, 0],
    ...[ms(c.lastSent), 0, ms(c.lastReceived), ms(c.lastReceived)],
    ...[c.stack.mtuTo(c.route, c.remote), c.window, c.roundTrip.smoothed / 1e3, c.roundTrip.variance / 1e3],
    ...[threshold, Math.max(1, Math.floor(c.congestion.window / mss)), mss, 3],
    ...[c.roundTrip.smoothed / 1e3, c.receiveCapacity, c.retransmitted],
  ];
  for (const [i, word] of words.entries()) view.setUint32(8 + i * 4, word, true);
  const long = (at: number, value: number): void => view.setBigUint64(at, BigInt(Math.floor(value)), true);
  long(112, 2 ** 53); // tcpi_max_pacing_rate: no limit
  long(120, c.bytesAcked);
  long(128, c.bytesReceived);
  const { minRtt } = c.rack;
  const tail = [c.segmentsOut, c.segmentsIn, unsent, Number.isFinite(minRtt) ? minRtt / 1e3 : 0, c.dataSegmentsIn, c.dataSegmentsOut];
  for (const [i, word] of tail.entries()) view.setUint32(136 + i * 4, word, true);
  long(160, c.roundTrip.smoothed > 0 ? (c.congestion.window * 1e9) / c.roundTrip.smoothed : 0);
  view.setUint32(192, Math.ceil(c.delivered / mss), true);
  view.setUint32(196, c.deliveredMarked, true);
  long(200, c.bytesSent);
  long(208, c.bytesRetransmitted);
  for (const [i, word] of [c.duplicatesReported, c.rack.reordered, c.outOfOrder, c.sndWnd, c.window].entries()) {
    view.setUint32(216 + i * 4, word, true);
  }
  return bytes;
}
