/** Matches and targets of iptables' legacy interface (linux/netfilter/xt_*.h), from their bytes. What is not here is refused. */
import { type IpAddress, readAddress } from '../../../../netstack/address.ts';
import {
  type Action,
  type Match,
  STATE_ESTABLISHED,
  STATE_INVALID,
  STATE_NEW,
  STATE_RELATED,
  type Subject,
} from '../../../../netstack/filter/rules.ts';
import { IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP } from '../../../../netstack/packet.ts';

/** Highest revision of each, and all below it. */
export const MATCH_REVISIONS: Readonly<Record<string, readonly number[]>> = {
  tcp: [0],
  udp: [0],
  icmp: [0],
  comment: [0],
  multiport: [1],
  state: [0],
  conntrack: [1, 2, 3],
  addrtype: [0, 1],
  owner: [1],
};
export const TARGET_REVISIONS: Readonly<Record<string, readonly number[]>> = {
  '': [0],
  ERROR: [0],
  REDIRECT: [0],
  DNAT: [0],
  SNAT: [0],
  MASQUERADE: [0],
  REJECT: [0],
};

const within = (value: number, low: number, high: number): boolean => value >= low && value <= high;

/** null: malformed, or not known. `data`: what follows the header of 32 bytes. */
export function decodeMatch(name: string, revision: number, data: Uint8Array): Match | null {
  if (MATCH_REVISIONS[name]?.includes(revision) !== true) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  switch (name) {
    case 'comment':
      return () => true;
    case 'tcp':
      return data.length < 12 ? null : tcpMatch(view);
    case 'udp':
      return data.length < 9 ? null : udpMatch(view);
    case 'icmp':
      return data.length < 4 ? null : icmpMatch(data);
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
function icmpMatch(data: Uint8Array): Match {
  const [type, low, high, invert] = data as unknown as [number, number, number, number];
  return (s) =>
    s.protocol === IPPROTO_ICMP && (type === 0xff || (s.icmpType === type && within(s.icmpCode, low, high))) !== ((invert & 1) !== 0);
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
function stateMatch(mask: number): Match {
  return (s) => (s.state & mask) !== 0;
}
// struct xt_conntrack_mtinfo1 to 3: four addresses with masks of 16 bytes each, times, numbers, then flags.
const CT_STATE = 1;
const CT_PROTO = 2;
const CT_ORIGINAL_DESTINATION = 0x10;
const CT_KNOWN = CT_STATE | CT_PROTO;
const CT_STATE_SNAT = 1 << 6;
const CT_STATE_DNAT = 1 << 7;
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
      const hit = (states & s.state & (STATE_INVALID | STATE_ESTABLISHED | STATE_RELATED | STATE_NEW)) !== 0 || translated;
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
export function decodeTarget(name: string, revision: number, data: Uint8Array): Action | null {
  if (TARGET_REVISIONS[name]?.includes(revision) !== true) return null;
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  if (name === 'REJECT') return data.length < 4 ? null : { do: 'reject', how: view.getUint32(0, true) };
  if (name === 'ERROR') return { do: 'drop' };
  // struct nf_nat_ipv4_multi_range_compat with one range: flags, two addresses, two ports in network order.
  if (data.length < 20 || view.getUint32(0, true) !== 1) return null;
  const flags = view.getUint32(4, true);
  const mapped = (flags & 1) !== 0;
  const ports: [number, number] | null = (flags & 2) !== 0 ? [view.getUint16(16, false), view.getUint16(18, false)] : null;
  if (ports !== null && ports[0] > ports[1]) return null;
  const addresses: [IpAddress, IpAddress] | null = mapped ? [readAddress(data, 8, 4), readAddress(data, 12, 4)] : null;
  const kind = name === 'SNAT' || name === 'MASQUERADE' ? 'source' : 'destination';
  const own = name === 'REDIRECT' || name === 'MASQUERADE';
  return { do: 'translate', translation: { kind, addresses: own ? 'interface' : addresses, ports } };
}
