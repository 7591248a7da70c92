/** The virtio-net header that a program writes before a packet: is what it says of the packet true? */

import { get16, IP4_HEADER, IP6_HEADER, IPPROTO_TCP } from '../packet.ts';
import { ETH_HEADER, ETH_P_IP, ETH_P_IPV6, GSO_TCPV4, GSO_TCPV6, NEEDS_CSUM, VNET_HEADER } from './ethernet.ts';

const GSO_ECN = 0x80;
const TCP_HEADER = 20;
/** Bytes of data in a segment: with fewer one write could ask for tens of thousands of packets. */
const LEAST_SEGMENT = 8;

/** `bytes`: the header, whose hint about ECN is taken out, then a packet, or with `framed` an Ethernet frame. */
export function checkOffload(bytes: Uint8Array, framed: boolean): boolean {
  const flags = bytes[0] as number;
  const kind = (bytes[1] as number) & ~GSO_ECN;
  const length = bytes.length - VNET_HEADER;
  let headers = little16(bytes, 2);
  if ((flags & NEEDS_CSUM) !== 0) headers = Math.max(headers, little16(bytes, 6) + little16(bytes, 8) + 2);
  if (headers > length) return false;
  bytes[1] = kind;
  if (kind === 0) return true;
  if (little16(bytes, 4) < LEAST_SEGMENT) return false;
  const at = VNET_HEADER + (framed ? ETH_HEADER : 0);
  if (framed && get16(bytes, at - 2) !== (kind === GSO_TCPV4 ? ETH_P_IP : ETH_P_IPV6)) return false;
  if (kind === GSO_TCPV4) return isTcp4(bytes, at);
  return kind === GSO_TCPV6 && isTcp6(bytes, at);
}
/** A whole packet without options. */
function isTcp4(bytes: Uint8Array, at: number): boolean {
  const length = bytes.length - at;
  if (length < IP4_HEADER + TCP_HEADER || bytes[at] !== 0x45 || bytes[at + 9] !== IPPROTO_TCP) return false;
  if (get16(bytes, at + 2) !== length || (get16(bytes, at + 6) & 0x3fff) !== 0) return false;
  return headerFits(bytes, at + IP4_HEADER);
}
function isTcp6(bytes: Uint8Array, at: number): boolean {
  const length = bytes.length - at;
  if (length < IP6_HEADER + TCP_HEADER || (bytes[at] as number) >>> 4 !== 6 || bytes[at + 6] !== IPPROTO_TCP) return false;
  return get16(bytes, at + 4) === length - IP6_HEADER && headerFits(bytes, at + IP6_HEADER);
}
function headerFits(bytes: Uint8Array, at: number): boolean {
  const length = ((bytes[at + 12] as number) >>> 4) * 4;
  return length >= TCP_HEADER && at + length <= bytes.length;
}
function little16(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}
