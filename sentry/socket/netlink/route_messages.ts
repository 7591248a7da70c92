/** The objects of NETLINK_ROUTE (rtnetlink(7)) as messages. `type`: RTM_NEW*, or RTM_DEL* of one that has gone. */

import { IFF_BROADCAST } from '../../../abi/if.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import { AttributeList, NetlinkMessage } from '../../../lib/netlink_message.ts';
import type { LinkInfo, NetDevice } from '../../fs/sys/net_class.ts';
import type { InterfaceAddress, NeighbourEntry, RouteEntry, RuleEntry } from './route_provider.ts';

const IFA_F_PERMANENT = 0x80;
const NO_LIMIT = 0xffff_ffff;
/** In the order of struct rtnl_link_stats and rtnl_link_stats64. */
const COUNTERS = [
  ...['rx_packets', 'tx_packets', 'rx_bytes', 'tx_bytes', 'rx_errors', 'tx_errors', 'rx_dropped', 'tx_dropped', 'multicast', 'collisions'],
  ...['rx_length_errors', 'rx_over_errors', 'rx_crc_errors', 'rx_frame_errors', 'rx_fifo_errors', 'rx_missed_errors'],
  ...[
    'tx_aborted_errors',
    'tx_carrier_errors',
    'tx_fifo_errors',
    'tx_heartbeat_errors',
    'tx_window_errors',
    'rx_compressed',
    'tx_compressed',
  ],
  'rx_nohandler',
];

const RTM_F_CLONED = 0x200;
const RTNH_F_LINKDOWN = 0x10;
const ROUTER_PREFERENCE_MEDIUM = 0;
const NTF_ROUTER = 0x80;
/** Tables with larger numbers are in RTA_TABLE alone. */
const RT_TABLE_COMPAT = 252;

export function linkMessage(device: NetDevice, flags: number, type = L.RTM_NEWLINK): NetlinkMessage {
  const body = L.Ifinfomsg.encode({
    ifi_family: AF_UNSPEC,
    ifi_type: device.type,
    ifi_index: device.index,
    ifi_flags: device.flags,
    ifi_change: 0,
  });
  const counters = COUNTERS.map((name) => device.statistics[name] ?? 0);
  const message = new NetlinkMessage(type, flags, body)
    .text(L.IFLA_IFNAME, device.name)
    .u32(L.IFLA_TXQLEN, device.queueLength)
    .u8(L.IFLA_OPERSTATE, device.state)
    .u8(L.IFLA_LINKMODE, 0)
    .u32(L.IFLA_MTU, device.mtu)
    .u32(L.IFLA_GROUP, 0)
    .text(L.IFLA_QDISC, 'noqueue');
  if (device.address !== '') {
    const hardware = Uint8Array.from(device.address.split(':'), (part) => Number.parseInt(part, 16));
    const broadcast = new Uint8Array(6).fill((device.flags & IFF_BROADCAST) !== 0 ? 0xff : 0);
    message.attribute(L.IFLA_ADDRESS, hardware).attribute(L.IFLA_BROADCAST, broadcast);
  }
  message
    .attribute(L.IFLA_STATS64, new Uint8Array(BigUint64Array.from(counters, BigInt).buffer))
    .attribute(L.IFLA_STATS, new Uint8Array(Uint32Array.from(counters).buffer));
  if (device.info !== undefined) message.attribute(L.IFLA_LINKINFO, linkInfo(device.info));
  return message;
}
function linkInfo({ kind, data }: LinkInfo): Uint8Array {
  const list = new AttributeList().text(L.IFLA_INFO_KIND, kind);
  if (data.length > 0) list.attribute(L.IFLA_INFO_DATA, data);
  return list.bytes();
}

export function addressMessage(address: InterfaceAddress, flags: number, type = L.RTM_NEWADDR): NetlinkMessage {
  const body = L.Ifaddrmsg.encode({
    ifa_family: address.family,
    ifa_prefixlen: address.prefixLength,
    ifa_flags: IFA_F_PERMANENT,
    ifa_scope: address.scope,
    ifa_index: address.index,
  });
  const message = new NetlinkMessage(type, flags, body).attribute(L.IFA_ADDRESS, address.peer ?? address.address);
  if (address.family === AF_INET || address.peer !== undefined) message.attribute(L.IFA_LOCAL, address.address);
  if (address.broadcast !== undefined) message.attribute(L.IFA_BROADCAST, address.broadcast);
  if (address.family === AF_INET) message.text(L.IFA_LABEL, address.label);
  message.u32(L.IFA_FLAGS, IFA_F_PERMANENT);
  // Preferred and valid for ever; made and changed at the start.
  return message.attribute(L.IFA_CACHEINFO, new Uint8Array(Uint32Array.of(NO_LIMIT, NO_LIMIT, 0, 0).buffer));
}

export function routeMessage(route: RouteEntry, flags: number, type = L.RTM_NEWROUTE): NetlinkMessage {
  const body = L.Rtmsg.encode({
    rtm_family: route.family,
    rtm_dst_len: route.prefixLength,
    rtm_src_len: (route.from?.length ?? 0) * 8,
    rtm_tos: 0,
    rtm_table: route.table < 256 ? route.table : RT_TABLE_COMPAT,
    rtm_protocol: route.protocol,
    rtm_scope: route.scope,
    rtm_type: route.type,
    rtm_flags: (route.cloned === true ? RTM_F_CLONED : 0) | (route.linkDown === true ? RTNH_F_LINKDOWN : 0),
  });
  const message = new NetlinkMessage(type, flags, body).u32(L.RTA_TABLE, route.table);
  if (route.prefixLength > 0) message.attribute(L.RTA_DST, route.destination);
  if (route.metric !== undefined) message.u32(L.RTA_PRIORITY, route.metric);
  if (route.gateway !== undefined) message.attribute(L.RTA_GATEWAY, route.gateway);
  if (route.from !== undefined) message.attribute(L.RTA_SRC, route.from);
  else if (route.source !== undefined) message.attribute(L.RTA_PREFSRC, route.source);
  if (route.family === AF_INET6) message.u8(L.RTA_PREF, ROUTER_PREFERENCE_MEDIUM);
  return message.u32(L.RTA_OIF, route.index);
}

export function neighbourMessage(entry: NeighbourEntry, flags: number, type = L.RTM_NEWNEIGH): NetlinkMessage {
  const body = L.Ndmsg.encode({
    ndm_family: entry.family,
    ndm_ifindex: entry.index,
    ndm_state: entry.state,
    ndm_flags: entry.router ? NTF_ROUTER : 0,
    ndm_type: L.RTN_UNICAST,
  });
  const message = new NetlinkMessage(type, flags, body).attribute(L.NDA_DST, entry.address);
  if (entry.hardware !== null) message.attribute(L.NDA_LLADDR, entry.hardware);
  // Ages in hundredths of a second are not kept.
  return message.attribute(L.NDA_CACHEINFO, new Uint8Array(16));
}

export function ruleMessage(rule: RuleEntry, flags: number, type = L.RTM_NEWRULE): NetlinkMessage {
  const fixed = L.FibRuleHdr.encode({
    family: rule.family,
    dst_len: rule.destinationLength,
    src_len: rule.sourceLength,
    tos: 0,
    table: rule.table < 256 ? rule.table : RT_TABLE_COMPAT,
    action: rule.action,
    flags: rule.inverted ? L.FIB_RULE_INVERT : 0,
  });
  const message = new NetlinkMessage(type, flags, fixed).u32(L.FRA_TABLE, rule.table);
  message.u32(L.FRA_SUPPRESS_PREFIXLEN, rule.suppressed >>> 0);
  if (rule.destinationLength > 0) message.attribute(L.FRA_DST, rule.destination);
  if (rule.sourceLength > 0) message.attribute(L.FRA_SRC, rule.source);
  if (rule.input !== null) message.text(L.FRA_IIFNAME, rule.input);
  if (rule.output !== null) message.text(L.FRA_OIFNAME, rule.output);
  if (rule.mark !== 0 || rule.mask !== 0) message.u32(L.FRA_FWMARK, rule.mark).u32(L.FRA_FWMASK, rule.mask);
  if (rule.priority > 0) message.u32(L.FRA_PRIORITY, rule.priority);
  return message.u8(L.FRA_PROTOCOL, rule.protocol);
}
