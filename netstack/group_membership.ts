/**
 * Multicast groups of a stack's interfaces, and how routers hear of them: IGMPv2 and IGMPv3 (RFC 2236, RFC 3376), MLDv1 and MLDv2
 * (RFC 2710, RFC 3810). Sources are filtered by the sockets: to the link a group is joined for all of them.
 */
import { type IpAddress, isAny, isLinkLocal6, isMulticast, readAddress, writeAddress } from './address.ts';
import { checksum } from './checksum.ts';
import type { MovableTimer } from './environment.ts';
import type { NetInterface } from './interface.ts';
import { get16, type IncomingPacket, IPPROTO_HOPOPTS, IPPROTO_ICMPV6, IPPROTO_IGMP, Packet, put16 } from './packet.ts';
import type { Stack } from './stack.ts';

const ALL_HOSTS4 = '\xe0\0\0\x01';
const ALL_ROUTERS4 = '\xe0\0\0\x02';
const REPORTS4 = '\xe0\0\0\x16';
const ALL_NODES6 = `\xff\x02${'\0'.repeat(13)}\x01`;
const ALL_ROUTERS6 = `\xff\x02${'\0'.repeat(13)}\x02`;
const REPORTS6 = `\xff\x02${'\0'.repeat(13)}\x16`;
const SOLICITED_NODE = '\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff';
const QUERY4 = 0x11;
const REPORT4_V2 = 0x16;
const LEAVE4 = 0x17;
const REPORT4_V3 = 0x22;
const QUERY6 = 130;
const REPORT6_V1 = 131;
const DONE6 = 132;
const REPORT6_V2 = 143;
// Kinds of group records.
const IS_EXCLUDE = 2;
const TO_INCLUDE = 3;
const TO_EXCLUDE = 4;
/** Groups of one interface. */
const MAX_GROUPS = 512;
/** After a query of an older version its way is kept, ns. A change is told twice. */
const OLD_QUERIER = 400e9;
const REPEAT = 1e9;
/** A router alert: IPv4 option, and IPv6 hop-by-hop header with the protocol behind it. */
const ALERT4 = Uint8Array.of(0x94, 4, 0, 0);
const ALERT6 = Uint8Array.of(IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0);

class Membership {
  users = 0;
  /** When it is reported again. */
  readonly timer: MovableTimer;
  constructor(timer: MovableTimer) {
    this.timer = timer;
  }
}

export class GroupMembership {
  private readonly stack: Stack;
  private readonly groups = new Map<NetInterface, Map<IpAddress, Membership>>();
  /** Until when (ns) an older router's way is kept. */
  private readonly old4 = new Map<NetInterface, number>();
  private readonly old6 = new Map<NetInterface, number>();
  constructor(stack: Stack) {
    this.stack = stack;
  }

  /** Does a packet to `group` that came from there concern us? */
  wants(device: NetInterface | null, group: IpAddress): boolean {
    if (device === null) return false;
    if (group === ALL_HOSTS4 || group === ALL_NODES6) return true;
    if (this.groups.get(device)?.has(group) === true) return true;
    // Interface-local groups, and those by which neighbours ask for our addresses.
    return group.length === 16 && (group.charCodeAt(1) & 0xf) <= 1 ? true : group.startsWith(SOLICITED_NODE);
  }
  *of(device: NetInterface): Iterable<{ group: IpAddress; users: number }> {
    yield { group: ALL_HOSTS4, users: 1 };
    yield { group: ALL_NODES6, users: 1 };
    for (const [group, { users }] of this.groups.get(device) ?? []) yield { group, users };
  }
  /** False: there are too many. Pair with `leave`. */
  join(device: NetInterface, group: IpAddress): boolean {
    const there = this.groups.get(device) ?? new Map<IpAddress, Membership>();
    this.groups.set(device, there);
    let membership = there.get(group);
    if (membership === undefined) {
      if (there.size >= MAX_GROUPS) return false;
      membership = new Membership(this.stack.timer(() => this.report(device, group, IS_EXCLUDE)));
      there.set(group, membership);
      if (isReported(device, group)) {
        this.report(device, group, TO_EXCLUDE);
        membership.timer.set(this.stack.environment.now() + REPEAT);
      }
    }
    membership.users++;
    return true;
  }
  leave(device: NetInterface, group: IpAddress): void {
    const membership = this.groups.get(device)?.get(group);
    if (membership === undefined || --membership.users > 0) return;
    membership.timer.stop();
    this.groups.get(device)?.delete(group);
    if (isReported(device, group)) this.report(device, group, TO_INCLUDE);
  }

  /** IGMP. */
  input(packet: IncomingPacket): void {
    const { bytes, start, end } = packet;
    const device = this.stack.device(packet.arrival);
    if (device === null || end - start < 8 || bytes[start] !== QUERY4 || checksum(bytes, start, end) !== 0) return;
    const code = bytes[start + 1] as number;
    if (end - start < 12) this.old4.set(device, this.stack.environment.now() + OLD_QUERIER);
    this.answer(device, readAddress(bytes, start + 4, 4), (code === 0 ? 100 : longTime(code, 8)) * 1e8);
  }
  /** MLD, and whatever other ICMPv6 there is. */
  listenerMessage(packet: IncomingPacket): void {
    const { bytes, start, end, source } = packet;
    const device = this.stack.device(packet.arrival);
    if (device === null || bytes[start] !== QUERY6 || end - start < 24 || !isLinkLocal6(source) || packet.ttl !== 1) return;
    if (end - start < 28) this.old6.set(device, this.stack.environment.now() + OLD_QUERIER);
    this.answer(device, readAddress(bytes, start + 8, 16), longTime(get16(bytes, start + 4), 16) * 1e6);
  }
  /** Each group within `limit` ns, at a time that is not foreseen. */
  private answer(device: NetInterface, asked: IpAddress, limit: number): void {
    const { environment } = this.stack;
    for (const [group, { timer }] of this.groups.get(device) ?? []) {
      if (group.length !== asked.length || (!isAny(asked) && asked !== group) || !isReported(device, group)) continue;
      const at = environment.now() + environment.random(Math.max(1, Math.min(limit, 60e9)));
      if (at < timer.deadline) timer.set(at);
    }
  }

  private report(device: NetInterface, group: IpAddress, kind: number): void {
    if (group.length === 4) this.report4(device, group, kind);
    else this.report6(device, group, kind);
  }
  private report4(device: NetInterface, group: IpAddress, kind: number): void {
    const source = device.addresses.find((own) => own.address.length === 4)?.address ?? '\0\0\0\0';
    const old = (this.old4.get(device) ?? 0) > this.stack.environment.now();
    const packet = new Packet(4, ALERT4.length + (old ? 8 : 16));
    const { bytes, transport } = packet;
    const at = transport + ALERT4.length;
    bytes.set(ALERT4, transport);
    if (old) {
      bytes[at] = kind === TO_INCLUDE ? LEAVE4 : REPORT4_V2;
      writeAddress(bytes, at + 4, group);
    } else {
      bytes[at] = REPORT4_V3;
      put16(bytes, at + 6, 1);
      bytes[at + 8] = kind;
      writeAddress(bytes, at + 12, group);
    }
    put16(bytes, at + 2, checksum(bytes, at, bytes.length));
    const to = old ? (kind === TO_INCLUDE ? ALL_ROUTERS4 : group) : REPORTS4;
    this.stack.out.sendAlert(packet, { device, nextHop: to, source, broadcast: false }, to, IPPROTO_IGMP, ALERT4.length);
  }
  private report6(device: NetInterface, group: IpAddress, kind: number): void {
    const source = device.addresses.find((own) => isLinkLocal6(own.address))?.address;
    if (source === undefined) return;
    const old = (this.old6.get(device) ?? 0) > this.stack.environment.now();
    const packet = new Packet(6, ALERT6.length + (old ? 24 : 28));
    const { bytes, transport } = packet;
    const at = transport + ALERT6.length;
    bytes.set(ALERT6, transport);
    if (old) {
      bytes[at] = kind === TO_INCLUDE ? DONE6 : REPORT6_V1;
      writeAddress(bytes, at + 8, group);
    } else {
      bytes[at] = REPORT6_V2;
      put16(bytes, at + 6, 1);
      bytes[at + 8] = kind;
      writeAddress(bytes, at + 12, group);
    }
    const to = old ? (kind === TO_INCLUDE ? ALL_ROUTERS6 : group) : REPORTS6;
    this.stack.out.sendAlert(packet, { device, nextHop: to, source, broadcast: false }, to, IPPROTO_HOPOPTS, ALERT6.length);
  }
}

/** Those that everyone is in, or that do not leave the host, are nobody's business. */
function isReported(device: NetInterface, group: IpAddress): boolean {
  if (device.loopback || !isMulticast(group)) return false;
  return group.length === 4 ? group !== ALL_HOSTS4 : group !== ALL_NODES6 && (group.charCodeAt(1) & 0xf) > 1;
}
/** A time in 8 or 16 bits: above half it is a small floating-point number (RFC 3376 §4.1.1, RFC 3810 §5.1.3). */
function longTime(code: number, bits: number): number {
  const mantissaBits = bits - 4;
  if (code < 2 ** (bits - 1)) return code;
  const exponent = (code >>> mantissaBits) & 7;
  return ((code % 2 ** mantissaBits) + 2 ** mantissaBits) * 2 ** (exponent + 3);
}
