/** Where a packet filter looks at packets (filter/), as Linux's netfilter names the places. */
import type { Errno } from '../abi/errno.ts';
import type { NetInterface } from './interface.ts';
import type { IncomingPacket, Packet } from './packet.ts';
import type { Route } from './routes.ts';

export interface PacketHooks {
  /** From an interface, before it is known where it goes. The packet, perhaps rewritten; null: dropped. */
  prerouting(packet: IncomingPacket, device: NetInterface): IncomingPacket | null;
  /** For us. As it is taken in; null: dropped. */
  input(packet: IncomingPacket, device: NetInterface): IncomingPacket | null;
  forward(packet: IncomingPacket, from: NetInterface, to: NetInterface): boolean;
  /** Of ours: the way that it takes, perhaps another one; null: dropped. */
  output(packet: Packet, route: Route): Route | Errno | null;
  /** Last of all. False: dropped. */
  postrouting(packet: Packet, route: Route): boolean;
}
