/** NETLINK_ROUTE (rtnetlink(7)): links, addresses and routes, listed and looked up. */
import { EINVAL, ENETUNREACH, ENODEV, EOPNOTSUPP, EPERM, type Errno } from '../../../abi/errno.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../abi/socket.ts';
import { NetlinkMessage, parseAttributes } from '../../../lib/netlink_message.ts';
import type { NetDevice } from '../../fs/sys/net_class.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import type { InterfaceAddress, NeighbourEntry, RouteEntry } from './route_provider.ts';

const IFF_LOWER_UP = 0x10000;
const IF_OPER_UNKNOWN = 0;
const IF_OPER_UP = 6;
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

/** One request. `body`: what follows the header. The messages to answer with, or an errno. */
export function answerRoute(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
  const dump = (flags & L.NLM_F_DUMP) === L.NLM_F_DUMP;
  const multi = dump ? L.NLM_F_MULTI : 0;
  switch (type) {
    case L.RTM_GETLINK:
      return dump ? links(task).map((device) => linkMessage(device, multi)) : oneLink(task, body);
    case L.RTM_GETADDR:
      return addresses(task, body).map((address) => addressMessage(address, multi));
    case L.RTM_GETROUTE:
      return dump ? routes(task, body).map((route) => routeMessage(route, multi)) : oneRoute(task, body);
    case L.RTM_GETNEIGH:
      return dump ? neighbours(task, body).map((entry) => neighbourMessage(entry, multi)) : EOPNOTSUPP;
    case L.RTM_GETRULE:
      return dump ? rules(body, multi) : EOPNOTSUPP;
    default:
      return change(task, type, flags, body);
  }
}

function change(task: Task, type: number, flags: number, body: Uint8Array): NetlinkMessage[] | Errno {
  if ((type & 3) === 2) return EOPNOTSUPP; // another kind of object to look at
  if (!hasCapIn(task.creds, CAP_NET_ADMIN, task.namespaces.net.owner)) return EPERM;
  const r = task.kernel.routeProvider.change(task, type, flags, body);
  return r === null ? EOPNOTSUPP : r === 0 ? [] : r;
}

/** The three rules of every namespace: others cannot be made. IPv6 has no table "default". */
function rules(body: Uint8Array, flags: number): NetlinkMessage[] {
  const found: NetlinkMessage[] = [];
  for (const family of [AF_INET, AF_INET6]) {
    if ((body[0] ?? AF_UNSPEC) !== AF_UNSPEC && body[0] !== family) continue;
    for (const [priority, table] of RULES) {
      if (family === AF_INET6 && table === L.RT_TABLE_DEFAULT) continue;
      const fixed = Uint8Array.of(family, 0, 0, 0, table, 0, 0, L.FR_ACT_TO_TBL, 0, 0, 0, 0);
      const message = new NetlinkMessage(L.RTM_NEWRULE, flags, fixed).u32(L.FRA_TABLE, table);
      if (priority > 0) message.u32(L.FRA_PRIORITY, priority);
      found.push(message);
    }
  }
  return found;
}
const RULES: readonly (readonly [priority: number, table: number])[] = [
  [0, L.RT_TABLE_LOCAL],
  [32_766, L.RT_TABLE_MAIN],
  [32_767, L.RT_TABLE_DEFAULT],
];

function links(task: Task): readonly NetDevice[] {
  return task.kernel.netDevices(task.namespaces.net);
}
function oneLink(task: Task, body: Uint8Array): NetlinkMessage[] | Errno {
  if (body.length < L.Ifinfomsg.size) return EINVAL;
  const { ifi_index } = L.Ifinfomsg.decode(body);
  const name = parseAttributes(body.subarray(L.Ifinfomsg.size)).get(L.IFLA_IFNAME);
  const text = name === undefined ? null : Buffer.from(name).toString('latin1').replace(/\0.*$/s, '');
  const device = links(task).find((d) => (ifi_index !== 0 ? d.index === ifi_index : d.name === text));
  return device === undefined ? ENODEV : [linkMessage(device, 0)];
}

function linkMessage(device: NetDevice, flags: number): NetlinkMessage {
  const body = L.Ifinfomsg.encode({
    ifi_family: AF_UNSPEC,
    ifi_type: device.type,
    ifi_index: device.index,
    ifi_flags: device.flags | (device.up ? IFF_LOWER_UP : 0),
    ifi_change: 0,
  });
  const loopback = device.type === 772; // ARPHRD_LOOPBACK
  const hardware = Uint8Array.from(device.address.split(':'), (part) => Number.parseInt(part, 16));
  const counters = COUNTERS.map((name) => device.statistics[name] ?? 0);
  return new NetlinkMessage(L.RTM_NEWLINK, flags, body)
    .text(L.IFLA_IFNAME, device.name)
    .u32(L.IFLA_TXQLEN, 1000)
    .u8(L.IFLA_OPERSTATE, loopback ? IF_OPER_UNKNOWN : device.up ? IF_OPER_UP : 2)
    .u8(L.IFLA_LINKMODE, 0)
    .u32(L.IFLA_MTU, device.mtu)
    .u32(L.IFLA_GROUP, 0)
    .text(L.IFLA_QDISC, 'noqueue')
    .attribute(L.IFLA_ADDRESS, hardware)
    .attribute(L.IFLA_BROADCAST, new Uint8Array(6).fill(loopback ? 0 : 0xff))
    .attribute(L.IFLA_STATS64, new Uint8Array(BigUint64Array.from(counters, BigInt).buffer))
    .attribute(L.IFLA_STATS, new Uint8Array(Uint32Array.from(counters).buffer));
}

/** The family is the first byte of every request's fixed part; 0 means all. */
function wanted(body: Uint8Array): (object: { readonly family: number }) => boolean {
  const family = body[0] ?? AF_UNSPEC;
  return (object) => family === AF_UNSPEC || object.family === family;
}
function addresses(task: Task, body: Uint8Array): InterfaceAddress[] {
  return task.kernel.routeProvider.addresses(task.namespaces.net).filter(wanted(body));
}
function addressMessage(address: InterfaceAddress, flags: number): NetlinkMessage {
  const body = L.Ifaddrmsg.encode({
    ifa_family: address.family,
    ifa_prefixlen: address.prefixLength,
    ifa_flags: IFA_F_PERMANENT,
    ifa_scope: address.scope,
    ifa_index: address.index,
  });
  const message = new NetlinkMessage(L.RTM_NEWADDR, flags, body).attribute(L.IFA_ADDRESS, address.address);
  if (address.family === AF_INET) message.attribute(L.IFA_LOCAL, address.address);
  if (address.broadcast !== undefined) message.attribute(L.IFA_BROADCAST, address.broadcast);
  if (address.family === AF_INET) message.text(L.IFA_LABEL, address.label);
  message.u32(L.IFA_FLAGS, IFA_F_PERMANENT);
  // Preferred and valid for ever; made and changed at the start.
  return message.attribute(L.IFA_CACHEINFO, new Uint8Array(Uint32Array.of(NO_LIMIT, NO_LIMIT, 0, 0).buffer));
}

function routes(task: Task, body: Uint8Array): RouteEntry[] {
  return task.kernel.routeProvider.routes(task.namespaces.net).filter(wanted(body));
}
/** The route that a packet to RTA_DST would take: the longest prefix, then the least metric. */
function oneRoute(task: Task, body: Uint8Array): NetlinkMessage[] | Errno {
  if (body.length < L.Rtmsg.size) return EINVAL;
  const target = parseAttributes(body.subarray(L.Rtmsg.size)).get(L.RTA_DST);
  if (target === undefined) return EINVAL;
  let best: RouteEntry | null = null;
  for (const route of routes(task, body)) {
    if (!matches(route, target)) continue;
    if (best === null || route.prefixLength > best.prefixLength) best = route;
    else if (route.prefixLength === best.prefixLength && (route.metric ?? 0) < (best.metric ?? 0)) best = route;
  }
  if (best === null) return ENETUNREACH;
  return [routeMessage({ ...best, destination: target, prefixLength: target.length * 8 }, 0)];
}
function matches(route: RouteEntry, target: Uint8Array): boolean {
  for (let bit = 0; bit < route.prefixLength; bit++) {
    const differ = (route.destination[bit >> 3] ?? 0) ^ (target[bit >> 3] ?? 0);
    if ((differ & (0x80 >> (bit & 7))) !== 0) return false;
  }
  return true;
}
function routeMessage(route: RouteEntry, flags: number): NetlinkMessage {
  const body = L.Rtmsg.encode({
    rtm_family: route.family,
    rtm_dst_len: route.prefixLength,
    rtm_src_len: 0,
    rtm_tos: 0,
    rtm_table: route.table,
    rtm_protocol: route.protocol,
    rtm_scope: route.scope,
    rtm_type: route.type,
    rtm_flags: 0,
  });
  const message = new NetlinkMessage(L.RTM_NEWROUTE, flags, body).u32(L.RTA_TABLE, route.table);
  if (route.prefixLength > 0) message.attribute(L.RTA_DST, route.destination);
  if (route.metric !== undefined) message.u32(L.RTA_PRIORITY, route.metric);
  if (route.gateway !== undefined) message.attribute(L.RTA_GATEWAY, route.gateway);
  if (route.source !== undefined) message.attribute(L.RTA_PREFSRC, route.source);
  return message.u32(L.RTA_OIF, route.index);
}

const NTF_ROUTER = 0x80;

/** ndm_ifindex narrows the list to one interface. */
function neighbours(task: Task, body: Uint8Array): NeighbourEntry[] {
  const index = body.length >= L.Ndmsg.size ? L.Ndmsg.decode(body).ndm_ifindex : 0;
  const all = task.kernel.routeProvider.neighbours(task.namespaces.net).filter(wanted(body));
  return index === 0 ? all : all.filter((entry) => entry.index === index);
}
function neighbourMessage(entry: NeighbourEntry, flags: number): NetlinkMessage {
  const body = L.Ndmsg.encode({
    ndm_family: entry.family,
    ndm_ifindex: entry.index,
    ndm_state: entry.state,
    ndm_flags: entry.router ? NTF_ROUTER : 0,
    ndm_type: L.RTN_UNICAST,
  });
  const message = new NetlinkMessage(L.RTM_NEWNEIGH, flags, body).attribute(L.NDA_DST, entry.address);
  if (entry.hardware !== null) message.attribute(L.NDA_LLADDR, entry.hardware);
  // Ages in hundredths of a second are not kept.
  return message.attribute(L.NDA_CACHEINFO, new Uint8Array(16));
}
