/** A socket that listens: connections that are being made, and those that wait to be accepted. */
import { EAGAIN, type Errno } from '../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import type { IpAddress } from '../address.ts';
import type { Binding } from '../ports.ts';
import { Connection, SYN_RECEIVED, type TcpOptions } from './connection.ts';
import { takeSynOptions } from './input.ts';
import { sendSyn } from './output.ts';
import type { Segment } from './segment.ts';
import type { Tcp } from './tcp.ts';

/** Connections in the making, of one listener (net.ipv4.tcp_max_syn_backlog). */
const MAX_EMBRYOS = 1024;

export class Listener {
  readonly tcp: Tcp;
  readonly binding: Binding;
  /** IPv6 sockets take IPv4 connections, too, unless onlyV6. */
  readonly version: 4 | 6;
  readonly options: TcpOptions;
  /** Index of the only interface, or 0. */
  readonly device: number;
  backlog: number;
  readonly notify: (events: number) => void;
  private readonly embryos = new Set<Connection>();
  private readonly ready: Connection[] = [];

  constructor(
    tcp: Tcp,
    binding: Binding,
    version: 4 | 6,
    options: TcpOptions,
    device: number,
    backlog: number,
    notify: (events: number) => void,
  ) {
    this.tcp = tcp;
    this.binding = binding;
    this.version = version;
    this.options = options;
    this.device = device;
    this.backlog = backlog;
    this.notify = notify;
  }
  get local(): IpAddress {
    return this.binding.address;
  }
  get waiting(): number {
    return this.ready.length;
  }
  get hasRoom(): boolean {
    return this.ready.length <= this.backlog;
  }

  /** A SYN. When there is no room it is not answered: the other side tries again. */
  take(s: Segment): void {
    const { stack } = this.tcp;
    if (!this.hasRoom || this.embryos.size >= MAX_EMBRYOS) return;
    const { source, destination } = s.packet;
    const route = stack.route(source, destination);
    if (typeof route === 'number') return;
    const { reuseAddress, reusePort, uid } = this.binding;
    const { port } = this.binding;
    const binding = this.tcp.ports.add({
      ...{ address: destination, port, onlyV6: false, reuseAddress, reusePort, uid, listening: false, shared: false },
    });
    const options = Object.assign(Object.create(Object.getPrototypeOf(this.options)), this.options) as TcpOptions;
    const c = new Connection(stack, binding, destination, source, s.sourcePort, route, options);
    c.listener = this;
    c.state = SYN_RECEIVED;
    c.startSequence(this.tcp.initialSequence());
    takeSynOptions(c, s);
    this.embryos.add(c);
    this.tcp.enter(c);
    sendSyn(c);
  }
  /** Three segments have been exchanged. */
  established(c: Connection): void {
    if (!this.embryos.delete(c)) return;
    this.ready.push(c);
    this.notify(POLLIN | POLLRDNORM);
  }
  accept(): Connection | Errno {
    const c = this.ready.shift();
    if (c === undefined) return EAGAIN;
    c.listener = null;
    return c;
  }
  /** It has ended before anyone accepted it; one that was established is still handed out, with its error. */
  forget(c: Connection): void {
    this.embryos.delete(c);
  }
  close(): void {
    for (const c of [...this.embryos, ...this.ready]) {
      c.listener = null;
      c.orphan = true;
      c.abort(0);
    }
    this.embryos.clear();
    this.ready.length = 0;
    this.tcp.removeListener(this);
  }
}
