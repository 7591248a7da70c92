/** UDP sockets. */
import { EINVAL, EMSGSIZE, ENOPROTOOPT, type Errno, isErrno } from '../../../abi/errno.ts';
import * as I from '../../../abi/in.ts';
import { SOCK_DGRAM } from '../../../abi/socket.ts';
import { UdpEndpoint } from '../../../netstack/udp.ts';
import type { Task } from '../../kernel/task.ts';
import type { Source } from '../../vfs/io.ts';
import { decodeInetAddress, type InetAddress } from './inet_address.ts';
import { InetMessageSocket, type ReadMessage } from './inet_message.ts';
import { intBytes, intValue } from './inet_socket.ts';
import type { Network } from './networks.ts';
import type { SentOptions } from './received_controls.ts';

/** Datagrams that one send with UDP_SEGMENT makes (UDP_MAX_SEGMENTS). */
const MAX_SEGMENTS = 128;

export class InetDatagram extends InetMessageSocket {
  readonly endpoint: UdpEndpoint;
  /** UDP_SEGMENT, UDP_GRO, UDP_CORK. */
  private readonly udpOptions = new Map<number, number>();

  constructor(task: Task, network: Network, family: number) {
    super(task, network, family, SOCK_DGRAM, I.IPPROTO_UDP);
    this.endpoint = new UdpEndpoint(network.stack.udp, this.version, this.wildcard, (events) => this.queue.notify(events));
    this.endpoint.receiveLimit = this.options.receiveBuffer;
    this.endpoint.joined = this.joined;
    this.endpoint.uid = this.uid;
  }
  protected override get isBound(): boolean {
    return this.endpoint.port !== 0;
  }
  override get port(): number {
    return this.endpoint.port;
  }
  override get remotePort(): number {
    return this.endpoint.remotePort;
  }
  override bind(task: Task, raw: Uint8Array): number {
    const to = decodeInetAddress(raw, this.family);
    if (isErrno(to)) return to;
    if (this.isBound) return EINVAL;
    const denied = this.checkBind(task, to);
    if (denied !== 0) return denied;
    this.prepare();
    return this.endpoint.bind(to.address, to.port, this.reuse);
  }
  protected override prepare(): void {
    super.prepare();
    this.endpoint.onlyV6 = this.onlyV6;
    this.endpoint.filter = this.messageFilter;
  }
  protected override connectTo({ address, port }: InetAddress): number {
    return this.endpoint.connect(address, port);
  }

  protected override transmit(to: InetAddress | null, data: Source, sent: SentOptions): number {
    if (to !== null && to.port === 0) return EINVAL;
    const { endpoint } = this;
    const total = data.remaining;
    const segment = sent.segment > 0 ? sent.segment : (this.udpOptions.get(I.UDP_SEGMENT) ?? 0);
    const take = (into: Uint8Array, start: number): number => data.take(into, start, into.length);
    if (segment === 0 || total <= segment) return endpoint.send(to, total, take, sent.options, sent.source);
    if (total > segment * MAX_SEGMENTS) return EMSGSIZE;
    for (let done = 0; done < total; done += segment) {
      const n = endpoint.send(to, Math.min(segment, total - done), take, sent.options, sent.source);
      if (n < 0) return done > 0 ? done : n;
    }
    return total;
  }
  protected override peek(): ReadMessage | null {
    return this.endpoint.first;
  }
  protected override drop(): void {
    this.endpoint.next();
  }

  protected override getProtocolOption(_task: Task, level: number, option: number): Uint8Array | Errno {
    if (level !== I.IPPROTO_UDP || !UDP_OPTIONS.includes(option)) return ENOPROTOOPT;
    return intBytes(this.udpOptions.get(option) ?? 0);
  }
  protected override setProtocolOption(_task: Task, level: number, option: number, value: Uint8Array): number {
    if (level !== I.IPPROTO_UDP || !UDP_OPTIONS.includes(option)) return ENOPROTOOPT;
    const n = value.length < 4 ? null : intValue(value);
    if (n === null || n < 0 || n > 0xffff) return EINVAL;
    // Datagrams that arrive are not merged: a socket that allows it (UDP_GRO) gets them one by one.
    if (option === I.UDP_CORK && n !== 0) return EINVAL;
    this.udpOptions.set(option, n);
    return 0;
  }
}
const UDP_OPTIONS: readonly number[] = [I.UDP_CORK, I.UDP_SEGMENT, I.UDP_GRO];
