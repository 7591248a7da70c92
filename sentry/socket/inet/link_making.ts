/** RTM_NEWLINK and RTM_DELLINK (rtnetlink(7)): veth and dummy interfaces, which are the sandbox's own; names; moves between namespaces. */
import { EBUSY, EEXIST, EINVAL, ENODEV, ENOSPC, EOPNOTSUPP, EPERM, type Errno, ESRCH, isErrno } from '../../../abi/errno.ts';
import { IFNAMSIZ } from '../../../abi/if.ts';
import * as L from '../../../abi/netlink.ts';
import { parseAttributes } from '../../../lib/netlink_message.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { DummyInterface, join, randomHardware, VethInterface } from '../../../netstack/link/virtual_link.ts';
import type { Stack } from '../../../netstack/stack.ts';
import { NamespaceFile } from '../../fs/nsfs.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../kernel/credentials.ts';
import { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';
import type { Networks } from './networks.ts';

/** Interfaces of one namespace. */
const MAX_INTERFACES = 256;
const DEFAULT_MTU = 1500;
const VETH_INFO_PEER = 1;

type Attributes = Map<number, Uint8Array>;
interface Wanted {
  readonly stack: Stack;
  readonly name: string | null;
  readonly mtu: number;
  readonly hardware: Uint8Array | null;
  readonly up: boolean;
}

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
  return { stack, name, mtu, hardware: given?.length === 6 ? given.slice() : null, up: (flags & 1) !== 0 };
}
function validName(name: string): boolean {
  return name !== '' && name.length < IFNAMSIZ && name !== '.' && name !== '..' && !/[\s/:]/.test(name);
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
  if (stack.interfaces.length >= MAX_INTERFACES) return ENOSPC;
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
  if (second.stack.interfaces.length >= MAX_INTERFACES) return ENOSPC;
  const a = plug(first, 'veth', (...args) => new VethInterface(...args));
  const b = plug(second, 'veth', (...args) => new VethInterface(...args));
  join(a, b);
  return 0;
}
function plug<T extends NetInterface>(
  wanted: Wanted,
  prefix: string,
  make: (stack: Stack, index: number, name: string, mtu: number, hardware: Uint8Array) => T,
): T {
  const { stack } = wanted;
  const index = Math.max(...stack.interfaces.map((d) => d.index)) + 1;
  const device = make(stack, index, wanted.name ?? freeName(stack, prefix), wanted.mtu, wanted.hardware ?? randomHardware(stack));
  device.up = wanted.up;
  stack.addInterface(device);
  return device;
}
function freeName(stack: Stack, prefix: string): string {
  let number = 0;
  while (stack.interfaces.some((d) => d.name === `${prefix}${number}`)) number++;
  return `${prefix}${number}`;
}

/** Only what was made here goes away; the pod's interfaces are the host's, and lo belongs to the namespace. */
function removeLink(device: NetInterface): 0 | Errno {
  if (device instanceof VethInterface) {
    const { peer } = device;
    device.unplug();
    peer?.stack.removeInterface(peer);
  } else if (!(device instanceof DummyInterface)) return EOPNOTSUPP;
  device.stack.removeInterface(device);
  return 0;
}
/** It arrives down and without addresses, as on Linux. */
function moveLink(device: NetInterface, stack: Stack, name: string): 0 | Errno {
  if (!(device instanceof VethInterface) && !(device instanceof DummyInterface)) return EINVAL;
  if (stack.interfaces.some((d) => d.name === name)) return EEXIST;
  if (stack.interfaces.length >= MAX_INTERFACES) return ENOSPC;
  const wanted: Wanted = { stack, name, mtu: device.mtu, hardware: device.hardware, up: false };
  device.stack.removeInterface(device);
  if (device instanceof DummyInterface) {
    plug(wanted, 'dummy', (...args) => new DummyInterface(...args));
    return 0;
  }
  const { peer } = device;
  device.unplug();
  const moved = plug(wanted, 'veth', (...args) => new VethInterface(...args));
  if (peer !== null) join(moved, peer);
  return 0;
}
function renameLink(stack: Stack, device: NetInterface, name: string): 0 | Errno {
  if (!validName(name)) return EINVAL;
  if (stack.interfaces.some((d) => d.name === name)) return EEXIST;
  if (device.up && device.loopback) return EBUSY;
  device.name = name;
  return 0;
}
