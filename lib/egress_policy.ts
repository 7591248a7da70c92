/**
 * What a sandbox may reach (--egress-policy): rules in order, the first that matches decides. Written as JSON; what is not known is an
 * error that names it, because a rule that is not understood must not be taken for one that is kept.
 */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}
export interface EgressRule {
  readonly action: 'allow' | 'deny';
  /** Networks, as address/length; empty: every address. */
  readonly cidr: readonly string[];
  /** DNS names, "*." in front for all below; empty: whatever the name. Of an address that was not learned from an answer none matches. */
  readonly names: readonly string[];
  /** Empty: every port. */
  readonly ports: readonly PortRange[];
  /** tcp, udp, icmp or the number of another protocol; empty: all. */
  readonly protocols: readonly number[];
}
export interface EgressPolicy {
  readonly defaultAction: 'allow' | 'deny';
  readonly rules: readonly EgressRule[];
  /** Addresses of the name servers whose answers are believed. They may be asked, at port 53. */
  readonly resolvers: readonly string[];
  readonly log: 'all' | 'denied' | 'none';
}

export class PolicyError extends Error {}

const MAX_RULES = 4096;
const MAX_ITEMS = 4096;
/** ICMP stands for ICMPv6, too. */
const PROTOCOLS: Readonly<Record<string, readonly number[]>> = { tcp: [6], udp: [17], icmp: [1, 58], sctp: [132] };

type Table = Readonly<Record<string, unknown>>;

/** origin: for messages. @throws PolicyError */
export function parseEgressPolicy(text: string, origin: string): EgressPolicy {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (e) {
    throw new PolicyError(`${origin}: ${(e as Error).message}`);
  }
  const top = table(value, origin, ['default', 'rules', 'resolvers', 'log']);
  const rules = list(top.rules, `${origin}: rules`).map((rule, i) => parseRule(rule, `${origin}: rules[${i}]`));
  const resolvers = list(top.resolvers, `${origin}: resolvers`).map((one, i) => address(one, `${origin}: resolvers[${i}]`));
  if (rules.length > MAX_RULES) throw new PolicyError(`${origin}: rules: more than ${MAX_RULES}`);
  if (resolvers.length === 0 && rules.some((rule) => rule.names.length > 0))
    throw new PolicyError(`${origin}: resolvers: is missing: rules with names need the name servers whose answers count`);
  return {
    defaultAction: oneOf(top.default, `${origin}: default`, ['allow', 'deny']),
    rules,
    resolvers,
    log: top.log === undefined ? 'all' : oneOf(top.log, `${origin}: log`, ['all', 'denied', 'none']),
  };
}

function parseRule(value: unknown, where: string): EgressRule {
  const rule = table(value, where, ['action', 'cidr', 'names', 'ports', 'protocol']);
  return {
    action: oneOf(rule.action, `${where}.action`, ['allow', 'deny']),
    cidr: list(rule.cidr, `${where}.cidr`).map((one, i) => network(one, `${where}.cidr[${i}]`)),
    names: list(rule.names, `${where}.names`).map((one, i) => name(one, `${where}.names[${i}]`)),
    ports: list(rule.ports, `${where}.ports`).map((one, i) => ports(one, `${where}.ports[${i}]`)),
    protocols: list(rule.protocol, `${where}.protocol`).flatMap((one, i) => protocol(one, `${where}.protocol[${i}]`)),
  };
}

function table(value: unknown, where: string, keys: readonly string[]): Table {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new PolicyError(`${where}: must be an object`);
  for (const key of Object.keys(value)) if (!keys.includes(key)) throw new PolicyError(`${where}: unknown key ${key}`);
  return value as Table;
}
/** One or several; absent: none. */
function list(value: unknown, where: string): readonly unknown[] {
  const items = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (Array.isArray(value) && value.length === 0) throw new PolicyError(`${where}: is empty; leave it out to mean all`);
  if (items.length > MAX_ITEMS) throw new PolicyError(`${where}: more than ${MAX_ITEMS}`);
  return items;
}
function oneOf<T extends string>(value: unknown, where: string, allowed: readonly T[]): T {
  const found = allowed.find((a) => a === value);
  if (found === undefined) throw new PolicyError(`${where}: must be ${allowed.join(' or ')}, not ${JSON.stringify(value)}`);
  return found;
}
function network(value: unknown, where: string): string {
  const [text, bits, ...more] = typeof value === 'string' ? value.split('/') : [];
  if (text === undefined || more.length > 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits)))
    throw new PolicyError(`${where}: no network`);
  const width = parseIp(text)?.length ?? 0;
  const length = bits === undefined ? width * 8 : Number(bits);
  if (width === 0 || length > width * 8) throw new PolicyError(`${where}: ${JSON.stringify(value)} is no network`);
  return `${text}/${length}`;
}
function address(value: unknown, where: string): string {
  if (typeof value !== 'string' || parseIp(value) === null) throw new PolicyError(`${where}: ${JSON.stringify(value)} is no address`);
  return value;
}
function name(value: unknown, where: string): string {
  if (
    typeof value !== 'string' ||
    !/^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.?$/i.test(value)
  )
    throw new PolicyError(`${where}: ${JSON.stringify(value)} is no name`);
  return value.toLowerCase().replace(/\.$/, '');
}
function ports(value: unknown, where: string): PortRange {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
  const first = Number(match?.[1]);
  const last = Number(match?.[2] ?? first);
  if (match === null || first < 1 || last > 65_535 || first > last)
    throw new PolicyError(`${where}: ${JSON.stringify(value)} is no port or range`);
  return { first, last };
}
function protocol(value: unknown, where: string): readonly number[] {
  if (typeof value === 'string' && Object.hasOwn(PROTOCOLS, value)) return PROTOCOLS[value] as readonly number[];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 255) return [value];
  throw new PolicyError(`${where}: ${JSON.stringify(value)} is none of ${Object.keys(PROTOCOLS).join(', ')} or a number`);
}

/** The bytes of an address, one a character; null: it is none. */
export function parseIp(text: string): string | null {
  if (!text.includes(':')) {
    const parts = text.split('.');
    if (parts.length !== 4 || parts.some((p) => !/^(0|[1-9]\d{0,2})$/.test(p) || Number(p) > 255)) return null;
    return String.fromCharCode(...parts.map(Number));
  }
  const [head = '', tail, ...more] = text.split('::');
  if (more.length > 0) return null;
  const groups = (part: string): number[] | null => {
    if (part === '') return [];
    const found = part.split(':').map((g) => (/^[0-9a-f]{1,4}$/i.test(g) ? Number.parseInt(g, 16) : -1));
    return found.includes(-1) ? null : found;
  };
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  if (before === null || after === null) return null;
  const missing = 8 - before.length - after.length;
  if (tail === undefined ? missing !== 0 : missing < 1) return null;
  return [...before, ...new Array<number>(tail === undefined ? 0 : missing).fill(0), ...after]
    .map((g) => String.fromCharCode(g >> 8, g & 0xff))
    .join('');
}
