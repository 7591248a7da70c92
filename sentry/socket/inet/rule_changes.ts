/** RTM_NEWRULE and RTM_DELRULE (ip-rule(8)): the rules of policy routing of one stack. */
import { EEXIST, EINVAL, ENOENT, ENOSPC, EOPNOTSUPP, ERANGE, type Errno } from '../../../abi/errno.ts';
import { IFNAMSIZ } from '../../../abi/if.ts';
import * as L from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import { parseAttributes } from '../../../lib/netlink_message.ts';
import { readAddress } from '../../../netstack/address.ts';
import {
  type PolicyRule,
  type Prefix,
  REFUSE_BLACKHOLE,
  REFUSE_PROHIBIT,
  REFUSE_UNREACHABLE,
  TABLE_LOCAL,
} from '../../../netstack/policy_rules.ts';
import type { Stack } from '../../../netstack/stack.ts';

/** Of those that name no table: FR_ACT_*, and what a sender gets. */
export const ACTIONS: readonly (readonly [action: number, errno: Errno])[] = [
  [L.FR_ACT_BLACKHOLE, REFUSE_BLACKHOLE],
  [L.FR_ACT_UNREACHABLE, REFUSE_UNREACHABLE],
  [L.FR_ACT_PROHIBIT, REFUSE_PROHIBIT],
];
/** What is understood; a rule with anything else is refused, as it would match too much. */
const KNOWN: readonly number[] = [
  ...[L.FRA_DST, L.FRA_SRC, L.FRA_IIFNAME, L.FRA_PRIORITY, L.FRA_FWMARK, L.FRA_SUPPRESS_PREFIXLEN],
  ...[L.FRA_TABLE, L.FRA_FWMASK, L.FRA_OIFNAME, L.FRA_PROTOCOL],
];
type Attributes = Map<number, Uint8Array>;

export function changeRule(stack: Stack, add: boolean, flags: number, payload: Uint8Array): 0 | Errno {
  const { rules } = stack.routes;
  const attributes = parseAttributes(payload.subarray(L.FibRuleHdr.size));
  const fixed = L.FibRuleHdr.decode(payload);
  if (fixed.family !== AF_INET && fixed.family !== AF_INET6) return EINVAL;
  if (fixed.tos !== 0 || [...attributes.keys()].some((key) => !KNOWN.includes(key))) return EOPNOTSUPP;
  if (![L.FRA_IIFNAME, L.FRA_OIFNAME].every((key) => fitsName(attributes.get(key)))) return ERANGE;
  if (add) {
    const made = parseRule(fixed, attributes, rules.freePriority(fixed.family === AF_INET ? 4 : 6));
    if (typeof made === 'number') return made;
    if ((flags & L.NLM_F_EXCL) !== 0 && rules.all.some((rule) => JSON.stringify(rule) === JSON.stringify(made))) return EEXIST;
    return rules.add(made) ? 0 : ENOSPC;
  }
  const given = parseRule(fixed, attributes, 0);
  if (typeof given === 'number') return given;
  const found = rules.all.find((rule) => names(attributes, fixed, given, rule));
  if (found === undefined) return ENOENT;
  if (found.priority === 0 && 'table' in found.action && found.action.table === TABLE_LOCAL) return EOPNOTSUPP; // our own addresses come first always
  rules.remove(found);
  return 0;
}

function u32(attributes: Attributes, type: number): number | null {
  const bytes = attributes.get(type);
  return bytes === undefined || bytes.length < 4 ? null : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
}
function text(attributes: Attributes, type: number): string | null {
  const bytes = attributes.get(type);
  return bytes === undefined ? null : Buffer.from(bytes).toString('latin1').replace(/\0.*$/s, '');
}
/** A name of an interface, or none given: as long as one can be, its NUL not counted. */
function fitsName(bytes: Uint8Array | undefined): boolean {
  return bytes === undefined || (bytes.length > 0 && bytes.length - (bytes.at(-1) === 0 ? 1 : 0) < IFNAMSIZ);
}
/** Null: everywhere. */
function prefix(bytes: Uint8Array | undefined, length: number, size: number): Prefix | null | Errno {
  if (length === 0) return null;
  if (bytes?.length !== size || length > size * 8) return EINVAL;
  return { address: readAddress(bytes, 0, size), length };
}

function parseRule(fixed: ReturnType<typeof L.FibRuleHdr.decode>, attributes: Attributes, priority: number): PolicyRule | Errno {
  const size = fixed.family === AF_INET ? 4 : 16;
  const source = prefix(attributes.get(L.FRA_SRC), fixed.src_len, size);
  const destination = prefix(attributes.get(L.FRA_DST), fixed.dst_len, size);
  if (typeof source === 'number' || typeof destination === 'number') return EINVAL;
  const table = u32(attributes, L.FRA_TABLE) ?? fixed.table;
  const refused = ACTIONS.find(([action]) => action === fixed.action);
  // Deleting names no action where it does not matter.
  if (refused === undefined && fixed.action !== L.FR_ACT_TO_TBL && fixed.action !== 0) return EOPNOTSUPP;
  const mark = u32(attributes, L.FRA_FWMARK);
  return {
    version: size === 4 ? 4 : 6,
    priority: u32(attributes, L.FRA_PRIORITY) ?? priority,
    inverted: (fixed.flags & L.FIB_RULE_INVERT) !== 0,
    source,
    destination,
    mark: mark ?? 0,
    mask: u32(attributes, L.FRA_FWMASK) ?? (mark === null ? 0 : 0xffff_ffff),
    input: text(attributes, L.FRA_IIFNAME),
    output: text(attributes, L.FRA_OIFNAME),
    action: refused === undefined ? { table } : { refuse: refused[1] },
    suppressed: (u32(attributes, L.FRA_SUPPRESS_PREFIXLEN) ?? 0xffff_ffff) | 0,
    protocol: attributes.get(L.FRA_PROTOCOL)?.[0] ?? 0,
  };
}

/** Is `rule` the one that a request to delete means? What it does not say may be anything. */
function names(attributes: Attributes, fixed: ReturnType<typeof L.FibRuleHdr.decode>, given: PolicyRule, rule: PolicyRule): boolean {
  const same = (key: keyof PolicyRule): boolean => JSON.stringify(given[key]) === JSON.stringify(rule[key]);
  if (given.version !== rule.version || given.inverted !== rule.inverted) return false;
  if (fixed.src_len > 0 && !same('source')) return false;
  if (fixed.dst_len > 0 && !same('destination')) return false;
  const refuses = fixed.action > L.FR_ACT_TO_TBL;
  if ((refuses || 'refuse' in given.action || ('table' in given.action && given.action.table !== 0)) && !same('action')) return false;
  const asked: readonly (readonly [attribute: number, key: keyof PolicyRule])[] = [
    [L.FRA_PRIORITY, 'priority'],
    [L.FRA_FWMARK, 'mark'],
    [L.FRA_FWMASK, 'mask'],
    [L.FRA_IIFNAME, 'input'],
    [L.FRA_OIFNAME, 'output'],
  ];
  return asked.every(([attribute, key]) => !attributes.has(attribute) || same(key));
}
