/** What an ICMP error means to the socket whose packet it is about. */
import { ECONNREFUSED, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOPROTOOPT, EPROTO, type Errno } from '../abi/errno.ts';
import type { IpAddress } from './address.ts';
import type { QueuedError, Telling } from './error_queue.ts';
import { get16, get32, type IncomingPacket } from './packet.ts';

export const UNREACHABLE4 = 3;
export const TIME_EXCEEDED4 = 11;
export const PARAMETER_PROBLEM4 = 12;
export const UNREACHABLE6 = 1;
export const TOO_BIG6 = 2;
export const TIME_EXCEEDED6 = 3;
export const PARAMETER_PROBLEM6 = 4;
/** UNREACHABLE4: it needs to be cut, and may not be. */
const FRAGMENTATION_NEEDED = 4;
// SO_EE_ORIGIN_*
export const ORIGIN_LOCAL = 1;
export const ORIGIN_ICMP = 2;
export const ORIGIN_ICMP6 = 3;
export const ORIGIN_ZEROCOPY = 5;
const QUOTED = 1024;

/** An error that a router or the other host sent about a packet of ours. */
export interface IcmpError {
  readonly errno: Errno;
  /** Ends a connection that is being made, and is told to a socket that did not ask for errors. */
  readonly hard: boolean;
  /** The message, for those who ask; absent: none came, we know ourselves. */
  readonly message?: {
    readonly type: number;
    readonly code: number;
    readonly info: number;
    readonly from: IpAddress;
    readonly told: Telling;
  };
}

/** Of an ICMP message: what it says. Null: it is no error. */
export function readError(packet: IncomingPacket): (IcmpError & { readonly mtu: number }) | null {
  const { bytes, start, version } = packet;
  const type = bytes[start] as number;
  const code = bytes[start + 1] as number;
  const big = version === 4 ? type === UNREACHABLE4 && code === FRAGMENTATION_NEEDED : type === TOO_BIG6;
  const mtu = !big ? 0 : version === 4 ? get16(bytes, start + 6) : get32(bytes, start + 4);
  const meaning = big ? { errno: EMSGSIZE as Errno, hard: false } : version === 4 ? meaning4(type, code) : meaning6(type, code);
  if (meaning === null) return null;
  const { source, destination, arrival, ttl, tos } = packet;
  return { ...meaning, mtu, message: { type, code, info: mtu, from: source, told: { destination, arrival, ttl, tos } } };
}

function meaning4(type: number, code: number): { errno: Errno; hard: boolean } | null {
  if (type === TIME_EXCEEDED4) return { errno: EHOSTUNREACH, hard: false };
  if (type === PARAMETER_PROBLEM4) return { errno: EPROTO, hard: true };
  if (type !== UNREACHABLE4) return null;
  if (code === 2) return { errno: ENOPROTOOPT, hard: true };
  if (code === 3) return { errno: ECONNREFUSED, hard: true };
  return { errno: code === 0 || code === 6 || code === 11 ? ENETUNREACH : EHOSTUNREACH, hard: code === 9 || code === 10 || code === 13 };
}
function meaning6(type: number, code: number): { errno: Errno; hard: boolean } | null {
  if (type === TIME_EXCEEDED6) return { errno: EHOSTUNREACH, hard: false };
  if (type === PARAMETER_PROBLEM6) return { errno: EPROTO, hard: true };
  if (type !== UNREACHABLE6) return null;
  if (code === 4) return { errno: ECONNREFUSED, hard: true };
  return { errno: code === 0 ? ENETUNREACH : EHOSTUNREACH, hard: code === 1 };
}

/** As it waits for MSG_ERRQUEUE. `payload`: where the quoted packet's own begins. */
export function queuedError(error: IcmpError, inner: IncomingPacket, port: number, payload: number): QueuedError {
  const { message } = error;
  return {
    errno: error.errno,
    origin: message === undefined ? ORIGIN_LOCAL : inner.version === 4 ? ORIGIN_ICMP : ORIGIN_ICMP6,
    type: message?.type ?? 0,
    code: message?.code ?? 0,
    info: message?.info ?? 0,
    data: 0,
    from: message?.from ?? null,
    told: message?.told ?? null,
    destination: inner.destination,
    port,
    payload: inner.bytes.slice(Math.min(payload, inner.end), Math.min(payload + QUOTED, inner.end)),
  };
}
