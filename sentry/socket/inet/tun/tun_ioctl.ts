/** ioctl(2) of /dev/net/tun, with the errors that Linux has and in its order. */
import { EADDRNOTAVAIL, EBADF, EBADFD, EBUSY, EINVAL, EOPNOTSUPP, EPERM, isErrno } from '../../../../abi/errno.ts';
import { IFNAMSIZ, IFREQ_SIZE, SIOCGIFHWADDR, SIOCSIFHWADDR } from '../../../../abi/if.ts';
import * as T from '../../../../abi/if_tun.ts';
import { EthernetInterface, VNET_HEADER } from '../../../../netstack/link/ethernet.ts';
import type { Task } from '../../../kernel/task.ts';
import { NO_ID } from '../../../kernel/user_namespace.ts';
import { addressFilter, attachProgram } from './frame_filter.ts';
import type { TunDevice } from './tun_device.ts';
import type { TunFile } from './tun_file.ts';
import { pauseOrResume, takeInterface } from './tun_interface.ts';
import { setOffload } from './tun_offload.ts';

/** Linux takes any size from the header's own on; what lies behind that is zeros. */
const MAX_VNET_HEADER = 256;
const NO_PROGRAM = -1;

type Answer = (tun: TunDevice, task: Task, argument: number, file: TunFile) => number;

const setter =
  (set: (tun: TunDevice, value: number, task: Task) => number): Answer =>
  (tun, task, argument) => {
    const raw = task.readBytes(argument, 4);
    return isErrno(raw) ? raw : set(tun, new DataView(raw.buffer, raw.byteOffset).getInt32(0, true), task);
  };
const getter =
  (get: (tun: TunDevice) => number): Answer =>
  (tun, task, argument) =>
    task.writeU32(argument, get(tun) >>> 0);

const ANSWERS: ReadonlyMap<number, Answer> = new Map<number, Answer>([
  [T.TUNGETIFF, tellInterface],
  [T.TUNSETNOCSUM, () => 0],
  [T.TUNSETPERSIST, setPersistent],
  [T.TUNSETOWNER, (tun, task, id) => setOwner(tun, task, 'owner', id)],
  [T.TUNSETGROUP, (tun, task, id) => setOwner(tun, task, 'group', id)],
  [T.TUNSETLINK, setType],
  [T.TUNSETOFFLOAD, (tun, _task, flags) => setOffload(tun, flags >>> 0)],
  [T.TUNSETTXFILTER, filterAddresses],
  [SIOCGIFHWADDR, tellHardware],
  [SIOCSIFHWADDR, setHardware],
  [T.TUNGETSNDBUF, getter((tun) => tun.sendBuffer)],
  [T.TUNSETSNDBUF, setter((tun, size) => (size <= 0 ? EINVAL : change(tun, () => (tun.sendBuffer = size))))],
  [T.TUNGETVNETHDRSZ, getter((tun) => tun.vnetHeader)],
  [
    T.TUNSETVNETHDRSZ,
    setter((tun, size) => (size < VNET_HEADER || size > MAX_VNET_HEADER ? EINVAL : change(tun, () => (tun.vnetHeader = size)))),
  ],
  [T.TUNGETVNETLE, getter((tun) => tun.littleEndian)],
  [T.TUNSETVNETLE, setter((tun, value) => change(tun, () => (tun.littleEndian = value !== 0 ? 1 : 0)))],
  [T.TUNATTACHFILTER, filterByProgram],
  [T.TUNDETACHFILTER, (tun) => (tun.isTap ? change(tun, () => (tun.filter = tun.filter.withProgram(null, new Uint8Array(16)))) : EINVAL)],
  [T.TUNGETFILTER, (tun, task, address) => (tun.isTap ? task.copyOut(address, tun.filter.given) : EINVAL)],
  // Extended BPF is not to be had: there is nothing but to take none.
  [T.TUNSETSTEERINGEBPF, setter((_tun, fd) => (fd === NO_PROGRAM ? 0 : EBADF))],
  [T.TUNSETFILTEREBPF, setter((_tun, fd) => (fd === NO_PROGRAM ? 0 : EBADF))],
  [T.TUNSETCARRIER, setter(setCarrier)],
]);

export function tunIoctl(file: TunFile, task: Task, command: number, argument: number): number {
  if (command === T.TUNGETFEATURES) return task.writeU32(argument, T.IFF_TUN | T.IFF_TAP | T.IFF_NO_CARRIER | T.TUN_FEATURES);
  if (command === T.TUNSETIFF || command === T.TUNSETQUEUE) {
    const request = task.readBytes(argument, IFREQ_SIZE);
    if (isErrno(request)) return request;
    if (command === T.TUNSETQUEUE) return pauseOrResume(file, request);
    const r = takeInterface(file, task, request);
    return r !== 0 ? r : task.copyOut(argument, request);
  }
  if (command === T.TUNSETIFINDEX) return wantIndex(file, task, argument);
  if (file.tun === null) return EBADFD;
  return ANSWERS.get(command)?.(file.tun, task, argument, file) ?? EINVAL;
}

function change(tun: TunDevice, set: () => unknown): number {
  set();
  tun.changed();
  return 0;
}
function wantIndex(file: TunFile, task: Task, argument: number): number {
  if (file.tun !== null) return EPERM;
  const raw = task.readBytes(argument, 4);
  if (isErrno(raw)) return raw;
  const index = new DataView(raw.buffer, raw.byteOffset).getInt32(0, true);
  if (index < 0) return EINVAL;
  file.wantedIndex = index;
  return 0;
}
function tellInterface(tun: TunDevice, task: Task, argument: number, file: TunFile): number {
  const request = new Uint8Array(IFREQ_SIZE);
  request.set(Buffer.from(tun.device.name, 'latin1').subarray(0, IFNAMSIZ - 1));
  const flags = tun.shownFlags | (file.detached ? T.IFF_DETACH_QUEUE : 0) | (tun.filter.hasProgram ? 0 : T.IFF_NOFILTER);
  new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
  return task.copyOut(argument, request);
}
function setPersistent(tun: TunDevice, _task: Task, on: number): number {
  return change(tun, () => (tun.flags = on !== 0 ? tun.flags | T.IFF_PERSIST : tun.flags & ~T.IFF_PERSIST));
}
function setOwner(tun: TunDevice, task: Task, which: 'owner' | 'group', id: number): number {
  const { uids, gids } = task.creds.namespace;
  const number = (which === 'owner' ? uids : gids).toKernel(id >>> 0);
  return number === NO_ID ? EINVAL : change(tun, () => (tun[which] = number));
}
/** ARPHRD_*. */
function setType(tun: TunDevice, _task: Task, type: number): number {
  return tun.device.up ? EBUSY : change(tun, () => (tun.device.hardwareType = type & 0xffff));
}
function setCarrier(tun: TunDevice, on: number): number {
  if (on !== 0 && tun.queues.length === 0) return EPERM;
  tun.device.setCarrier(on !== 0);
  return 0;
}
function filterAddresses(tun: TunDevice, task: Task, argument: number): number {
  if (!tun.isTap) return EINVAL;
  const made = addressFilter(task, tun.filter, argument);
  if (isErrno(made)) return made;
  tun.filter = made.filter;
  return made.exact;
}
function filterByProgram(tun: TunDevice, task: Task, argument: number): number {
  if (!tun.isTap) return EINVAL;
  const made = attachProgram(task, tun.filter, argument);
  if (isErrno(made)) return made;
  tun.filter = made;
  return 0;
}
/** Into struct ifreq: the type of addresses, and the address. */
function tellHardware({ device }: TunDevice, task: Task, argument: number): number {
  const request = task.readBytes(argument, IFREQ_SIZE);
  if (isErrno(request)) return request;
  request.fill(0, IFNAMSIZ, IFNAMSIZ + 16);
  new DataView(request.buffer, request.byteOffset).setUint16(IFNAMSIZ, device.hardwareType, true);
  request.set(device.hardware, IFNAMSIZ + 2);
  return task.copyOut(argument, request);
}
function setHardware(tun: TunDevice, task: Task, argument: number): number {
  const request = task.readBytes(argument, IFREQ_SIZE);
  if (isErrno(request)) return request;
  const { device } = tun;
  if (!(device instanceof EthernetInterface)) return EOPNOTSUPP;
  if (new DataView(request.buffer, request.byteOffset).getUint16(IFNAMSIZ, true) !== device.hardwareType) return EINVAL;
  const address = request.slice(IFNAMSIZ + 2, IFNAMSIZ + 8);
  if (((address[0] as number) & 1) !== 0 || address.every((byte) => byte === 0)) return EADDRNOTAVAIL;
  return change(tun, () => (device.hardware = address));
}
