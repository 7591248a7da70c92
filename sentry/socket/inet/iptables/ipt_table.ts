/** A table of iptables' legacy interface, of either family: one run of entries, in which verdicts are places. */
import { EINVAL, ENOENT, type Errno } from '../../../../abi/errno.ts';
import { type IpAddress, readAddress } from '../../../../netstack/address.ts';
import { type Action, type Match, type Rule, type Subject, Table } from '../../../../netstack/filter/rules.ts';
import type { EntryLayout } from './ipt_entry.ts';
import { decodeMatch, decodeTarget } from './ipt_extensions.ts';

/** The header of a match or a target. */
const HEADER_SIZE = 32;
const IFNAMSIZ = 16;
const MAX_RULES = 8192;
// invflags of struct ipt_ip and ip6t_ip6
const INVERT_IN = 1;
const INVERT_OUT = 2;
const INVERT_SOURCE = 8;
const INVERT_DESTINATION = 0x10;
const INVERT_FRAGMENT = 0x20;
const INVERT_PROTOCOL = 0x40;
// Verdicts of the standard target, as they are written there.
const VERDICT_DROP = -1;
const VERDICT_ACCEPT = -2;
const VERDICT_RETURN = -5;

/** hooks: per hook where its chain begins, as a byte offset. The table, EINVAL or ENOENT (an extension that is not known). */
export function decodeTable(layout: EntryLayout, name: string, blob: Uint8Array, hooks: ReadonlyMap<number, number>): Table | Errno {
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length);
  const places = new Map<number, number>();
  const offsets: number[] = [];
  for (let at = 0; at < blob.length; ) {
    if (at + layout.size > blob.length || offsets.length >= MAX_RULES) return EINVAL;
    const next = view.getUint16(at + layout.next, true);
    const target = view.getUint16(at + layout.target, true);
    if (target < layout.size || next < target + HEADER_SIZE || next % 8 !== 0 || at + next > blob.length) return EINVAL;
    places.set(at, offsets.length);
    offsets.push(at);
    at += next;
  }
  const rules: Rule[] = [];
  for (const at of offsets) {
    const rule = decodeRule(layout, blob, view, at, places);
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

function decodeRule(layout: EntryLayout, blob: Uint8Array, view: DataView, at: number, places: ReadonlyMap<number, number>): Rule | Errno {
  const target = at + view.getUint16(at + layout.target, true);
  const end = at + view.getUint16(at + layout.next, true);
  const matches = addressMatches(layout, blob, at);
  for (let m = at + layout.size; m < target; ) {
    const size = view.getUint16(m, true);
    if (size < HEADER_SIZE || m + size > target) return EINVAL;
    const match = decodeMatch(layout.version, nameAt(blob, m + 2), blob[m + 31] as number, blob.subarray(m + HEADER_SIZE, m + size));
    if (match === null) return ENOENT;
    matches.push(match);
    m += size;
  }
  const size = view.getUint16(target, true);
  if (size < HEADER_SIZE || target + size > end) return EINVAL;
  const name = nameAt(blob, target + 2);
  const data = blob.subarray(target + HEADER_SIZE, target + size);
  const goes = ((blob[at + layout.flags] as number) & layout.gotoFlag) !== 0;
  const action = name === '' ? standard(data, goes, end, places) : decodeTarget(layout.version, name, blob[target + 31] as number, data);
  if (action === null) return name === '' ? EINVAL : ENOENT;
  const count = (offset: number): number => Number(view.getBigUint64(at + offset, true) & 0x1f_ffff_ffff_ffffn);
  return { matches, action, packets: count(layout.counters), bytes: count(layout.counters + 8) };
}
function standard(data: Uint8Array, goes: boolean, end: number, places: ReadonlyMap<number, number>): Action | null {
  if (data.length < 4) return null;
  const verdict = new DataView(data.buffer, data.byteOffset).getInt32(0, true);
  if (verdict === VERDICT_DROP) return { do: 'drop' };
  if (verdict === VERDICT_ACCEPT) return { do: 'accept' };
  if (verdict === VERDICT_RETURN) return { do: 'return' };
  const to = places.get(verdict);
  if (to === undefined) return null;
  if (verdict === end) return { do: 'continue' }; // a rule without a target falls through
  return { do: goes ? 'goto' : 'jump', to };
}
function nameAt(blob: Uint8Array, at: number): string {
  return Buffer.from(blob.subarray(at, at + 29))
    .toString('latin1')
    .replace(/\0.*$/s, '');
}

/** struct ipt_ip and ip6t_ip6: what they ask, as matches; nothing where they ask nothing. */
function addressMatches(layout: EntryLayout, blob: Uint8Array, at: number): Match[] {
  const inverted = blob[at + layout.inverted] as number;
  const flags = blob[at + layout.flags] as number;
  const matches: Match[] = [];
  const source = masked(blob, at + layout.source, at + layout.sourceMask, layout.addressSize);
  const destination = masked(blob, at + layout.destination, at + layout.destinationMask, layout.addressSize);
  if (source !== null) matches.push((s) => source(s.source) !== ((inverted & INVERT_SOURCE) !== 0));
  if (destination !== null) matches.push((s) => destination(s.destination) !== ((inverted & INVERT_DESTINATION) !== 0));
  const from = interfaceMatch(blob, at + layout.inputName, at + layout.inputMask);
  const to = interfaceMatch(blob, at + layout.outputName, at + layout.outputMask);
  if (from !== null) matches.push((s) => from(s.in) !== ((inverted & INVERT_IN) !== 0));
  if (to !== null) matches.push((s) => to(s.out) !== ((inverted & INVERT_OUT) !== 0));
  const protocol = (blob[at + layout.protocol] as number) | ((blob[at + layout.protocol + 1] as number) << 8);
  const counts = layout.protocolFlag === 0 || (flags & layout.protocolFlag) !== 0;
  if (protocol !== 0 && counts) matches.push((s: Subject) => (s.protocol === protocol) !== ((inverted & INVERT_PROTOCOL) !== 0));
  if ((flags & layout.fragmentFlag) !== 0) matches.push((s) => s.laterFragment !== ((inverted & INVERT_FRAGMENT) !== 0));
  return matches;
}
function masked(blob: Uint8Array, at: number, maskAt: number, size: number): ((address: IpAddress) => boolean) | null {
  const mask = blob.slice(maskAt, maskAt + size);
  if (mask.every((byte) => byte === 0)) return null;
  const wanted = readAddress(blob, at, size);
  return (address) => {
    for (let i = 0; i < size; i++) if (((address.charCodeAt(i) ^ wanted.charCodeAt(i)) & (mask[i] as number)) !== 0) return false;
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
