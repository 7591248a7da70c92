/**
 * Neighbour discovery for IPv6 (RFC 4861), duplicate addresses (RFC 4862), routers and the prefixes they announce. Redirects are not
 * followed: on a pod's link they could only come from somebody who wants the traffic.
 */
import { ANY6, type IpAddress, isAny, isLinkLocal6, isMulticast, readAddress, samePrefix, writeAddress } from '../address.ts';
import type { MovableTimer } from '../environment.ts';
import type { AssignedAddress } from '../interface.ts';
import { get16, get32, type IncomingPacket, IPPROTO_ICMPV6, Packet } from '../packet.ts';
import type { TableEntry } from '../routes.ts';
import type { EthernetInterface } from './ethernet.ts';
import { identifierOf } from './link_local.ts';

const ROUTER_SOLICITATION = 133;
const ROUTER_ADVERTISEMENT = 134;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const SOURCE_LINK = 1;
const TARGET_LINK = 2;
const PREFIX = 3;
const MTU = 5;
// Flags of an advertisement.
const ROUTER = 0x80;
const SOLICITED = 0x40;
const OVERRIDE = 0x20;
// Flags of a prefix.
const ON_LINK = 0x80;
const AUTONOMOUS = 0x40;
const ALL_NODES: IpAddress = `\xff\x02${'\0'.repeat(13)}\x01`;
const ALL_ROUTERS: IpAddress = `\xff\x02${'\0'.repeat(13)}\x02`;
const SOLICITED_NODE = '\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff';
const HOPS = 255;
const OPTIONS = { ttl: HOPS, tos: 0, dontFragment: false, loop: false };
/** Routers and prefixes that are believed. */
const MAX_ROUTERS = 4;
const MAX_PREFIXES = 8;
/** Solicitations for routers, ns between them; ns that duplicates have to speak up. */
const ROUTER_TRIES = 3;
const ROUTER_INTERVAL = 4e9;
const DUPLICATE_WAIT = 1e9;
/** net.ipv6's metric for routes that were announced. */
const METRIC = 1024;
const SMALLEST_MTU = 1280;
const RTPROT_RA = 9;

interface Announced {
  readonly entry: TableEntry;
  readonly timer: MovableTimer;
}

export class Ndp {
  /** Whether advertisements of routers are followed (net.ipv6.conf.X.accept_ra). */
  acceptRouters = false;
  private readonly link: EthernetInterface;
  private readonly tentative = new Map<IpAddress, { own: AssignedAddress; timer: MovableTimer }>();
  private readonly routers = new Map<IpAddress, Announced>();
  private readonly prefixes = new Map<string, { address: IpAddress; timer: MovableTimer; entry: TableEntry | null }>();
  private tries = 0;
  private readonly search: MovableTimer;
  /** Addresses that somebody else has: they are not used. */
  readonly duplicates = new Set<IpAddress>();

  constructor(link: EthernetInterface) {
    this.link = link;
    this.search = link.stack.timer(() => this.searchRouters());
  }

  input(packet: IncomingPacket): void {
    const { bytes, start, end, source } = packet;
    if (packet.ttl !== HOPS || bytes[start + 1] !== 0) return; // it has crossed a router
    switch (bytes[start]) {
      case SOLICITATION:
        if (end - start >= 24) this.takeSolicitation(packet, readAddress(bytes, start + 8, 16));
        return;
      case ADVERTISEMENT:
        if (end - start >= 24) this.takeAdvertisement(packet, readAddress(bytes, start + 8, 16));
        return;
      case ROUTER_ADVERTISEMENT:
        if (end - start >= 16 && isLinkLocal6(source) && this.acceptRouters) this.takeRouter(packet);
    }
  }

  private takeSolicitation(packet: IncomingPacket, target: IpAddress): void {
    if (isMulticast(target)) return;
    const { source } = packet;
    const { link } = this;
    if (this.tentative.has(target)) {
      if (isAny(source)) this.duplicate(target); // both look for the same address
      return;
    }
    if (!link.owns(target)) return;
    const hardware = option(packet, packet.start + 24, SOURCE_LINK);
    if (isAny(source)) {
      this.advertise(target, ALL_NODES, 0);
      return;
    }
    if (hardware !== null) link.neighbours.learn(source, hardware, { solicited: false, override: true, create: true });
    this.advertise(target, source, SOLICITED);
  }
  private takeAdvertisement(packet: IncomingPacket, target: IpAddress): void {
    const { link } = this;
    if (this.tentative.has(target)) {
      this.duplicate(target);
      return;
    }
    if (link.owns(target)) {
      link.conflict(target);
      return;
    }
    const flags = packet.bytes[packet.start + 4] as number;
    const known = link.neighbours.get(target);
    const hardware = option(packet, packet.start + 24, TARGET_LINK) ?? known?.hardware ?? null;
    if (hardware === null) return;
    const entry = link.neighbours.learn(target, hardware, {
      solicited: (flags & SOLICITED) !== 0 && !isMulticast(packet.destination),
      override: (flags & OVERRIDE) !== 0,
      create: false,
    });
    if (entry !== null) entry.router = (flags & ROUTER) !== 0;
  }

  solicit(address: IpAddress, hardware: Uint8Array | null): void {
    const source = this.sourceFor(address);
    if (source === null) return;
    this.solicitFrom(address, source, hardware === null ? SOLICITED_NODE + address.slice(13) : address);
  }
  private sourceFor(address: IpAddress): IpAddress | null {
    const six = this.link.addresses.filter((own) => own.address.length === 16);
    const near = six.find((own) => isLinkLocal6(own.address) === isLinkLocal6(address));
    return (near ?? six[0])?.address ?? null;
  }
  private solicitFrom(target: IpAddress, source: IpAddress, to: IpAddress): void {
    const withOption = !isAny(source);
    const packet = new Packet(6, withOption ? 32 : 24);
    const at = packet.transport;
    packet.bytes[at] = SOLICITATION;
    writeAddress(packet.bytes, at + 8, target);
    if (withOption) this.putLink(packet, at + 24, SOURCE_LINK);
    this.transmit(packet, source, to);
  }
  private advertise(target: IpAddress, to: IpAddress, flags: number): void {
    const packet = new Packet(6, 32);
    const at = packet.transport;
    packet.bytes[at] = ADVERTISEMENT;
    packet.bytes[at + 4] = flags | OVERRIDE;
    writeAddress(packet.bytes, at + 8, target);
    this.putLink(packet, at + 24, TARGET_LINK);
    this.transmit(packet, target, to);
  }
  private putLink(packet: Packet, at: number, kind: number): void {
    packet.bytes[at] = kind;
    packet.bytes[at + 1] = 1; // in units of eight bytes
    packet.bytes.set(this.link.hardware, at + 2);
  }
  private transmit(packet: Packet, source: IpAddress, to: IpAddress): void {
    packet.checksumOffset = 2;
    const route = { device: this.link, nextHop: to, source, broadcast: false };
    this.link.stack.send(packet, route, to, IPPROTO_ICMPV6, OPTIONS);
  }

  // Duplicate address detection.

  isTentative(address: IpAddress): boolean {
    return this.tentative.has(address);
  }
  /** The address becomes the link's if nobody speaks up. */
  detectDuplicates(own: AssignedAddress): void {
    const { link } = this;
    const { address } = own;
    const timer = link.stack.timer(() => {
      this.tentative.delete(address);
      link.addresses = [...link.addresses, own];
      if (isLinkLocal6(address)) this.startSearch();
    });
    this.tentative.set(address, { own, timer });
    timer.set(link.now + DUPLICATE_WAIT);
    this.solicitFrom(address, ANY6, SOLICITED_NODE + address.slice(13));
  }
  /** True: it was being looked at. */
  forget(address: IpAddress): boolean {
    const there = this.tentative.get(address);
    there?.timer.stop();
    return this.tentative.delete(address);
  }
  private duplicate(address: IpAddress): void {
    this.forget(address);
    if (this.duplicates.size < MAX_PREFIXES) this.duplicates.add(address);
    this.link.conflict(address);
  }

  // Routers.

  /** Asks for routers, if their advertisements are followed. */
  startSearch(): void {
    this.tries = 0;
    this.searchRouters();
  }
  private searchRouters(): void {
    const source = this.link.addresses.find((own) => isLinkLocal6(own.address))?.address;
    if (!this.acceptRouters || this.routers.size > 0 || this.tries >= ROUTER_TRIES) return;
    this.tries++;
    this.search.set(this.link.now + ROUTER_INTERVAL);
    if (source === undefined) return;
    const packet = new Packet(6, 16);
    packet.bytes[packet.transport] = ROUTER_SOLICITATION;
    this.putLink(packet, packet.transport + 8, SOURCE_LINK);
    this.transmit(packet, source, ALL_ROUTERS);
  }
  private takeRouter(packet: IncomingPacket): void {
    const { bytes, start, end, source } = packet;
    const { link } = this;
    const hardware = option(packet, start + 16, SOURCE_LINK);
    if (hardware !== null) {
      const entry = link.neighbours.learn(source, hardware, { solicited: false, override: true, create: true });
      if (entry !== null) entry.router = true;
    }
    this.keepRouter(source, get16(bytes, start + 6));
    for (let at = start + 16; at + 8 <= end; ) {
      const length = (bytes[at + 1] as number) * 8;
      if (length === 0 || at + length > end) return;
      if (bytes[at] === PREFIX && length === 32) this.takePrefix(bytes, at);
      if (bytes[at] === MTU && length === 8) {
        const mtu = get32(bytes, at + 4);
        if (mtu >= SMALLEST_MTU && mtu <= link.mtu) link.mtu6 = mtu;
      }
      at += length;
    }
  }
  /** lifetime: s; 0: it is none any more. */
  private keepRouter(gateway: IpAddress, lifetime: number): void {
    const { link } = this;
    const known = this.routers.get(gateway);
    if (lifetime === 0) {
      if (known !== undefined) this.dropRouter(gateway);
      return;
    }
    if (known !== undefined) {
      known.timer.set(link.now + lifetime * 1e9);
      return;
    }
    if (this.routers.size >= MAX_ROUTERS) return;
    const entry: TableEntry = {
      ...{ destination: ANY6, prefixLength: 0, gateway, source: null, device: link, metric: METRIC, protocol: RTPROT_RA },
    };
    const timer = link.stack.timer(() => this.dropRouter(gateway));
    timer.set(link.now + lifetime * 1e9);
    this.routers.set(gateway, { entry, timer });
    link.stack.routes.add(entry);
  }
  private dropRouter(gateway: IpAddress): void {
    const known = this.routers.get(gateway);
    if (known === undefined) return;
    known.timer.stop();
    this.routers.delete(gateway);
    this.link.stack.routes.remove(known.entry);
  }
  /** A prefix that is on the link, and from which an address may be made (RFC 4862 §5.5.3). */
  private takePrefix(bytes: Uint8Array, at: number): void {
    const length = bytes[at + 2] as number;
    const flags = bytes[at + 3] as number;
    const valid = get32(bytes, at + 4);
    const prefix = readAddress(bytes, at + 16, 16);
    if (length > 128 || isLinkLocal6(prefix) || isMulticast(prefix)) return;
    const key = `${length}/${prefix}`;
    const known = this.prefixes.get(key);
    if (known !== undefined) {
      // An address is not taken away by one forged message (RFC 4862 §5.5.3 e).
      known.timer.set(this.link.now + Math.max(valid, 7200) * 1e9);
      return;
    }
    if (valid === 0 || this.prefixes.size >= MAX_PREFIXES) return;
    const { link } = this;
    let entry: TableEntry | null = null;
    if ((flags & ON_LINK) !== 0 && !link.stack.routes.entries.some((e) => e.device === link && samePlace(e, prefix, length))) {
      entry = { destination: prefix, prefixLength: length, gateway: null, source: null, device: link, metric: 256, protocol: RTPROT_RA };
      link.stack.routes.add(entry);
    }
    const address = length === 64 ? prefix.slice(0, 8) + identifierOf(this.link.hardware) : '';
    const timer = link.stack.timer(() => this.dropPrefix(key));
    timer.set(link.now + valid * 1e9);
    this.prefixes.set(key, { address, timer, entry });
    const has = link.addresses.some((own) => own.address.length === 16 && samePrefix(own.address, prefix, length));
    if ((flags & AUTONOMOUS) !== 0 && address !== '' && !has) link.addAddress({ address, prefixLength: length, broadcast: null }, true);
  }
  private dropPrefix(key: string): void {
    const known = this.prefixes.get(key);
    if (known === undefined) return;
    this.prefixes.delete(key);
    if (known.entry !== null) this.link.stack.routes.remove(known.entry);
    if (known.address !== '') this.link.removeAddress(known.address);
  }
}

function samePlace(entry: TableEntry, prefix: IpAddress, length: number): boolean {
  return entry.prefixLength === length && samePrefix(entry.destination, prefix, length);
}

/** The hardware address in an option of this kind among bytes[at..packet.end); null: none. */
function option(packet: IncomingPacket, from: number, kind: number): Uint8Array | null {
  const { bytes, end } = packet;
  for (let at = from; at + 8 <= end; ) {
    const length = (bytes[at + 1] as number) * 8;
    if (length === 0 || at + length > end) return null;
    if (bytes[at] === kind && ((bytes[at + 2] as number) & 1) === 0) return bytes.subarray(at + 2, at + 8);
    at += length;
  }
  return null;
}
