/** TUNSETIFF and TUNSETQUEUE: a descriptor gets an interface, a new one or one that is there; or a queue of it. */
import { EBUSY, EEXIST, EINVAL, ENFILE, EPERM, type Errno, isErrno } from '../../../../abi/errno.ts';
import { IFNAMSIZ } from '../../../../abi/if.ts';
import * as T from '../../../../abi/if_tun.ts';
import type { NetInterface } from '../../../../netstack/interface.ts';
import { CAP_NET_ADMIN, hasCapIn } from '../../../kernel/credentials.ts';
import type { Task } from '../../../kernel/task.ts';
import { NO_ID } from '../../../kernel/user_namespace.ts';
import { chooseName, DEFAULT_MTU, isFull } from '../link_plugging.ts';
import { TunDevice, tunOf } from './tun_device.ts';
import type { TunFile } from './tun_file.ts';
import { applyOffload } from './tun_offload.ts';

/** TUNSETIFF. request: struct ifreq, which gets the name. */
export function takeInterface(file: TunFile, task: Task, request: Uint8Array): 0 | Errno {
  if (file.tun !== null) return EEXIST;
  request[IFNAMSIZ - 1] = 0;
  const flags = new DataView(request.buffer, request.byteOffset).getUint16(IFNAMSIZ, true);
  const name = Buffer.from(request.subarray(0, IFNAMSIZ)).toString('latin1').replace(/\0.*$/s, '');
  // The interfaces of --network=host are the host's: a program could not be at the other end of one.
  if (file.network.host !== null) return EPERM;
  const frames = (flags & T.IFF_NAPI_FRAGS) !== 0;
  if (frames && !hasCapIn(task.creds, CAP_NET_ADMIN, file.network.namespace.owner)) return EPERM;
  if (frames && ((flags & T.IFF_NAPI) === 0 || (flags & (T.IFF_TUN | T.IFF_TAP)) !== T.IFF_TAP)) return EINVAL;
  const there = file.network.stack.interfaces.find((device) => device.name === name);
  const tun = there === undefined ? create(file, task, flags, name) : join(file, task, flags, there);
  if (isErrno(tun)) return tun;
  tun.device.setCarrier((flags & T.IFF_NO_CARRIER) === 0);
  tun.changed();
  request.fill(0, 0, IFNAMSIZ);
  request.set(Buffer.from(tun.device.name, 'latin1').subarray(0, IFNAMSIZ - 1));
  return 0;
}

function create(file: TunFile, task: Task, flags: number, name: string): TunDevice | Errno {
  const { namespace, stack } = file.network;
  if (!hasCapIn(task.creds, CAP_NET_ADMIN, namespace.owner)) return EPERM;
  const kind = (flags & T.IFF_TUN) !== 0 ? T.IFF_TUN : flags & T.IFF_TAP;
  if (kind === 0) return EINVAL;
  const chosen = chooseName(stack, name === '' ? (kind === T.IFF_TUN ? 'tun%d' : 'tap%d') : name);
  if (isErrno(chosen)) return chosen;
  if (isFull(stack)) return ENFILE;
  const index = file.wantedIndex;
  if (index !== 0 && stack.device(index) !== null) return EBUSY;
  const wanted = { stack, name: chosen, mtu: DEFAULT_MTU, hardware: null, up: false, ...(index === 0 ? {} : { index }) };
  const tun = new TunDevice(wanted, kind | (flags & T.TUN_FEATURES));
  tun.attach(file);
  return tun;
}
function join(file: TunFile, task: Task, flags: number, device: NetInterface): TunDevice | Errno {
  if ((flags & T.IFF_TUN_EXCL) !== 0) return EBUSY;
  const tun = tunOf(device);
  if (tun === null || (flags & (tun.isTap ? T.IFF_TAP : T.IFF_TUN)) === 0) return EINVAL;
  if (((flags ^ tun.flags) & T.IFF_MULTI_QUEUE) !== 0) return EINVAL;
  if (!mayAttach(file, task, tun)) return EPERM;
  const r = tun.attach(file);
  if (r !== 0) return r;
  // Another queue of one that is in use takes it as it is.
  if ((tun.flags & T.IFF_MULTI_QUEUE) !== 0 && tun.queues.length + tun.paused > 1) return tun;
  tun.flags = (tun.flags & ~T.TUN_FEATURES) | (flags & T.TUN_FEATURES);
  applyOffload(tun);
  return tun;
}
/** Its owner and its group may, if it has them; without them anybody; and who has power over its network. */
function mayAttach(file: TunFile, { creds }: Task, { owner, group, device }: TunDevice): boolean {
  const permitted = (owner === NO_ID || creds.euid === owner) && (group === NO_ID || creds.egid === group || creds.groups.includes(group));
  return permitted || hasCapIn(creds, CAP_NET_ADMIN, file.networks.ofStack(device.stack).namespace.owner);
}

/** TUNSETQUEUE. */
export function pauseOrResume(file: TunFile, request: Uint8Array): 0 | Errno {
  const flags = new DataView(request.buffer, request.byteOffset).getUint16(IFNAMSIZ, true);
  const { tun } = file;
  if (tun === null) return EINVAL;
  if ((flags & T.IFF_ATTACH_QUEUE) !== 0) {
    const r = file.detached ? tun.attach(file) : EINVAL;
    if (r === 0) tun.changed();
    return r;
  }
  if ((flags & T.IFF_DETACH_QUEUE) === 0 || (tun.flags & T.IFF_MULTI_QUEUE) === 0 || file.detached) return EINVAL;
  tun.pause(file);
  return 0;
}
