/** IP packets that arrive: for us, for a protocol of ours, or to be passed on. */
import { type IpAddress, isAny, isLinkLocal6, isLoopback, isMulticast } from './address.ts';
import { Reassembly } from './fragments.ts';
import { TIME_EXCEEDED4, TIME_EXCEEDED6, TOO_BIG6, UNREACHABLE4, UNREACHABLE6 } from './icmp_error.ts';
import type { NetInterface } from './interface.ts';
import * as P from './packet.ts';
import type { Route } from './routes.ts';
import type { Stack } from './stack.ts';

export class IpInput {
  private readonly stack: Stack;
  private readonly reassembly: Reassembly;
  constructor(stack: Stack) {
    this.stack = stack;
    this.reassembly = new Reassembly(stack.environment);
  }

  /** bytes[start..end) from a link. segment: payload of each packet when several came merged into this one; 0: one. */
  fromLink(device: NetInterface, bytes: Uint8Array, start: number, end: number, trusted: boolean, segment: number): void {
    const { stack } = this;
    stack.counters.ip.InReceives++;
    const parsed = P.parseIp(bytes, start, end, trusted, device.index);
    if (parsed === null) {
      stack.counters.ip.InHdrErrors++;
      device.statistics.rx_dropped++;
      return;
    }
    if (!plausible(stack, parsed)) {
      stack.counters.ip.InAddrErrors++;
      device.statistics.rx_dropped++;
      return;
    }
    const packet = stack.hooks === null ? parsed : stack.hooks.prerouting(parsed, device);
    if (packet === null) return;
    if (this.isForUs(packet, device)) this.accept(packet, device);
    else this.forward(packet, device, segment);
  }
  /** What lies on the loopback. */
  fromLoopback(packet: P.Packet): void {
    const { stack } = this;
    const device = packet.arrival === 0 ? stack.loopback : (stack.device(packet.arrival) ?? stack.loopback);
    const { fields } = packet;
    stack.counters.ip.InReceives++;
    const parsed =
      fields !== null && !packet.marked
        ? P.incomingOf(packet, fields, device.index)
        : P.parseIp(packet.bytes, P.HEADROOM, packet.bytes.length, true, device.index);
    if (parsed === null) return;
    if (stack.hooks === null) this.accept(parsed, device);
    else this.fromLoopbackFiltered(parsed, device);
  }
  private fromLoopbackFiltered(parsed: P.IncomingPacket, device: NetInterface): void {
    const packet = this.stack.hooks?.prerouting(parsed, device) ?? null;
    if (packet === null) return;
    if (this.isForUs(packet, device)) this.accept(packet, device);
    else this.forward(packet, device, 0);
  }

  private isForUs({ destination }: P.IncomingPacket, device: NetInterface): boolean {
    const { routes, groups } = this.stack;
    if (isMulticast(destination)) return groups.wants(device, destination);
    return routes.isLocal(destination) || routes.isBroadcast(destination);
  }
  private accept(piece: P.IncomingPacket, device: NetInterface): void {
    const { stack } = this;
    let packet: P.IncomingPacket | null = piece;
    if (piece.fragment !== null) {
      stack.counters.ip.ReasmReqds++;
      packet = this.reassembly.add(piece);
      if (packet === null) return;
      stack.counters.ip.ReasmOKs++;
    }
    if (!P.checksumHolds(packet)) {
      stack.counters.ip.InDiscards++;
      return;
    }
    if (stack.hooks !== null) {
      packet = stack.hooks.input(packet, device);
      if (packet === null) return;
    }
    stack.counters.ip.InDelivers++;
    stack.raw.input(packet);
    switch (packet.protocol) {
      case P.IPPROTO_TCP:
        stack.tcp.input(packet);
        return;
      case P.IPPROTO_UDP:
        stack.udp.input(packet);
        return;
      case packet.version === 4 ? P.IPPROTO_ICMP : P.IPPROTO_ICMPV6:
        stack.icmp.input(packet);
        return;
      case P.IPPROTO_IGMP:
        stack.groups.input(packet);
        return;
      default:
        if (stack.raw.wants(packet.protocol)) return;
        stack.counters.ip.InUnknownProtos++;
        stack.icmp.refuse(packet, 'protocol');
    }
  }

  /** To another host, if we are a router (net.ipv4.ip_forward). */
  private forward(packet: P.IncomingPacket, device: NetInterface, segment: number): void {
    const { stack } = this;
    const { version, destination, source } = packet;
    if (!(version === 4 ? stack.settings.forwards4 : stack.settings.forwards6) || !mayPass(source, destination)) {
      device.statistics.rx_dropped++;
      return;
    }
    if (packet.ttl <= 1) {
      stack.icmp.report(packet, version === 4 ? TIME_EXCEEDED4 : TIME_EXCEEDED6, 0, 0);
      return;
    }
    const route = stack.routes.forward(destination, source, device);
    if (typeof route === 'number') {
      stack.icmp.report(packet, version === 4 ? UNREACHABLE4 : UNREACHABLE6, 0, 0);
      return;
    }
    if (stack.hooks !== null && !stack.hooks.forward(packet, device, route.device)) return;
    this.pass(packet, route, segment);
  }
  private pass(packet: P.IncomingPacket, route: Route, segment: number): void {
    const { stack } = this;
    const { version, header, end } = packet;
    const length = end - header;
    const mtu = stack.mtuTo(route, packet.destination);
    const out = P.copyOf(packet);
    // What a link had merged is cut again by the next one.
    const cut = segment > 0 && length > mtu && packet.protocol === P.IPPROTO_TCP;
    const longest = cut ? Math.min(length, P.headersOf(packet) + segment) : length;
    if (cut && longest <= mtu) P.prepareSegments(out, packet, segment);
    else if (longest > mtu && (version === 6 || P.mayNotFragment(packet))) {
      stack.icmp.report(packet, version === 4 ? UNREACHABLE4 : TOO_BIG6, version === 4 ? 4 : 0, mtu);
      return;
    }
    if (packet.trusted && out.segmentSize === 0) P.completeChecksum(out, packet);
    P.countHop(out);
    stack.counters.ip.ForwDatagrams++;
    stack.out.leave(out, route);
  }
}

/** Loopback addresses do not come from a link (RFC 1122 §3.2.1.3), nor our own as source. */
function plausible(stack: Stack, { source, destination }: P.IncomingPacket): boolean {
  if (source.length === 4 && (source.charCodeAt(0) === 127 || destination.charCodeAt(0) === 127)) return false;
  return !isMulticast(source) && !stack.routes.isLocal(source);
}
/** Addresses that mean something on one link only are not passed on. */
function mayPass(source: IpAddress, destination: IpAddress): boolean {
  for (const address of [source, destination]) if (isAny(address) || isLoopback(address) || isLinkLocal6(address)) return false;
  return !isMulticast(destination) && destination !== '\xff\xff\xff\xff';
}
