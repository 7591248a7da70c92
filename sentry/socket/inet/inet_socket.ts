/** What AF_INET and AF_INET6 sockets of all types share: options of the IP levels, binding's rules, names. */
import { EACCES, EADDRNOTAVAIL, EAFNOSUPPORT, EINVAL, ENODEV, ENOPROTOOPT, EPERM, type Errno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { AF_INET, AF_INET6, SO_BINDTODEVICE, SO_COOKIE, SO_REUSEADDR, SO_REUSEPORT, SOL_SOCKET } from '../../../abi/socket.ts';
import { ANY4, ANY6, type IpAddress, isAny, isMulticast } from '../../../netstack/address.ts';
import type { SendOptions, Stack } from '../../../netstack/stack.ts';
import { CAP_NET_BIND_SERVICE, hasCapIn } from '../../kernel/credentials.ts';
import type { Task } from '../../kernel/task.ts';
import type { FileDescription } from '../../vfs/file.ts';
import { Socket } from '../socket.ts';
import type { InetAddress } from './inet_address.ts';
import { encodeInetAddress } from './inet_address.ts';
import type { Network } from './networks.ts';

/** net.ipv4.ip_unprivileged_port_start. */
const FIRST_UNPRIVILEGED = 1024;

/** Options that are kept and reported; those with an effect are read where it is. Per level: option → value at the start. */
const IP_DEFAULTS: Readonly<Record<number, number>> = {
  [I.IP_TOS]: 0,
  [I.IP_TTL]: 64,
  [I.IP_PKTINFO]: 0,
  [I.IP_MTU_DISCOVER]: 1,
  [I.IP_RECVERR]: 0,
  [I.IP_RECVTTL]: 0,
  [I.IP_RECVTOS]: 0,
  [I.IP_FREEBIND]: 0,
  [I.IP_BIND_ADDRESS_NO_PORT]: 0,
  [I.IP_MULTICAST_TTL]: 1,
  [I.IP_MULTICAST_LOOP]: 1,
  [I.IP_MULTICAST_ALL]: 1,
};
const IPV6_DEFAULTS: Readonly<Record<number, number>> = {
  [I.IPV6_UNICAST_HOPS]: 64,
  [I.IPV6_MULTICAST_IF]: 0,
  [I.IPV6_MULTICAST_HOPS]: 1,
  [I.IPV6_MULTICAST_LOOP]: 1,
  [I.IPV6_MTU_DISCOVER]: 1,
  [I.IPV6_RECVERR]: 0,
  [I.IPV6_V6ONLY]: 0,
  [I.IPV6_RECVPKTINFO]: 0,
  [I.IPV6_RECVHOPLIMIT]: 0,
  [I.IPV6_RECVTCLASS]: 0,
  [I.IPV6_TCLASS]: 0,
};

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
  private readonly ip = new Map<number, number>();
  private readonly ip6 = new Map<number, number>();

  constructor(task: Task, network: Network, family: number, type: number, protocol: number) {
    super(task.kernel, family, type, protocol);
    this.network = network;
    this.uid = task.creds.euid;
    network.sockets.add(this);
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
  }
  ipOption(option: number): number {
    return this.ip.get(option) ?? (IP_DEFAULTS[option] as number);
  }
  ip6Option(option: number): number {
    return this.ip6.get(option) ?? (IPV6_DEFAULTS[option] as number);
  }
  sendOptions(destination: IpAddress): SendOptions {
    if (destination.length === 4) {
      const ttl = isMulticast(destination) ? this.ipOption(I.IP_MULTICAST_TTL) : this.ipOption(I.IP_TTL);
      return { ttl, tos: this.ipOption(I.IP_TOS), dontFragment: this.ipOption(I.IP_MTU_DISCOVER) === I.IP_PMTUDISC_DO };
    }
    const hops = isMulticast(destination) ? this.ip6Option(I.IPV6_MULTICAST_HOPS) : this.ip6Option(I.IPV6_UNICAST_HOPS);
    return { ttl: hops, tos: this.ip6Option(I.IPV6_TCLASS), dontFragment: this.ip6Option(I.IPV6_MTU_DISCOVER) === I.IP_PMTUDISC_DO };
  }

  /** May this task bind there? 0 or why not. */
  checkBind(task: Task, { address, port }: InetAddress): 0 | Errno {
    if (this.family === AF_INET6 && address.length === 4 && this.onlyV6) return EINVAL;
    const local = isAny(address) || isMulticast(address) || this.stack.routes.isLocal(address) || this.stack.routes.isBroadcast(address);
    if (!local && this.ipOption(I.IP_FREEBIND) === 0) return EADDRNOTAVAIL;
    if (port !== 0 && port < FIRST_UNPRIVILEGED && !hasCapIn(task.creds, CAP_NET_BIND_SERVICE, task.namespaces.net.owner)) return EACCES;
    return 0;
  }
  /** An IPv6 socket that wants no IPv4 has no way to it; 0.0.0.0 and :: mean this host. */
  checkDestination({ address, port, scope }: InetAddress): InetAddress | Errno {
    if (address.length === 4 && this.onlyV6) return EAFNOSUPPORT;
    if (!isAny(address)) return { address, port, scope };
    return { address: address.length === 4 ? '\x7f\0\0\x01' : `${'\0'.repeat(15)}\x01`, port, scope };
  }
  encode(address: IpAddress, port: number): Uint8Array {
    return encodeInetAddress(this.family, address, port);
  }

  override getOption(task: Task, level: number, option: number): Uint8Array | Errno {
    if (level === SOL_SOCKET) return this.getCommon(option);
    if (level === I.IPPROTO_IP) {
      if (option === I.IP_MTU) return this.pathMtu();
      if (option === I.IP_MULTICAST_IF) return new Uint8Array(4);
      return IP_DEFAULTS[option] === undefined ? ENOPROTOOPT : intBytes(this.ipOption(option));
    }
    if (level !== I.IPPROTO_IPV6 || this.family !== AF_INET6) return this.getProtocolOption(task, level, option);
    if (option === I.IPV6_MTU) return this.pathMtu();
    return IPV6_DEFAULTS[option] === undefined ? ENOPROTOOPT : intBytes(this.ip6Option(option));
  }
  private getCommon(option: number): Uint8Array | Errno {
    if (option === SO_COOKIE) return new Uint8Array(BigUint64Array.of(BigInt(this.ino)).buffer);
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
  /** An IP option that a connection in being must know has changed. */
  protected ipOptionsChanged(): void {}

  override setOption(task: Task, level: number, option: number, value: Uint8Array): number {
    if (level === SOL_SOCKET)
      return option === SO_BINDTODEVICE ? this.bindToDevice(value) : this.setProtocolOption(task, level, option, value);
    if (level === I.IPPROTO_IP) return this.setIp(option, value);
    if (level === I.IPPROTO_IPV6 && this.family === AF_INET6) return this.setIp6(option, value);
    return this.setProtocolOption(task, level, option, value);
  }
  private setIp(option: number, value: Uint8Array): number {
    // Every group's packets are taken: nothing to join (IP_MULTICAST_ALL).
    if (option === I.IP_ADD_MEMBERSHIP || option === I.IP_DROP_MEMBERSHIP) return value.length < 8 ? EINVAL : 0;
    if (option === I.IP_MULTICAST_IF) return value.length < 4 ? EINVAL : 0;
    if (IP_DEFAULTS[option] === undefined) return ENOPROTOOPT;
    const number = intValue(value);
    if (number === null) return EINVAL;
    if (option === I.IP_TTL && number !== -1 && (number < 1 || number > 255)) return EINVAL;
    if (option === I.IP_MULTICAST_TTL && (number < -1 || number > 255)) return EINVAL;
    if (number === -1 && (option === I.IP_TTL || option === I.IP_MULTICAST_TTL)) this.ip.delete(option);
    else this.ip.set(option, option === I.IP_TOS ? number & 0xff : number);
    this.ipOptionsChanged();
    return 0;
  }
  private setIp6(option: number, value: Uint8Array): number {
    if (option === I.IPV6_ADD_MEMBERSHIP || option === I.IPV6_DROP_MEMBERSHIP) return value.length < 20 ? EINVAL : 0;
    if (IPV6_DEFAULTS[option] === undefined) return ENOPROTOOPT;
    const number = intValue(value);
    if (number === null || value.length < 4) return EINVAL;
    if (option === I.IPV6_V6ONLY && this.isBound) return EINVAL;
    if ((option === I.IPV6_UNICAST_HOPS || option === I.IPV6_MULTICAST_HOPS) && (number < -1 || number > 255)) return EINVAL;
    if (number === -1) this.ip6.delete(option);
    else this.ip6.set(option, option === I.IPV6_V6ONLY ? Number(number !== 0) : number);
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
  }
  abstract close(): void;
}
