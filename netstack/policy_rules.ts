/** Policy routing (ip-rule(8)): which table a packet's route is looked for in, by where it comes from, where it goes, and its mark. */
import { EACCES, EINVAL, ENETUNREACH, type Errno } from '../abi/errno.ts';
import { type IpAddress, samePrefix } from './address.ts';

export const TABLE_MAIN = 254;
export const TABLE_LOCAL = 255;
export const TABLE_DEFAULT = 253;
const PRIORITY_MAIN = 32_766;
const PRIORITY_DEFAULT = 32_767;
/** Of one namespace. */
const MAX_RULES = 1024;

export interface Prefix {
  readonly address: IpAddress;
  readonly length: number;
}
/** Null and 0: whatever it is. */
export interface PolicyRule {
  readonly version: 4 | 6;
  readonly priority: number;
  /** What does not match is meant. */
  readonly inverted: boolean;
  readonly source: Prefix | null;
  readonly destination: Prefix | null;
  readonly mark: number;
  readonly mask: number;
  /** Names of interfaces: the one it came by ("lo": our own packets), the one its socket is bound to. */
  readonly input: string | null;
  readonly output: string | null;
  /** A table, or why there is no way. */
  readonly action: { readonly table: number } | { readonly refuse: Errno };
  /** Routes of this length or shorter do not count; -1: all do. */
  readonly suppressed: number;
  /** RTPROT_*. */
  readonly protocol: number;
}
/** What a way is looked for with. */
export interface Query {
  readonly destination: IpAddress;
  /** Null: not chosen yet. */
  readonly source: IpAddress | null;
  readonly mark: number;
  readonly input: string;
  readonly output: string | null;
}

export const REFUSE_BLACKHOLE = EINVAL;
export const REFUSE_UNREACHABLE = ENETUNREACH;
export const REFUSE_PROHIBIT = EACCES;

function standard(version: 4 | 6, priority: number, table: number): PolicyRule {
  const open = { inverted: false, source: null, destination: null, mark: 0, mask: 0, input: null, output: null, suppressed: -1 };
  return { version, priority, ...open, action: { table }, protocol: 2 };
}

export class PolicyRules {
  /** By priority; those of one priority in the order they were made. */
  private rules: readonly PolicyRule[] = [
    standard(4, 0, TABLE_LOCAL),
    standard(6, 0, TABLE_LOCAL),
    standard(4, PRIORITY_MAIN, TABLE_MAIN),
    standard(6, PRIORITY_MAIN, TABLE_MAIN),
    standard(4, PRIORITY_DEFAULT, TABLE_DEFAULT),
  ];
  /** As every namespace begins: table main has it all. */
  plain = true;

  get all(): readonly PolicyRule[] {
    return this.rules;
  }
  /** False: there are too many. */
  add(rule: PolicyRule): boolean {
    if (this.rules.length >= MAX_RULES) return false;
    const at = this.rules.findIndex((other) => other.priority > rule.priority);
    this.rules = at < 0 ? [...this.rules, rule] : [...this.rules.slice(0, at), rule, ...this.rules.slice(at)];
    this.plain = false;
    return true;
  }
  remove(rule: PolicyRule): void {
    this.rules = this.rules.filter((other) => other !== rule);
    this.plain = false;
  }
  /** For a rule without one: before the first that is not the local table's, as Linux does. */
  freePriority(version: 4 | 6): number {
    const first = this.rules.find((rule) => rule.version === version && rule.priority > 0);
    return first === undefined ? PRIORITY_MAIN : Math.max(first.priority - 1, 0);
  }
  /** Asks `lookup` for each table that is meant, in order: a route, or null to go on. */
  find<T>(query: Query, lookup: (table: number, suppressed: number) => T | null): T | Errno {
    const version = query.destination.length === 4 ? 4 : 6;
    for (const rule of this.rules) {
      if (rule.version !== version || matches(rule, query) === rule.inverted) continue;
      if ('refuse' in rule.action) return rule.action.refuse;
      const found = lookup(rule.action.table, rule.suppressed);
      if (found !== null) return found;
    }
    return ENETUNREACH;
  }
}

function matches(rule: PolicyRule, { destination, source, mark, input, output }: Query): boolean {
  if (rule.source !== null && !covers(rule.source, source)) return false;
  if (rule.destination !== null && !covers(rule.destination, destination)) return false;
  if (((mark ^ rule.mark) & rule.mask) !== 0) return false;
  if (rule.input !== null && rule.input !== input) return false;
  return rule.output === null || rule.output === output;
}
function covers({ address, length }: Prefix, candidate: IpAddress | null): boolean {
  if (length === 0) return true;
  return candidate !== null && samePrefix(address, candidate, length);
}
