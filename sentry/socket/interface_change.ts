/** The requests that change interfaces and routes (netdevice(7)), said in the words of rtnetlink(7): one way in, one set of rules. */
import { EADDRNOTAVAIL, EFAULT, EINVAL, ENODEV, EPERM, type Errno, isErrno } from '../../abi/errno.ts';
import * as I from '../../abi/if.ts';
import * as L from '../../abi/netlink.ts';
import { AF_INET } from '../../abi/socket.ts';
import { getLen64 } from '../../abi/struct.ts';
import { NetlinkMessage } from '../../lib/netlink_message.ts';
import type { NetDevice } from '../fs/sys/net_class.ts';
import { CAP_NET_ADMIN } from '../kernel/credentials.ts';
import type { Task } from '../kernel/task.ts';
import { hasNetCap } from './net_capability.ts';

const RTENTRY_SIZE = 120;
const RTF_GATEWAY = 2;
const RTF_HOST = 4;
const RTPROT_BOOT = 3;
const CHANGES: readonly number[] = [
  ...[I.SIOCSIFFLAGS, I.SIOCSIFADDR, I.SIOCSIFDSTADDR, I.SIOCSIFBRDADDR, I.SIOCSIFNETMASK, I.SIOCSIFMTU, I.SIOCSIFHWADDR, I.SIOCSIFNAME],
  ...[I.SIOCSIFTXQLEN, I.SIOCSIFMETRIC],
];

/** null: not one of these. `find`: the interface that a struct ifreq names. */
export function interfaceChange(
  task: Task,
  command: number,
  argument: number,
  find: (request: Uint8Array) => NetDevice | undefined,
): number | null {
  if (command === I.SIOCADDRT || command === I.SIOCDELRT) return changeRoute(task, command === I.SIOCADDRT, argument);
  if (!CHANGES.includes(command)) return null;
  if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
  const request = task.readBytes(argument, I.IFREQ_SIZE);
  if (isErrno(request)) return request;
  const device = find(request);
  if (device === undefined) return ENODEV;
  const view = new DataView(request.buffer, request.byteOffset + I.IFNAMSIZ);
  switch (command) {
    case I.SIOCSIFFLAGS:
      return link(task, device.index, view.getUint16(0, true), I.IFF_UP, null);
    case I.SIOCSIFMTU:
      return link(task, device.index, 0, 0, (m) => m.u32(L.IFLA_MTU, view.getInt32(0, true)));
    case I.SIOCSIFHWADDR:
      return link(task, device.index, 0, 0, (m) => m.attribute(L.IFLA_ADDRESS, request.subarray(I.IFNAMSIZ + 2, I.IFNAMSIZ + 8)));
    case I.SIOCSIFNAME:
      return link(task, device.index, 0, 0, (m) => m.attribute(L.IFLA_IFNAME, request.subarray(I.IFNAMSIZ, 2 * I.IFNAMSIZ)));
    case I.SIOCSIFTXQLEN:
      return link(task, device.index, 0, 0, (m) => m.u32(L.IFLA_TXQLEN, view.getInt32(0, true)));
    case I.SIOCSIFMETRIC:
      return 0; // interfaces have none
    default:
      return view.getUint16(0, true) === AF_INET
        ? changeAddress(task, command, device, request.slice(I.IFNAMSIZ + 4, I.IFNAMSIZ + 8))
        : EINVAL;
  }
}

function say(task: Task, type: number, flags: number, message: NetlinkMessage): number {
  return task.kernel.routeProvider.change(task, type, flags, message.encode(0, 0).subarray(L.Nlmsghdr.size)) ?? EINVAL;
}
function link(task: Task, index: number, flags: number, change: number, add: ((message: NetlinkMessage) => unknown) | null): number {
  const body = L.Ifinfomsg.encode({ ifi_family: 0, ifi_type: 0, ifi_index: index, ifi_flags: flags, ifi_change: change });
  const message = new NetlinkMessage(L.RTM_NEWLINK, 0, body);
  add?.(message);
  return say(task, L.RTM_NEWLINK, 0, message);
}

/** The first IPv4 address of the interface, the other end's, its mask or its broadcast address becomes another one. */
function changeAddress(task: Task, command: number, device: NetDevice, value: Uint8Array): number {
  const addresses = task.kernel.routeProvider.addresses(task.namespaces.net);
  const now = addresses.find((a) => a.family === AF_INET && a.index === device.index);
  if (now === undefined && command !== I.SIOCSIFADDR) return EADDRNOTAVAIL;
  let prefixLength = now?.prefixLength ?? classLength(value);
  let address = now?.address ?? value;
  if (command === I.SIOCSIFADDR) {
    address = value;
    prefixLength = classLength(value);
    if ((device.flags & I.IFF_POINTOPOINT) !== 0) prefixLength = 32;
  } else if (command === I.SIOCSIFDSTADDR) {
    if ((device.flags & I.IFF_POINTOPOINT) === 0) return EINVAL;
    prefixLength = 32;
  } else if (command === I.SIOCSIFNETMASK) {
    const length = maskLength(value);
    if (length < 0) return EINVAL;
    prefixLength = length;
  }
  if (now !== undefined) {
    const r = say(task, L.RTM_DELADDR, 0, addressMessage(now.index, { ...now, broadcast: null }));
    if (r !== 0) return r;
  }
  if (command === I.SIOCSIFADDR && value.every((byte) => byte === 0)) return 0;
  const broadcast = command === I.SIOCSIFBRDADDR ? value : null;
  const peer = command === I.SIOCSIFDSTADDR ? value : command === I.SIOCSIFADDR ? undefined : now?.peer;
  return say(task, L.RTM_NEWADDR, 0, addressMessage(device.index, { address, prefixLength, broadcast, peer }));
}
interface WantedAddress {
  readonly address: Uint8Array;
  readonly prefixLength: number;
  readonly broadcast: Uint8Array | null;
  readonly peer?: Uint8Array | undefined;
}
function addressMessage(index: number, { address, prefixLength, broadcast, peer }: WantedAddress): NetlinkMessage {
  const body = L.Ifaddrmsg.encode({ ifa_family: AF_INET, ifa_prefixlen: prefixLength, ifa_flags: 0, ifa_scope: 0, ifa_index: index });
  const message = new NetlinkMessage(L.RTM_NEWADDR, 0, body).attribute(L.IFA_LOCAL, address).attribute(L.IFA_ADDRESS, peer ?? address);
  return broadcast === null ? message : message.attribute(L.IFA_BROADCAST, broadcast);
}
/** The mask that a class A, B or C address has. */
function classLength([first = 0]: Uint8Array): number {
  return first < 128 ? 8 : first < 192 ? 16 : 24;
}
/** -1: not a mask. */
function maskLength(mask: Uint8Array): number {
  const bits = [...mask].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return /^1*0*$/.test(bits) ? bits.replaceAll('0', '').length : -1;
}

/** struct rtentry. */
function changeRoute(task: Task, add: boolean, argument: number): number {
  if (!hasNetCap(task, CAP_NET_ADMIN)) return EPERM;
  const bytes = task.readBytes(argument, RTENTRY_SIZE);
  if (isErrno(bytes)) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  if (view.getUint16(8, true) !== AF_INET) return EINVAL;
  const flags = view.getUint16(56, true);
  const length = (flags & RTF_HOST) !== 0 ? 32 : maskLength(bytes.subarray(44, 48));
  if (length < 0) return EINVAL;
  const index = routeDevice(task, getLen64(view, 88));
  if (index < 0) return index;
  const body = L.Rtmsg.encode({
    ...{ rtm_family: AF_INET, rtm_dst_len: length, rtm_src_len: 0, rtm_tos: 0, rtm_table: L.RT_TABLE_MAIN, rtm_protocol: RTPROT_BOOT },
    ...{ rtm_scope: 0, rtm_type: L.RTN_UNICAST, rtm_flags: 0 },
  });
  const message = new NetlinkMessage(L.RTM_NEWROUTE, 0, body).attribute(L.RTA_DST, bytes.slice(12, 16));
  if ((flags & RTF_GATEWAY) !== 0) message.attribute(L.RTA_GATEWAY, bytes.slice(28, 32));
  if (index > 0) message.u32(L.RTA_OIF, index);
  const metric = view.getInt16(80, true);
  if (metric > 1) message.u32(L.RTA_PRIORITY, metric - 1);
  return say(task, add ? L.RTM_NEWROUTE : L.RTM_DELROUTE, add ? L.NLM_F_EXCL : 0, message);
}
/** By the name that rt_dev points at; 0: none is given. */
function routeDevice(task: Task, address: number): number | Errno {
  if (address === 0) return 0;
  const name = task.readBytes(address, I.IFNAMSIZ);
  if (isErrno(name)) return EFAULT;
  const text = Buffer.from(name).toString('latin1').replace(/\0.*$/s, '');
  return task.kernel.netDevices(task.namespaces.net).find((device) => device.name === text)?.index ?? ENODEV;
}
