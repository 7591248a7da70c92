/** Matches and targets of iptables' legacy interface (linux/netfilter/xt_*.h), from their bytes. What is not here is refused. */
import { type IpAddress, readAddress } from '../../../../netstack/address.ts';
import {
  type Action,
  type Match,
  STATE_ESTABLISHED,
  STATE_INVALID,
  STATE_NEW,
  STATE_RELATED,
  STATE_UNTRACKED,
  type Subject,
} from '../../../../netstack/filter/rules.ts';
import { IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../../../../netstack/packet.ts';

/** The revisions of each that are understood. */
type Revisions = Readonly<Record<string, readonly number[]>>;
const COMMON_MATCHES: Revisions = {
  tcp: [0],
  udp: [0],
  comment: [0],
  multiport: [1],
  state: [0],
  conntrack: [1, 2, 3],
  addrtype: [0, 1],
  owner: [1],
};
export const MATCH_REVISIONS: Readonly<Record<4 | 6, Revisions>> = {
  4: { ...COMMON_MATCHES, icmp: [0] },
  6: { ...COMMON_MATCHES, icmp6: [0] },
};
const COMMON_TARGETS: Revisions = { '': [0], ERROR: [0], REDIRECT: [0], MASQUERADE: [0], REJECT: [0] };
export const TARGET_REVISIONS: Readonly<Record<4 | 6, Revisions>> = {
  4: { ...COMMON_TARGETS, DNAT: [0], SNAT: [0] },
  6: { ...COMMON_TARGETS, DNAT: [1], SNAT: [1] },
};

/** The name is the guest's. */
export function knows(revisions: Revisions, name: string, revision: number): boolean {
  return Object.hasOwn(revisions, name) && revisions[name]?.includes(revision) === true;
}
const within = (value: number, low: number, high: number): boolean => value >= low && value <= high;

/** null: malformed, or not known. `data`: what follows the header of 32 bytes. */
export function decodeMatch(version: 4 | 6, name: string, revision: number, data: Uint8Array): Match | null {
  if (!knows(MATCH_REVISIONS[version], name, revision)) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  switch (name) {
    case 'comment':
      return () => true;
    case 'tcp':
      return data.length < 12 ? null : tcpMatch(view);
    case 'udp':
      return data.length < 9 ? null : udpMatch(view);
    case 'icmp':
    case 'icmp6':
      return data.length < 4 ? null : icmpMatch(data, version === 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
    case 'multiport':
      return data.length < 48 ? null : multiportMatch(view);
    case 'state':
      return data.length < 4 ? null : stateMatch(view.getUint32(0, true));
    case 'conntrack':
      return conntrackMatch(view, revision);
    case 'addrtype':
      return data.length < 8 ? null : addressKindMatch(view, revision);
    default:
      return data.length < 18 ? null : ownerMatch(view);
  }
}
function tcpMatch(view: DataView): Match {
  const [sl, sh, dl, dh] = [0, 2, 4, 6].map((at) => view.getUint16(at, true)) as [number, number, number, number];
  const mask = view.getUint8(9);
  const compare = view.getUint8(10);
  const invert = view.getUint8(11);
  return (s) => {
    if (s.protocol !== IPPROTO_TCP || s.laterFragment) return false;
    if (within(s.sourcePort, sl, sh) === ((invert & 1) !== 0)) return false;
    if (within(s.destinationPort, dl, dh) === ((invert & 2) !== 0)) return false;
    return mask === 0 || ((s.tcpFlags & mask) === compare) !== ((invert & 4) !== 0);
  };
}
function udpMatch(view: DataView): Match {
  const [sl, sh, dl, dh] = [0, 2, 4, 6].map((at) => view.getUint16(at, true)) as [number, number, number, number];
  const invert = view.getUint8(8);
  return (s) =>
    s.protocol === IPPROTO_UDP &&
    !s.laterFragment &&
    within(s.sourcePort, sl, sh) !== ((invert & 1) !== 0) &&
    within(s.destinationPort, dl, dh) !== ((invert & 2) !== 0);
}
function icmpMatch(data: Uint8Array, protocol: number): Match {
  const [type, low, high, invert] = data as unknown as [number, number, number, number];
  return (s) =>
    s.protocol === protocol && (type === 0xff || (s.icmpType === type && within(s.icmpCode, low, high))) !== ((invert & 1) !== 0);
}
/** struct xt_multiport_v1: flags, count, 15 ports, 15 marks of ranges, invert. */
function multiportMatch(view: DataView): Match {
  const flags = view.getUint8(0);
  const count = Math.min(view.getUint8(1), 15);
  const invert = view.getUint8(47) !== 0;
  const ranges: [number, number][] = [];
  for (let i = 0; i < count; i++) {
    const low = view.getUint16(2 + i * 2, true);
    const ranged = view.getUint8(32 + i) !== 0 && i + 1 < count;
    ranges.push([low, ranged ? view.getUint16(4 + i * 2, true) : low]);
    if (ranged) i++;
  }
  const listed = (port: number): boolean => ranges.some(([low, high]) => within(port, low, high));
  return (s) => {
    if ((s.protocol !== IPPROTO_TCP && s.protocol !== IPPROTO_UDP) || s.laterFragment) return false;
    const hit =
      (flags !== 1 && listed(s.sourcePort) && flags === 0) ||
      (flags === 1 && listed(s.destinationPort)) ||
      (flags === 2 && (listed(s.sourcePort) || listed(s.destinationPort)));
    return hit !== invert;
  };
}
/** XT_STATE_UNTRACKED. */
const UNTRACKED = 1 << 6;
function stateMatch(mask: number): Match {
  return (s) => (s.state & mask & TRACKED) !== 0 || ((mask & UNTRACKED) !== 0 && s.state === STATE_UNTRACKED);
}
// struct xt_conntrack_mtinfo1 to 3: four addresses with masks of 16 bytes each, times, numbers, then flags.
const CT_STATE = 1;
const CT_PROTO = 2;
const CT_ORIGINAL_DESTINATION = 0x10;
const CT_KNOWN = CT_STATE | CT_PROTO;
const CT_STATE_SNAT = 1 << 6;
const CT_STATE_DNAT = 1 << 7;
/** XT_CONNTRACK_STATE_UNTRACKED, of wide masks. */
const CT_STATE_UNTRACKED = 1 << 8;
const TRACKED = STATE_INVALID | STATE_ESTABLISHED | STATE_RELATED | STATE_NEW;
function conntrackMatch(view: DataView, revision: number): Match | null {
  // Behind the addresses (128 bytes), the times (8), the protocol (2) and four ports (8).
  const at = 146;
  const wide = revision >= 2;
  if (view.byteLength < at + (wide ? 7 : 6)) return null;
  const flags = view.getUint16(at, true);
  const inverted = view.getUint16(at + 2, true);
  const states = wide ? view.getUint16(at + 4, true) : view.getUint8(at + 4);
  if ((flags & ~(CT_KNOWN | CT_ORIGINAL_DESTINATION)) !== 0 || (flags & CT_ORIGINAL_DESTINATION) !== 0) return null;
  const protocol = view.getUint16(136, true);
  return (s) => {
    if ((flags & CT_STATE) !== 0) {
      const translated = ((states & CT_STATE_SNAT) !== 0 && s.sourceChanged) || ((states & CT_STATE_DNAT) !== 0 && s.destinationChanged);
      const untracked = (states & CT_STATE_UNTRACKED) !== 0 && s.state === STATE_UNTRACKED;
      const hit = (states & s.state & TRACKED) !== 0 || translated || untracked;
      if (hit === ((inverted & CT_STATE) !== 0)) return false;
    }
    return (flags & CT_PROTO) === 0 || (s.protocol === protocol) !== ((inverted & CT_PROTO) !== 0);
  };
}
/** Revision 0: two masks and two words that invert; revision 1: flags. */
function addressKindMatch(view: DataView, revision: number): Match {
  const source = view.getUint16(0, true);
  const destination = view.getUint16(2, true);
  const flags = view.getUint32(4, true);
  if (revision === 0 && view.byteLength < 12) return () => false;
  const invertSource = revision === 0 ? flags !== 0 : (flags & 1) !== 0;
  const invertDestination = revision === 0 ? view.getUint32(8, true) !== 0 : (flags & 2) !== 0;
  const is = (s: Subject, address: IpAddress, mask: number, invert: boolean): boolean =>
    mask === 0 || ((mask & (1 << s.kindOf(address))) !== 0) !== invert;
  return (s) => is(s, s.source, source, invertSource) && is(s, s.destination, destination, invertDestination);
}
/** struct xt_owner_match_info: users, groups, what to look at. Groups are not known of sockets here: such a rule never applies. */
function ownerMatch(view: DataView): Match {
  const [low, high] = [view.getUint32(0, true), view.getUint32(4, true)];
  const match = view.getUint8(16);
  const invert = view.getUint8(17);
  return (s) => {
    const uid = s.uid();
    if ((match & 4) !== 0 && uid >= 0 === ((invert & 4) !== 0)) return false;
    if ((match & 2) !== 0 && (invert & 2) === 0) return false;
    return (match & 1) === 0 || (uid >= 0 && within(uid, low, high)) !== ((invert & 1) !== 0);
  };
}

/** null: malformed, or not known. Not for the standard target, whose verdict may be a place in the table. */
export function decodeTarget(version: 4 | 6, name: string, revision: number, data: Uint8Array): Action | null {
  if (!knows(TARGET_REVISIONS[version], name, revision)) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (name === 'REJECT') return data.length < 4 ? null : { do: 'reject', how: view.getUint32(0, true) };
  if (name === 'ERROR') return { do: 'drop' };
  const range = version === 4 ? range4(data, view) : range6(data, view);
  if (range === null) return null;
  const { flags, addresses, ports } = range;
  if ((flags & RANGE_PORTS) !== 0 && ports[0] > ports[1]) return null;
  const kind = name === 'SNAT' || name === 'MASQUERADE' ? 'source' : 'destination';
  const own = name === 'REDIRECT' || name === 'MASQUERADE';
  const given = (flags & RANGE_ADDRESSES) !== 0 ? addresses : null;
  return {
    do: 'translate',
    translation: { kind, addresses: own ? 'interface' : given, ports: (flags & RANGE_PORTS) !== 0 ? ports : null },
  };
}
// NF_NAT_RANGE_*
const RANGE_ADDRESSES = 1;
const RANGE_PORTS = 2;
interface Range {
  readonly flags: number;
  readonly addresses: readonly [IpAddress, IpAddress];
  readonly ports: readonly [number, number];
}
/** struct nf_nat_ipv4_multi_range_compat with one range: flags, two addresses, two ports in network order. */
function range4(data: Uint8Array, view: DataView): Range | null {
  if (data.length < 20 || view.getUint32(0, true) !== 1) return null;
  const ports = [view.getUint16(16, false), view.getUint16(18, false)] as const;
  return { flags: view.getUint32(4, true), addresses: [readAddress(data, 8, 4), readAddress(data, 12, 4)], ports };
}
/** struct nf_nat_range: flags, two addresses of 16 bytes, two ports in network order. */
function range6(data: Uint8Array, view: DataView): Range | null {
  if (data.length < 40) return null;
  const ports = [view.getUint16(36, false), view.getUint16(38, false)] as const;
  return { flags: view.getUint32(0, true), addresses: [readAddress(data, 4, 16), readAddress(data, 20, 16)], ports };
}
