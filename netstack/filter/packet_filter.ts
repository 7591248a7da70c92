/** The packet filter of one stack for one family: the tables filter, nat, mangle and raw at netfilter's five places. */
import type { Errno } from '../../abi/errno.ts';
import { type IpAddress, isLinkLocal6, isLoopback, isMulticast, LOOPBACK4, LOOPBACK6 } from '../address.ts';
import type { PacketHooks } from '../hooks.ts';
import { quotedPacket } from '../icmp.ts';
import { UNREACHABLE4, UNREACHABLE6 } from '../icmp_error.ts';
import type { NetInterface } from '../interface.ts';
import * as P from '../packet.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { Conntrack, type Flow, type Found, type Tuple, tupleOf } from './conntrack.ts';
import { outgoingView, type PacketView, rewrite, viewOf } from './packet_view.ts';
import {
  type Action,
  FORWARD,
  hasPorts,
  LOCAL_IN,
  LOCAL_OUT,
  POST_ROUTING,
  PRE_ROUTING,
  STATE_ESTABLISHED,
  STATE_INVALID,
  STATE_NEW,
  STATE_RELATED,
  STATE_UNTRACKED,
  type Subject,
  type Table,
  type Translation,
} from './rules.ts';

/** Ports that a translation tries before it gives up. */
const MAX_TRIES = 512;
// rtnetlink(7): kinds of addresses
const RTN_UNICAST = 1;
const RTN_LOCAL = 2;
const RTN_BROADCAST = 3;
const RTN_MULTICAST = 5;
// What REJECT answers (linux/netfilter_ipv4/ipt_REJECT.h), as ICMP codes of "unreachable".
const REJECT_CODES: readonly number[] = [0, 1, 2, 3, 3, 9, 10, 3, 13];
const REJECT_RESET = 7;
/** The same for IPv6 (ip6t_REJECT.h). */
const REJECT6_CODES: readonly number[] = [0, 1, 2, 3, 4, 4, 4, 5, 6];
const REJECT6_RESET = 6;
/** Of ICMPv6: questions and reports about groups, routers and neighbours. */
const UNTRACKED6: readonly number[] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

export class PacketFilter implements PacketHooks {
  readonly tables = new Map<string, Table>();
  readonly connections: Conntrack;
  private readonly stack: Stack;
  private readonly version: 4 | 6;
  constructor(stack: Stack, version: 4 | 6 = 4) {
    this.stack = stack;
    this.version = version;
    this.connections = new Conntrack(stack.environment);
  }

  prerouting(packet: P.IncomingPacket, device: NetInterface): P.IncomingPacket | null {
    if (packet.version !== this.version) return packet;
    // Over the loopback: it was tracked, and translated, when it left.
    const known = packet.flow as Found | undefined;
    const found = known ?? this.track(packet, viewOf(packet));
    const subject = this.subject(viewOf(packet), found, device.name, '');
    if (!this.passes('raw', PRE_ROUTING, subject) || !this.passes('mangle', PRE_ROUTING, subject)) return null;
    if (known !== undefined || found === null) return packet;
    if (!found.isReply && !found.flow.destinationDecided) this.decideDestination(found.flow, PRE_ROUTING, subject, device);
    return this.rewritten(packet, found, 'destination');
  }
  input(packet: P.IncomingPacket, device: NetInterface): P.IncomingPacket | null {
    if (packet.version !== this.version) return packet;
    const view = viewOf(packet);
    const known = packet.flow as Found | undefined;
    const found = known ?? this.lookUp(view);
    const subject = this.subject(view, found, device.name, '');
    if (!this.passes('mangle', LOCAL_IN, subject) || !this.allows(packet, LOCAL_IN, subject, found)) return null;
    return known !== undefined || found === null ? packet : this.rewritten(packet, found, 'source');
  }
  forward(packet: P.IncomingPacket, from: NetInterface, to: NetInterface): boolean {
    if (packet.version !== this.version) return true;
    const view = viewOf(packet);
    const found = this.lookUp(view);
    const subject = this.subject(view, found, from.name, to.name);
    return this.passes('mangle', FORWARD, subject) && this.allows(packet, FORWARD, subject, found);
  }
  output(packet: P.Packet, route: Route): Route | Errno | null {
    if (packet.version !== this.version) return route;
    const view = outgoingView(packet);
    if (view === null) return null;
    const found = this.track(view, view);
    const subject = this.subject(view, found, '', route.device.name);
    if (!this.passes('raw', LOCAL_OUT, subject) || !this.passes('mangle', LOCAL_OUT, subject)) return null;
    let way: Route | Errno = route;
    if (found !== null) {
      packet.flow = found;
      if (!found.isReply && !found.flow.destinationDecided) this.decideDestination(found.flow, LOCAL_OUT, subject, route.device);
      if (this.change(packet, view, found, 'destination'))
        way = this.stack.routes.find(packet.fields?.destination ?? view.destination, null, null);
      if (typeof way === 'number') return way;
    }
    const incoming = P.parseIp(packet.bytes, P.HEADROOM, packet.bytes.length, true, 0);
    if (incoming === null) return null;
    if (!this.allows(incoming, LOCAL_OUT, this.subject(viewOf(incoming), found, '', way.device.name), found)) return null;
    return way;
  }
  postrouting(packet: P.Packet, route: Route): boolean {
    if (packet.version !== this.version) return true;
    const view = outgoingView(packet);
    if (view === null) return false;
    const found = (packet.flow as Found | null) ?? this.lookUpTranslated(view);
    const subject = this.subject(view, found, '', route.device.name);
    if (!this.passes('mangle', POST_ROUTING, subject)) return false;
    if (found === null) return true;
    packet.flow = found;
    if (!found.isReply && !found.flow.sourceDecided) {
      found.flow.sourceDecided = true;
      const action = this.tables.get('nat')?.decide(POST_ROUTING, subject);
      if (action?.do === 'drop') return false;
      if (action?.do === 'translate') this.translateSource(found.flow, action.translation, route);
    }
    this.change(packet, view, found, 'source');
    return true;
  }

  /** The destination that a connection had before it was translated; null: it was not. For the one who has accepted it. */
  originalDestination(protocol: number, local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): Tuple | null {
    const answer = { protocol, source: local, sourcePort: localPort, destination: remote, destinationPort: remotePort };
    const found = this.connections.find(answer);
    return found?.isReply === true ? found.flow.original : null;
  }

  private track(packet: PacketView | P.IncomingPacket, view: PacketView): Found | null {
    if (view.laterFragment) return null;
    const tuple = tupleOf(packet, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    return this.connections.find(tuple) ?? { flow: this.connections.begin(tuple), isReply: false };
  }
  private lookUp(view: PacketView): Found | null {
    const tuple = view.laterFragment ? null : tupleOf(view, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    return this.connections.find(tuple) ?? this.lookUpTranslated(view);
  }
  /** With the destination already changed: by what the answer would look like. */
  private lookUpTranslated(view: PacketView): Found | null {
    const tuple = view.laterFragment ? null : tupleOf(view, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    const { protocol, source, sourcePort, destination, destinationPort } = tuple;
    const back = { protocol, source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort };
    const found = this.connections.find(back);
    return found === null ? this.connections.find(tuple) : { flow: found.flow, isReply: !found.isReply };
  }
  /** Dropped before anybody answered: nothing is kept of it. What is rejected stays, as the answer to that belongs to it. */
  private forgetNew({ flow, isReply }: Found): void {
    if (!isReply && !flow.answered) this.connections.remove(flow);
  }
  private passes(table: string, hook: number, subject: Subject): boolean {
    const action = this.tables.get(table)?.decide(hook, subject);
    return action === undefined || (action.do !== 'drop' && action.do !== 'reject');
  }
  private allows(packet: P.IncomingPacket, hook: number, subject: Subject, found: Found | null): boolean {
    const action = this.tables.get('filter')?.decide(hook, subject);
    if (action === undefined || (action.do !== 'drop' && action.do !== 'reject')) return true;
    if (action.do === 'reject') this.reject(packet, action, hook);
    else if (found !== null) this.forgetNew(found);
    return false;
  }
  private reject(packet: P.IncomingPacket, action: Action & { do: 'reject' }, hook: number): void {
    const { stack } = this;
    const four = this.version === 4;
    const resets = action.how === (four ? REJECT_RESET : REJECT6_RESET);
    const type = four ? UNREACHABLE4 : UNREACHABLE6;
    const code = four ? (REJECT_CODES[action.how] ?? 3) : (REJECT6_CODES[action.how] ?? 4);
    if (resets && packet.protocol === P.IPPROTO_TCP) stack.tcp.refuse(packet);
    else if (hook === LOCAL_OUT) stack.after(0, () => stack.icmp.report(packet, type, code, 0));
    else stack.icmp.report(packet, type, code, 0);
  }

  private decideDestination(flow: Flow, hook: number, subject: Subject, device: NetInterface): void {
    flow.destinationDecided = true;
    const action = this.tables.get('nat')?.decide(hook, subject);
    if (action?.do !== 'translate') return;
    const { addresses, ports } = action.translation;
    const { original, reply } = flow;
    let source = reply.source;
    if (addresses === 'interface') source = hook === LOCAL_OUT ? this.loopback : (this.ownAddress(device) ?? source);
    else if (addresses !== null) source = pick(addresses, original.source);
    const sourcePort = ports === null || !hasPorts(original.protocol) ? reply.sourcePort : pickPort(ports, original.sourcePort);
    this.connections.setReply(flow, { ...reply, source, sourcePort });
  }
  private translateSource(flow: Flow, { addresses, ports }: Translation, route: Route): void {
    const { reply } = flow;
    const own = this.ownAddress(route.device);
    const destination =
      addresses === 'interface' ? own : addresses === null ? reply.destination : pick(addresses, flow.original.destination);
    if (destination === null) return;
    const wanted = { ...reply, destination };
    if (!hasPorts(reply.protocol)) {
      this.connections.setReply(flow, wanted);
      return;
    }
    const [first, last] = ports ?? [reply.destinationPort, reply.destinationPort];
    if (first === last && this.connections.setReply(flow, { ...wanted, destinationPort: first })) return;
    // Another one has the port: any that is free.
    const [low, high] = ports !== null && first !== last ? [first, last] : [1024, 65_535];
    const start = this.stack.environment.random(high - low + 1);
    for (let i = 0; i < Math.min(MAX_TRIES, high - low + 1); i++) {
      const destinationPort = low + ((start + i) % (high - low + 1));
      if (this.connections.setReply(flow, { ...wanted, destinationPort })) return;
    }
  }

  private get loopback(): IpAddress {
    return this.version === 4 ? LOOPBACK4 : LOOPBACK6;
  }
  /** That others can answer to. */
  private ownAddress(device: NetInterface): IpAddress | null {
    const family = device.addresses.filter(({ address }) => (address.length === 4) === (this.version === 4));
    const wide = family.find(({ address }) => (device.loopback || !isLoopback(address)) && !isLinkLocal6(address));
    return wide?.address ?? family[0]?.address ?? null;
  }
  private stateOf(view: PacketView, found: Found | null): number {
    if (found !== null) return found.flow.answered || found.isReply ? STATE_ESTABLISHED : STATE_NEW;
    const untracked = view.protocol === P.IPPROTO_ICMPV6 && UNTRACKED6.includes(view.bytes[view.start] ?? 0);
    if (untracked) return STATE_UNTRACKED;
    return this.isAboutKnown(view) ? STATE_RELATED : STATE_INVALID;
  }
  /** An ICMP error about a packet of a connection, whichever way that went. */
  private isAboutKnown(view: PacketView): boolean {
    if (view.protocol !== (this.version === 4 ? P.IPPROTO_ICMP : P.IPPROTO_ICMPV6)) return false;
    const inner = quotedPacket({ ...view, version: this.version });
    if (inner === null) return false;
    const tuple = tupleOf(inner, inner.bytes, inner.start, inner.end);
    return tuple !== null && this.connections.knows(tuple);
  }
  /** What this end of the packet has to become: null where it stays. */
  private target({ flow, isReply }: Found, end: 'source' | 'destination'): { address: IpAddress; port: number } {
    const { original, reply } = flow;
    if (end === 'destination') {
      return isReply ? { address: original.source, port: original.sourcePort } : { address: reply.source, port: reply.sourcePort };
    }
    return isReply
      ? { address: original.destination, port: original.destinationPort }
      : { address: reply.destination, port: reply.destinationPort };
  }
  private rewritten(packet: P.IncomingPacket, found: Found, end: 'source' | 'destination'): P.IncomingPacket {
    const { address, port } = this.target(found, end);
    const view = viewOf(packet);
    if (!rewrite(view, end, address, port)) return packet;
    const again = P.parseIp(packet.bytes, packet.header, packet.end, packet.trusted, packet.arrival);
    return again === null ? packet : again;
  }
  /** True if it was changed. */
  private change(packet: P.Packet, view: PacketView, found: Found, end: 'source' | 'destination'): boolean {
    const { address, port } = this.target(found, end);
    if (!rewrite(view, end, address, port)) return false;
    const { fields } = packet;
    if (fields !== null) packet.fields = { ...fields, [end]: address };
    P.refreshChecksum(packet);
    return true;
  }

  private subject(view: PacketView, found: Found | null, from: string, to: string): Subject {
    const { bytes, start, end, protocol, laterFragment } = view;
    const ports = hasPorts(protocol) && !laterFragment && end - start >= 4;
    const { stack } = this;
    const flow = found?.flow ?? null;
    const icmp = protocol === P.IPPROTO_ICMP || protocol === P.IPPROTO_ICMPV6;
    return {
      protocol,
      source: view.source,
      destination: view.destination,
      sourcePort: ports ? P.get16(bytes, start) : 0,
      destinationPort: ports ? P.get16(bytes, start + 2) : 0,
      icmpType: icmp ? (bytes[start] ?? -1) : -1,
      icmpCode: icmp ? (bytes[start + 1] ?? -1) : -1,
      tcpFlags: protocol === P.IPPROTO_TCP ? (bytes[start + 13] ?? 0) & 0x3f : 0,
      laterFragment,
      in: from,
      out: to,
      state: this.stateOf(view, found),
      destinationChanged: flow !== null && flow.reply.source !== flow.original.destination,
      sourceChanged: flow !== null && flow.reply.destination !== flow.original.source,
      length: end - view.header,
      kindOf: (address) => {
        if (isMulticast(address)) return RTN_MULTICAST;
        if (stack.routes.isBroadcast(address)) return RTN_BROADCAST;
        return stack.routes.isLocal(address) ? RTN_LOCAL : RTN_UNICAST;
      },
      uid: () => (ports ? stack.uidOf(protocol, view.source, P.get16(bytes, start), view.destination, P.get16(bytes, start + 2)) : -1),
    };
  }
}

function pick([first, last]: readonly [IpAddress, IpAddress], other: IpAddress): IpAddress {
  if (first === last) return first;
  const number = (address: IpAddress): bigint => [...address].reduce((n, c) => n * 256n + BigInt(c.charCodeAt(0)), 0n);
  const span = number(last) - number(first) + 1n;
  let chosen = number(first) + (span > 1n ? number(other) % span : 0n);
  let address = '';
  for (let i = 0; i < first.length; i++, chosen >>= 8n) address = String.fromCharCode(Number(chosen & 255n)) + address;
  return address;
}
function pickPort([first, last]: readonly [number, number], other: number): number {
  return first + (other % (last - first + 1));
}
