/** The questions about interfaces that any socket answers (netdevice(7)); interface_change.ts has the changes. */
import { EADDRNOTAVAIL, EFAULT, ENODEV, EOPNOTSUPP, type Errno, isErrno } from '../../abi/errno.ts';
import * as I from '../../abi/if.ts';
import { AF_INET } from '../../abi/socket.ts';
import { getLen64 } from '../../abi/struct.ts';
import type { NetDevice } from '../fs/sys/net_class.ts';
import type { Task } from '../kernel/task.ts';
import { interfaceChange } from './interface_change.ts';
import type { Socket } from './socket.ts';

/** Most entries that one SIOCGIFCONF writes. */
const MAX_ENTRIES = 1024;

/** null: not one of these requests. */
export function interfaceIoctl(task: Task, _socket: Socket, command: number, argument: number): number | null {
  if (command === I.SIOCGIFCONF) return listAddresses(task, argument);
  const changed = interfaceChange(task, command, argument, (request) => find(task, command, request, new DataView(request.buffer)));
  if (changed !== null) return changed;
  if (!KNOWN.includes(command)) return null;
  const request = task.readBytes(argument, I.IFREQ_SIZE);
  if (isErrno(request)) return request;
  const view = new DataView(request.buffer);
  const device = find(task, command, request, view);
  if (device === undefined) return ENODEV;
  const r = fill(task, command, device, request, view);
  return r !== 0 ? r : task.copyOut(argument, request);
}

const KNOWN: readonly number[] = [
  I.SIOCGIFNAME,
  I.SIOCGIFFLAGS,
  I.SIOCGIFADDR,
  I.SIOCGIFDSTADDR,
  I.SIOCGIFBRDADDR,
  I.SIOCGIFNETMASK,
  I.SIOCGIFMETRIC,
  I.SIOCGIFMTU,
  I.SIOCGIFHWADDR,
  I.SIOCGIFINDEX,
  I.SIOCGIFTXQLEN,
  I.SIOCETHTOOL,
];

/** By number for SIOCGIFNAME, by name for the others. */
function find(task: Task, command: number, request: Uint8Array, view: DataView): NetDevice | undefined {
  const devices = task.kernel.netDevices(task.namespaces.net);
  if (command === I.SIOCGIFNAME) return devices.find((device) => device.index === view.getInt32(I.IFNAMSIZ, true));
  const text = Buffer.from(request.subarray(0, I.IFNAMSIZ)).toString('latin1').replace(/\0.*$/s, '');
  return devices.find((device) => device.name === text.replace(/:.*$/s, ''));
}

function fill(task: Task, command: number, device: NetDevice, request: Uint8Array, view: DataView): 0 | Errno {
  const value = request.subarray(I.IFNAMSIZ);
  switch (command) {
    case I.SIOCGIFNAME:
      request.fill(0, 0, I.IFNAMSIZ);
      request.set(Buffer.from(device.name, 'latin1').subarray(0, I.IFNAMSIZ - 1));
      return 0;
    case I.SIOCGIFFLAGS:
      view.setUint16(I.IFNAMSIZ, device.flags & 0xffff, true);
      return 0;
    case I.SIOCGIFINDEX:
      view.setInt32(I.IFNAMSIZ, device.index, true);
      return 0;
    case I.SIOCGIFMTU:
      view.setInt32(I.IFNAMSIZ, device.mtu, true);
      return 0;
    case I.SIOCETHTOOL:
      return EOPNOTSUPP; // no driver has anything to tell
    case I.SIOCGIFMETRIC:
      view.setInt32(I.IFNAMSIZ, 0, true);
      return 0;
    case I.SIOCGIFTXQLEN:
      view.setInt32(I.IFNAMSIZ, device.queueLength, true);
      return 0;
    case I.SIOCGIFHWADDR:
      value.fill(0, 0, 16);
      view.setUint16(I.IFNAMSIZ, device.type, true);
      if (device.address !== '') value.set(hardwareOf(device), 2);
      return 0;
    default:
      return fillAddress(task, command, device, value);
  }
}

/** Six bytes. */
function hardwareOf({ address }: NetDevice): number[] {
  return address.split(':').map((part) => Number.parseInt(part, 16));
}
/** struct sockaddr_in of the interface's first IPv4 address, the other end's, its mask or its broadcast address. */
function fillAddress(task: Task, command: number, device: NetDevice, value: Uint8Array): 0 | Errno {
  const found = task.kernel.routeProvider.addresses(task.namespaces.net).find((a) => a.family === AF_INET && a.index === device.index);
  if (found === undefined) return EADDRNOTAVAIL;
  const mask = found.prefixLength === 0 ? 0 : (-1 << (32 - found.prefixLength)) >>> 0;
  const bytes =
    command === I.SIOCGIFADDR
      ? found.address
      : command === I.SIOCGIFDSTADDR
        ? (found.peer ?? found.address)
        : command === I.SIOCGIFNETMASK
          ? Uint8Array.of(mask >>> 24, mask >>> 16, mask >>> 8, mask)
          : (found.broadcast ?? new Uint8Array(4));
  putSockaddrIn(value, bytes);
  return 0;
}
function putSockaddrIn(into: Uint8Array, address: Uint8Array): void {
  into.fill(0, 0, 16);
  into[0] = AF_INET;
  into.set(address, 4);
}

/** struct ifconf: int length, pointer. Without a buffer: the length that it takes. */
function listAddresses(task: Task, argument: number): number {
  const conf = task.readBytes(argument, 16);
  if (isErrno(conf)) return conf;
  const view = new DataView(conf.buffer);
  const addresses = task.kernel.routeProvider.addresses(task.namespaces.net).filter((a) => a.family === AF_INET);
  const buffer = getLen64(view, 8);
  const room = buffer === 0 ? MAX_ENTRIES : Math.max(0, Math.floor(view.getInt32(0, true) / I.IFREQ_SIZE));
  const shown = addresses.slice(0, Math.min(room, MAX_ENTRIES));
  if (buffer !== 0) {
    const out = new Uint8Array(shown.length * I.IFREQ_SIZE);
    for (const [i, { label, address }] of shown.entries()) {
      out.set(Buffer.from(label, 'latin1').subarray(0, I.IFNAMSIZ - 1), i * I.IFREQ_SIZE);
      putSockaddrIn(out.subarray(i * I.IFREQ_SIZE + I.IFNAMSIZ), address);
    }
    if (out.length > 0 && task.copyOut(buffer, out) !== 0) return EFAULT;
  }
  return task.writeU32(argument, shown.length * I.IFREQ_SIZE);
}
