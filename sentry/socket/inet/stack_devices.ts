/** The interfaces of the stacks, as netlink, /sys/class/net and netdevice(7) show them. */
import {
  IFF_BROADCAST,
  IFF_LOOPBACK,
  IFF_LOWER_UP,
  IFF_MULTICAST,
  IFF_NOARP,
  IFF_POINTOPOINT,
  IFF_RUNNING,
  IFF_UP,
} from '../../../abi/if.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import { DummyInterface, VethInterface } from '../../../netstack/link/virtual_link.ts';
import { IF_OPER_DOWN, IF_OPER_UNKNOWN, IF_OPER_UP, type LinkInfo, type NetDevice } from '../../fs/sys/net_class.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Networks } from './networks.ts';
import { tunOf } from './tun/tun_device.ts';

export function stackDevices(networks: Networks, namespace: NetNamespace): NetDevice[] {
  return networks.of(namespace).stack.interfaces.map((device) => {
    const tun = tunOf(device);
    const info = tun === null ? infoOf(device) : tun.info(namespace.owner);
    return {
      name: device.name,
      index: device.index,
      address: [...device.hardware].map((byte) => byte.toString(16).padStart(2, '0')).join(':'),
      mtu: device.mtu,
      type: device.hardwareType,
      flags: flagsOf(device),
      state: stateOf(device),
      queueLength: device.queueLength,
      ...(info === null ? {} : { info }),
      ...(tun === null ? {} : { files: tun.files(namespace.owner) }),
      statistics: device.statistics,
    };
  });
}
function flagsOf(device: NetInterface): number {
  const kind = device.loopback
    ? IFF_LOOPBACK
    : device.linkHeader === 0
      ? IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST
      : IFF_BROADCAST | IFF_MULTICAST;
  if (!device.up) return kind;
  return kind | IFF_UP | (device.carrier ? IFF_RUNNING | IFF_LOWER_UP : 0);
}
function stateOf(device: NetInterface): number {
  const told = device.carrierChanged || !(device.loopback || tunOf(device) !== null);
  if (!told) return IF_OPER_UNKNOWN;
  return device.up && device.carrier ? IF_OPER_UP : IF_OPER_DOWN;
}
function infoOf(device: NetInterface): LinkInfo | null {
  return device instanceof VethInterface || device instanceof DummyInterface ? { kind: device.kind, data: new Uint8Array(0) } : null;
}
