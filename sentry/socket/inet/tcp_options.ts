/** Options of SOL_TCP (tcp(7)). */
import { EINVAL, ENOENT, ENOPROTOOPT, EPERM, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { intBytes, intValue } from './inet_socket.ts';
import type { InetStream } from './inet_stream.ts';
import { tcpInfo } from './tcp_info.ts';

/** SOCK_MIN_RCVBUF / 2. */
const MIN_CLAMP = 1152;
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
      return intBytes(triesToSeconds(tcp.deferAccept));
    case I.TCP_WINDOW_CLAMP:
      return intBytes(tcp.windowClamp);
    case I.TCP_SAVE_SYN:
    case I.TCP_THIN_LINEAR_TIMEOUTS:
    case I.TCP_THIN_DUPACK:
    case I.TCP_FASTOPEN:
    case I.TCP_FASTOPEN_CONNECT:
    case I.TCP_FASTOPEN_NO_COOKIE:
    case I.TCP_REPAIR:
    case I.TCP_INQ:
    case I.TCP_TX_DELAY:
      return intBytes(socket.keptOptions.get(option) ?? 0);
    case I.TCP_TIMESTAMP:
      return intBytes(c === null ? 0 : c.clock | 0);
    case I.TCP_CC_INFO:
    case I.TCP_SAVED_SYN:
      return new Uint8Array(0);
    case I.TCP_INFO:
      return tcpInfo(socket.stateCode, c);
    case I.TCP_QUICKACK:
      return intBytes(Number(tcp.quickAck || (c?.quickAcks ?? 1) > 0));
    case I.TCP_CONGESTION:
      return Buffer.from(tcp.congestion.padEnd(16, '\0'), 'latin1');
    case I.TCP_USER_TIMEOUT:
      return intBytes(tcp.userTimeout / 1e6);
    case I.TCP_NOTSENT_LOWAT:
      return intBytes(Number.isFinite(tcp.unsentLimit) ? tcp.unsentLimit | 0 : 0);
    default:
      return ENOPROTOOPT;
  }
}

export function setTcpOption(socket: InetStream, level: number, option: number, value: Uint8Array): number {
  const { tcp, connection } = socket;
  if (level !== I.IPPROTO_TCP) return ENOPROTOOPT;
  if (option === I.TCP_CONGESTION) return setCongestion(socket, value);
  if (option === I.TCP_ULP) return ENOENT; // no kernel TLS: libraries do it themselves
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
      tcp.quickAck = (n & 1) !== 0;
      if (connection === null) return 0;
      if (tcp.quickAck) connection.timers.flushAck();
      else connection.quickAcks = 0;
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
      tcp.deferAccept = secondsToTries(n);
      return 0;
    case I.TCP_USER_TIMEOUT:
      if (n < 0) return EINVAL;
      tcp.userTimeout = n * 1e6;
      return 0;
    case I.TCP_WINDOW_CLAMP:
      if (n !== 0 && n < MIN_CLAMP) {
        tcp.windowClamp = MIN_CLAMP;
        return 0;
      }
      if (n === 0 && connection !== null && connection.established) return EINVAL;
      tcp.windowClamp = Math.max(0, n);
      return 0;
    case I.TCP_NOTSENT_LOWAT:
      // Of an unsigned number: 0 and the largest mean no limit.
      tcp.unsentLimit = n === 0 || n === -1 ? Number.POSITIVE_INFINITY : n >>> 0;
      return 0;
    case I.TCP_REPAIR:
      return EPERM;
    case I.TCP_SAVE_SYN:
    case I.TCP_THIN_LINEAR_TIMEOUTS:
    case I.TCP_THIN_DUPACK:
    case I.TCP_FASTOPEN_NO_COOKIE:
    case I.TCP_FASTOPEN_CONNECT:
    case I.TCP_INQ:
      if (!within(0, option === I.TCP_SAVE_SYN ? 2 : 1)) return EINVAL;
      socket.keptOptions.set(option, n);
      return 0;
    case I.TCP_FASTOPEN:
      // A queue for connections that bring data at once: there are none, so that any length will do.
      if (n < 0 || socket.connection !== null) return EINVAL;
      socket.keptOptions.set(option, n);
      return 0;
    case I.TCP_TIMESTAMP:
      return EPERM;

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

/** tcp(7): how many tries of an answer, with doubled waits, fill that many seconds. */
function secondsToTries(seconds: number): number {
  let tries = 0;
  let covered = 0;
  for (let wait = 1; covered < seconds && tries < 255; wait = Math.min(wait * 2, 120)) {
    tries++;
    covered += wait;
  }
  return tries;
}
function triesToSeconds(tries: number): number {
  let covered = 0;
  let wait = 1;
  for (let i = 0; i < tries; i++, wait = Math.min(wait * 2, 120)) covered += wait;
  return covered;
}
