/** Packet sockets (packet(7)): they see frames as the interfaces do, both ways, before anything else looks at them. */

import type { NetInterface } from './interface.ts';

export const ETH_HEADER_LENGTH = 14;
// sockaddr_ll.sll_pkttype
export const PACKET_HOST = 0;
export const PACKET_BROADCAST = 1;
export const PACKET_MULTICAST = 2;
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;
export const ETH_P_ALL = 3;

export interface FrameTap {
  /** ETH_P_*; ETH_P_ALL sees outgoing frames, too. 0: nothing. */
  readonly protocol: number;
  /** Index; 0: all. */
  readonly device: number;
  /** bytes[start..end) begins with the link's header, if it has one, and is the caller's. */
  frame(device: NetInterface, bytes: Uint8Array, start: number, end: number, protocol: number, kind: number): void;
}

export class FrameTaps {
  private readonly taps = new Set<FrameTap>();
  /** Somebody looks. */
  get active(): boolean {
    return this.taps.size > 0;
  }
  add(tap: FrameTap): void {
    this.taps.add(tap);
  }
  remove(tap: FrameTap): void {
    this.taps.delete(tap);
  }
  /** `except`: who has sent it. */
  show(device: NetInterface, bytes: Uint8Array, start: number, end: number, kind: number, except: FrameTap | null = null): void {
    if (end - start < device.linkHeader) return;
    const protocol = device.linkHeader > 0 ? ((bytes[start + 12] as number) << 8) | (bytes[start + 13] as number) : versionOf(bytes, start);
    for (const tap of this.taps) {
      if (tap === except || tap.protocol === 0 || (tap.device !== 0 && tap.device !== device.index)) continue;
      if (tap.protocol === ETH_P_ALL || (tap.protocol === protocol && kind !== PACKET_OUTGOING)) {
        tap.frame(device, bytes, start, end, protocol, kind);
      }
    }
  }
  showIncoming(device: NetInterface, bytes: Uint8Array, start: number, end: number): void {
    this.show(device, bytes, start, end, kindOf(device, bytes, start));
  }
}

/** ETH_P_* of an IP packet without a header before it. */
export function versionOf(bytes: Uint8Array, at: number): number {
  const version = (bytes[at] as number) >>> 4;
  return version === 4 ? 0x0800 : version === 6 ? 0x86dd : 0;
}
function kindOf({ hardware }: NetInterface, bytes: Uint8Array, at: number): number {
  if (hardware.length === 0) return PACKET_HOST;
  if (((bytes[at] as number) & 1) !== 0) {
    for (let i = 0; i < 6; i++) if (bytes[at + i] !== 0xff) return PACKET_MULTICAST;
    return PACKET_BROADCAST;
  }
  for (let i = 0; i < 6; i++) if (bytes[at + i] !== hardware[i]) return PACKET_OTHERHOST;
  return PACKET_HOST;
}
