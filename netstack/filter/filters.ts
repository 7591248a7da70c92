/** The packet filters of one stack, one for each family: each comes into being with the first table that is written for it. */
import type { Errno } from '../../abi/errno.ts';
import type { PacketHooks } from '../hooks.ts';
import type { NetInterface } from '../interface.ts';
import type { IncomingPacket, Packet } from '../packet.ts';
import type { Route } from '../routes.ts';
import type { Stack } from '../stack.ts';
import { PacketFilter } from './packet_filter.ts';

export class PacketFilters implements PacketHooks {
  private readonly stack: Stack;
  private four: PacketFilter | null = null;
  private six: PacketFilter | null = null;
  constructor(stack: Stack) {
    this.stack = stack;
  }
  /** Null: there are no tables. */
  of(version: 4 | 6): PacketFilter | null {
    return version === 4 ? this.four : this.six;
  }
  make(version: 4 | 6): PacketFilter {
    if (version === 4) return (this.four ??= new PacketFilter(this.stack, 4));
    return (this.six ??= new PacketFilter(this.stack, 6));
  }

  prerouting(packet: IncomingPacket, device: NetInterface): IncomingPacket | null {
    const filter = this.of(packet.version);
    return filter === null ? packet : filter.prerouting(packet, device);
  }
  input(packet: IncomingPacket, device: NetInterface): IncomingPacket | null {
    const filter = this.of(packet.version);
    return filter === null ? packet : filter.input(packet, device);
  }
  forward(packet: IncomingPacket, from: NetInterface, to: NetInterface): boolean {
    return this.of(packet.version)?.forward(packet, from, to) ?? true;
  }
  output(packet: Packet, route: Route): Route | Errno | null {
    const filter = this.of(packet.version);
    return filter === null ? route : filter.output(packet, route);
  }
  postrouting(packet: Packet, route: Route): boolean {
    return this.of(packet.version)?.postrouting(packet, route) ?? true;
  }
}
