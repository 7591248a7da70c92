/** The multicast groups of one socket (ip(7), ipv6(7)), and from whom it takes their packets. */
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ENOBUFS, ENODEV, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { AF_INET } from '../../../abi/socket.ts';
import { type IpAddress, isAny, isMulticast, readAddress } from '../../../netstack/address.ts';
import type { NetInterface } from '../../../netstack/interface.ts';
import type { IncomingPacket } from '../../../netstack/packet.ts';
import type { Stack } from '../../../netstack/stack.ts';

/** net.ipv4.igmp_max_memberships, igmp_max_msf. */
const MAX_GROUPS = 20;
const MAX_SOURCES = 64;

interface Member {
  readonly device: NetInterface;
  readonly group: IpAddress;
  /** True: only from these; false: from all but these. */
  only: boolean;
  readonly sources: Set<IpAddress>;
}

export class SocketGroups {
  private readonly stack: Stack;
  private readonly members: Member[] = [];
  constructor(stack: Stack) {
    this.stack = stack;
  }
  leaveAll(): void {
    for (const { device, group } of this.members.splice(0)) this.stack.groups.leave(device, group);
  }
  /** Does the socket take a packet to a group? `all`: also of groups that others have joined (IP_MULTICAST_ALL). */
  accepts(packet: IncomingPacket, all: boolean): boolean {
    for (const member of this.members) {
      if (member.group !== packet.destination || (member.device.index !== packet.arrival && packet.arrival !== 1)) continue;
      return member.only === member.sources.has(packet.source);
    }
    return all;
  }

  /** An option of IPPROTO_IP; null: it is about something else. */
  option4(option: number, value: Uint8Array): number | null {
    const address = (at: number): IpAddress => readAddress(value, at, 4);
    switch (option) {
      case I.IP_ADD_MEMBERSHIP:
      case I.IP_DROP_MEMBERSHIP: {
        if (value.length < 8) return EINVAL;
        const index = value.length >= 12 ? new DataView(value.buffer, value.byteOffset).getInt32(8, true) : 0;
        return this.change(option === I.IP_ADD_MEMBERSHIP, address(0), this.deviceOf(index, address(4), address(0)));
      }
      case I.IP_ADD_SOURCE_MEMBERSHIP:
      case I.IP_DROP_SOURCE_MEMBERSHIP:
      case I.IP_BLOCK_SOURCE:
      case I.IP_UNBLOCK_SOURCE:
        if (value.length < 12) return EINVAL;
        return this.changeSource(SOURCE_ACTIONS[option] as SourceAction, address(0), address(8), this.deviceOf(0, address(4), address(0)));
      default:
        return this.common(option, value);
    }
  }
  option6(option: number, value: Uint8Array): number | null {
    if (option !== I.IPV6_ADD_MEMBERSHIP && option !== I.IPV6_DROP_MEMBERSHIP) return this.common(option, value);
    if (value.length < 20) return EINVAL;
    const group = readAddress(value, 0, 16);
    const index = new DataView(value.buffer, value.byteOffset).getInt32(16, true);
    return this.change(option === I.IPV6_ADD_MEMBERSHIP, group, this.deviceOf(index, null, group));
  }
  /** struct group_req and group_source_req. */
  private common(option: number, value: Uint8Array): number | null {
    const action = SOURCE_ACTIONS[option];
    const plain = option === I.MCAST_JOIN_GROUP || option === I.MCAST_LEAVE_GROUP;
    if (action === undefined && !plain) return null;
    if (value.length < (plain ? 136 : 264)) return EINVAL;
    const index = new DataView(value.buffer, value.byteOffset).getInt32(0, true);
    const group = storageAddress(value, 8);
    const device = this.deviceOf(index, null, group);
    return plain
      ? this.change(option === I.MCAST_JOIN_GROUP, group, device)
      : this.changeSource(action as SourceAction, group, storageAddress(value, 136), device);
  }

  private deviceOf(index: number, address: IpAddress | null, group: IpAddress): NetInterface | null {
    const { stack } = this;
    if (index !== 0) return stack.device(index);
    if (address !== null && !isAny(address)) return stack.interfaces.find((device) => device.owns(address)) ?? null;
    const route = stack.route(group, null);
    return typeof route === 'number' ? (stack.interfaces[1] ?? null) : route.device;
  }
  private find(device: NetInterface, group: IpAddress): number {
    return this.members.findIndex((member) => member.device === device && member.group === group);
  }
  private change(join: boolean, group: IpAddress, device: NetInterface | null): 0 | Errno {
    if (!isMulticast(group)) return EINVAL;
    if (device === null) return ENODEV;
    const at = this.find(device, group);
    if (!join) return at < 0 ? EADDRNOTAVAIL : this.remove(at);
    return at >= 0 ? EADDRINUSE : this.enter(device, group, false);
  }
  private enter(device: NetInterface, group: IpAddress, only: boolean): 0 | Errno {
    if (this.members.length >= MAX_GROUPS || !this.stack.groups.join(device, group)) return ENOBUFS;
    this.members.push({ device, group, only, sources: new Set() });
    this.stack.deliver();
    return 0;
  }
  private remove(at: number): 0 {
    const [member] = this.members.splice(at, 1) as [Member];
    this.stack.groups.leave(member.device, member.group);
    this.stack.deliver();
    return 0;
  }
  private changeSource(action: SourceAction, group: IpAddress, source: IpAddress, device: NetInterface | null): 0 | Errno {
    if (!isMulticast(group)) return EINVAL;
    if (device === null) return ENODEV;
    let at = this.find(device, group);
    if (at < 0) {
      if (action !== 'join') return action === 'leave' ? EADDRNOTAVAIL : EINVAL;
      const r = this.enter(device, group, true);
      if (r !== 0) return r;
      at = this.members.length - 1;
    }
    const member = this.members[at] as Member;
    const list = action === 'join' || action === 'leave';
    if (member.only !== list) return EINVAL;
    if (action === 'leave' || action === 'unblock') {
      if (!member.sources.delete(source)) return EADDRNOTAVAIL;
      return member.only && member.sources.size === 0 ? this.remove(at) : 0;
    }
    if (member.sources.has(source)) return EADDRNOTAVAIL;
    if (member.sources.size >= MAX_SOURCES) return ENOBUFS;
    member.sources.add(source);
    return 0;
  }
}

type SourceAction = 'join' | 'leave' | 'block' | 'unblock';
const SOURCE_ACTIONS: Readonly<Record<number, SourceAction>> = {
  [I.IP_ADD_SOURCE_MEMBERSHIP]: 'join',
  [I.IP_DROP_SOURCE_MEMBERSHIP]: 'leave',
  [I.IP_BLOCK_SOURCE]: 'block',
  [I.IP_UNBLOCK_SOURCE]: 'unblock',
  [I.MCAST_JOIN_SOURCE_GROUP]: 'join',
  [I.MCAST_LEAVE_SOURCE_GROUP]: 'leave',
  [I.MCAST_BLOCK_SOURCE]: 'block',
  [I.MCAST_UNBLOCK_SOURCE]: 'unblock',
};

/** Of a struct sockaddr_storage. */
function storageAddress(value: Uint8Array, at: number): IpAddress {
  return value[at] === AF_INET ? readAddress(value, at + 4, 4) : readAddress(value, at + 8, 16);
}
