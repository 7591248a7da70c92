/**
 * An Ethernet interface: frames with a virtio-net header in front, as AF_PACKET gives and takes them (PACKET_VNET_HDR). The header
 * carries what the link does for us: checksums it completes, segments it cuts (up to 64 KiB in one piece, both ways).
 *
 * Interface: `receive` for each frame that came; `emit` (of who derives) sends one, header included, and may keep the bytes.
 */
import { EACCES, EHOSTUNREACH, ENETDOWN, type Errno } from '../../abi/errno.ts';
import { BROADCAST4, type IpAddress, isMulticast } from '../address.ts';
import type { Egress } from '../egress/egress.ts';
import { PACKET_OUTGOING } from '../frame_taps.ts';
import { UNREACHABLE4, UNREACHABLE6 } from '../icmp_error.ts';
import { type AssignedAddress, NetInterface } from '../interface.ts';
import { HEADROOM, IP4_HEADER, IP6_HEADER, IPPROTO_TCP, Packet, parseIp, put16 } from '../packet.ts';
import type { Stack } from '../stack.ts';
import { Arp } from './arp.ts';
import { Ndp } from './ndp.ts';
import { type Neighbour, type NeighbourLink, Neighbours } from './neighbours.ts';

export const ETH_P_IP = 0x0800;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
/** struct virtio_net_hdr. */
export const VNET_HEADER = 10;
export const ETH_HEADER = 14;
export const NEEDS_CSUM = 1;
export const DATA_VALID = 2;
export const GSO_TCPV4 = 1;
export const GSO_TCPV6 = 4;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** Longest IP packet that is handed over in one piece. */
export const LONGEST = 65_535;

export abstract class EthernetInterface extends NetInterface implements NeighbourLink {
  override completesChecksums = true;
  override segmentationLimit = LONGEST;
  readonly broadcast = BROADCAST;
  readonly stack: Stack;
  readonly neighbours: Neighbours;
  readonly arp: Arp;
  readonly ndp: Ndp;
  /** Holds what leaves against a policy; null: there is none. */
  egress: Egress | null = null;
  /** Told of each neighbour whose state has changed. */
  onNeighbour: (entry: Neighbour) => void = () => {};
  /** Told of each address that somebody else uses, too. */
  onConflict: (address: IpAddress) => void = () => {};

  constructor(stack: Stack, index: number, name: string, mtu: number, hardware: Uint8Array) {
    super(index, name, mtu, hardware);
    this.stack = stack;
    this.neighbours = new Neighbours(stack, this);
    this.arp = new Arp(this);
    this.ndp = new Ndp(this);
  }
  get now(): number {
    return this.stack.environment.now();
  }
  /** Sends a frame. */
  abstract emit(frame: Uint8Array): void;
  /** Sends a frame, for all to see. */
  transmit(frame: Uint8Array): void {
    const { taps } = this.stack;
    if (taps.active) taps.show(this, frame, VNET_HEADER, frame.length, PACKET_OUTGOING);
    this.emit(frame);
  }
  override sendFrame(frame: Uint8Array): 0 | Errno {
    if (!this.up) return ENETDOWN;
    if (this.egress !== null && !permitsFrame(this.egress, frame)) return EACCES;
    const bytes = new Uint8Array(VNET_HEADER + frame.length);
    bytes.set(frame, VNET_HEADER);
    this.transmit(bytes);
    return 0;
  }

  /** A frame with its headers, and `length` bytes behind them. */
  frame(to: Uint8Array, type: number, length: number): Uint8Array {
    const bytes = new Uint8Array(HEADROOM + length);
    this.address(bytes, to, type);
    return bytes;
  }
  private address(bytes: Uint8Array, to: Uint8Array, type: number): void {
    bytes.set(to, VNET_HEADER);
    bytes.set(this.hardware, VNET_HEADER + 6);
    put16(bytes, VNET_HEADER + 12, type);
  }

  override send(packet: Packet, nextHop: IpAddress): void {
    if (!this.up) {
      this.statistics.tx_dropped++;
      return;
    }
    if (this.egress !== null && !this.egress.permits(packet)) {
      // Its sender is told later: it is still busy sending.
      this.stack.after(0, () => this.refused(packet, EACCES, true));
      return;
    }
    const group = this.groupAddress(nextHop);
    const hardware = group ?? this.neighbours.resolve(nextHop, packet);
    if (hardware !== null) this.sendTo(packet, hardware);
  }
  /** Where packets to a group or to everyone go; null: to one. */
  private groupAddress(address: IpAddress): Uint8Array | null {
    if (isMulticast(address)) {
      if (address.length === 16) return Uint8Array.of(0x33, 0x33, ...[12, 13, 14, 15].map((i) => address.charCodeAt(i)));
      return Uint8Array.of(1, 0, 0x5e, address.charCodeAt(1) & 0x7f, address.charCodeAt(2), address.charCodeAt(3));
    }
    if (address.length === 16) return null;
    if (address === BROADCAST4) return BROADCAST;
    for (const own of this.addresses) if (own.broadcast === address) return BROADCAST;
    return null;
  }
  sendTo(packet: Packet, hardware: Uint8Array): void {
    const { bytes } = packet;
    this.address(bytes, hardware, packet.version === 4 ? ETH_P_IP : ETH_P_IPV6);
    bytes.fill(0, 0, VNET_HEADER);
    putOffload(packet, 0, VNET_HEADER);
    this.transmit(bytes);
  }

  /** bytes[start..end): virtio-net header and frame. They are the caller's again afterwards. */
  receive(bytes: Uint8Array, start: number, end: number): void {
    const at = start + VNET_HEADER;
    if (!this.up || end - at < ETH_HEADER) return;
    if (this.stack.taps.active) this.stack.taps.showIncoming(this, bytes, at, end);
    if (!this.isForUs(bytes, at)) return;
    const trusted = ((bytes[start] as number) & (NEEDS_CSUM | DATA_VALID)) !== 0;
    const type = ((bytes[at + 12] as number) << 8) | (bytes[at + 13] as number);
    const payload = at + ETH_HEADER;
    if (this.egress !== null && type !== ETH_P_ARP) this.egress.incoming(bytes, payload, end);
    if (type === ETH_P_IP || type === ETH_P_IPV6) this.stack.input(this, bytes, payload, end, trusted, segmentOf(bytes, start));
    else if (type === ETH_P_ARP) {
      this.arp.input(bytes, payload, end);
      this.stack.deliver();
    }
  }
  /** To us, to a group, to everyone; not what we have sent. */
  private isForUs(bytes: Uint8Array, at: number): boolean {
    const { hardware } = this;
    if (((bytes[at] as number) & 1) !== 0) {
      for (let i = 0; i < 6; i++) if (bytes[at + 6 + i] !== hardware[i]) return true;
      return false;
    }
    for (let i = 0; i < 6; i++) if (bytes[at + i] !== hardware[i]) return false;
    return true;
  }
  override neighbourMessage(packet: Parameters<Ndp['input']>[0]): void {
    this.ndp.input(packet);
  }

  // NeighbourLink
  solicit(address: IpAddress, hardware: Uint8Array | null): void {
    if (address.length === 16) this.ndp.solicit(address, hardware);
    else this.arp.request(address, this.sourceTowards(address) ?? '\0\0\0\0', hardware);
  }
  /** The address to ask from: of the network that the neighbour is in, or any. */
  private sourceTowards(address: IpAddress): IpAddress | null {
    const route = this.stack.routes.find(address, null, this);
    return typeof route === 'number' ? null : route.source;
  }
  unreachable(packet: Packet): void {
    this.refused(packet, EHOSTUNREACH, false);
  }
  /** The packet did not leave: its socket gets the error. hard: also one that did not ask for errors. */
  private refused(packet: Packet, errno: Errno, hard: boolean): void {
    this.statistics.tx_dropped++;
    const inner = parseIp(packet.bytes, HEADROOM, packet.bytes.length, true, this.index);
    if (inner === null) return;
    const v4 = inner.version === 4;
    const type = v4 ? UNREACHABLE4 : UNREACHABLE6;
    const code = errno === EACCES ? (v4 ? 13 : 1) : v4 ? 1 : 3;
    if (this.stack.routes.isLocal(inner.source)) {
      const told = { destination: inner.source, arrival: this.index, ttl: inner.ttl, tos: 0 };
      const message = { type, code, info: 0, from: inner.source, told };
      this.stack.icmp.tell(inner, { errno, hard: hard || inner.protocol === IPPROTO_TCP, message });
    } else this.stack.icmp.report(inner, type, code, 0);
  }
  changed(entry: Neighbour): void {
    this.onNeighbour(entry);
    this.stack.onChange();
  }
  conflict(address: IpAddress): void {
    this.onConflict(address);
  }

  /** An address is ours from now on, and the link is told. `check`: look for others that have it first (RFC 4862 §5.4). */
  override addAddress(own: AssignedAddress, check = false): void {
    if (this.owns(own.address) || this.ndp.isTentative(own.address)) return;
    if (own.address.length === 16 && check) this.ndp.detectDuplicates(own);
    else {
      this.addresses = [...this.addresses, own];
      if (this.up && own.address.length === 4) this.arp.announce(own.address);
      this.stack.onChange();
    }
  }
  /** False: it was none. */
  override removeAddress(address: IpAddress): boolean {
    const tentative = this.ndp.forget(address);
    const removed = super.removeAddress(address);
    this.stack.onChange();
    return tentative || removed;
  }
  override setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    if (!up) this.neighbours.clear();
    else for (const own of this.addresses) if (own.address.length === 4) this.arp.announce(own.address);
    this.stack.onChange();
  }
}

/** A frame that an application has written: what the policy cannot read, a tag of a VLAN before it, does not leave. */
function permitsFrame(egress: Egress, frame: Uint8Array): boolean {
  const type = ((frame[12] as number) << 8) | (frame[13] as number);
  if (type === ETH_P_ARP) return true;
  const version = type === ETH_P_IP ? 4 : 6;
  const header = version === 4 ? IP4_HEADER : IP6_HEADER;
  if ((type !== ETH_P_IP && type !== ETH_P_IPV6) || frame.length < ETH_HEADER + header) return false;
  const packet = new Packet(version, frame.length - ETH_HEADER - header);
  packet.bytes.set(frame.subarray(ETH_HEADER), HEADROOM);
  return egress.permits(packet);
}
/** Into a virtio-net header at bytes[at] that holds zeros: what the link has to do. frame: where the frame begins. */
export function putOffload(packet: Packet, at: number, frame: number): void {
  const { bytes } = packet;
  const start = packet.transport - frame;
  if (packet.partial) {
    bytes[at] = NEEDS_CSUM;
    little16(bytes, at + 6, start);
    little16(bytes, at + 8, packet.checksumOffset);
  }
  if (packet.segmentSize > 0) {
    bytes[at + 1] = packet.version === 4 ? GSO_TCPV4 : GSO_TCPV6;
    little16(bytes, at + 2, start + packet.transportHeader);
    little16(bytes, at + 4, packet.segmentSize);
  }
}
/** virtio_net_hdr.gso_size, of what was merged. */
export function segmentOf(bytes: Uint8Array, at: number): number {
  return bytes[at + 1] === 0 ? 0 : (bytes[at + 4] as number) | ((bytes[at + 5] as number) << 8);
}
function little16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value & 0xff;
  bytes[at + 1] = value >>> 8;
}
