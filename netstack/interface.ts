/** What the stack knows of an interface. Links derive from it; the loopback is here. */
import { ENETDOWN, type Errno } from '../abi/errno.ts';
import { ARPHRD_ETHER, ARPHRD_LOOPBACK } from '../abi/if.ts';
import { type IpAddress, LOOPBACK4, LOOPBACK6 } from './address.ts';
import { ETH_HEADER_LENGTH, type FrameTap, type FrameTaps, PACKET_HOST, PACKET_OUTGOING } from './frame_taps.ts';
import { HEADROOM, type IncomingPacket, IP4_HEADER, IP6_HEADER, Packet } from './packet.ts';

export interface AssignedAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly broadcast: IpAddress | null;
  /** Of the one at the other end, where there is no network of many; absent: none. */
  readonly peer?: IpAddress;
}

export abstract class NetInterface {
  readonly index: number;
  name: string;
  mtu: number;
  /** A smaller MTU for IPv6 that a router has announced; 0: none. */
  mtu6 = 0;
  up = true;
  /** Somebody is at the other end. */
  carrier = true;
  /** There was nobody once: only then is more known of its state than that it can be used (RFC 2863, as Linux keeps it). */
  carrierChanged = false;
  /** ARPHRD_*. */
  hardwareType = ARPHRD_ETHER;
  /** Packets that wait to leave, where anything waits. */
  queueLength = 1000;
  /** IFF_PROMISC and IFF_ALLMULTI: how many have asked for it. */
  promiscuous = 0;
  allMulticast = 0;
  /** Six bytes; none where links have no addresses. */
  hardware: Uint8Array;
  addresses: AssignedAddress[] = [];
  /** The link completes checksums and says of incoming ones whether they need looking at. */
  completesChecksums = false;
  /** Longest IP packet that it cuts into segments itself; 0: none. */
  segmentationLimit = 0;
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
  /** Bytes of a frame before its IP packet: an Ethernet header, or nothing. */
  get linkHeader(): number {
    return ETH_HEADER_LENGTH;
  }
  setUp(up: boolean): void {
    this.up = up;
  }
  setCarrier(carrier: boolean): void {
    if (this.carrier === carrier) return;
    this.carrier = carrier;
    this.carrierChanged = true;
    this.linkChanged();
  }
  /** It has come up or gone down, or its carrier has. */
  protected linkChanged(): void {}
  /** An address is ours from now on. `_check`: look for others that have it first. */
  addAddress(own: AssignedAddress, _check = false): void {
    this.addresses = [...this.addresses, own];
  }
  /** False: it was none. */
  removeAddress(address: IpAddress): boolean {
    const before = this.addresses.length;
    this.addresses = this.addresses.filter((own) => own.address !== address);
    return this.addresses.length < before;
  }
  owns(address: IpAddress): boolean {
    for (const own of this.addresses) if (own.address === address) return true;
    return false;
  }
  /** A message of neighbour discovery (ICMPv6 133 to 137) has come. */
  neighbourMessage(_packet: IncomingPacket): void {}
  /** Hands over what `send` has gathered; after each outermost `deliver` of the stack. */
  flush(): void {}
  /** A frame that somebody has written whole (packet(7)), from its Ethernet header on. 0 or an errno. */
  sendFrame(_frame: Uint8Array): 0 | Errno {
    return ENETDOWN;
  }
  /** Takes the packet; `nextHop`: who on the link gets it. */
  abstract send(packet: Packet, nextHop: IpAddress): void;
}

/** Packets that wait to be delivered; more are dropped. */
const MAX_QUEUED = 8192;

const OWN_ADDRESSES: readonly AssignedAddress[] = [
  { address: LOOPBACK4, prefixLength: 8, broadcast: null },
  { address: LOOPBACK6, prefixLength: 128, broadcast: null },
];

/** lo. What is sent lies in a queue until the stack delivers: an answer never runs inside of what it answers. */
export class Loopback extends NetInterface {
  override completesChecksums = true;
  override hardwareType = ARPHRD_LOOPBACK;
  private readonly taps: FrameTaps;
  private queue: Packet[] = [];
  private head = 0;

  constructor(taps: FrameTaps) {
    super(1, 'lo', 65_536, new Uint8Array(6));
    this.taps = taps;
    this.addresses = [...OWN_ADDRESSES];
  }
  override get loopback(): boolean {
    return true;
  }
  /** As a network begins: down, and without an address. */
  takeDown(): void {
    this.up = false;
    this.addresses = [];
  }
  /** Coming up it gives itself the addresses that it lacks; going down it forgets IPv6's. */
  override setUp(up: boolean): void {
    this.up = up;
    if (!up) this.addresses = this.addresses.filter(({ address }) => address.length === 4);
    else
      for (const own of OWN_ADDRESSES) if (!this.addresses.some((a) => a.address.length === own.address.length)) this.addresses.push(own);
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
    if (this.taps.active && packet.arrival === 0) this.show(packet, null);
  }
  /** Frames of lo have addresses of zero. */
  private show(packet: Packet, except: FrameTap | null): void {
    const frame = new Uint8Array(14 + packet.bytes.length - HEADROOM);
    frame[12] = packet.version === 4 ? 0x08 : 0x86;
    frame[13] = packet.version === 4 ? 0x00 : 0xdd;
    frame.set(packet.bytes.subarray(HEADROOM), 14);
    this.taps.show(this, frame, 0, frame.length, PACKET_OUTGOING, except);
    this.taps.show(this, frame, 0, frame.length, PACKET_HOST, null);
  }
  override sendFrame(frame: Uint8Array): 0 | Errno {
    const version = frame[12] === 0x08 ? 4 : 6;
    const header = version === 4 ? IP4_HEADER : IP6_HEADER;
    if (frame.length < 14 + header || (frame[14] as number) >>> 4 !== version) return 0;
    const packet = new Packet(version, frame.length - 14 - header);
    packet.bytes.set(frame.subarray(14), HEADROOM);
    this.send(packet);
    return 0;
  }
  next(): Packet | null {
    const packet = this.queue[this.head];
    if (packet === undefined) return null;
    // One after the other, as a request and its answer: the array keeps its memory.
    if (this.head === 0 && this.queue.length === 1) return this.queue.pop() as Packet;
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
