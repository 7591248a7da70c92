/** Where in a packet lies what the filter looks at, and what it changes there. */
import type { IpAddress } from '../address.ts';
import * as P from '../packet.ts';
import { hasPorts } from './rules.ts';

export interface PacketView {
  readonly bytes: Uint8Array;
  readonly header: number;
  readonly start: number;
  readonly end: number;
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly laterFragment: boolean;
}

export function viewOf(packet: P.IncomingPacket): PacketView {
  const { bytes, header, start, end, protocol, source, destination, fragment } = packet;
  return { bytes, header, start, end, protocol, source, destination, laterFragment: fragment !== null && fragment.offset > 0 };
}
/** Of one of ours, or one that is passed on. Null: it cannot be read. */
export function outgoingView(packet: P.Packet): PacketView | null {
  const parsed = P.parseIp(packet.bytes, P.HEADROOM, packet.bytes.length, true, 0);
  return parsed === null ? null : viewOf(parsed);
}

/** One end's address and port, and the checksums that cover them. False: nothing was to be done. */
export function rewrite(view: PacketView, end: 'source' | 'destination', address: IpAddress, port: number): boolean {
  const { bytes, header, start, protocol } = view;
  const ports = hasPorts(protocol);
  const place = end === 'source' ? 0 : 2;
  if (view[end] === address && (!ports || P.get16(bytes, start + place) === port)) return false;
  const first = address.length === 4 ? 12 : 8;
  P.replaceAddress(bytes, header, end === 'source' ? first : first + address.length, address, start, protocol);
  if (ports) P.replacePort(bytes, start, place, port, protocol);
  else if (protocol === P.IPPROTO_ICMP || protocol === P.IPPROTO_ICMPV6) P.replacePort(bytes, start, 4, port, protocol);
  return true;
}
