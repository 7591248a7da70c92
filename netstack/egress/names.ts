/** Which names an address has, as name servers have told the sandbox (RFC 1035). Bounded; forgotten with the answers' time to live. */
import type { IpAddress } from '../address.ts';
import { get16, get32 } from '../packet.ts';

const HEADER = 12;
const TYPE_A = 1;
const TYPE_CNAME = 5;
const TYPE_AAAA = 28;
const CLASS_IN = 1;
const MAX_ADDRESSES = 16_384;
const MAX_NAMES = 16;
const MAX_RECORDS = 256;
const MAX_CHAIN = 16;
/** Longest name, and how often it may jump (RFC 1035 §4.1.4). */
const LONGEST = 255;
const MAX_JUMPS = 64;
/** ns: answers count at least so long, because programs keep addresses a little, and at most a day. */
const LEAST = 60e9;
const MOST = 86_400e9;

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly type: number;
}

interface Parsed {
  readonly name: string;
  readonly end: number;
}

/** Lower case, without the last dot. Null: not a name. */
function readName(bytes: Uint8Array, from: number, end: number): Parsed | null {
  const labels: string[] = [];
  let length = 0;
  let after = -1;
  let at = from;
  for (let jumps = 0; ; ) {
    if (at >= end) return null;
    const head = bytes[at] as number;
    if (head === 0) return { name: labels.join('.').toLowerCase(), end: after < 0 ? at + 1 : after };
    if ((head & 0xc0) === 0xc0) {
      if (at + 2 > end || ++jumps > MAX_JUMPS) return null;
      if (after < 0) after = at + 2;
      at = get16(bytes, at) & 0x3fff;
      continue;
    }
    length += head + 1;
    if ((head & 0xc0) !== 0 || at + 1 + head > end || length > LONGEST) return null;
    labels.push(String.fromCharCode(...bytes.subarray(at + 1, at + 1 + head)));
    at += 1 + head;
  }
}

/** The one question of a message; null: none, or several. */
export function questionOf(message: Uint8Array): (Question & { readonly end: number }) | null {
  if (message.length < HEADER || get16(message, 4) !== 1) return null;
  const name = readName(message, HEADER, message.length);
  if (name === null || name.end + 4 > message.length || get16(message, name.end + 2) !== CLASS_IN) return null;
  return { id: get16(message, 0), name: name.name, type: get16(message, name.end), end: name.end + 4 };
}

export class NameTable {
  private readonly byAddress = new Map<IpAddress, Map<string, number>>();

  /** An answer to a question that the sandbox has asked. now: ns. */
  learn(message: Uint8Array, now: number): void {
    const question = questionOf(message);
    if (question === null || ((message[2] as number) & 0x80) === 0) return;
    const aliases = new Map<string, string>();
    const found: { name: string; address: IpAddress; until: number }[] = [];
    let at = question.end;
    for (let i = Math.min(get16(message, 6), MAX_RECORDS); i > 0; i--) {
      const owner = readName(message, at, message.length);
      if (owner === null || owner.end + 10 > message.length) break;
      const type = get16(message, owner.end);
      const length = get16(message, owner.end + 8);
      const data = owner.end + 10;
      if (data + length > message.length) break;
      const until = now + Math.min(Math.max(get32(message, owner.end + 4) * 1e9, LEAST), MOST);
      if (type === TYPE_CNAME) {
        const target = readName(message, data, message.length);
        if (target !== null) aliases.set(owner.name, target.name);
      } else if ((type === TYPE_A && length === 4) || (type === TYPE_AAAA && length === 16)) {
        found.push({ name: owner.name, address: String.fromCharCode(...message.subarray(data, data + length)), until });
      }
      at = data + length;
    }
    this.keep(question.name, aliases, found);
  }
  /** The name that was asked for, and every alias on the way, lead to the addresses at its end; records beside the way do not count. */
  private keep(asked: string, aliases: Map<string, string>, found: readonly { name: string; address: IpAddress; until: number }[]): void {
    const chain = [asked];
    for (let next = aliases.get(asked); next !== undefined && chain.length < MAX_CHAIN; next = aliases.get(next)) chain.push(next);
    const end = chain.at(-1);
    for (const { name, address, until } of found) if (name === end) for (const one of chain) this.add(address, one, until);
  }
  private add(address: IpAddress, name: string, until: number): void {
    let names = this.byAddress.get(address);
    if (names === undefined) {
      if (this.byAddress.size >= MAX_ADDRESSES) this.byAddress.delete(this.byAddress.keys().next().value as IpAddress);
      names = new Map();
      this.byAddress.set(address, names);
    }
    if (!names.has(name) && names.size >= MAX_NAMES) names.delete(names.keys().next().value as string);
    names.set(name, Math.max(until, names.get(name) ?? 0));
  }

  /** Those that count at `now`. */
  of(address: IpAddress, now: number): string[] {
    const names = this.byAddress.get(address);
    if (names === undefined) return [];
    for (const [name, until] of names) if (until < now) names.delete(name);
    if (names.size === 0) this.byAddress.delete(address);
    return [...names.keys()];
  }
}
