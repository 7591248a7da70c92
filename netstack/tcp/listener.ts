/** A socket that listens: connections that are being made, and those that wait to be accepted. */
import { EAGAIN, type Errno } from '../../abi/errno.ts';
import { POLLIN, POLLRDNORM } from '../../abi/poll.ts';
import type { IpAddress } from '../address.ts';
import type { Binding } from '../ports.ts';
import type { Route } from '../routes.ts';
import { Connection, mssOf, SYN_RECEIVED, type TcpOptions, WINDOW_SCALE } from './connection.ts';
import { takeSynOptions } from './input.ts';
import { sendCookie, sendSyn } from './output.ts';
import { CWR, ECE, FIN, type Segment, type SynOptions } from './segment.ts';
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

  /** Connections that may be in the making before the answers become cookies. */
  private get crowded(): boolean {
    return this.embryos.size >= Math.min(Math.max(this.backlog, 1), this.tcp.stack.settings.synBacklog, MAX_EMBRYOS);
  }

  /** A SYN. When there is no room it is not answered: the other side tries again. */
  take(s: Segment): void {
    const { stack } = this.tcp;
    const { settings, counters } = stack;
    if (!this.hasRoom) {
      counters.tcpExt.ListenOverflows++;
      counters.tcpExt.ListenDrops++;
      return;
    }
    const { source, destination } = s.packet;
    const route = stack.route(source, destination, 0, this.options.mark);
    if (typeof route === 'number') return;
    const ecn = settings.ecn !== 0 && (s.flags & (ECE | CWR)) === (ECE | CWR) && (s.packet.tos & 3) === 0;
    if (settings.synCookies === 2 || this.crowded) {
      if (settings.synCookies === 0) counters.tcpExt.ListenDrops++;
      else this.answerWithCookie(s, route, ecn);
      return;
    }
    const c = this.embryo(s, route, this.tcp.initialSequence());
    takeSynOptions(c, s);
    c.ecn = ecn;
    this.embryos.add(c);
    sendSyn(c);
  }
  private embryo(s: Segment, route: Route, iss: number): Connection {
    const { source, destination } = s.packet;
    const { reuseAddress, reusePort, uid, port } = this.binding;
    const binding = this.tcp.ports.add({
      ...{ address: destination, port, onlyV6: false, reuseAddress, reusePort, uid, listening: false, shared: false },
    });
    const options = Object.assign(Object.create(Object.getPrototypeOf(this.options)), this.options) as TcpOptions;
    const c = new Connection(this.tcp.stack, binding, destination, source, s.sourcePort, route, options);
    c.listener = this;
    c.state = SYN_RECEIVED;
    c.startSequence(iss);
    this.tcp.enter(c);
    return c;
  }

  private answerWithCookie(s: Segment, route: Route, ecn: boolean): void {
    const { tcp } = this;
    const { settings, counters, environment } = tcp.stack;
    counters.tcpExt.SyncookiesSent++;
    counters.tcpExt.TCPReqQFullDoCookies++;
    const stamped = s.hasTimestamps && settings.timestamps;
    // Without a timestamp there is nowhere to keep the other options.
    const scaled = stamped && s.windowScale >= 0 && settings.windowScaling;
    const options: SynOptions = {
      mss: mssOf(tcp.stack, route, s.packet.source, this.options),
      windowScale: scaled ? WINDOW_SCALE : -1,
      sackPermitted: stamped && s.sackPermitted && settings.selectiveAcks,
      timestamps: stamped,
      timestamp: tcp.cookies.stamp(s, Math.floor(environment.now() / 1e6), ecn),
      echo: s.timestamp,
    };
    sendCookie(tcp.stack, s, route, tcp.cookies.make(s), options, 0xffff, ecn && stamped);
  }
  /** An acknowledgement that belongs to nothing: of a cookie? The connection that it makes, or null. */
  takeCookie(s: Segment): Connection | null {
    const { stack } = this.tcp;
    const { counters, settings } = stack;
    if (settings.synCookies === 0) return null;
    const known = this.tcp.cookies.check(s);
    if (known === null) {
      counters.tcpExt.SyncookiesFailed++;
      return null;
    }
    const route = stack.route(s.packet.source, s.packet.destination, 0, this.options.mark);
    if (typeof route === 'number' || !this.hasRoom) return null;
    counters.tcpExt.SyncookiesRecv++;
    const iss = (s.ack - 1) >>> 0;
    const c = this.embryo(s, route, iss);
    takeSynOptions(c, { ...s, seq: (s.seq - 1) >>> 0, mss: known.mss, windowScale: known.windowScale, sackPermitted: known.sack });
    c.ecn = known.ecn;
    if (s.hasTimestamps) c.timestampBase = (s.echo - Math.floor(stack.environment.now() / 1e6)) >>> 0;
    c.sndNxt = (iss + 1) >>> 0;
    this.embryos.add(c);
    return c;
  }
  /** Is it time for `c`, whose answer has come, to be handed out? */
  mayEstablish(c: Connection, s: Segment): boolean {
    const { counters, settings } = this.tcp.stack;
    // The first data wakes the server, not the handshake (TCP_DEFER_ACCEPT).
    if (s.end === s.start && (s.flags & FIN) === 0 && c.retries < c.options.deferAccept) {
      c.heldBack = true;
      return false;
    }
    if (this.hasRoom) return true;
    counters.tcpExt.ListenOverflows++;
    // The other side will send again, and so shall we.
    if (settings.abortOnOverflow) c.abort(0);
    return false;
  }
  /** Three segments have been exchanged. */
  established(c: Connection): void {
    if (!this.embryos.delete(c)) return;
    this.tcp.stack.counters.tcp.PassiveOpens++;
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
