/** Ping sockets (icmp(7)): echo requests for those in net.ipv4.ping_group_range. */
import { EACCES, EINVAL, type Errno, isErrno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { SOCK_DGRAM } from '../../../abi/socket.ts';
import type { IpAddress } from '../../../netstack/address.ts';
import { PingEndpoint } from '../../../netstack/ping.ts';
import type { Task } from '../../kernel/task.ts';
import type { Source } from '../../vfs/io.ts';
import { decodeInetAddress, type InetAddress } from './inet_address.ts';
import { InetMessageSocket, type ReadMessage } from './inet_message.ts';
import type { Network } from './networks.ts';
import type { SentOptions } from './received_controls.ts';

export class InetPing extends InetMessageSocket {
  readonly endpoint: PingEndpoint;
  constructor(task: Task, network: Network, family: number, protocol: number) {
    super(task, network, family, SOCK_DGRAM, protocol);
    this.endpoint = new PingEndpoint(network.stack, this.version, this.wildcard, (events) => this.queue.notify(events));
    this.endpoint.receiveLimit = this.options.receiveBuffer;
  }
  protected override get isBound(): boolean {
    return this.endpoint.port !== 0;
  }
  override get port(): number {
    return this.endpoint.port;
  }
  override bind(_task: Task, raw: Uint8Array): number {
    const to = decodeInetAddress(raw, this.family);
    if (isErrno(to)) return to;
    if (this.isBound) return EINVAL;
    const denied = this.checkAddress(to.address);
    return denied !== 0 ? denied : this.endpoint.bind(to.address, to.port);
  }
  protected override connectTo({ address }: InetAddress): number {
    return this.endpoint.connect(address);
  }
  protected override transmit(to: InetAddress | null, data: Source, sent: SentOptions): number {
    const destination = to?.address ?? (this.endpoint.remote as IpAddress);
    if (destination.length !== this.wildcard.length) return EINVAL;
    const take = (into: Uint8Array, start: number): number => data.take(into, start, into.length);
    return this.endpoint.send(destination, data.remaining, take, sent.options, sent.source);
  }
  protected override peek(): ReadMessage | null {
    const first = this.endpoint.first;
    return first === null ? null : { ...first, sourcePort: 0 };
  }
  protected override drop(): void {
    this.endpoint.next();
  }
}

/** EACCES unless one of the task's groups is in the range. */
export function makePing(task: Task, network: Network, family: number, protocol: number): InetPing | Errno {
  const [low, high] = (network.setting('net/ipv4/ping_group_range') ?? '0 2147483647').split(/\s+/).map(Number) as [number, number];
  const groups = [task.creds.egid, ...task.creds.groups];
  if (!groups.some((group) => group >= low && group <= high)) return EACCES;
  return new InetPing(task, network, family, protocol === 0 ? I.IPPROTO_ICMP : protocol);
}
