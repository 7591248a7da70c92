/** What a task with CAP_NET_ADMIN changes of its namespace's stack through NETLINK_ROUTE: addresses, routes, neighbours, interfaces. */
import { EADDRNOTAVAIL, EEXIST, EINVAL, ENETUNREACH, ENODEV, ENOENT, ENOSPC, EOPNOTSUPP, type Errno, ESRCH } from '../../../abi/errno.ts';
import { IFF_UP } from '../../../abi/if.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import { parseAttributes } from '../../../lib/netlink_message.ts';
import { ANY4, ANY6, broadcastOf, type IpAddress, readAddress, samePrefix } from '../../../netstack/address.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { EthernetInterface } from '../../../netstack/link/ethernet.ts';
import { NUD_PERMANENT, NUD_REACHABLE } from '../../../netstack/link/neighbours.ts';
import type { TableEntry } from '../../../netstack/routes.ts';
import type { Stack } from '../../../netstack/stack.ts';
import { changeRule } from './rule_changes.ts';

const IFA_F_NODAD = 0x02;
const MAX_ADDRESSES = 1024;
const MAX_ROUTES = 4096;
const SMALLEST_MTU = 68;
const LARGEST_MTU = 65_535;
const LONGEST_QUEUE = 65_536;
const RTPROT_KERNEL = 2;

type Attributes = Map<number, Uint8Array>;

/** 0, an errno, or null for a request that is not known here. `payload` follows the nlmsghdr. */
export function changeStack(stack: Stack, type: number, flags: number, payload: Uint8Array): 0 | Errno | null {
  switch (type) {
    case L.RTM_NEWADDR:
    case L.RTM_DELADDR:
      return payload.length < L.Ifaddrmsg.size ? EINVAL : changeAddress(stack, type === L.RTM_NEWADDR, flags, payload);
    case L.RTM_NEWROUTE:
    case L.RTM_DELROUTE:
      return payload.length < L.Rtmsg.size ? EINVAL : changeRoute(stack, type === L.RTM_NEWROUTE, flags, payload);
    case L.RTM_NEWRULE:
    case L.RTM_DELRULE:
      return payload.length < L.FibRuleHdr.size ? EINVAL : changeRule(stack, type === L.RTM_NEWRULE, flags, payload);
    case L.RTM_NEWNEIGH:
    case L.RTM_DELNEIGH:
      return payload.length < L.Ndmsg.size ? EINVAL : changeNeighbour(stack, type === L.RTM_NEWNEIGH, payload);
    case L.RTM_NEWLINK:
    case L.RTM_SETLINK:
      return payload.length < L.Ifinfomsg.size ? EINVAL : changeLink(stack, payload);
    default:
      return null;
  }
}

function ip(family: number, bytes: Uint8Array | undefined): IpAddress | null {
  const length = family === AF_INET ? 4 : family === AF_INET6 ? 16 : 0;
  return bytes === undefined || length === 0 || bytes.length !== length ? null : readAddress(bytes, 0, length);
}
function u32(attributes: Attributes, type: number): number {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 4 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
/** The first bits of an address, the rest zeros. */
function network(address: IpAddress, length: number): IpAddress {
  let out = '';
  for (let i = 0; i < address.length; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8));
    out += String.fromCharCode(address.charCodeAt(i) & (0xff00 >> bits) & 0xff);
  }
  return out;
}

function changeAddress(stack: Stack, add: boolean, flags: number, payload: Uint8Array): 0 | Errno {
  const fixed = L.Ifaddrmsg.decode(payload);
  const attributes = parseAttributes(payload.subarray(L.Ifaddrmsg.size));
  const address = ip(fixed.ifa_family, attributes.get(L.IFA_LOCAL) ?? attributes.get(L.IFA_ADDRESS));
  const peer = ip(fixed.ifa_family, attributes.get(L.IFA_ADDRESS)) ?? address;
  const device = stack.device(fixed.ifa_index);
  if (device === null) return ENODEV;
  if (address === null || peer === null || fixed.ifa_prefixlen > address.length * 8) return EINVAL;
  const connected = stack.routes.entries.find(
    (e) =>
      e.protocol === RTPROT_KERNEL &&
      e.device === device &&
      e.prefixLength === fixed.ifa_prefixlen &&
      samePrefix(e.destination, peer, e.prefixLength),
  );
  if (!add) {
    if (!device.removeAddress(address)) return EADDRNOTAVAIL;
    const shared = device.addresses.some((own) => samePrefix(own.peer ?? own.address, peer, fixed.ifa_prefixlen));
    if (connected !== undefined && !shared) stack.routes.remove(connected);
    return 0;
  }
  if (device.owns(address)) return (flags & L.NLM_F_EXCL) !== 0 ? EEXIST : 0;
  if (device.addresses.length >= MAX_ADDRESSES) return ENOSPC;
  const prefixLength = fixed.ifa_prefixlen;
  const given = ip(fixed.ifa_family, attributes.get(L.IFA_BROADCAST));
  const own = {
    address,
    prefixLength,
    broadcast: given ?? (address.length === 4 && prefixLength < 31 && peer === address ? broadcastOf(address, prefixLength) : null),
    ...(peer === address ? {} : { peer }),
  };
  device.addAddress(own, ((fixed.ifa_flags | u32(attributes, L.IFA_FLAGS)) & IFA_F_NODAD) === 0);
  const alone = prefixLength === address.length * 8 && peer === address;
  if (connected === undefined && !alone && !device.loopback) {
    const metric = address.length === 16 ? 256 : 0;
    stack.routes.add({
      ...{ destination: network(peer, prefixLength), prefixLength, gateway: null, source: address.length === 4 ? address : null },
      ...{ device, metric, protocol: RTPROT_KERNEL },
    });
  }
  return 0;
}

function changeRoute(stack: Stack, add: boolean, flags: number, payload: Uint8Array): 0 | Errno {
  const fixed = L.Rtmsg.decode(payload);
  const family = fixed.rtm_family;
  const attributes = parseAttributes(payload.subarray(L.Rtmsg.size));
  const table = u32(attributes, L.RTA_TABLE) || fixed.rtm_table;
  if (table === L.RT_TABLE_LOCAL) return EOPNOTSUPP;
  if (family !== AF_INET && family !== AF_INET6) return EINVAL;
  const destination = ip(family, attributes.get(L.RTA_DST)) ?? (family === AF_INET ? ANY4 : ANY6);
  if (fixed.rtm_dst_len > destination.length * 8) return EINVAL;
  const gateway = ip(family, attributes.get(L.RTA_GATEWAY));
  const index = u32(attributes, L.RTA_OIF);
  const metric = u32(attributes, L.RTA_PRIORITY);
  const same = stack.routes.entries.find(
    (e) =>
      (e.table ?? L.RT_TABLE_MAIN) === (table || L.RT_TABLE_MAIN) &&
      e.prefixLength === fixed.rtm_dst_len &&
      e.destination.length === destination.length &&
      samePrefix(e.destination, destination, e.prefixLength) &&
      (!attributes.has(L.RTA_PRIORITY) || e.metric === metric) &&
      (gateway === null || add || e.gateway === gateway) &&
      (index === 0 || e.device.index === index),
  );
  if (!add) return same !== undefined && stack.routes.remove(same) ? 0 : ESRCH;
  if (fixed.rtm_type !== L.RTN_UNICAST) return EOPNOTSUPP;
  const device = index !== 0 ? stack.device(index) : gateway === null ? null : deviceTowards(stack, gateway);
  if (device === null) return index !== 0 ? ENODEV : gateway === null ? EINVAL : ENETUNREACH;
  if (same !== undefined && (flags & L.NLM_F_EXCL) !== 0) return EEXIST;
  if (same !== undefined && (flags & L.NLM_F_REPLACE) !== 0) stack.routes.remove(same);
  if (stack.routes.entries.length >= MAX_ROUTES) return ENOSPC;
  const source = ip(family, attributes.get(L.RTA_PREFSRC));
  const entry: TableEntry = {
    ...{ destination: network(destination, fixed.rtm_dst_len), prefixLength: fixed.rtm_dst_len, gateway, source, device },
    ...{ metric: metric === 0 && family === AF_INET6 ? 1024 : metric, protocol: fixed.rtm_protocol },
    ...(table === 0 || table === L.RT_TABLE_MAIN ? {} : { table }),
  };
  stack.routes.add(entry);
  return 0;
}
function deviceTowards(stack: Stack, gateway: IpAddress): NetInterface | null {
  const route = stack.routes.find(gateway, null, null);
  return typeof route === 'number' ? null : route.device;
}

function changeNeighbour(stack: Stack, add: boolean, payload: Uint8Array): 0 | Errno {
  const fixed = L.Ndmsg.decode(payload);
  const attributes = parseAttributes(payload.subarray(L.Ndmsg.size));
  const device = stack.device(fixed.ndm_ifindex);
  if (!(device instanceof EthernetInterface)) return ENODEV;
  const address = ip(fixed.ndm_family, attributes.get(L.NDA_DST));
  if (address === null) return EINVAL;
  if (!add) return device.neighbours.delete(address) ? 0 : ENOENT;
  const hardware = attributes.get(L.NDA_LLADDR);
  if (hardware?.length !== 6) return EINVAL;
  device.neighbours.set(address, hardware, (fixed.ndm_state & NUD_PERMANENT) !== 0 ? NUD_PERMANENT : NUD_REACHABLE);
  return 0;
}

/** Up, down, MTU, hardware address and queue of one that exists; nothing is made. */
function changeLink(stack: Stack, payload: Uint8Array): 0 | Errno {
  const fixed = L.Ifinfomsg.decode(payload);
  const attributes = parseAttributes(payload.subarray(L.Ifinfomsg.size));
  if (attributes.has(L.IFLA_LINKINFO)) return EOPNOTSUPP;
  const name = attributes.get(L.IFLA_IFNAME);
  const text = name === undefined ? null : Buffer.from(name).toString('latin1').replace(/\0.*$/s, '');
  const device = fixed.ifi_index !== 0 ? stack.device(fixed.ifi_index) : (stack.interfaces.find((d) => d.name === text) ?? null);
  if (device === null) return ENODEV;
  const mtu = attributes.has(L.IFLA_MTU) ? u32(attributes, L.IFLA_MTU) : device.mtu;
  if (mtu < SMALLEST_MTU || mtu > Math.max(LARGEST_MTU, device.mtu)) return EINVAL;
  device.mtu = mtu;
  const hardware = attributes.get(L.IFLA_ADDRESS);
  if (hardware?.length === 6 && device instanceof EthernetInterface) device.hardware = hardware.slice();
  if ((fixed.ifi_change & IFF_UP) !== 0) device.setUp((fixed.ifi_flags & IFF_UP) !== 0);
  if (attributes.has(L.IFLA_TXQLEN)) device.queueLength = Math.min(u32(attributes, L.IFLA_TXQLEN), LONGEST_QUEUE);
  return 0;
}
