/** What the stack knows of an interface. Links derive from it; the loopback is here. */
import { type IpAddress, LOOPBACK4, LOOPBACK6 } from './address.ts';
import { HEADROOM, type IncomingPacket, type Packet } from './packet.ts';

export interface AssignedAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly broadcast: IpAddress | null;
}

export abstract class NetInterface {
  readonly index: number;
  name: string;
  mtu: number;
  /** A smaller MTU for IPv6 that a router has announced; 0: none. */
  mtu6 = 0;
  up = true;
  /** Six bytes. */
  hardware: Uint8Array;
  addresses: AssignedAddress[] = [];
  /** The link completes checksums and says of incoming ones whether they need looking at. */
  readonly completesChecksums: boolean = false;
  /** Longest IP packet that it cuts into segments itself; 0: none. */
  readonly segmentationLimit: number = 0;
  readonly statistics = { rx_packets: 0, rx_bytes: 0, rx_dropped: 0, tx_packets: 0, tx_bytes: 0, tx_dropped: 0 };

  constructor(index: number, name: string, mtu: number, hardware: Uint8Array) {
    this.index = index;
    this.name = name;
    this.mtu = mtu;
    this.hardware = hardware;
  }
  get loopback(): boolean {
    return false;
  }
  owns(address: IpAddress): boolean {
    for (const own of this.addresses) if (own.address === address) return true;
    return false;
  }
  /** A message of neighbour discovery (ICMPv6 133 to 137) has come. */
  neighbourMessage(_packet: IncomingPacket): void {}
  /** Hands over what `send` has gathered; after each outermost `deliver` of the stack. */
  flush(): void {}
  /** Takes the packet; `nextHop`: who on the link gets it. */
  abstract send(packet: Packet, nextHop: IpAddress): void;
}

/** Packets that wait to be delivered; more are dropped. */
const MAX_QUEUED = 8192;

/** lo. What is sent lies in a queue until the stack delivers: an answer never runs inside of what it answers. */
export class Loopback extends NetInterface {
  override readonly completesChecksums = true;
  private queue: Packet[] = [];
  private head = 0;

  constructor() {
    super(1, 'lo', 65_536, new Uint8Array(6));
    this.addresses = [
      { address: LOOPBACK4, prefixLength: 8, broadcast: null },
      { address: LOOPBACK6, prefixLength: 128, broadcast: null },
    ];
  }
  override get loopback(): boolean {
    return true;
  }
  override send(packet: Packet): void {
    if (this.queue.length - this.head >= MAX_QUEUED) {
      this.statistics.tx_dropped++;
      return;
    }
    const bytes = packet.bytes.length - HEADROOM;
    this.statistics.tx_packets++;
    this.statistics.tx_bytes += bytes;
    this.statistics.rx_packets++;
    this.statistics.rx_bytes += bytes;
    this.queue.push(packet);
  }
  next(): Packet | null {
    const packet = this.queue[this.head];
    if (packet === undefined) return null;
    this.head++;
    if (this.head === this.queue.length) {
      this.queue.length = 0;
      this.head = 0;
    } else if (this.head >= 1024) {
      this.queue = this.queue.slice(this.head);
      this.head = 0;
    }
    return packet;
  }
}
