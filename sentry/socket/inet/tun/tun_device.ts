/**
 * One interface of tun(4) as its descriptors know it: who may attach, what kind of packets they exchange, whether it outlives them. It stays the
 * same while the interface moves between namespaces.
 */
import { E2BIG, EBUSY, EINVAL, type Errno } from '../../../../abi/errno.ts';
import * as T from '../../../../abi/if_tun.ts';
import { AttributeList } from '../../../../lib/netlink_message.ts';
import type { NetInterface } from '../../../../netstack/interface.ts';
import { VNET_HEADER } from '../../../../netstack/link/ethernet.ts';
import { isTunnel, TapInterface, TunInterface, type TunnelInterface } from '../../../../netstack/link/tunnel_link.ts';
import { TunnelPort, type TunnelQueue } from '../../../../netstack/link/tunnel_port.ts';
import type { LinkInfo } from '../../../fs/sys/net_class.ts';
import { NO_ID, type UserNamespace } from '../../../kernel/user_namespace.ts';
import { plug, type Wanted } from '../link_plugging.ts';
import { ACCEPT_ALL, type FrameFilter } from './frame_filter.ts';

/** MAX_TAP_QUEUES. */
const MAX_QUEUES = 256;
/** TUNGETSNDBUF of one that nobody has limited. */
const NO_LIMIT = 0x7fff_ffff;

/** A descriptor. */
export interface TunEnd {
  readonly packets: TunnelQueue;
  /** Attached, but it has given its queue back (IFF_DETACH_QUEUE). */
  detached: boolean;
  tun: TunDevice | null;
  /** What poll(2) says may be different. */
  changed(): void;
}

export class TunDevice extends TunnelPort {
  /** IFF_*. */
  flags: number;
  /** Kernel numbers; NO_ID: anybody. */
  owner = NO_ID;
  group = NO_ID;
  sendBuffer = NO_LIMIT;
  /** Bytes before each packet with IFF_VNET_HDR. */
  vnetHeader = VNET_HEADER;
  /** TUNSETVNETLE; what we write is in this order anyway. */
  littleEndian = 0;
  /** TUN_F_*. */
  offloads = 0;
  filter: FrameFilter = ACCEPT_ALL;
  device: TunnelInterface;
  /** Those that are attached, with a queue or without. */
  private readonly ends = new Set<TunEnd>();

  constructor(wanted: Wanted, flags: number) {
    super();
    this.flags = flags;
    this.device = this.plug(wanted);
  }
  get isTap(): boolean {
    return (this.flags & T.IFF_TAP) !== 0;
  }
  /** As TUNGETIFF tells. */
  get shownFlags(): number {
    return this.flags & (T.TUN_FEATURES | T.IFF_PERSIST | T.IFF_TUN | T.IFF_TAP);
  }
  /** A new interface stands for it. */
  plug(wanted: Wanted): TunnelInterface {
    const before = this.device as TunnelInterface | undefined;
    const made = this.isTap
      ? plug(wanted, 'tap', (stack, index, name, mtu, hardware) => new TapInterface(stack, index, name, mtu, hardware, this))
      : plug(wanted, 'tun', (stack, index, name, mtu) => new TunInterface(stack, index, name, mtu, this));
    this.device = made;
    if (before === undefined) return made;
    const { carrier, carrierChanged, hardwareType, queueLength } = before;
    Object.assign(made, { carrier, carrierChanged, hardwareType, queueLength });
    return made;
  }

  attach(end: TunEnd): 0 | Errno {
    if (end.tun !== null && !end.detached) return EINVAL;
    if ((this.flags & T.IFF_MULTI_QUEUE) === 0 && this.queues.length === 1) return EBUSY;
    if (!end.detached && this.ends.size >= MAX_QUEUES) return E2BIG;
    this.ends.add(end);
    this.queues.push(end.packets);
    end.tun = this;
    end.detached = false;
    return 0;
  }
  /** Its queue is detached (IFF_DETACH_QUEUE): the interface stays its own, frames go to other queues. */
  pause(end: TunEnd): void {
    this.withdraw(end.packets);
    end.detached = true;
    this.changed();
  }
  /** The descriptor is closed. */
  leave(end: TunEnd): void {
    this.withdraw(end.packets);
    this.ends.delete(end);
    end.tun = null;
    if (this.ends.size > 0) this.changed();
    else if ((this.flags & T.IFF_PERSIST) !== 0) this.device.setCarrier(false);
    else this.remove();
  }
  remove(): void {
    this.device.setUp(false);
    this.device.stack.removeInterface(this.device);
    for (const end of this.ends) {
      this.withdraw(end.packets);
      end.tun = null;
      end.detached = false;
      end.changed();
    }
    this.ends.clear();
  }
  /** For those who watch the interface. */
  changed(): void {
    this.device.stack.onChange();
  }
  override accepts(frame: Uint8Array): boolean {
    return this.filter.accepts(frame, this.device);
  }
  override linkChanged(): void {
    for (const end of this.ends) end.changed();
  }
  /** How many have given their queue back. */
  get paused(): number {
    return this.ends.size - this.queues.length;
  }

  /** For RTM_NEWLINK, with users as `namespace` calls them. */
  info(namespace: UserNamespace): LinkInfo {
    const { flags } = this;
    const says = (flag: number): number => ((flags & flag) !== 0 ? 1 : 0);
    const list = new AttributeList().u8(T.IFLA_TUN_TYPE, flags & (T.IFF_TUN | T.IFF_TAP));
    if (this.owner !== NO_ID) list.u32(T.IFLA_TUN_OWNER, namespace.uids.shown(this.owner));
    if (this.group !== NO_ID) list.u32(T.IFLA_TUN_GROUP, namespace.gids.shown(this.group));
    list.u8(T.IFLA_TUN_PI, 1 - says(T.IFF_NO_PI)).u8(T.IFLA_TUN_VNET_HDR, says(T.IFF_VNET_HDR));
    list.u8(T.IFLA_TUN_PERSIST, says(T.IFF_PERSIST)).u8(T.IFLA_TUN_MULTI_QUEUE, says(T.IFF_MULTI_QUEUE));
    if ((flags & T.IFF_MULTI_QUEUE) !== 0) {
      list.u32(T.IFLA_TUN_NUM_QUEUES, this.queues.length).u32(T.IFLA_TUN_NUM_DISABLED_QUEUES, this.paused);
    }
    return { kind: 'tun', data: list.bytes() };
  }
  /** In /sys/class/net/X. */
  files(namespace: UserNamespace): Readonly<Record<string, string>> {
    return {
      group: this.group === NO_ID ? '-1' : `${namespace.gids.shown(this.group)}`,
      owner: this.owner === NO_ID ? '-1' : `${namespace.uids.shown(this.owner)}`,
      tun_flags: `0x${this.shownFlags.toString(16)}`,
    };
  }
}

/** Null: no interface of this kind. */
export function tunOf(device: NetInterface): TunDevice | null {
  return isTunnel(device) && device.port instanceof TunDevice ? device.port : null;
}
