/** Tables of rules (iptables(8)): what a packet has to look like, and what becomes of it. */
import type { IpAddress } from '../address.ts';
import { IPPROTO_TCP, IPPROTO_UDP } from '../packet.ts';

export const PRE_ROUTING = 0;
export const LOCAL_IN = 1;
export const FORWARD = 2;
export const LOCAL_OUT = 3;
export const POST_ROUTING = 4;
/** Jumps inside of jumps. */
const MAX_DEPTH = 16;
/** Rules that one packet meets at most: a table whose jumps multiply does not hold the stack up. */
const MAX_STEPS = 65_536;

/** What rules look at. */
export interface Subject {
  readonly protocol: number;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** First byte of ICMP's header, and the second; flags of TCP. */
  readonly icmpType: number;
  readonly icmpCode: number;
  readonly tcpFlags: number;
  readonly laterFragment: boolean;
  /** Names of interfaces; '' where there is none yet. */
  readonly in: string;
  readonly out: string;
  /** STATE_*. */
  readonly state: number;
  /** Was it given another destination, another source? */
  readonly destinationChanged: boolean;
  readonly sourceChanged: boolean;
  /** RTN_* of an address. */
  kindOf(address: IpAddress): number;
  /** Of the socket that it comes from; -1: nobody's. */
  uid(): number;
  readonly length: number;
}
// As in the match "state": bits.
export const STATE_INVALID = 1;
export const STATE_ESTABLISHED = 2;
export const STATE_RELATED = 4;
export const STATE_NEW = 8;
/** Neighbour discovery and memberships of groups belong to no connection. */
export const STATE_UNTRACKED = 0x100;

export type Match = (subject: Subject) => boolean;

/** Where a connection's packets go from now on. */
export interface Translation {
  readonly kind: 'source' | 'destination';
  /** First and last; null: as it is ('redirect': ourselves; 'masquerade': the interface's own). */
  readonly addresses: readonly [IpAddress, IpAddress] | 'interface' | null;
  /** First and last; null: as it is, if it can. */
  readonly ports: readonly [number, number] | null;
}
export type Action =
  | { readonly do: 'accept' | 'drop' | 'return' | 'continue' }
  | { readonly do: 'jump' | 'goto'; readonly to: number }
  | { readonly do: 'reject'; readonly how: number }
  | { readonly do: 'translate'; readonly translation: Translation };

export interface Rule {
  readonly matches: readonly Match[];
  readonly action: Action;
  packets: number;
  bytes: number;
}

/** One table: its rules in a row; chains begin at `entries` and at what rules jump to. */
export class Table {
  readonly name: string;
  readonly rules: readonly Rule[];
  /** Per hook: index of its first rule. */
  readonly entries: ReadonlyMap<number, number>;
  constructor(name: string, rules: readonly Rule[], entries: ReadonlyMap<number, number>) {
    this.name = name;
    this.rules = rules;
    this.entries = entries;
  }
  /** What the rules of a hook say. */
  decide(hook: number, subject: Subject): Action {
    const start = this.entries.get(hook);
    if (start === undefined) return ACCEPT;
    const back: number[] = [];
    let at = start;
    for (let steps = 0; steps < MAX_STEPS; steps++) {
      const rule = this.rules[at];
      if (rule === undefined) return DROP;
      if (!rule.matches.every((match) => match(subject))) {
        at++;
        continue;
      }
      rule.packets++;
      rule.bytes += subject.length;
      const { action } = rule;
      if (action.do === 'continue') at++;
      else if (action.do === 'jump' || action.do === 'goto') {
        if (action.do === 'jump') back.push(at + 1);
        if (back.length > MAX_DEPTH) return DROP;
        at = action.to;
      } else if (action.do === 'return') {
        const next = back.pop();
        if (next === undefined) return this.policy(at) ?? ACCEPT;
        at = next;
      } else return action;
    }
    return DROP;
  }
  /** A return from a built-in chain: what its last rule, the policy, says. */
  private policy(from: number): Action | null {
    const starts = [...this.entries.values()].filter((start) => start > from);
    const end = starts.length > 0 ? Math.min(...starts) : this.rules.length;
    for (let i = end - 1; i > from; i--) {
      const { action, matches } = this.rules[i] as Rule;
      if (matches.length === 0 && (action.do === 'accept' || action.do === 'drop')) return action;
    }
    return null;
  }
}
export const ACCEPT: Action = { do: 'accept' };
export const DROP: Action = { do: 'drop' };

export function hasPorts(protocol: number): boolean {
  return protocol === IPPROTO_TCP || protocol === IPPROTO_UDP;
}
