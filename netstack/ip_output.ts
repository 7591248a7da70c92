/** IP packets on their way out: header, checksum, the hooks of the packet filter, fragments, copies to ourselves. */
import { EMSGSIZE, ENETDOWN, EPERM, type Errno } from '../abi/errno.ts';
import { type IpAddress, isMulticast } from './address.ts';
import * as P from './packet.ts';
import type { Route } from './routes.ts';
import type { SendOptions, Stack } from './stack.ts';

const LONGEST = 65_535;

export class IpOutput {
  private readonly stack: Stack;
  private nextId: number;
  constructor(stack: Stack) {
    this.stack = stack;
    this.nextId = stack.environment.random(0x1_0000);
  }
  /** An identification for IPv4. */
  takeId(): number {
    this.nextId = (this.nextId + 1) & 0xffff;
    return this.nextId;
  }

  /** Sends what lies in `packet` from its transport header on. 0, EMSGSIZE, ENETDOWN, EPERM. */
  send(packet: P.Packet, route: Route, destination: IpAddress, protocol: number, options: SendOptions): 0 | Errno {
    const { device } = route;
    const large = packet.segmentSize === 0 && packet.length > this.stack.mtuTo(route, destination);
    if (large && (options.dontFragment || packet.bytes.length - packet.transport > LONGEST)) {
      this.stack.counters.ip.FragFails++;
      return EMSGSIZE;
    }
    const fields: P.HeaderFields = {
      source: route.source,
      destination,
      protocol,
      ttl: options.ttl,
      tos: options.tos,
      id: this.takeId(),
      mayFragment: !options.dontFragment,
    };
    P.writeHeader(packet, fields);
    P.finishChecksum(packet, fields, device.completesChecksums && !large);
    packet.fields = fields;
    this.stack.counters.ip.OutRequests++;
    if (route.broadcast || isMulticast(destination)) return this.sendToMany(packet, route, destination, options);
    return this.dispatch(packet, route);
  }
  /** A packet with a finished header that nobody may hold up: reports of groups. `alert`: bytes of options before the message. */
  sendAlert(packet: P.Packet, route: Route, destination: IpAddress, protocol: number, alert: number): void {
    const fields = { source: route.source, destination, protocol, ttl: 1, tos: 0xc0, id: this.takeId(), mayFragment: false };
    P.writeHeader(packet, fields);
    if (packet.version === 4) P.growHeader(packet, alert);
    else P.finishInner(packet, alert, fields);
    route.device.send(packet, route.nextHop);
  }

  /** Of what goes to everybody, we are one. */
  private sendToMany(packet: P.Packet, route: Route, destination: IpAddress, options: SendOptions): 0 | Errno {
    const { device } = route;
    const { stack } = this;
    if (!device.loopback && options.loop !== false && (route.broadcast || stack.groups.wants(device, destination))) {
      const copy = new P.Packet(packet.version, packet.bytes.length - packet.transport);
      copy.bytes.set(packet.bytes);
      copy.arrival = device.index;
      stack.loopback.send(copy);
    }
    // A hop limit of zero keeps it on this host; interface-local groups do not leave, either.
    if (options.ttl === 0 && !device.loopback) return 0;
    if (destination.length === 16 && isMulticast(destination) && (destination.charCodeAt(1) & 0xf) <= 1 && !device.loopback) return 0;
    return this.dispatch(packet, route);
  }

  /** A packet of ours with a finished header. */
  dispatch(packet: P.Packet, route: Route): 0 | Errno {
    const { hooks } = this.stack;
    if (hooks === null) return this.emit(packet, route);
    const way = hooks.output(packet, route);
    if (way === null) return EPERM;
    return typeof way === 'number' ? way : this.leave(packet, way);
  }
  /** The last look at it, whoever has made it. */
  leave(packet: P.Packet, route: Route): 0 | Errno {
    const { hooks } = this.stack;
    return hooks !== null && !hooks.postrouting(packet, route) ? EPERM : this.emit(packet, route);
  }
  private emit(packet: P.Packet, route: Route): 0 | Errno {
    const { device } = route;
    if (!device.up) return ENETDOWN;
    const mtu = packet.version === 6 && device.mtu6 > 0 ? device.mtu6 : device.mtu;
    const destination = packet.fields?.destination;
    const limit = destination === undefined ? mtu : this.stack.mtuTo(route, destination);
    if (packet.segmentSize > 0 || packet.length <= limit) device.send(packet, route.nextHop);
    else this.sendFragments(packet, route, limit);
    return 0;
  }
  private sendFragments(packet: P.Packet, route: Route, mtu: number): void {
    const { ip } = this.stack.counters;
    const extra = packet.version === 6 ? 8 : 0;
    const { bytes, transport } = packet;
    const header = transport - P.HEADROOM;
    const step = (mtu - header - extra) & ~7;
    const id = this.takeId();
    // One that is a fragment itself, when it was forwarded, keeps its place.
    const first = packet.version === 4 ? P.fragmentOf(bytes) : { offset: 0, more: false };
    for (let at = transport; at < bytes.length; at += step) {
      const end = Math.min(at + step, bytes.length);
      const piece = new P.Packet(packet.version, extra + end - at);
      piece.bytes.set(bytes.subarray(P.HEADROOM, transport), P.HEADROOM);
      piece.bytes.set(bytes.subarray(at, end), piece.transport + extra);
      const more = end < bytes.length || first.more;
      if (packet.version === 6) P.becomeFragment6(piece, at - transport, more, id);
      else P.markFragment(piece, first.offset + ((at - transport) >> 3), more);
      ip.FragCreates++;
      route.device.send(piece, route.nextHop);
    }
    ip.FragOKs++;
  }
}
