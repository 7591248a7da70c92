/**
 * Holds what leaves a sandbox against a policy. Decided once for each flow; what answers somebody outside, who came first, may go. The
 * names of addresses are learned from answers of the policy's name servers to questions that were seen to go out.
 */
import { type EgressPolicy, type EgressRule, parseIp } from '../../lib/egress_policy.ts';
import { formatAddress, type IpAddress, isMulticast, samePrefix } from '../address.ts';
import type { Environment } from '../environment.ts';
import {
  get16,
  HEADROOM,
  type IncomingPacket,
  IPPROTO_ICMP,
  IPPROTO_ICMPV6,
  IPPROTO_TCP,
  IPPROTO_UDP,
  type Packet,
  parseIp as parsePacket,
} from '../packet.ts';
import { NameTable, questionOf } from './names.ts';

const DNS_PORT = 53;
const MAX_FLOWS = 65_536;
const MAX_QUESTIONS = 4096;
/** ns of silence after which a flow is decided anew. */
const FLOW_LIFE = 7200e9;
const DATAGRAM_LIFE = 180e9;
const QUESTION_LIFE = 30e9;
/** Multicast listeners (RFC 3810) and neighbour discovery: what a link cannot do without. */
const LINK_MESSAGES6 = [130, 131, 132, 133, 134, 135, 136, 137, 143];
const IGMP = 2;

export interface Decision {
  readonly action: 'allow' | 'deny';
  readonly protocol: string;
  readonly address: string;
  /** 0: the protocol has none. */
  readonly port: number;
  readonly names: readonly string[];
  /** Number of the rule, from 0; null: the default. */
  readonly rule: number | null;
}

interface Rule extends EgressRule {
  readonly networks: readonly { readonly address: IpAddress; readonly length: number }[];
}
interface Flow {
  readonly allowed: boolean;
  seen: number;
}
const PROTOCOL_NAMES: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp', 132: 'sctp' };

export class Egress {
  readonly names = new NameTable();
  /** Told of each decision that the policy wants logged. */
  onDecision: (decision: Decision) => void = () => {};
  allowed = 0;
  denied = 0;
  private readonly policy: EgressPolicy;
  private readonly rules: readonly Rule[];
  private readonly resolvers: ReadonlySet<IpAddress>;
  private readonly environment: Environment;
  private readonly flows = new Map<string, Flow>();
  private readonly questions = new Map<string, { name: string; type: number; asked: number }>();

  constructor(policy: EgressPolicy, environment: Environment) {
    this.policy = policy;
    this.environment = environment;
    this.resolvers = new Set(policy.resolvers.map((text) => parseIp(text) as IpAddress));
    this.rules = policy.rules.map((rule) => ({
      ...rule,
      networks: rule.cidr.map((text) => {
        const [address, length] = text.split('/') as [string, string];
        return { address: parseIp(address) as IpAddress, length: Number(length) };
      }),
    }));
  }

  /** May the packet leave? */
  permits(packet: Packet): boolean {
    const { bytes } = packet;
    const p = parsePacket(bytes, HEADROOM, bytes.length, true, 0);
    if (p === null) return false;
    if (p.protocol === IGMP || (p.protocol === IPPROTO_ICMPV6 && LINK_MESSAGES6.includes(bytes[p.start] as number))) return true;
    // A later fragment has no ports: it is of no use without the first, which was decided.
    if (p.fragment !== null && p.fragment.offset > 0) return true;
    const [local, remote] = portsOf(p);
    const allowed = this.flowAllowed(p.protocol, p.source, local, p.destination, remote);
    if (allowed && p.protocol === IPPROTO_UDP && remote === DNS_PORT) this.noteQuestion(p, local);
    return allowed;
  }
  /** As permits, where there is no packet: a socket of the host. */
  permitsTo(protocol: number, address: IpAddress, port: number): boolean {
    return this.flowAllowed(protocol, '', 0, address, port);
  }
  private flowAllowed(protocol: number, source: IpAddress, local: number, destination: IpAddress, remote: number): boolean {
    const key = flowKey(protocol, source, local, destination, remote);
    const now = this.environment.now();
    const flow = this.flows.get(key);
    if (flow !== undefined && now - flow.seen < (protocol === IPPROTO_TCP ? FLOW_LIFE : DATAGRAM_LIFE)) {
      flow.seen = now;
      return flow.allowed;
    }
    const allowed = this.decide(protocol, destination, remote);
    this.keep(key, allowed, now);
    return allowed;
  }
  private keep(key: string, allowed: boolean, now: number): void {
    this.flows.delete(key);
    if (this.flows.size >= MAX_FLOWS) this.flows.delete(this.flows.keys().next().value as string);
    this.flows.set(key, { allowed, seen: now });
  }

  /** By the rules alone. */
  decide(protocol: number, address: IpAddress, port: number): boolean {
    const names = this.names.of(address, this.environment.now());
    let action: 'allow' | 'deny' = this.policy.defaultAction;
    let number: number | null = this.rules.findIndex((rule) => matches(rule, protocol, address, port, names));
    if (number >= 0) action = (this.rules[number] as Rule).action;
    else number = null;
    const asks = port === DNS_PORT && (protocol === IPPROTO_UDP || protocol === IPPROTO_TCP) && this.resolvers.has(address);
    if (asks) action = 'allow';
    if (action === 'allow') this.allowed++;
    else this.denied++;
    if (this.policy.log === 'all' || (this.policy.log === 'denied' && action === 'deny')) {
      const shown = { action, protocol: PROTOCOL_NAMES[protocol] ?? String(protocol), address: formatAddress(address) };
      this.onDecision({ ...shown, port, names, rule: number });
    }
    return action === 'allow';
  }

  /** A packet that came in: whoever comes first may be answered, and name servers tell names. */
  incoming(bytes: Uint8Array, start: number, end: number): void {
    const p = parsePacket(bytes, start, end, true, 0);
    if (p === null || (p.fragment !== null && p.fragment.offset > 0)) return;
    const [remote, local] = portsOf(p);
    if (p.protocol === IPPROTO_UDP && remote === DNS_PORT && this.resolvers.has(p.source)) this.takeAnswer(p, local);
    const key = flowKey(p.protocol, p.destination, local, p.source, remote);
    if (isMulticast(p.destination) || !begins(p)) return;
    const flow = this.flows.get(key);
    // An answer to what was refused does not make it allowed.
    if (flow === undefined) this.keep(key, true, this.environment.now());
    else flow.seen = this.environment.now();
  }

  private noteQuestion(p: IncomingPacket, local: number): void {
    const question = questionOf(p.bytes.subarray(p.start + 8, p.end));
    if (question === null || !this.resolvers.has(p.destination)) return;
    if (this.questions.size >= MAX_QUESTIONS) this.questions.delete(this.questions.keys().next().value as string);
    const key = `${question.id}:${local}:${p.destination}`;
    this.questions.set(key, { name: question.name, type: question.type, asked: this.environment.now() });
  }
  private takeAnswer(p: IncomingPacket, local: number): void {
    const message = p.bytes.subarray(p.start + 8, p.end);
    const question = questionOf(message);
    if (question === null) return;
    const key = `${question.id}:${local}:${p.source}`;
    const asked = this.questions.get(key);
    if (asked === undefined || asked.name !== question.name || asked.type !== question.type) return;
    this.questions.delete(key);
    const now = this.environment.now();
    if (now - asked.asked < QUESTION_LIFE) this.learn(message);
  }
  /** An answer that is known to be one. Addresses that it names are decided anew. */
  learn(message: Uint8Array): void {
    this.names.learn(message, this.environment.now());
    for (const [key, flow] of this.flows) if (!flow.allowed) this.flows.delete(key);
  }
}

function flowKey(protocol: number, source: IpAddress, local: number, destination: IpAddress, remote: number): string {
  return String.fromCharCode(protocol, local, remote) + destination + source;
}
/** Source and destination; 0, 0 where the protocol has none. */
function portsOf(p: IncomingPacket): [number, number] {
  if ((p.protocol !== IPPROTO_TCP && p.protocol !== IPPROTO_UDP) || p.end - p.start < 4) return [0, 0];
  return [get16(p.bytes, p.start), get16(p.bytes, p.start + 2)];
}
/** Can the packet be the first of a flow that somebody outside begins? */
function begins(p: IncomingPacket): boolean {
  if (p.protocol === IPPROTO_TCP) return p.end - p.start >= 14 && ((p.bytes[p.start + 13] as number) & 0x12) === 0x02;
  // Errors are about packets of ours: they open no way.
  if (p.protocol === IPPROTO_ICMP) return [8, 13].includes(p.bytes[p.start] as number);
  if (p.protocol === IPPROTO_ICMPV6) return p.bytes[p.start] === 128;
  return true;
}

function matches(rule: Rule, protocol: number, address: IpAddress, port: number, names: readonly string[]): boolean {
  if (rule.protocols.length > 0 && !rule.protocols.includes(protocol)) return false;
  if (rule.ports.length > 0 && !rule.ports.some(({ first, last }) => port >= first && port <= last)) return false;
  if (rule.networks.length > 0 && !rule.networks.some((one) => samePrefix(one.address, address, one.length))) return false;
  return rule.names.length === 0 || rule.names.some((pattern) => names.some((name) => nameMatches(pattern, name)));
}
function nameMatches(pattern: string, name: string): boolean {
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1 : name === pattern;
}
