/** What the host's rtnetlink messages say, in the stack's words. They come from the host's kernel. */
import * as L from '../../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../../abi/socket.ts';
import { parseAttributes } from '../../../../lib/netlink_message.ts';
import { ANY4, ANY6, type IpAddress, readAddress } from '../../../../netstack/address.ts';

const IFA_F_TENTATIVE = 0x40;
const IFA_F_DADFAILED = 0x08;
const RTM_F_CLONED = 0x200;
const IFF_UP = 1;

export interface HostLink {
  readonly index: number;
  readonly name: string;
  /** ARPHRD_*. */
  readonly type: number;
  readonly mtu: number;
  readonly up: boolean;
  readonly hardware: Uint8Array;
}
export interface HostAddress {
  readonly index: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly broadcast: IpAddress | null;
  /** Nobody has looked yet whether it is taken. */
  readonly tentative: boolean;
  readonly duplicate: boolean;
}
export interface HostRoute {
  readonly destination: IpAddress;
  readonly prefixLength: number;
  readonly gateway: IpAddress | null;
  readonly source: IpAddress | null;
  readonly index: number;
  readonly metric: number;
  readonly protocol: number;
}
export interface HostNeighbour {
  readonly index: number;
  readonly address: IpAddress;
  readonly hardware: Uint8Array | null;
  /** NUD_*. */
  readonly state: number;
}

export function parseLink(body: Uint8Array): HostLink {
  const { ifi_index: index, ifi_type: type, ifi_flags } = L.Ifinfomsg.decode(body);
  const attributes = parseAttributes(body.subarray(L.Ifinfomsg.size));
  const name = Buffer.from(attributes.get(L.IFLA_IFNAME) ?? [])
    .toString('latin1')
    .replace(/\0.*$/s, '');
  const hardware = (attributes.get(L.IFLA_ADDRESS) ?? new Uint8Array(6)).slice();
  return { index, type, name, mtu: u32(attributes.get(L.IFLA_MTU)) || 1500, up: (ifi_flags & IFF_UP) !== 0, hardware };
}

export function parseAddress(body: Uint8Array): HostAddress | null {
  const { ifa_family: family, ifa_prefixlen: prefixLength, ifa_flags, ifa_index: index } = L.Ifaddrmsg.decode(body);
  const attributes = parseAttributes(body.subarray(L.Ifaddrmsg.size));
  const bytes = attributes.get(L.IFA_LOCAL) ?? attributes.get(L.IFA_ADDRESS);
  const address = ip(family, bytes);
  if (address === null) return null;
  const flags = ifa_flags | u32(attributes.get(L.IFA_FLAGS));
  const broadcast = ip(family, attributes.get(L.IFA_BROADCAST));
  const duplicate = (flags & IFA_F_DADFAILED) !== 0;
  return { index, address, prefixLength, broadcast, tentative: (flags & IFA_F_TENTATIVE) !== 0, duplicate };
}

/** Null: a route that is of no use to the sandbox's stack: local ones, those that refuse, other tables, cached ones. */
export function parseRoute(body: Uint8Array): HostRoute | null {
  const fixed = L.Rtmsg.decode(body);
  const attributes = parseAttributes(body.subarray(L.Rtmsg.size));
  const family = fixed.rtm_family;
  const table = u32(attributes.get(L.RTA_TABLE)) || fixed.rtm_table;
  if (fixed.rtm_type !== L.RTN_UNICAST || (fixed.rtm_flags & RTM_F_CLONED) !== 0) return null;
  if (table !== L.RT_TABLE_MAIN && table !== L.RT_TABLE_DEFAULT) return null;
  if (family !== AF_INET && family !== AF_INET6) return null;
  // Of several next hops the first is taken.
  const hop = firstHop(attributes.get(L.RTA_MULTIPATH));
  const index = hop?.index ?? u32(attributes.get(L.RTA_OIF));
  if (index === 0) return null;
  return {
    destination: ip(family, attributes.get(L.RTA_DST)) ?? (family === AF_INET ? ANY4 : ANY6),
    prefixLength: fixed.rtm_dst_len,
    gateway: ip(family, hop?.gateway ?? attributes.get(L.RTA_GATEWAY)),
    source: ip(family, attributes.get(L.RTA_PREFSRC)),
    index,
    metric: u32(attributes.get(L.RTA_PRIORITY)),
    protocol: fixed.rtm_protocol,
  };
}
/** struct rtnexthop: u16 length, u8 flags, u8 hops, i32 index, attributes. */
function firstHop(bytes: Uint8Array | undefined): { index: number; gateway: Uint8Array | undefined } | null {
  if (bytes === undefined || bytes.length < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Math.min(view.getUint16(0, true), bytes.length);
  return { index: view.getInt32(4, true), gateway: parseAttributes(bytes.subarray(8, Math.max(length, 8))).get(L.RTA_GATEWAY) };
}

export function parseNeighbour(body: Uint8Array): HostNeighbour | null {
  const { ndm_family: family, ndm_ifindex: index, ndm_state: state } = L.Ndmsg.decode(body);
  const attributes = parseAttributes(body.subarray(L.Ndmsg.size));
  const address = ip(family, attributes.get(L.NDA_DST));
  if (address === null) return null;
  const hardware = attributes.get(L.NDA_LLADDR);
  return { index, address, state, hardware: hardware?.length === 6 ? hardware.slice() : null };
}

function ip(family: number, bytes: Uint8Array | undefined): IpAddress | null {
  const length = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  return bytes === undefined || length === 0 || bytes.length !== length ? null : readAddress(bytes, 0, length);
}
function u32(bytes: Uint8Array | undefined): number {
  return bytes === undefined || bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
