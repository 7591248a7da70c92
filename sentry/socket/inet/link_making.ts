/** RTM_NEWLINK and RTM_DELLINK (rtnetlink(7)): veth and dummy interfaces, which are the sandbox's own; names; moves between namespaces. */
import { EBUSY, EEXIST, EINVAL, ENODEV, ENOSPC, EOPNOTSUPP, EPERM, type Errno, ESRCH, isErrno } from '../../../abi/errno.ts';
import { IFF_UP } from '../../../abi/if.ts';
import * as L from '../../../abi/netlink.ts';
import { parseAttributes } from '../../../lib/netlink_message.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { isTunnel, type TunnelInterface } from '../../../netstack/link/tunnel_link.ts';
import { DummyInterface, join, VethInterface } from '../../../netstack/link/virtual_link.ts';
import type { Stack } from '../../../netstack/stack.ts';
import { NamespaceFile } from '../../fs/nsfs.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import { DEFAULT_MTU, isFull, plug, validName, type Wanted } from './link_plugging.ts';
import type { Networks } from './networks.ts';
import { tunOf } from './tun/tun_device.ts';

const VETH_INFO_PEER = 1;

type Attributes = Map<number, Uint8Array>;

function text(bytes: Uint8Array | undefined): string | null {
  return bytes === undefined ? null : Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
}
function u32(bytes: Uint8Array | undefined): number | null {
  return bytes === undefined || bytes.length < 4 ? null : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}

/** null: not about making, moving or naming. `payload` follows the nlmsghdr. */
export function makeOrMoveLink(task: Task, networks: Networks, type: number, flags: number, payload: Uint8Array): 0 | Errno | null {
  if (type !== L.RTM_NEWLINK && type !== L.RTM_SETLINK && type !== L.RTM_DELLINK) return null;
  if (payload.length < L.Ifinfomsg.size) return EINVAL;
  const { stack } = networks.of(task.namespaces.net);
  const fixed = L.Ifinfomsg.decode(payload);
  const attributes = parseAttributes(payload.subarray(L.Ifinfomsg.size));
  const name = text(attributes.get(L.IFLA_IFNAME));
  const there = fixed.ifi_index !== 0 ? stack.device(fixed.ifi_index) : (stack.interfaces.find((d) => d.name === name) ?? null);
  if (type === L.RTM_DELLINK) return there === null ? ENODEV : removeLink(there);
  const kind = kindOf(attributes);
  if (kind !== null && there === null && (flags & L.NLM_F_CREATE) !== 0) return makeLink(task, networks, kind, fixed.ifi_flags, attributes);
  if (kind !== null && there !== null) return (flags & L.NLM_F_EXCL) !== 0 ? EEXIST : EOPNOTSUPP;
  if (there === null) return null;
  const target = targetOf(task, networks, attributes);
  if (typeof target === 'number') return target;
  if (target !== null && target !== stack) return moveLink(there, target, name ?? there.name);
  return name !== null && fixed.ifi_index !== 0 && name !== there.name ? renameLink(stack, there, name) : null;
}
function kindOf(attributes: Attributes): { kind: string; data: Uint8Array } | null {
  const info = attributes.get(L.IFLA_LINKINFO);
  if (info === undefined) return null;
  const parts = parseAttributes(info);
  return { kind: text(parts.get(L.IFLA_INFO_KIND)) ?? '', data: parts.get(L.IFLA_INFO_DATA) ?? new Uint8Array(0) };
}
/** IFLA_NET_NS_PID and IFLA_NET_NS_FD; null: neither. */
function targetOf(task: Task, networks: Networks, attributes: Attributes): Stack | Errno | null {
  const pid = u32(attributes.get(L.IFLA_NET_NS_PID));
  const fd = u32(attributes.get(L.IFLA_NET_NS_FD));
  if (pid !== null) {
    const other = task.pidNamespace.tasks.get(pid);
    return other === undefined ? ESRCH : entered(task, networks, other.namespaces.net);
  }
  if (fd === null) return null;
  const file = task.fds.get(fd | 0);
  if (isErrno(file)) return file;
  const namespace = file.impl instanceof NamespaceFile ? file.impl.namespace : null;
  return namespace instanceof NetNamespace ? entered(task, networks, namespace) : EINVAL;
}
/** Who puts something there must have power there. */
function entered(task: Task, networks: Networks, namespace: NetNamespace): Stack | Errno {
  return hasCapIn(task.creds, CAP_NET_ADMIN, namespace.owner) ? networks.of(namespace).stack : EPERM;
}

function wantedOf(stack: Stack, flags: number, attributes: Attributes): Wanted | Errno {
  const name = text(attributes.get(L.IFLA_IFNAME));
  if (name !== null && !validName(name)) return EINVAL;
  if (name !== null && stack.interfaces.some((d) => d.name === name)) return EEXIST;
  const mtu = u32(attributes.get(L.IFLA_MTU)) ?? DEFAULT_MTU;
  if (mtu < 68 || mtu > 65_535) return EINVAL;
  const given = attributes.get(L.IFLA_ADDRESS);
  return { stack, name, mtu, hardware: given?.length === 6 ? given.slice() : null, up: (flags & IFF_UP) !== 0 };
}
function makeLink(
  task: Task,
  networks: Networks,
  { kind, data }: { kind: string; data: Uint8Array },
  flags: number,
  attributes: Attributes,
): 0 | Errno {
  const target = targetOf(task, networks, attributes);
  if (typeof target === 'number') return target;
  const stack = target ?? networks.of(task.namespaces.net).stack;
  const wanted = wantedOf(stack, flags, attributes);
  if (typeof wanted === 'number') return wanted;
  if (isFull(stack)) return ENOSPC;
  if (kind === 'dummy') {
    plug(wanted, kind, (...args) => new DummyInterface(...args));
    return 0;
  }
  return kind === 'veth' ? makePair(task, networks, wanted, data) : EOPNOTSUPP;
}
function makePair(task: Task, networks: Networks, first: Wanted, data: Uint8Array): 0 | Errno {
  const peer = parseAttributes(data).get(VETH_INFO_PEER);
  let second: Wanted | Errno = { ...first, stack: networks.of(task.namespaces.net).stack, name: null, hardware: null };
  if (peer !== undefined && peer.length >= L.Ifinfomsg.size) {
    const attributes = parseAttributes(peer.subarray(L.Ifinfomsg.size));
    const target = targetOf(task, networks, attributes);
    if (typeof target === 'number') return target;
    second = wantedOf(target ?? second.stack, L.Ifinfomsg.decode(peer).ifi_flags, attributes);
  }
  if (typeof second === 'number') return second;
  if (second.name !== null && second.name === first.name && second.stack === first.stack) return EEXIST;
  if (isFull(second.stack)) return ENOSPC;
  const a = plug(first, 'veth', (...args) => new VethInterface(...args));
  const b = plug(second, 'veth', (...args) => new VethInterface(...args));
  join(a, b);
  return 0;
}
/** The pod's interfaces are the host's, and lo belongs to the namespace. */
function isOwn(device: NetInterface): device is VethInterface | DummyInterface | TunnelInterface {
  return device instanceof VethInterface || device instanceof DummyInterface || isTunnel(device);
}
export function removeOwnLinks(stack: Stack): void {
  for (const device of [...stack.interfaces]) if (isOwn(device)) removeLink(device);
}
/** Only what was made here goes away. */
function removeLink(device: NetInterface): 0 | Errno {
  if (!isOwn(device)) return EOPNOTSUPP;
  if (isTunnel(device)) {
    tunOf(device)?.remove();
    return 0;
  }
  if (device instanceof VethInterface) {
    const { peer } = device;
    device.unplug();
    peer?.stack.removeInterface(peer);
  }
  device.stack.removeInterface(device);
  return 0;
}
/** It arrives down and without addresses, as on Linux. */
function moveLink(device: NetInterface, stack: Stack, name: string): 0 | Errno {
  if (!isOwn(device)) return EINVAL;
  if (stack.interfaces.some((d) => d.name === name)) return EEXIST;
  if (isFull(stack)) return ENOSPC;
  const wanted: Wanted = { stack, name, mtu: device.mtu, hardware: device.hardware, up: false };
  device.setUp(false);
  device.stack.removeInterface(device);
  if (isTunnel(device)) tunOf(device)?.plug(wanted);
  else if (device instanceof VethInterface) moveEnd(device, wanted);
  else plug(wanted, 'dummy', (...args) => new DummyInterface(...args));
  return 0;
}
function moveEnd(device: VethInterface, wanted: Wanted): void {
  const { peer } = device;
  device.unplug();
  const moved = plug(wanted, 'veth', (...args) => new VethInterface(...args));
  if (peer !== null) join(moved, peer);
}
function renameLink(stack: Stack, device: NetInterface, name: string): 0 | Errno {
  if (!validName(name)) return EINVAL;
  if (stack.interfaces.some((d) => d.name === name)) return EEXIST;
  if (device.up && device.loopback) return EBUSY;
  device.name = name;
  return 0;
}
