/** Options of SOL_TCP (tcp(7)) and struct tcp_info. */
import { EINVAL, ENOENT, ENOPROTOOPT, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import type { Connection } from '../../../netstack/tcp/connection.ts';
import { intBytes, intValue } from './inet_socket.ts';
import type { InetStream } from './inet_stream.ts';

/** Up to and with tcpi_snd_wnd. */
const TCP_INFO_SIZE = 232;
const MAX_KEEP = 32_767;
const MAX_PROBES = 127;

export function getTcpOption(socket: InetStream, level: number, option: number): Uint8Array | Errno {
  const { tcp, connection: c } = socket;
  if (level !== I.IPPROTO_TCP) return ENOPROTOOPT;
  switch (option) {
    case I.TCP_NODELAY:
      return intBytes(Number(tcp.noDelay));
    case I.TCP_MAXSEG:
      return intBytes(c?.established === true ? c.mss : tcp.maxSegment > 0 ? tcp.maxSegment : 536);
    case I.TCP_CORK:
      return intBytes(Number(tcp.cork));
    case I.TCP_KEEPIDLE:
      return intBytes(tcp.keepIdle / 1e9);
    case I.TCP_KEEPINTVL:
      return intBytes(tcp.keepInterval / 1e9);
    case I.TCP_KEEPCNT:
      return intBytes(tcp.keepCount);
    case I.TCP_SYNCNT:
      return intBytes(tcp.synRetries);
    case I.TCP_LINGER2:
      return intBytes(tcp.finWait / 1e9);
    case I.TCP_DEFER_ACCEPT:
      return intBytes(tcp.deferAccept);
    case I.TCP_WINDOW_CLAMP:
    case I.TCP_FASTOPEN:
    case I.TCP_FASTOPEN_CONNECT:
      return intBytes(0);
    case I.TCP_INFO:
      return tcpInfo(socket, c);
    case I.TCP_QUICKACK:
      return intBytes(Number(tcp.quickAck || (c?.quickAcks ?? 1) > 0));
    case I.TCP_CONGESTION:
      return Buffer.from(tcp.congestion.padEnd(16, '\0'), 'latin1');
    case I.TCP_USER_TIMEOUT:
      return intBytes(tcp.userTimeout / 1e6);
    case I.TCP_NOTSENT_LOWAT:
      return intBytes(-1);
    default:
      return ENOPROTOOPT;
  }
}

export function setTcpOption(socket: InetStream, level: number, option: number, value: Uint8Array): number {
  const { tcp, connection } = socket;
  if (level !== I.IPPROTO_TCP) return ENOPROTOOPT;
  if (option === I.TCP_CONGESTION) return setCongestion(socket, value);
  const n = value.length < 4 ? null : intValue(value);
  if (n === null) return EINVAL;
  const within = (low: number, high: number): boolean => n >= low && n <= high;
  switch (option) {
    case I.TCP_NODELAY:
      tcp.noDelay = n !== 0;
      return 0;
    case I.TCP_CORK:
      tcp.cork = n !== 0;
      return 0;
    case I.TCP_QUICKACK:
      tcp.quickAck = n !== 0;
      return 0;
    case I.TCP_MAXSEG:
      if (n !== 0 && !within(88, 32_767)) return EINVAL;
      tcp.maxSegment = n;
      connection?.updateMss();
      return 0;
    case I.TCP_KEEPIDLE:
      if (!within(1, MAX_KEEP)) return EINVAL;
      tcp.keepIdle = n * 1e9;
      if (tcp.keepAlive && connection?.established === true) connection.timers.startKeepAlive();
      return 0;
    case I.TCP_KEEPINTVL:
      if (!within(1, MAX_KEEP)) return EINVAL;
      tcp.keepInterval = n * 1e9;
      return 0;
    case I.TCP_KEEPCNT:
      if (!within(1, MAX_PROBES)) return EINVAL;
      tcp.keepCount = n;
      return 0;
    case I.TCP_SYNCNT:
      if (!within(1, MAX_PROBES)) return EINVAL;
      tcp.synRetries = n;
      return 0;
    case I.TCP_LINGER2:
      tcp.finWait = n < 0 ? 0 : Math.min(n, 60) * 1e9;
      return 0;
    case I.TCP_DEFER_ACCEPT:
      tcp.deferAccept = Math.max(0, n); // kept and told: connections are handed out when they are made
      return 0;
    case I.TCP_USER_TIMEOUT:
      if (n < 0) return EINVAL;
      tcp.userTimeout = n * 1e6;
      return 0;
    case I.TCP_WINDOW_CLAMP:
    case I.TCP_NOTSENT_LOWAT:
      return 0;
    default:
      return ENOPROTOOPT;
  }
}
function setCongestion(socket: InetStream, value: Uint8Array): number {
  const name = Buffer.from(value).toString('latin1').replace(/\0.*$/s, '');
  if (name !== 'cubic' && name !== 'reno') return ENOENT;
  socket.tcp.congestion = name;
  if (socket.connection !== null) socket.connection.congestion.name = name;
  return 0;
}

/** struct tcp_info (linux/tcp.h). Times in µs (rto, ato, rtt) or ms (last_*). */
function tcpInfo(socket: InetStream, c: Connection | null): Uint8Array {
  const bytes = new Uint8Array(TCP_INFO_SIZE);
  const view = new DataView(bytes.buffer);
  bytes[0] = socket.stateCode;
  if (c === null) return bytes;
  bytes[1] = c.recovery === 'open' ? 0 : c.recovery === 'fast' ? 3 : 4;
  bytes[2] = c.retries;
  bytes[5] = (c.timestamps ? 1 : 0) | (c.sack ? 2 : 0) | (c.receiveScale > 0 ? 4 : 0);
  bytes[6] = c.sendScale | (c.receiveScale << 4);
  const { now, mss } = c;
  const ms = (since: number): number => Math.max(0, Math.floor((now - since) / 1e6));
  const threshold = Number.isFinite(c.congestion.threshold) ? Math.floor(c.congestion.threshold / mss) : 0x7fff_ffff;
  const words = [
    ...[c.roundTrip.timeout / 1e3, 40_000, mss, Math.min(c.peerMss, mss)],
    ...[Math.ceil(c.inFlight / mss), Math.floor(c.sent.sackedBytes / mss), 0, 0, 0],
    ...[c.lastSent === 0 ? 0 : ms(c.lastSent), 0, ms(c.lastReceived), ms(c.lastReceived)],
    ...[c.stack.mtuTo(c.route, c.remote), 0, c.roundTrip.smoothed / 1e3, c.roundTrip.variance / 1e3],
    ...[threshold, Math.floor(c.congestion.window / mss), mss, 3, 0, c.window, c.retransmitted],
  ];
  for (const [i, word] of words.entries()) view.setUint32(8 + i * 4, word, true);
  view.setBigUint64(120, BigInt(c.bytesAcked), true);
  view.setBigUint64(128, BigInt(c.bytesReceived), true);
  view.setUint32(228, c.sndWnd, true);
  return bytes;
}
