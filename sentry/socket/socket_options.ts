/** The options of SOL_SOCKET that mean the same for every family (socket(7)). */
import { EDOM, EINVAL, ENOPROTOOPT, EPERM, type Errno } from '../../abi/errno.ts';
import * as S from '../../abi/socket.ts';
import { off64 } from '../../abi/struct.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import type { Socket } from './socket.ts';

/** net.core.wmem_default and rmem_default, wmem_max and rmem_max; what is set is doubled, as Linux does. */
export const DEFAULT_BUFFER = 212_992;
const MAX_BUFFER = 212_992;
const MIN_SEND_BUFFER = 4608;
const MIN_RECEIVE_BUFFER = 2304;

/** Options that are one flag or number, kept and reported without further effect here; a family may look at them. */
const PLAIN: Readonly<Record<number, { readonly flag: boolean; readonly privileged?: boolean }>> = {
  [S.SO_DEBUG]: { flag: true, privileged: true },
  [S.SO_REUSEADDR]: { flag: true },
  [S.SO_DONTROUTE]: { flag: true },
  [S.SO_BROADCAST]: { flag: true },
  [S.SO_KEEPALIVE]: { flag: true },
  [S.SO_OOBINLINE]: { flag: true },
  [S.SO_NO_CHECK]: { flag: true },
  [S.SO_PRIORITY]: { flag: false },
  [S.SO_REUSEPORT]: { flag: true },
  [S.SO_PASSCRED]: { flag: true },
  [S.SO_PASSSEC]: { flag: true },
  [S.SO_RCVLOWAT]: { flag: false },
  [S.SO_TIMESTAMP]: { flag: true },
  [S.SO_TIMESTAMPNS]: { flag: true },
  [S.SO_TIMESTAMP_NEW]: { flag: true },
  [S.SO_TIMESTAMPNS_NEW]: { flag: true },
  [S.SO_TIMESTAMPING]: { flag: false },
  [S.SO_TIMESTAMPING_NEW]: { flag: false },
  [S.SO_MAX_PACING_RATE]: { flag: false },
  [S.SO_MARK]: { flag: false, privileged: true },
  [S.SO_RXQ_OVFL]: { flag: true },
  [S.SO_LOCK_FILTER]: { flag: true },
  [S.SO_SELECT_ERR_QUEUE]: { flag: true },
  [S.SO_BUSY_POLL]: { flag: false },
  [S.SO_ZEROCOPY]: { flag: true },
};

export class SocketOptions {
  sendBuffer = DEFAULT_BUFFER;
  receiveBuffer = DEFAULT_BUFFER;
  /** ns; Infinity = no limit. */
  sendTimeout = Number.POSITIVE_INFINITY;
  receiveTimeout = Number.POSITIVE_INFINITY;
  /** SO_LINGER: seconds, or -1 if off. */
  linger = -1;
  private readonly plain = new Map<number, number>([[S.SO_RCVLOWAT, 1]]);

  get(option: number): number {
    return this.plain.get(option) ?? 0;
  }
  set(option: number, value: number): void {
    this.plain.set(option, value);
  }
  get passCredentials(): boolean {
    return this.get(S.SO_PASSCRED) !== 0;
  }
}

function intBytes(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

/** getsockopt(2) at SOL_SOCKET. */
export function getSocketOption(task: Task, socket: Socket, option: number): Uint8Array | Errno {
  const { options } = socket;
  if (PLAIN[option] !== undefined) return intBytes(options.get(option));
  switch (option) {
    case S.SO_TYPE:
      return intBytes(socket.type);
    case S.SO_DOMAIN:
      return intBytes(socket.family);
    case S.SO_PROTOCOL:
      return intBytes(socket.protocol);
    case S.SO_ERROR:
      return intBytes(-socket.takeError());
    case S.SO_ACCEPTCONN:
      return intBytes(socket.listening ? 1 : 0);
    case S.SO_SNDBUF:
      return intBytes(options.sendBuffer);
    case S.SO_RCVBUF:
      return intBytes(options.receiveBuffer);
    case S.SO_SNDLOWAT:
      return intBytes(1);
    case S.SO_LINGER:
      return new Uint8Array(Int32Array.of(options.linger >= 0 ? 1 : 0, Math.max(options.linger, 0)).buffer);
    case S.SO_RCVTIMEO:
    case S.SO_RCVTIMEO_NEW:
      return timeoutBytes(options.receiveTimeout);
    case S.SO_SNDTIMEO:
    case S.SO_SNDTIMEO_NEW:
      return timeoutBytes(options.sendTimeout);
    case S.SO_INCOMING_CPU:
      return intBytes(-1);
    case S.SO_INCOMING_NAPI_ID:
      return intBytes(0);
    default:
      return socket.getOption(task, S.SOL_SOCKET, option);
  }
}

/** setsockopt(2) at SOL_SOCKET. */
export function setSocketOption(task: Task, socket: Socket, option: number, value: Uint8Array): number {
  const { options } = socket;
  if (option === S.SO_BINDTODEVICE || option === S.SO_ATTACH_FILTER || option === S.SO_ATTACH_BPF) {
    return socket.setOption(task, S.SOL_SOCKET, option, value);
  }
  if (value.length < 4) return EINVAL;
  const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
  const number = view.getInt32(0, true);
  const plain = PLAIN[option];
  if (plain !== undefined) {
    if (plain.privileged === true && number !== 0 && !hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
    options.set(option, plain.flag ? Number(number !== 0) : number);
    const r = socket.setOption(task, S.SOL_SOCKET, option, value);
    return r === ENOPROTOOPT ? 0 : r;
  }
  switch (option) {
    case S.SO_SNDBUF:
    case S.SO_SNDBUFFORCE:
      if (option === S.SO_SNDBUFFORCE && !hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
      options.sendBuffer = Math.max(Math.min(Math.max(number, 0), MAX_BUFFER) * 2, MIN_SEND_BUFFER);
      socket.buffersChanged();
      return 0;
    case S.SO_RCVBUF:
    case S.SO_RCVBUFFORCE:
      if (option === S.SO_RCVBUFFORCE && !hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
      options.receiveBuffer = Math.max(Math.min(Math.max(number, 0), MAX_BUFFER) * 2, MIN_RECEIVE_BUFFER);
      socket.buffersChanged();
      return 0;
    case S.SO_LINGER:
      if (value.length < 8) return EINVAL;
      options.linger = number !== 0 ? Math.max(0, view.getInt32(4, true)) : -1;
      return socket.setOption(task, S.SOL_SOCKET, option, value) && 0;
    case S.SO_RCVTIMEO:
    case S.SO_RCVTIMEO_NEW:
    case S.SO_SNDTIMEO:
    case S.SO_SNDTIMEO_NEW:
      return setTimeLimit(options, option, view);
    default:
      return socket.setOption(task, S.SOL_SOCKET, option, value);
  }
}

/** struct timeval; 0 means no limit. */
function timeoutBytes(ns: number): Uint8Array {
  const out = new Uint8Array(16);
  if (!Number.isFinite(ns)) return out;
  const view = new DataView(out.buffer);
  const sec = Math.floor(ns / 1e9);
  off64.set(view, 0, sec);
  off64.set(view, 8, Math.floor((ns - sec * 1e9) / 1000));
  return out;
}
function setTimeLimit(options: SocketOptions, option: number, view: DataView): number {
  if (view.byteLength < 16) return EINVAL;
  const sec = off64.get(view, 0);
  const usec = off64.get(view, 8);
  if (usec < 0 || usec >= 1_000_000) return EDOM;
  const ns = sec < 0 ? 1 : sec * 1e9 + usec * 1000;
  const limit = ns === 0 || ns > 1e18 ? Number.POSITIVE_INFINITY : ns;
  if (option === S.SO_RCVTIMEO || option === S.SO_RCVTIMEO_NEW) options.receiveTimeout = limit;
  else options.sendTimeout = limit;
  return 0;
}
