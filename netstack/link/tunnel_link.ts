/**
 * Interfaces with a program at the other end (tun(4)): one of IP packets (TUN), one of Ethernet frames (TAP). What leaves lies in the queues of
 * a port; `take` gets what the program has written.
 */
import { ENETDOWN, type Errno } from '../../abi/errno.ts';
import { ARPHRD_NONE } from '../../abi/if.ts';
import { PACKET_HOST, PACKET_OUTGOING } from '../frame_taps.ts';
import { NetInterface } from '../interface.ts';
import { HEADROOM, type Packet } from '../packet.ts';
import { forLink, type Offload } from '../software_offload.ts';
import type { Stack } from '../stack.ts';
import { DATA_VALID, ETH_HEADER, ETH_P_IP, ETH_P_IPV6, LONGEST, NEEDS_CSUM, putOffload, segmentOf, VNET_HEADER } from './ethernet.ts';
import { followLink, randomIdentifier } from './link_local.ts';
import type { TunnelPort, TunnelQueue } from './tunnel_port.ts';
import { VirtualInterface } from './virtual_link.ts';

export type TunnelInterface = TunInterface | TapInterface;
export function isTunnel(device: NetInterface): device is TunnelInterface {
  return device instanceof TunInterface || device instanceof TapInterface;
}

/** What the program at the other end does for the link. */
function setOffload(device: TunnelInterface, offload: Offload): void {
  device.port.offload = offload;
  device.completesChecksums = offload.checksums;
  device.segmentationLimit = offload.segments4 || offload.segments6 ? LONGEST : 0;
}
/** Puts a virtio-net header with what follows into a queue. at: where the IP header would be. */
function enqueue(device: TunnelInterface, frame: Uint8Array, at: number): void {
  if (!device.up || !device.carrier || !device.port.put(frame, at, device.queueLength)) device.statistics.tx_dropped++;
}

export class TunInterface extends NetInterface {
  override hardwareType = ARPHRD_NONE;
  override queueLength = 500;
  readonly stack: Stack;
  readonly port: TunnelPort;

  constructor(stack: Stack, index: number, name: string, mtu: number, port: TunnelPort) {
    super(index, name, mtu, new Uint8Array(0));
    this.stack = stack;
    this.port = port;
    setOffload(this, port.offload);
  }
  override get linkHeader(): number {
    return 0;
  }
  setOffload(offload: Offload): void {
    setOffload(this, offload);
  }
  override setUp(up: boolean): void {
    if (this.up === up) return;
    this.up = up;
    this.linkChanged();
  }
  protected override linkChanged(): void {
    followLink(this.stack, this, () => randomIdentifier(this.stack));
    this.port.linkChanged();
  }

  override send(packet: Packet): void {
    const { taps } = this.stack;
    for (const piece of forLink(packet, this.port.offload)) {
      const { bytes } = piece;
      // The header lies right before the packet.
      bytes.fill(0, HEADROOM - VNET_HEADER, HEADROOM);
      putOffload(piece, HEADROOM - VNET_HEADER, HEADROOM);
      if (taps.active) taps.show(this, bytes, HEADROOM, bytes.length, PACKET_OUTGOING);
      enqueue(this, bytes.subarray(HEADROOM - VNET_HEADER), VNET_HEADER);
    }
  }
  override sendFrame(frame: Uint8Array): 0 | Errno {
    if (!this.up) return ENETDOWN;
    const bytes = new Uint8Array(VNET_HEADER + frame.length);
    bytes.set(frame, VNET_HEADER);
    const { taps } = this.stack;
    if (taps.active) taps.show(this, bytes, VNET_HEADER, bytes.length, PACKET_OUTGOING);
    enqueue(this, bytes, VNET_HEADER);
    return 0;
  }
  /** A virtio-net header and a packet. protocol: ETH_P_*, as the program says. */
  take(bytes: Uint8Array, protocol: number, from: TunnelQueue): void {
    const { taps } = this.stack;
    this.port.learn(from, bytes, VNET_HEADER);
    if (taps.active) taps.show(this, bytes, VNET_HEADER, bytes.length, PACKET_HOST);
    const version = (bytes[VNET_HEADER] ?? 0) >>> 4;
    if ((protocol === ETH_P_IP && version === 4) || (protocol === ETH_P_IPV6 && version === 6)) {
      const trusted = ((bytes[0] as number) & (NEEDS_CSUM | DATA_VALID)) !== 0;
      this.stack.input(this, bytes, VNET_HEADER, bytes.length, trusted, segmentOf(bytes, 0));
      return;
    }
    this.statistics.rx_packets++;
    this.statistics.rx_bytes += bytes.length - VNET_HEADER;
    this.statistics.rx_dropped++;
  }
}

export class TapInterface extends VirtualInterface {
  readonly port: TunnelPort;

  constructor(stack: Stack, index: number, name: string, mtu: number, hardware: Uint8Array, port: TunnelPort) {
    super(stack, index, name, mtu, hardware);
    this.port = port;
    setOffload(this, port.offload);
  }
  setOffload(offload: Offload): void {
    setOffload(this, offload);
  }
  /** Routers at the other end are followed (net.ipv6.conf.X.accept_ra is 1), unless we are one. */
  override setUp(up: boolean): void {
    this.ndp.acceptRouters = !this.stack.settings.forwards6;
    super.setUp(up);
  }
  protected override linkChanged(): void {
    super.linkChanged();
    this.port.linkChanged();
  }
  override sendTo(packet: Packet, hardware: Uint8Array): void {
    for (const piece of forLink(packet, this.port.offload)) super.sendTo(piece, hardware);
  }
  override emit(frame: Uint8Array): void {
    enqueue(this, frame, VNET_HEADER + ETH_HEADER);
  }
  /** A virtio-net header and a frame. */
  take(bytes: Uint8Array, _protocol: number, from: TunnelQueue): void {
    this.port.learn(from, bytes, VNET_HEADER + ETH_HEADER);
    this.receive(bytes, 0, bytes.length);
  }
}
