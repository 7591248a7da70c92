/** ARP for IPv4 over Ethernet (RFC 826, RFC 5227). */
import { ANY4, type IpAddress, isMulticast, readAddress, writeAddress } from '../address.ts';
import { get16, put16 } from '../packet.ts';
import type { EthernetInterface } from './ethernet.ts';
import { sameBytes } from './neighbours.ts';

/** Length of an ARP packet. */
export const ARP_LENGTH = 28;
const HTYPE_ETHERNET = 1;
const PTYPE_IPV4 = 0x0800;
const REQUEST = 1;
const REPLY = 2;
/** ns between two announcements that defend an address (RFC 5227 §2.4). */
const DEFEND_INTERVAL = 10e9;

export class Arp {
  private readonly link: EthernetInterface;
  private defended = Number.NEGATIVE_INFINITY;
  /** How often somebody else has claimed an address of ours. */
  conflicts = 0;

  constructor(link: EthernetInterface) {
    this.link = link;
  }

  input(bytes: Uint8Array, at: number, end: number): void {
    if (end - at < ARP_LENGTH || get16(bytes, at) !== HTYPE_ETHERNET || get16(bytes, at + 2) !== PTYPE_IPV4) return;
    if (bytes[at + 4] !== 6 || bytes[at + 5] !== 4) return;
    const operation = get16(bytes, at + 6);
    const hardware = bytes.subarray(at + 8, at + 14);
    const sender = readAddress(bytes, at + 14, 4);
    const target = readAddress(bytes, at + 24, 4);
    // A hardware address that cannot be a station's says nothing.
    if (((hardware[0] as number) & 1) !== 0 || isMulticast(sender) || sender.charCodeAt(0) === 127) return;
    const { link } = this;
    if (link.owns(sender)) {
      if (!sameBytes(hardware, link.hardware)) this.conflict(sender);
      return;
    }
    if (operation === REQUEST) this.answer(hardware, sender, target);
    else if (operation === REPLY) {
      const mine = link.owns(target);
      link.neighbours.learn(sender, hardware, { solicited: mine, override: true, create: false });
    }
  }
  private answer(hardware: Uint8Array, sender: IpAddress, target: IpAddress): void {
    const { link } = this;
    const mine = link.owns(target);
    // An announcement (sender is target) renews what is known; a question to us makes its asker known.
    if (sender !== ANY4) link.neighbours.learn(sender, hardware, { solicited: false, override: true, create: mine });
    if (mine) this.send(REPLY, hardware, target, hardware, sender);
  }
  private conflict(address: IpAddress): void {
    this.conflicts++;
    const { now } = this.link;
    if (now - this.defended < DEFEND_INTERVAL) return;
    this.defended = now;
    this.announce(address);
    this.link.conflict(address);
  }

  /** Who has `target`? */
  request(target: IpAddress, source: IpAddress, hardware: Uint8Array | null): void {
    this.send(REQUEST, hardware ?? this.link.broadcast, source, null, target);
  }
  /** Tells everyone that the address is ours. */
  announce(address: IpAddress): void {
    this.send(REQUEST, this.link.broadcast, address, null, address);
  }

  private send(operation: number, to: Uint8Array, source: IpAddress, targetHardware: Uint8Array | null, target: IpAddress): void {
    const { link } = this;
    const frame = link.frame(to, 0x0806, ARP_LENGTH);
    const at = frame.length - ARP_LENGTH;
    put16(frame, at, HTYPE_ETHERNET);
    put16(frame, at + 2, PTYPE_IPV4);
    frame[at + 4] = 6;
    frame[at + 5] = 4;
    put16(frame, at + 6, operation);
    frame.set(link.hardware, at + 8);
    writeAddress(frame, at + 14, source);
    if (targetHardware !== null) frame.set(targetHardware, at + 18);
    writeAddress(frame, at + 24, target);
    link.transmit(frame);
  }
}
