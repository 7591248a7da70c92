/** What a socket has asked to be told of each message (ip(7), ipv6(7), socket(7)), and what a sender tells with one. */
import { EINVAL, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import * as S from '../../../abi/socket.ts';
import { type IpAddress, isAny, readAddress, writeAddress } from '../../../netstack/address.ts';
import type { QueuedError } from '../../../netstack/error_queue.ts';
import type { SendOptions } from '../../../netstack/stack.ts';
import type { RawControl } from '../control_message.ts';
import { timeBytes } from '../socket.ts';
import { encodeInetAddress, sixteen } from './inet_address.ts';
import { type InetSocket, intBytes } from './inet_socket.ts';

/** What is known of a message that has come. */
export interface Received {
  readonly destination: IpAddress;
  readonly destinationPort?: number;
  readonly arrival: number;
  readonly ttl: number;
  readonly tos: number;
  /** Monotonic ns; 0: nobody asked. */
  readonly at: number;
}

/** Does the socket want times with its messages? */
export function wantsStamps({ options }: InetSocket): boolean {
  return (
    (options.get(S.SO_TIMESTAMP) | options.get(S.SO_TIMESTAMPNS) | options.get(S.SO_TIMESTAMP_NEW) | options.get(S.SO_TIMESTAMPNS_NEW)) !==
      0 || ((options.get(S.SO_TIMESTAMPING) | options.get(S.SO_TIMESTAMPING_NEW)) & S.SOF_TIMESTAMPING_RX_SOFTWARE) !== 0
  );
}

export function receivedControls(socket: InetSocket, message: Received, drops: number): RawControl[] {
  const found: RawControl[] = [];
  const add = (level: number, type: number, data: Uint8Array): void => {
    found.push({ level, type, data });
  };
  if (message.at > 0) addTimes(socket, message.at, add);
  if (socket.options.get(S.SO_RXQ_OVFL) !== 0 && drops > 0) add(S.SOL_SOCKET, S.SO_RXQ_OVFL, intBytes(drops));
  if (message.destination.length === 4) addControls4(socket, message, add);
  if (socket.family !== S.AF_INET) addControls6(socket, message, add);
  return found;
}
type Add = (level: number, type: number, data: Uint8Array) => void;

function addTimes(socket: InetSocket, at: number, add: Add): void {
  const { options, kernel } = socket;
  const time = kernel.realtime() - (kernel.now() - at);
  socket.lastStamp = time;
  for (const [option, unit] of STAMPS) if (options.get(option) !== 0) add(S.SOL_SOCKET, option, timeBytes(time, unit));
  for (const option of [S.SO_TIMESTAMPING, S.SO_TIMESTAMPING_NEW]) {
    if ((options.get(option) & S.SOF_TIMESTAMPING_SOFTWARE) === 0) continue;
    const three = new Uint8Array(48); // software, deprecated, hardware
    three.set(timeBytes(time, 1));
    add(S.SOL_SOCKET, option, three);
  }
}
const STAMPS: readonly (readonly [option: number, unit: number])[] = [
  [S.SO_TIMESTAMP, 1000],
  [S.SO_TIMESTAMPNS, 1],
  [S.SO_TIMESTAMP_NEW, 1000],
  [S.SO_TIMESTAMPNS_NEW, 1],
];

function addControls4(socket: InetSocket, message: Received, add: Add): void {
  const { destination, arrival } = message;
  if (socket.ipOption(I.IP_PKTINFO) !== 0) {
    const data = new Uint8Array(12);
    new DataView(data.buffer).setInt32(0, arrival, true);
    writeAddress(data, 4, destination);
    writeAddress(data, 8, destination);
    add(I.IPPROTO_IP, I.IP_PKTINFO, data);
  }
  if (socket.ipOption(I.IP_RECVTTL) !== 0) add(I.IPPROTO_IP, I.IP_TTL, intBytes(message.ttl));
  if (socket.ipOption(I.IP_RECVTOS) !== 0) add(I.IPPROTO_IP, I.IP_TOS, Uint8Array.of(message.tos));
  if (socket.ipOption(I.IP_RECVORIGDSTADDR) !== 0) {
    add(I.IPPROTO_IP, I.IP_RECVORIGDSTADDR, encodeInetAddress(S.AF_INET, destination, message.destinationPort ?? 0));
  }
}
const HOP_LIMITS: readonly (readonly [option: number, type: number])[] = [
  [I.IPV6_RECVHOPLIMIT, I.IPV6_HOPLIMIT],
  [I.IPV6_2292HOPLIMIT, I.IPV6_2292HOPLIMIT],
];
const PACKET_INFOS: readonly (readonly [option: number, type: number])[] = [
  [I.IPV6_RECVPKTINFO, I.IPV6_PKTINFO],
  [I.IPV6_2292PKTINFO, I.IPV6_2292PKTINFO],
];
function addControls6(socket: InetSocket, message: Received, add: Add): void {
  const { destination } = message;
  for (const [option, type] of PACKET_INFOS) {
    if (socket.ip6Option(option) === 0) continue;
    const data = new Uint8Array(20);
    writeAddress(data, 0, sixteen(destination));
    new DataView(data.buffer).setInt32(16, message.arrival, true);
    add(I.IPPROTO_IPV6, type, data);
  }
  for (const [option, type] of HOP_LIMITS) if (socket.ip6Option(option) !== 0) add(I.IPPROTO_IPV6, type, intBytes(message.ttl));
  if (socket.ip6Option(I.IPV6_RECVTCLASS) !== 0) add(I.IPPROTO_IPV6, I.IPV6_TCLASS, intBytes(message.tos));
  if (socket.ip6Option(I.IPV6_RECVORIGDSTADDR) !== 0) {
    add(I.IPPROTO_IPV6, I.IPV6_RECVORIGDSTADDR, encodeInetAddress(S.AF_INET6, destination, message.destinationPort ?? 0));
  }
}

/** struct sock_extended_err and the address of who told, as IP_RECVERR or IPV6_RECVERR. */
export function errorControl(socket: InetSocket, error: QueuedError): RawControl {
  const six = socket.family !== S.AF_INET && (error.destination === null || error.destination.length === 16);
  const data = new Uint8Array(16 + (six ? I.SOCKADDR_IN6_SIZE : I.SOCKADDR_IN_SIZE));
  const view = new DataView(data.buffer);
  view.setUint32(0, -error.errno, true);
  data[4] = error.origin;
  data[5] = error.type;
  data[6] = error.code;
  view.setUint32(8, error.info, true);
  view.setUint32(12, error.data, true);
  if (error.from !== null) data.set(encodeInetAddress(six ? S.AF_INET6 : S.AF_INET, error.from, 0), 16);
  return { level: six ? I.IPPROTO_IPV6 : I.IPPROTO_IP, type: six ? I.IPV6_RECVERR : I.IP_RECVERR, data };
}

/** What a sender asks of one message. */
export interface SentOptions {
  source: IpAddress | null;
  device: number;
  options: SendOptions;
  /** UDP_SEGMENT; 0: one datagram. */
  segment: number;
}
/** EINVAL for what is malformed; other control messages mean nothing here. */
export function readSentOptions(others: readonly RawControl[] | null, options: SendOptions): SentOptions | Errno {
  const sent: SentOptions = { source: null, device: 0, options, segment: 0 };
  for (const { level, type, data } of others ?? []) {
    const view = new DataView(data.buffer, data.byteOffset, data.length);
    const number = data.length >= 4 ? view.getInt32(0, true) : data.length >= 1 ? (data[0] as number) : null;
    if (level === I.IPPROTO_IP && type === I.IP_PKTINFO) {
      if (data.length < 12) return EINVAL;
      sent.device = view.getInt32(0, true);
      sent.source = readAddress(data, 4, 4);
    } else if (level === I.IPPROTO_IPV6 && type === I.IPV6_PKTINFO) {
      if (data.length < 20) return EINVAL;
      sent.source = readAddress(data, 0, 16);
      sent.device = view.getInt32(16, true);
    } else if (level === I.IPPROTO_UDP && type === I.UDP_SEGMENT) {
      if (data.length < 2) return EINVAL;
      sent.segment = view.getUint16(0, true);
    } else if ((level === I.IPPROTO_IP && type === I.IP_TTL) || (level === I.IPPROTO_IPV6 && type === I.IPV6_HOPLIMIT)) {
      if (number === null || number < (level === I.IPPROTO_IP ? 1 : -1) || number > 255) return EINVAL;
      if (number >= 0) sent.options = { ...sent.options, ttl: number };
    } else if ((level === I.IPPROTO_IP && type === I.IP_TOS) || (level === I.IPPROTO_IPV6 && type === I.IPV6_TCLASS)) {
      if (number === null || number < -1 || number > 255) return EINVAL;
      if (number >= 0) sent.options = { ...sent.options, tos: number };
    }
  }
  if (sent.source !== null && isAny(sent.source)) sent.source = null;
  return sent;
}
