/** The packet filter of one stack: the tables filter, nat, mangle and raw of IPv4 at netfilter's five places. IPv6 passes. */
import type { Errno } from '../../abi/errno.ts';
import { type IpAddress, isLoopback, isMulticast } from '../address.ts';
import type { PacketHooks } from '../hooks.ts';
import type { NetInterface } from '../interface.ts';
import * as P from '../packet.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { Conntrack, type Flow, type Found, type Tuple, tupleOf } from './conntrack.ts';
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

/** Where in a packet things lie. */
interface View {
  readonly bytes: Uint8Array;
  readonly header: number;
  readonly start: number;
  readonly end: number;
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly laterFragment: boolean;
}

export class PacketFilter implements PacketHooks {
  readonly tables = new Map<string, Table>();
  readonly connections: Conntrack;
  private readonly stack: Stack;
  constructor(stack: Stack) {
    this.stack = stack;
    this.connections = new Conntrack(stack.environment);
  }

  prerouting(packet: P.IncomingPacket, device: NetInterface): P.IncomingPacket | null {
    if (packet.version !== 4) return packet;
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
    if (packet.version !== 4) return packet;
    const view = viewOf(packet);
    const known = packet.flow as Found | undefined;
    const found = known ?? this.lookUp(view);
    const subject = this.subject(view, found, device.name, '');
    if (!this.passes('mangle', LOCAL_IN, subject) || !this.allows(packet, LOCAL_IN, subject)) return this.refused(found);
    return known !== undefined || found === null ? packet : this.rewritten(packet, found, 'source');
  }
  forward(packet: P.IncomingPacket, from: NetInterface, to: NetInterface): boolean {
    if (packet.version !== 4) return true;
    const view = viewOf(packet);
    const found = this.lookUp(view);
    const subject = this.subject(view, found, from.name, to.name);
    if (this.passes('mangle', FORWARD, subject) && this.allows(packet, FORWARD, subject)) return true;
    this.refused(found);
    return false;
  }
  output(packet: P.Packet, route: Route): Route | Errno | null {
    if (packet.version !== 4) return route;
    const view = outgoingView(packet);
    const found = this.track(view, view);
    const subject = this.subject(view, found, '', route.device.name);
    if (!this.passes('raw', LOCAL_OUT, subject) || !this.passes('mangle', LOCAL_OUT, subject)) return this.refused(found);
    let way: Route | Errno = route;
    if (found !== null) {
      packet.flow = found;
      if (!found.isReply && !found.flow.destinationDecided) this.decideDestination(found.flow, LOCAL_OUT, subject, route.device);
      if (this.change(packet, view, found, 'destination')) way = this.stack.routes.find(outgoingView(packet).destination, null, null);
      if (typeof way === 'number') return way;
    }
    const after = outgoingView(packet);
    const incoming = P.parseIp(packet.bytes, P.HEADROOM, packet.bytes.length, true, 0);
    const final = this.subject(after, found, '', way.device.name);
    if (incoming === null || !this.allows(incoming, LOCAL_OUT, final)) return this.refused(found);
    return way;
  }
  postrouting(packet: P.Packet, route: Route): boolean {
    if (packet.version !== 4) return true;
    const view = outgoingView(packet);
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

  private track(packet: View | P.IncomingPacket, view: View): Found | null {
    if (view.laterFragment) return null;
    const tuple = tupleOf(packet, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    return this.connections.find(tuple) ?? { flow: this.connections.begin(tuple), isReply: false };
  }
  private lookUp(view: View): Found | null {
    const tuple = view.laterFragment ? null : tupleOf(view, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    return this.connections.find(tuple) ?? this.lookUpTranslated(view);
  }
  /** With the destination already changed: by what the answer would look like. */
  private lookUpTranslated(view: View): Found | null {
    const tuple = view.laterFragment ? null : tupleOf(view, view.bytes, view.start, view.end);
    if (tuple === null) return null;
    const { protocol, source, sourcePort, destination, destinationPort } = tuple;
    const back = { protocol, source: destination, sourcePort: destinationPort, destination: source, destinationPort: sourcePort };
    const found = this.connections.find(back);
    return found === null ? this.connections.find(tuple) : { flow: found.flow, isReply: !found.isReply };
  }
  private refused(found: Found | null): null {
    if (found !== null && !found.isReply && !found.flow.answered) this.connections.remove(found.flow);
    return null;
  }
  private passes(table: string, hook: number, subject: Subject): boolean {
    const action = this.tables.get(table)?.decide(hook, subject);
    return action === undefined || (action.do !== 'drop' && action.do !== 'reject');
  }
  private allows(packet: P.IncomingPacket, hook: number, subject: Subject): boolean {
    const action = this.tables.get('filter')?.decide(hook, subject);
    if (action === undefined || (action.do !== 'drop' && action.do !== 'reject')) return true;
    if (action.do === 'reject') this.reject(packet, action, hook);
    return false;
  }
  private reject(packet: P.IncomingPacket, action: Action & { do: 'reject' }, hook: number): void {
    const { stack } = this;
    if (action.how === REJECT_RESET && packet.protocol === P.IPPROTO_TCP) stack.tcp.refuse(packet);
    else if (hook === LOCAL_OUT) stack.after(0, () => stack.icmp.report(packet, 3, REJECT_CODES[action.how] ?? 3, 0));
    else stack.icmp.report(packet, 3, REJECT_CODES[action.how] ?? 3, 0);
  }

  private decideDestination(flow: Flow, hook: number, subject: Subject, device: NetInterface): void {
    flow.destinationDecided = true;
    const action = this.tables.get('nat')?.decide(hook, subject);
    if (action?.do !== 'translate') return;
    const { addresses, ports } = action.translation;
    const { original, reply } = flow;
    let source = reply.source;
    if (addresses === 'interface') source = hook === LOCAL_OUT ? '\x7f\0\0\x01' : (ownAddress(device) ?? source);
    else if (addresses !== null) source = pick(addresses, original.source);
    const sourcePort = ports === null || !hasPorts(original.protocol) ? reply.sourcePort : pickPort(ports, original.sourcePort);
    this.connections.setReply(flow, { ...reply, source, sourcePort });
  }
  private translateSource(flow: Flow, { addresses, ports }: Translation, route: Route): void {
    const { reply } = flow;
    const own = ownAddress(route.device);
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
  private change(packet: P.Packet, view: View, found: Found, end: 'source' | 'destination'): boolean {
    const { address, port } = this.target(found, end);
    if (!rewrite(view, end, address, port)) return false;
    const { fields } = packet;
    if (fields !== null) packet.fields = { ...fields, [end]: address };
    P.refreshChecksum(packet);
    return true;
  }

  private subject(view: View, found: Found | null, from: string, to: string): Subject {
    const { bytes, start, end, protocol, laterFragment } = view;
    const ports = hasPorts(protocol) && !laterFragment && end - start >= 4;
    const { stack } = this;
    const flow = found?.flow ?? null;
    return {
      protocol,
      source: view.source,
      destination: view.destination,
      sourcePort: ports ? P.get16(bytes, start) : 0,
      destinationPort: ports ? P.get16(bytes, start + 2) : 0,
      icmpType: protocol === P.IPPROTO_ICMP ? (bytes[start] ?? -1) : -1,
      icmpCode: protocol === P.IPPROTO_ICMP ? (bytes[start + 1] ?? -1) : -1,
      tcpFlags: protocol === P.IPPROTO_TCP ? (bytes[start + 13] ?? 0) & 0x3f : 0,
      laterFragment,
      in: from,
      out: to,
      state: found === null ? STATE_INVALID : found.flow.answered || found.isReply ? STATE_ESTABLISHED : STATE_NEW,
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

function ownAddress(device: NetInterface): IpAddress | null {
  return device.addresses.find(({ address }) => address.length === 4 && (device.loopback || !isLoopback(address)))?.address ?? null;
}
function pick([first, last]: readonly [IpAddress, IpAddress], other: IpAddress): IpAddress {
  if (first === last) return first;
  const number = (address: IpAddress): number => [...address].reduce((n, c) => n * 256 + c.charCodeAt(0), 0);
  const span = Math.max(1, number(last) - number(first) + 1);
  const chosen = number(first) + (number(other) % span);
  return String.fromCharCode((chosen >>> 24) & 255, (chosen >>> 16) & 255, (chosen >>> 8) & 255, chosen & 255);
}
function pickPort([first, last]: readonly [number, number], other: number): number {
  return first + (other % (last - first + 1));
}

function viewOf(packet: P.IncomingPacket): View {
  const { bytes, header, start, end, protocol, source, destination, fragment } = packet;
  return { bytes, header, start, end, protocol, source, destination, laterFragment: fragment !== null && fragment.offset > 0 };
}
function outgoingView(packet: P.Packet): View {
  const { bytes } = packet;
  const header = P.HEADROOM;
  return {
    ...{ bytes, header, start: header + ((bytes[header] as number) & 0xf) * 4, end: bytes.length, protocol: bytes[header + 9] as number },
    source: String.fromCharCode(...bytes.subarray(header + 12, header + 16)),
    destination: String.fromCharCode(...bytes.subarray(header + 16, header + 20)),
    laterFragment: P.fragmentOf(bytes).offset > 0,
  };
}
/** One end's address and port, and the checksums that cover them. False: nothing was to be done. */
function rewrite(view: View, end: 'source' | 'destination', address: IpAddress, port: number): boolean {
  const { bytes, header, start, protocol } = view;
  const ports = hasPorts(protocol);
  const place = end === 'source' ? 0 : 2;
  if (view[end] === address && (!ports || P.get16(bytes, start + place) === port)) return false;
  P.replaceAddress(bytes, header, end === 'source' ? 12 : 16, address, start, protocol);
  if (ports) P.replacePort(bytes, start, place, port, protocol);
  else if (protocol === P.IPPROTO_ICMP) P.replacePort(bytes, start, 4, port, protocol);
  return true;
}
