/** What AF_INET and AF_INET6 sockets of all types share: options of the IP levels, binding's rules, names. */
import { EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENODEV, ENOENT, ENOPROTOOPT, EPERM, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import {
  AF_INET,
  AF_INET6,
  SO_ATTACH_FILTER,
  SO_BINDTODEVICE,
  SO_BINDTOIFINDEX,
  SO_COOKIE,
  SO_DETACH_FILTER,
  SO_LOCK_FILTER,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_RAW,
  SOL_SOCKET,
} from '../../../abi/socket.ts';
import { ANY4, ANY6, addressBytes, type IpAddress, isAny, isLinkLocal6, isMulticast, readAddress } from '../../../netstack/address.ts';
import type { IncomingPacket } from '../../../netstack/packet.ts';
import { runFilter } from '../../../netstack/packet_filter.ts';
import type { SendOptions, Stack } from '../../../netstack/stack.ts';
import { CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_NET_RAW } from '../../kernel/credentials.ts';
import { releaseNetwork } from '../../kernel/namespace_end.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import { hasNetCap } from '../net_capability.ts';
import { type AskedOption, Socket } from '../socket.ts';
import type { InetAddress } from './inet_address.ts';
import { encodeInetAddress } from './inet_address.ts';
import type { Network } from './networks.ts';
import { readFilter } from './socket_filter.ts';
import { SocketGroups } from './socket_groups.ts';

/** net.ipv4.ip_unprivileged_port_start. */
const FIRST_UNPRIVILEGED = 1024;

/** Options that are kept and reported; those with an effect are read where it is. Per level: option → value at the start. */
const IP_DEFAULTS: Readonly<Record<number, number>> = {
  [I.IP_TOS]: 0,
  [I.IP_TTL]: 64,
  [I.IP_ROUTER_ALERT]: 0,
  [I.IP_RECVOPTS]: 0,
  [I.IP_RETOPTS]: 0,
  [I.IP_PKTINFO]: 0,
  [I.IP_MTU_DISCOVER]: 1,
  [I.IP_RECVERR]: 0,
  [I.IP_RECVTTL]: 0,
  [I.IP_RECVTOS]: 0,
  [I.IP_FREEBIND]: 0,
  [I.IP_TRANSPARENT]: 0,
  [I.IP_RECVORIGDSTADDR]: 0,
  [I.IP_MINTTL]: 0,
  [I.IP_NODEFRAG]: 0,
  [I.IP_CHECKSUM]: 0,
  [I.IP_BIND_ADDRESS_NO_PORT]: 0,
  [I.IP_RECVFRAGSIZE]: 0,
  [I.IP_RECVERR_RFC4884]: 0,
  [I.IP_MULTICAST_TTL]: 1,
  [I.IP_MULTICAST_LOOP]: 1,
  [I.IP_MULTICAST_ALL]: 1,
  [I.IP_LOCAL_PORT_RANGE]: 0,
};
const IPV6_DEFAULTS: Readonly<Record<number, number>> = {
  [I.IPV6_UNICAST_HOPS]: 64,
  [I.IPV6_MULTICAST_IF]: 0,
  [I.IPV6_MULTICAST_HOPS]: 1,
  [I.IPV6_MULTICAST_LOOP]: 1,
  [I.IPV6_MTU_DISCOVER]: 1,
  [I.IPV6_RECVERR]: 0,
  [I.IPV6_V6ONLY]: 0,
  [I.IPV6_MULTICAST_ALL]: 1,
  [I.IPV6_RECVERR_RFC4884]: 0,
  [I.IPV6_RECVPKTINFO]: 0,
  [I.IPV6_RECVHOPLIMIT]: 0,
  [I.IPV6_2292PKTINFO]: 0,
  [I.IPV6_2292HOPLIMIT]: 0,
  [I.IPV6_RECVHOPOPTS]: 0,
  [I.IPV6_RECVRTHDR]: 0,
  [I.IPV6_RECVDSTOPTS]: 0,
  [I.IPV6_RECVPATHMTU]: 0,
  [I.IPV6_DONTFRAG]: 0,
  [I.IPV6_RECVTCLASS]: 0,
  [I.IPV6_TCLASS]: 0,
  [I.IPV6_AUTOFLOWLABEL]: 1,
  [I.IPV6_ADDR_PREFERENCES]: 2,
  [I.IPV6_MINHOPCOUNT]: 0,
  [I.IPV6_RECVORIGDSTADDR]: 0,
  [I.IPV6_TRANSPARENT]: 0,
  [I.IPV6_RECVFRAGSIZE]: 0,
  [I.IPV6_FREEBIND]: 0,
};
/** Options that take CAP_NET_ADMIN. */
const PRIVILEGED4: readonly number[] = [I.IP_TRANSPARENT];
/** IPV6_MTU_DISCOVER and IP_MTU_DISCOVER: up to IP_PMTUDISC_OMIT. */
const MOST_DISCOVERY = 5;
/** struct sock_fprog. */
const FPROG_SIZE = 16;

const FLAGS4: readonly number[] = [
  ...[I.IP_PKTINFO, I.IP_RECVERR, I.IP_RECVTTL, I.IP_RECVTOS, I.IP_FREEBIND, I.IP_TRANSPARENT, I.IP_RECVORIGDSTADDR],
  ...[I.IP_BIND_ADDRESS_NO_PORT, I.IP_MULTICAST_LOOP, I.IP_RECVOPTS, I.IP_RETOPTS, I.IP_NODEFRAG, I.IP_CHECKSUM],
];
const ETH_P_IP = 0x0800;
const ETH_P_IPV6 = 0x86dd;

export function intBytes(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
/** An int option; a single byte counts, too (ip(7)). Null: too short. */
export function intValue(value: Uint8Array): number | null {
  if (value.length >= 4) return new DataView(value.buffer, value.byteOffset).getInt32(0, true);
  return value.length >= 1 ? (value[0] as number) : null;
}

export abstract class InetSocket extends Socket {
  readonly network: Network;
  readonly uid: number;
  /** SO_BINDTODEVICE: index, or 0. */
  device = 0;
  readonly groups: SocketGroups;
  /** SO_ATTACH_FILTER: false for packets that are not to be queued; null: no filter. */
  messageFilter: ((packet: IncomingPacket) => boolean) | null = null;
  /** IP_MULTICAST_IF: index, and the address that was given. */
  private multicastDevice = 0;
  private multicastAddress: IpAddress = ANY4;
  private readonly ip = new Map<number, number>();
  private readonly ip6 = new Map<number, number>();

  constructor(task: Task, network: Network, family: number, type: number, protocol: number) {
    super(task.kernel, family, type, protocol);
    this.network = network;
    this.uid = task.creds.euid;
    this.groups = new SocketGroups(network.stack);
    network.sockets.add(this);
    network.namespace.handles++;
  }
  get stack(): Stack {
    return this.network.stack;
  }
  get version(): 4 | 6 {
    return this.family === AF_INET ? 4 : 6;
  }
  get onlyV6(): boolean {
    return this.family === AF_INET6 && this.ip6Option(I.IPV6_V6ONLY) !== 0;
  }
  get wildcard(): IpAddress {
    return this.family === AF_INET ? ANY4 : ANY6;
  }
  get reuse(): { reuseAddress: boolean; reusePort: boolean; uid: number } {
    return { reuseAddress: this.options.get(SO_REUSEADDR) !== 0, reusePort: this.options.get(SO_REUSEPORT) !== 0, uid: this.uid };
  }
  /** The options of a socket that listened. */
  inherit(from: InetSocket): void {
    for (const [option, value] of from.ip) this.ip.set(option, value);
    for (const [option, value] of from.ip6) this.ip6.set(option, value);
    this.device = from.device;
    this.messageFilter = from.messageFilter;
  }
  ipOption(option: number): number {
    return this.ip.get(option) ?? (IP_DEFAULTS[option] as number);
  }
  ip6Option(option: number): number {
    return this.ip6.get(option) ?? (IPV6_DEFAULTS[option] as number);
  }
  sendOptions(destination: IpAddress): SendOptions {
    const many = isMulticast(destination);
    if (destination.length === 4) {
      const ttl = many ? this.ipOption(I.IP_MULTICAST_TTL) : (this.ip.get(I.IP_TTL) ?? this.stack.settings.defaultTtl);
      const dontFragment = this.ipOption(I.IP_MTU_DISCOVER) >= I.IP_PMTUDISC_DO && this.ipOption(I.IP_MTU_DISCOVER) <= 3;
      return { ttl, tos: this.ipOption(I.IP_TOS), dontFragment, loop: !many || this.ipOption(I.IP_MULTICAST_LOOP) !== 0 };
    }
    const ttl = many ? this.ip6Option(I.IPV6_MULTICAST_HOPS) : this.ip6Option(I.IPV6_UNICAST_HOPS);
    const discovery = this.ip6Option(I.IPV6_MTU_DISCOVER);
    const dontFragment = (discovery >= I.IP_PMTUDISC_DO && discovery <= 3) || this.ip6Option(I.IPV6_DONTFRAG) !== 0;
    return { ttl, tos: this.ip6Option(I.IPV6_TCLASS), dontFragment, loop: !many || this.ip6Option(I.IPV6_MULTICAST_LOOP) !== 0 };
  }
  /** The interface for what goes to a group or to a link-local address; 0: as the routes have it. */
  outgoingDevice(destination: IpAddress, scope: number): number {
    if (scope !== 0) return scope;
    if (!isMulticast(destination)) return 0;
    return destination.length === 4 ? this.multicastDevice : this.ip6Option(I.IPV6_MULTICAST_IF);
  }
  get bindsElsewhere(): boolean {
    return this.ipOption(I.IP_FREEBIND) !== 0 || this.ipOption(I.IP_TRANSPARENT) !== 0 || this.stack.settings.bindsElsewhere;
  }
  protected int(value: number): Uint8Array {
    return intBytes(value);
  }

  /** May this task bind there? 0 or why not. */
  checkBind(task: Task, { address, port }: InetAddress): 0 | Errno {
    const denied = this.checkAddress(address);
    if (denied !== 0) return denied;
    const first = Number(this.network.setting('net/ipv4/ip_unprivileged_port_start') ?? FIRST_UNPRIVILEGED);
    return port !== 0 && port < first && !hasNetCap(task, CAP_NET_BIND_SERVICE) ? EACCES : 0;
  }
  checkAddress(address: IpAddress): 0 | Errno {
    if (this.family === AF_INET6 && address.length === 4 && this.onlyV6) return EINVAL;
    const local = isAny(address) || isMulticast(address) || this.stack.routes.isLocal(address) || this.stack.routes.isBroadcast(address);
    return local || this.bindsElsewhere || this.ip6Option(I.IPV6_FREEBIND) !== 0 ? 0 : EADDRNOTAVAIL;
  }
  /** An IPv6 socket that wants no IPv4 has no way to it; 0.0.0.0 and :: mean this host. */
  checkDestination({ address, port, scope }: InetAddress): InetAddress | Errno {
    if (address.length === 4 && this.onlyV6) return EAFNOSUPPORT;
    if (!isAny(address)) return { address, port, scope };
    return { address: address.length === 4 ? '\x7f\0\0\x01' : `${'\0'.repeat(15)}\x01`, port, scope };
  }
  /** `scope`: the interface that a link-local address belongs to. */
  encode(address: IpAddress, port: number, scope = 0): Uint8Array {
    const raw = encodeInetAddress(this.family, address, port);
    if (scope > 0 && raw.length > 24 && isLinkLocal6(address)) raw[24] = scope;
    return raw;
  }

  override getOption(task: Task, level: number, option: number, asked?: AskedOption): Uint8Array | Errno {
    if (level === SOL_SOCKET) return this.getCommon(option);
    if (level === I.IPPROTO_IP) return this.getIp(task, option, asked);
    if (level !== I.IPPROTO_IPV6 || this.family !== AF_INET6) return this.getProtocolOption(task, level, option);
    if (option === I.IPV6_MTU) return this.pathMtu();
    if (IPV6_DEFAULTS[option] === undefined)
      return this.kernel.packetFilters?.get(task, this, level, option, asked) ?? this.getProtocolOption(task, level, option);
    return intBytes(this.ip6Option(option));
  }
  private getIp(task: Task, option: number, asked: AskedOption | undefined): Uint8Array | Errno {
    switch (option) {
      case I.IP_MTU:
        return this.pathMtu();
      case I.IP_OPTIONS:
        return new Uint8Array(0);
      case I.IP_MULTICAST_IF:
        return addressBytes(this.multicastAddress);
      case I.IP_TTL:
        return intBytes(this.ip.get(option) ?? this.stack.settings.defaultTtl);
      default:
        if (IP_DEFAULTS[option] !== undefined) return intBytes(this.ipOption(option));
        return (
          this.kernel.packetFilters?.get(task, this, I.IPPROTO_IP, option, asked) ?? this.getProtocolOption(task, I.IPPROTO_IP, option)
        );
    }
  }
  private getCommon(option: number): Uint8Array | Errno {
    if (option === SO_COOKIE) return new Uint8Array(BigUint64Array.of(BigInt(this.ino)).buffer);
    if (option === SO_BINDTOIFINDEX) return intBytes(this.device);
    if (option !== SO_BINDTODEVICE) return ENOPROTOOPT;
    const name = this.device === 0 ? '' : (this.stack.device(this.device)?.name ?? '');
    return name === '' ? new Uint8Array(0) : Buffer.from(`${name}\0`, 'latin1');
  }
  /** IP_MTU of the connected path. */
  protected abstract pathMtu(): Uint8Array | Errno;
  protected getProtocolOption(_task: Task, _level: number, _option: number): Uint8Array | Errno {
    return ENOPROTOOPT;
  }
  protected setProtocolOption(_task: Task, _level: number, _option: number, _value: Uint8Array): number {
    return ENOPROTOOPT;
  }
  /** An IP option that a connection in being must know has changed; one of SOL_SOCKET. */
  protected ipOptionsChanged(): void {}
  protected socketOptionsChanged(): void {}

  override setOption(task: Task, level: number, option: number, value: Uint8Array): number {
    if (level === SOL_SOCKET) return this.setCommon(task, option, value);
    if (level === I.IPPROTO_IP) return this.setIp(task, option, value);
    if (level === I.IPPROTO_IPV6 && this.family === AF_INET6) return this.setIp6(task, option, value);
    return this.setProtocolOption(task, level, option, value);
  }
  private setCommon(task: Task, option: number, value: Uint8Array): number {
    switch (option) {
      case SO_BINDTODEVICE:
        return this.bindToDevice(value);
      case SO_BINDTOIFINDEX: {
        const index = intValue(value) ?? 0;
        if (index !== 0 && this.stack.device(index) === null) return ENODEV;
        this.device = index;
        return 0;
      }
      case SO_ATTACH_FILTER:
        return this.attachFilter(task, value);
      case SO_DETACH_FILTER:
        if (this.messageFilter === null) return ENOENT;
        if (this.options.get(SO_LOCK_FILTER) !== 0) return EPERM;
        this.messageFilter = null;
        this.socketOptionsChanged();
        return 0;
      default:
        this.socketOptionsChanged();
        return this.setProtocolOption(task, SOL_SOCKET, option, value);
    }
  }
  /** It sees what a reader would: TCP and UDP from their headers on, raw IPv4 from the IP header. Nothing is cut to the length that it gives. */
  private attachFilter(task: Task, value: Uint8Array): number {
    if (value.length < FPROG_SIZE) return EINVAL;
    if (this.options.get(SO_LOCK_FILTER) !== 0) return EPERM;
    const program = readFilter(task, value);
    if (typeof program === 'number') return program;
    const whole = this.type === SOCK_RAW && this.version === 4;
    this.messageFilter = (packet) => {
      const start = whole ? packet.header : packet.start;
      const { bytes, end, header, arrival } = packet;
      const protocol = packet.version === 4 ? ETH_P_IP : ETH_P_IPV6;
      return runFilter(program, { bytes, start, end, link: header, network: header, protocol, device: arrival, kind: 0 }) > 0;
    };
    this.socketOptionsChanged();
    return 0;
  }
  private setIp(task: Task, option: number, value: Uint8Array): number {
    const r = this.groups.option4(option, value);
    if (r !== null) return r;
    if (option === I.IP_MULTICAST_IF) return this.setMulticastInterface(value);
    if (option === I.IP_OPTIONS) return value.length === 0 ? 0 : EPERM;
    if (IP_DEFAULTS[option] === undefined) {
      return (
        this.kernel.packetFilters?.set(task, this, I.IPPROTO_IP, option, value) ?? this.setProtocolOption(task, I.IPPROTO_IP, option, value)
      );
    }
    const number = intValue(value);
    if (number === null) return EINVAL;
    if (PRIVILEGED4.includes(option) && number !== 0 && !hasNetCap(task, CAP_NET_ADMIN) && !hasNetCap(task, CAP_NET_RAW)) return EPERM;
    if (option === I.IP_TTL && number !== -1 && (number < 1 || number > 255)) return EINVAL;
    if (option === I.IP_MINTTL && (number < 0 || number > 255)) return EINVAL;
    if (option === I.IP_MTU_DISCOVER && (number < 0 || number > MOST_DISCOVERY)) return EINVAL;
    if (option === I.IP_MULTICAST_TTL && (number < -1 || number > 255)) return EINVAL;
    if (number === -1 && (option === I.IP_TTL || option === I.IP_MULTICAST_TTL)) this.ip.delete(option);
    else if (option === I.IP_TOS) this.ip.set(option, this.isStream ? number & 0xfc : number & 0xff);
    else this.ip.set(option, FLAGS4.includes(option) ? Number(number !== 0) : number);
    this.ipOptionsChanged();
    return 0;
  }
  /** struct in_addr, ip_mreq or ip_mreqn. */
  private setMulticastInterface(value: Uint8Array): number {
    if (value.length < 4) return EINVAL;
    const address = readAddress(value, value.length >= 8 ? 4 : 0, 4);
    const index = value.length >= 12 ? new DataView(value.buffer, value.byteOffset).getInt32(8, true) : 0;
    if (index === 0 && isAny(address)) {
      this.multicastDevice = 0;
      this.multicastAddress = ANY4;
      return 0;
    }
    const device = index !== 0 ? this.stack.device(index) : this.stack.interfaces.find((d) => d.owns(address));
    if (device === null || device === undefined) return EADDRNOTAVAIL;
    this.multicastDevice = device.index;
    this.multicastAddress = address;
    return 0;
  }
  private setIp6(task: Task, option: number, value: Uint8Array): number {
    const r = this.groups.option6(option, value);
    if (r !== null) return r;
    if (IPV6_DEFAULTS[option] === undefined) {
      const level = I.IPPROTO_IPV6;
      return this.kernel.packetFilters?.set(task, this, level, option, value) ?? this.setProtocolOption(task, level, option, value);
    }
    const number = intValue(value);
    if (number === null || value.length < 4) return EINVAL;
    if (option === I.IPV6_V6ONLY && this.isBound) return EINVAL;
    if ((option === I.IPV6_UNICAST_HOPS || option === I.IPV6_MULTICAST_HOPS) && (number < -1 || number > 255)) return EINVAL;
    if (option === I.IPV6_MTU_DISCOVER && (number < 0 || number > MOST_DISCOVERY)) return EINVAL;
    if (option === I.IPV6_TCLASS && (number < -1 || number > 255)) return EINVAL;
    if (option === I.IPV6_MULTICAST_IF && number !== 0 && this.stack.device(number) === null) return ENODEV;
    if (option === I.IPV6_MULTICAST_LOOP && number !== 0 && number !== 1) return EINVAL;
    if (number === -1) this.ip6.delete(option);
    else
      this.ip6.set(
        option,
        option === I.IPV6_V6ONLY || (option >= I.IPV6_RECVPKTINFO && option <= I.IPV6_RECVPATHMTU) ? Number(number !== 0) : number,
      );
    this.ipOptionsChanged();
    return 0;
  }
  private bindToDevice(value: Uint8Array): number {
    const name = Buffer.from(value).toString('latin1').replace(/\0.*$/s, '');
    if (name === '') this.device = 0;
    else {
      const found = this.stack.interfaces.find((d) => d.name === name);
      if (found === undefined) return ENODEV;
      if (this.device !== 0 && this.device !== found.index) return EPERM;
      this.device = found.index;
    }
    return 0;
  }
  protected abstract get isBound(): boolean;

  override release(_file: FileDescription): void {
    this.network.sockets.delete(this);
    this.close();
    this.stack.deliver();
    releaseNetwork(this.kernel, this.network.namespace);
  }
  abstract close(): void;
}
