/** Connections that packets belong to, and the addresses that they are given on the way (netfilter's conntrack and NAT). */
import type { IpAddress } from '../address.ts';
import type { Environment } from '../environment.ts';
import { get16, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_TCP, IPPROTO_UDP } from '../packet.ts';
import { ECHO_REPLY4, ECHO_REPLY6, ECHO4, ECHO6 } from '../ping.ts';

/** net.netfilter.nf_conntrack_max. The one that was silent longest goes first. */
const MAX_FLOWS = 16_384;
/** ns without a packet. */
const LIFE_TCP = 86_400e9;
const LIFE_TCP_OPENING = 120e9;
const LIFE_OTHER = 180e9;
const LIFE_UNANSWERED = 30e9;

/** One direction: who sends what to whom. For ICMP both ports are the identifier. */
export interface Tuple {
  readonly protocol: number;
  readonly source: IpAddress;
  readonly sourcePort: number;
  readonly destination: IpAddress;
  readonly destinationPort: number;
}

export class Flow {
  readonly original: Tuple;
  /** What the answers look like when they come: the original turned round, with what NAT has changed. */
  reply: Tuple;
  answered = false;
  seen: number;
  /** The tables were asked for this kind of change, whatever they said. */
  destinationDecided = false;
  sourceDecided = false;
  constructor(original: Tuple, now: number) {
    this.original = original;
    this.reply = turned(original);
    this.seen = now;
  }
}
export interface Found {
  readonly flow: Flow;
  readonly isReply: boolean;
}

export function turned(t: Tuple): Tuple {
  return {
    ...{ protocol: t.protocol, source: t.destination, sourcePort: t.destinationPort },
    ...{ destination: t.source, destinationPort: t.sourcePort },
  };
}
function keyOf(t: Tuple): string {
  return String.fromCharCode(t.protocol, t.sourcePort, t.destinationPort) + t.source + t.destination;
}

/** Null: a fragment without ports, or a protocol whose packets stand alone. bytes[start..end) is the transport's. */
export function tupleOf(
  packet: { readonly protocol: number; readonly source: IpAddress; readonly destination: IpAddress },
  bytes: Uint8Array,
  start: number,
  end: number,
): Tuple | null {
  const { protocol, source, destination } = packet;
  if (protocol === IPPROTO_TCP || protocol === IPPROTO_UDP) {
    if (end - start < 8) return null;
    return { protocol, source, sourcePort: get16(bytes, start), destination, destinationPort: get16(bytes, start + 2) };
  }
  if ((protocol !== IPPROTO_ICMP && protocol !== IPPROTO_ICMPV6) || end - start < 8) return null;
  const type = bytes[start] as number;
  if (protocol === IPPROTO_ICMP ? type !== ECHO4 && type !== ECHO_REPLY4 : type !== ECHO6 && type !== ECHO_REPLY6) return null;
  const id = get16(bytes, start + 4);
  return { protocol, source, sourcePort: id, destination, destinationPort: id };
}

export class Conntrack {
  private readonly environment: Environment;
  private readonly flows = new Map<string, Found>();
  constructor(environment: Environment) {
    this.environment = environment;
  }
  get size(): number {
    return this.flows.size;
  }
  *all(): Iterable<Flow> {
    for (const { flow, isReply } of this.flows.values()) if (!isReply) yield flow;
  }

  find(tuple: Tuple): Found | null {
    const key = keyOf(tuple);
    const found = this.flows.get(key);
    if (found === undefined) return null;
    const { flow, isReply } = found;
    const now = this.environment.now();
    if (now - flow.seen > lifeOf(flow)) {
      this.remove(flow);
      return null;
    }
    flow.seen = now;
    if (isReply) flow.answered = true;
    return found;
  }
  /** Without counting as a packet of it. */
  knows(tuple: Tuple): boolean {
    return this.flows.has(keyOf(tuple));
  }
  begin(tuple: Tuple): Flow {
    if (this.flows.size >= 2 * MAX_FLOWS) this.evict();
    const flow = new Flow(tuple, this.environment.now());
    this.flows.set(keyOf(tuple), { flow, isReply: false });
    this.flows.set(keyOf(flow.reply), { flow, isReply: true });
    return flow;
  }
  /** NAT changes what answers look like. False: those numbers are another connection's. */
  setReply(flow: Flow, reply: Tuple): boolean {
    const key = keyOf(reply);
    const there = this.flows.get(key);
    if (there !== undefined && there.flow !== flow) return false;
    this.flows.delete(keyOf(flow.reply));
    flow.reply = reply;
    this.flows.set(key, { flow, isReply: true });
    return true;
  }
  remove(flow: Flow): void {
    this.flows.delete(keyOf(flow.original));
    this.flows.delete(keyOf(flow.reply));
  }
  /** The oldest that is not answered among the first few, else the oldest. */
  private evict(): void {
    let victim: Flow | null = null;
    let looked = 0;
    for (const { flow } of this.flows.values()) {
      victim ??= flow;
      if (!flow.answered) {
        victim = flow;
        break;
      }
      if (++looked > 64) break;
    }
    if (victim !== null) this.remove(victim);
  }
}

function lifeOf({ original, answered }: Flow): number {
  if (original.protocol === IPPROTO_TCP) return answered ? LIFE_TCP : LIFE_TCP_OPENING;
  return answered ? LIFE_OTHER : LIFE_UNANSWERED;
}
