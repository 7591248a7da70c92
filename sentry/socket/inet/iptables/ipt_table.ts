/** A table of iptables' legacy interface (linux/netfilter_ipv4/ip_tables.h): one run of entries, in which verdicts are places. */
import { EINVAL, ENOENT, type Errno } from '../../../../abi/errno.ts';
import { type IpAddress, readAddress } from '../../../../netstack/address.ts';
import { type Action, type Match, type Rule, type Subject, Table } from '../../../../netstack/filter/rules.ts';
import { decodeMatch, decodeTarget } from './ipt_extensions.ts';

/** struct ipt_entry without matches; the header of a match or a target. */
export const ENTRY_SIZE = 112;
const HEADER_SIZE = 32;
const TARGET_OFFSET = 88;
const NEXT_OFFSET = 90;
export const COUNTERS_OFFSET = 96;
const IFNAMSIZ = 16;
const MAX_RULES = 8192;
// ipt_ip.flags and invflags
const GOTO = 2;
const INVERT_IN = 1;
const INVERT_OUT = 2;
const INVERT_SOURCE = 8;
const INVERT_DESTINATION = 0x10;
const INVERT_FRAGMENT = 0x20;
const INVERT_PROTOCOL = 0x40;
const ONLY_FRAGMENTS = 1;
// Verdicts of the standard target, as they are written there.
const VERDICT_DROP = -1;
const VERDICT_ACCEPT = -2;
const VERDICT_RETURN = -5;

/** hooks: per hook where its chain begins, as a byte offset. The table, EINVAL or ENOENT (an extension that is not known). */
export function decodeTable(name: string, blob: Uint8Array, hooks: ReadonlyMap<number, number>): Table | Errno {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const places = new Map<number, number>();
  const offsets: number[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + ENTRY_SIZE > blob.length || offsets.length >= MAX_RULES) return EINVAL;
    const next = view.getUint16(at + NEXT_OFFSET, true);
    const target = view.getUint16(at + TARGET_OFFSET, true);
    if (target < ENTRY_SIZE || next < target + HEADER_SIZE || next % 8 !== 0 || at + next > blob.length) return EINVAL;
    places.set(at, offsets.length);
    offsets.push(at);
    at += next;
  }
  const rules: Rule[] = [];
  for (const at of offsets) {
    const rule = decodeRule(blob, view, at, places);
    if (typeof rule === 'number') return rule;
    rules.push(rule);
  }
  const entries = new Map<number, number>();
  for (const [hook, offset] of hooks) {
    const place = places.get(offset);
    if (place === undefined) return EINVAL;
    entries.set(hook, place);
  }
  return new Table(name, rules, entries);
}

function decodeRule(blob: Uint8Array, view: DataView, at: number, places: ReadonlyMap<number, number>): Rule | Errno {
  const target = at + view.getUint16(at + TARGET_OFFSET, true);
  const end = at + view.getUint16(at + NEXT_OFFSET, true);
  const matches = addressMatches(blob, at);
  for (let m = at + ENTRY_SIZE; m < target; ) {
    const size = view.getUint16(m, true);
    if (size < HEADER_SIZE || m + size > target) return EINVAL;
    const match = decodeMatch(nameAt(blob, m + 2), blob[m + 31] as number, blob.subarray(m + HEADER_SIZE, m + size));
    if (match === null) return ENOENT;
    matches.push(match);
    m += size;
  }
  const size = view.getUint16(target, true);
  if (size < HEADER_SIZE || target + size > end) return EINVAL;
  const name = nameAt(blob, target + 2);
  const data = blob.subarray(target + HEADER_SIZE, target + size);
  const action = name === '' ? standard(blob, data, at, end, places) : decodeTarget(name, blob[target + 31] as number, data);
  if (action === null) return name === '' ? EINVAL : ENOENT;
  const count = (offset: number): number => Number(view.getBigUint64(at + offset, true) & 0x1f_ffff_ffff_ffffn);
  return { matches, action, packets: count(COUNTERS_OFFSET), bytes: count(COUNTERS_OFFSET + 8) };
}
function standard(blob: Uint8Array, data: Uint8Array, at: number, end: number, places: ReadonlyMap<number, number>): Action | null {
  if (data.length < 4) return null;
  const verdict = new DataView(data.buffer, data.byteOffset).getInt32(0, true);
  if (verdict === VERDICT_DROP) return { do: 'drop' };
  if (verdict === VERDICT_ACCEPT) return { do: 'accept' };
  if (verdict === VERDICT_RETURN) return { do: 'return' };
  const to = places.get(verdict);
  if (to === undefined) return null;
  if (verdict === end) return { do: 'continue' }; // a rule without a target falls through
  return { do: ((blob[at + 82] as number) & GOTO) !== 0 ? 'goto' : 'jump', to };
}
function nameAt(blob: Uint8Array, at: number): string {
  return Buffer.from(blob.subarray(at, at + 29))
    .toString('latin1')
    .replace(/\0.*$/s, '');
}

/** struct ipt_ip: what it asks, as matches; nothing where it asks nothing. */
function addressMatches(blob: Uint8Array, at: number): Match[] {
  const inverted = blob[at + 83] as number;
  const matches: Match[] = [];
  const source = masked(blob, at, at + 8);
  const destination = masked(blob, at + 4, at + 12);
  if (source !== null) matches.push((s) => source(s.source) !== ((inverted & INVERT_SOURCE) !== 0));
  if (destination !== null) matches.push((s) => destination(s.destination) !== ((inverted & INVERT_DESTINATION) !== 0));
  const from = interfaceMatch(blob, at + 16, at + 48);
  const to = interfaceMatch(blob, at + 32, at + 64);
  if (from !== null) matches.push((s) => from(s.in) !== ((inverted & INVERT_IN) !== 0));
  if (to !== null) matches.push((s) => to(s.out) !== ((inverted & INVERT_OUT) !== 0));
  const protocol = (blob[at + 80] as number) | ((blob[at + 81] as number) << 8);
  if (protocol !== 0) matches.push((s: Subject) => (s.protocol === protocol) !== ((inverted & INVERT_PROTOCOL) !== 0));
  if (((blob[at + 82] as number) & ONLY_FRAGMENTS) !== 0) matches.push((s) => s.laterFragment !== ((inverted & INVERT_FRAGMENT) !== 0));
  return matches;
}
function masked(blob: Uint8Array, at: number, maskAt: number): ((address: IpAddress) => boolean) | null {
  const mask = blob.slice(maskAt, maskAt + 4);
  if (mask.every((byte) => byte === 0)) return null;
  const wanted = readAddress(blob, at, 4);
  return (address) => {
    for (let i = 0; i < 4; i++) if (((address.charCodeAt(i) ^ wanted.charCodeAt(i)) & (mask[i] as number)) !== 0) return false;
    return true;
  };
}
/** A name, of which only so many bytes count ("eth+"). */
function interfaceMatch(blob: Uint8Array, at: number, maskAt: number): ((name: string) => boolean) | null {
  const mask = blob.subarray(maskAt, maskAt + IFNAMSIZ);
  const length = mask.indexOf(0);
  const count = length < 0 ? IFNAMSIZ : length;
  if (count === 0) return null;
  const wanted = Buffer.from(blob.subarray(at, at + count)).toString('latin1');
  return (name) => `${name}\0`.startsWith(wanted);
}
