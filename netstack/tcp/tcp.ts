/** All TCP of one stack: who a segment belongs to. */
import { EADDRINUSE, EADDRNOTAVAIL, type Errno, isErrno } from '../../abi/errno.ts';
import { type IpAddress, isAny, isMulticast } from '../address.ts';
import type { IcmpError } from '../icmp_error.ts';
import { get16, get32, type IncomingPacket } from '../packet.ts';
import { type Binding, PortTable } from '../ports.ts';
import type { Stack } from '../stack.ts';
import { hashOf } from '../udp.ts';
import { Congestion } from './congestion.ts';
import { Connection, ESTABLISHED, SYN_SENT, type TcpOptions, TIME_WAIT } from './connection.ts';
import { takeSegment } from './input.ts';
import { Listener } from './listener.ts';
import { refuseSegment, transmit } from './output.ts';
import { Rack } from './rack.ts';
import { RoundTrip } from './round_trip.ts';
import { ACK, parseSegment, RST, type Segment, SYN } from './segment.ts';
import { SentLog } from './sent_log.ts';
import { less } from './sequence.ts';
import { SynCookies } from './syn_cookie.ts';

/** A pair of ports in TIME_WAIT for this long may be used again for a new connection of ours (net.ipv4.tcp_tw_reuse). */
const REUSE_AFTER = 1e9;

function keyOf(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): string {
  return String.fromCharCode(localPort, remotePort) + remote + local;
}

export class Tcp {
  readonly stack: Stack;
  readonly ports: PortTable;
  readonly cookies: SynCookies;
  private readonly connections = new Map<string, Connection>();
  private readonly listeners = new Map<number, Listener[]>();
  private timeWaits = 0;
  /** Shared by those in TIME_WAIT, which send no data and measure nothing. */
  readonly resting = { congestion: new Congestion(0), roundTrip: new RoundTrip(), sent: new SentLog(), rack: new Rack() } as const;
  /** A listener has come (open) or gone. */
  onListener: (listener: Listener, open: boolean) => void = () => {};

  constructor(stack: Stack) {
    this.stack = stack;
    this.ports = new PortTable(stack.environment, true, () => stack.settings.ephemeralPorts);
    this.cookies = new SynCookies(stack.environment);
  }
  all(): Iterable<Connection> {
    return this.connections.values();
  }
  *allListeners(): Iterable<Listener> {
    for (const some of this.listeners.values()) yield* some;
  }
  initialSequence(): number {
    return this.stack.environment.random(0x1_0000_0000);
  }

  enter(c: Connection): void {
    this.connections.set(keyOf(c.local, c.localPort, c.remote, c.remotePort), c);
  }
  remove(c: Connection): void {
    const key = keyOf(c.local, c.localPort, c.remote, c.remotePort);
    if (this.connections.get(key) === c) this.connections.delete(key);
    this.ports.release(c.binding);
    if (c.countedTimeWait) this.timeWaits--;
    c.countedTimeWait = false;
  }
  enteredTimeWait(c: Connection): void {
    if (this.timeWaits >= this.stack.settings.timeWaits) {
      this.stack.counters.tcpExt.TCPTimeWaitOverflow++;
      c.fail(0);
      return;
    }
    c.countedTimeWait = true;
    this.timeWaits++;
  }

  /** Begins a connection. `binding`: of a socket that was bound; it goes over to the connection. */
  connect(
    to: { address: IpAddress; port: number },
    bound: Binding | null,
    options: TcpOptions,
    device: number,
    uid: number,
  ): Connection | Errno {
    const from = bound === null || isAny(bound.address) ? null : bound.address;
    const first = this.stack.route(to.address, from, device, options.mark);
    if (isErrno(first)) return first;
    // With the address that was chosen the rules may say otherwise.
    const route = from === null ? this.stack.route(to.address, first.source, device, options.mark) : first;
    if (isErrno(route)) return route;
    const local = route.source;
    const usable = (port: number): boolean => this.reusable(local, port, to);
    let binding: Binding | Errno;
    if (bound === null) {
      const wanted: Binding = {
        address: local,
        port: 0,
        onlyV6: false,
        reuseAddress: false,
        reusePort: false,
        uid,
        listening: false,
        shared: true,
      };
      binding = this.ports.bindShared(wanted, usable);
      if (isErrno(binding)) return EADDRNOTAVAIL;
    } else {
      if (!usable(bound.port)) return EADDRNOTAVAIL;
      binding = bound;
    }
    const old = this.connections.get(keyOf(local, binding.port, to.address, to.port));
    const c = new Connection(this.stack, binding, local, to.address, to.port, route, options);
    let iss = this.initialSequence();
    if (old !== undefined) {
      iss = (old.sndNxt + 65_537) >>> 0;
      old.fail(0);
    }
    this.enter(c);
    this.stack.counters.tcp.ActiveOpens++;
    c.open(iss);
    return c;
  }
  private reusable(local: IpAddress, port: number, to: { address: IpAddress; port: number }): boolean {
    const old = this.connections.get(keyOf(local, port, to.address, to.port));
    if (old === undefined) return true;
    return old.state === TIME_WAIT && old.timestamps && this.stack.environment.now() - old.lastReceived > REUSE_AFTER;
  }

  listen(
    binding: Binding,
    version: 4 | 6,
    options: TcpOptions,
    device: number,
    backlog: number,
    notify: (events: number) => void,
  ): Listener | Errno {
    if (!this.ports.mayListen(binding)) return EADDRINUSE;
    binding.listening = true;
    const listener = new Listener(this, binding, version, options, device, backlog, notify);
    const there = this.listeners.get(binding.port);
    if (there === undefined) this.listeners.set(binding.port, [listener]);
    else there.push(listener);
    this.onListener(listener, true);
    return listener;
  }
  removeListener(listener: Listener): void {
    const there = this.listeners.get(listener.binding.port) ?? [];
    const at = there.indexOf(listener);
    if (at >= 0) there.splice(at, 1);
    if (there.length === 0) this.listeners.delete(listener.binding.port);
    listener.binding.listening = false;
    this.onListener(listener, false);
    this.ports.release(listener.binding);
  }

  input(packet: IncomingPacket): void {
    const s = parseSegment(packet);
    this.stack.counters.tcp.InSegs++;
    if (s === null || isMulticast(packet.destination) || this.stack.routes.isBroadcast(packet.destination)) {
      this.stack.counters.tcp.InErrs++;
      return;
    }
    const c = this.connections.get(keyOf(packet.destination, s.destinationPort, packet.source, s.sourcePort));
    if (c !== undefined && !this.replaces(c, s)) {
      if (c.options.filter !== null && !c.options.filter(packet)) return;
      takeSegment(c, s);
      return;
    }
    const listener = this.listenerFor(s);
    if (listener !== null && listener.options.filter !== null && !listener.options.filter(packet)) return;
    const kind = s.flags & (SYN | RST | ACK);
    if (listener !== null && kind === ACK) {
      const made = listener.takeCookie(s);
      if (made !== null) takeSegment(made, s);
      else refuseSegment(this.stack, s);
    } else if (listener === null || (kind & ACK) !== 0) refuseSegment(this.stack, s);
    else if (kind === SYN) listener.take(s);
  }
  /** A new connection with the numbers of one in TIME_WAIT (RFC 6191). */
  private replaces(c: Connection, s: Segment): boolean {
    if (c.state !== TIME_WAIT || (s.flags & (SYN | ACK | RST)) !== SYN) return false;
    const newer = c.timestamps && s.hasTimestamps ? less(c.recentTimestamp, s.timestamp) : less(c.rcvNxt, s.seq);
    if (!newer || this.listenerFor(s) === null) return false;
    c.fail(0);
    return true;
  }
  private listenerFor(s: Segment): Listener | null {
    const { packet } = s;
    let top = 0;
    let equal: Listener[] = [];
    for (const listener of this.listeners.get(s.destinationPort) ?? []) {
      const score = closeness(listener, packet);
      if (score === 0 || score < top) continue;
      if (score > top) equal = [];
      top = score;
      equal.push(listener);
    }
    if (equal.length <= 1) return equal[0] ?? null;
    return equal[hashOf(packet.source, s.sourcePort) % equal.length] as Listener;
  }

  /** Answers a segment with a reset, whoever it is for. */
  refuse(packet: IncomingPacket): void {
    const s = parseSegment(packet);
    if (s !== null) refuseSegment(this.stack, s);
  }
  uidOf(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    return this.connections.get(keyOf(local, localPort, remote, remotePort))?.binding.uid ?? -1;
  }
  /** `inner`: a segment of ours that somebody could not deliver. */
  icmpError(inner: IncomingPacket, error: IcmpError): void {
    const { bytes, start } = inner;
    const c = this.connections.get(keyOf(inner.source, get16(bytes, start), inner.destination, get16(bytes, start + 2)));
    if (c === undefined) return;
    const seq = get32(bytes, start + 4);
    // Only what is underway can have met an error (RFC 5927).
    if (less(seq, c.sndUna) || !less(seq, c.sndNxt)) return;
    if (c.state === SYN_SENT && error.hard) {
      c.fail(error.errno);
      return;
    }
    const before = c.mss;
    if (c.state >= ESTABLISHED) c.updateMss();
    if (c.mss < before) {
      c.recovery = 'fast';
      c.recoverPoint = c.slowedUntil = c.sndNxt;
      c.sent.loseAll();
      transmit(c, true);
    } else if (c.state === SYN_SENT) c.lastSoftError = error.errno;
  }
}

/** 0: not for it. An exact address before a wildcard, the same family before the other. */
function closeness(listener: Listener, packet: IncomingPacket): number {
  if (listener.device !== 0 && listener.device !== packet.arrival) return 0;
  if (packet.version === 4 && listener.version === 6 && listener.binding.onlyV6) return 0;
  if (packet.version === 6 && listener.version === 4) return 0;
  const same = listener.version === packet.version ? 1 : 0;
  if (isAny(listener.local)) return 1 + same;
  return listener.local === packet.destination ? 4 + same : 0;
}
