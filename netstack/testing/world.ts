/** Two stacks, virtual time and a link between them that misbehaves from a seed. For tests. */
import type { IpAddress } from '../address.ts';
import type { Environment } from '../environment.ts';
import { NetInterface } from '../interface.ts';
import { HEADROOM, type Packet } from '../packet.ts';
import { Stack } from '../stack.ts';

interface Faults {
  readonly loss?: number;
  readonly duplicate?: number;
  readonly reorder?: number;
  /** SYNs lose all options but the MSS. */
  readonly stripOptions?: boolean;
}

export class LossyLink {
  cut = false;
  readonly faults: Faults;
  private state: number;
  constructor(seed: number, faults: Faults = {}) {
    this.state = seed >>> 0;
    this.faults = faults;
  }
  /** Uniform in [0, 1). */
  random(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
}

class End extends NetInterface {
  peer: (bytes: Uint8Array) => void = () => {};
  override send(packet: Packet, _nextHop: IpAddress): void {
    this.peer(packet.bytes.slice(HEADROOM));
  }
}

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

export class World {
  readonly a: Stack;
  readonly b: Stack;
  private time = 1e9;
  private order = 0;
  private readonly events: Event[] = [];
  private readonly link: LossyLink;

  constructor(link: LossyLink) {
    this.link = link;
    const environment: Environment = {
      now: () => this.time,
      startTimer: (deadline, fire) => this.at(deadline, fire),
      random: (limit) => Math.floor(link.random() * limit),
    };
    this.a = new Stack(environment);
    this.b = new Stack(environment);
    const ends = [this.join(this.a, '\x0a\0\0\x01'), this.join(this.b, '\x0a\0\0\x02')] as const;
    ends[0].peer = (bytes) => this.carry(bytes, this.b, ends[1]);
    ends[1].peer = (bytes) => this.carry(bytes, this.a, ends[0]);
  }
  private join(stack: Stack, address: IpAddress): End {
    const end = new End(2, 'eth0', 1500, new Uint8Array(6));
    end.addresses = [{ address, prefixLength: 24, broadcast: '\x0a\0\0\xff' }];
    stack.addInterface(end);
    stack.routes.add({ destination: '\x0a\0\0\0', prefixLength: 24, gateway: null, source: null, device: end, metric: 0 });
    return end;
  }
  private at(time: number, run: () => void): () => void {
    const event: Event = { at: time, order: this.order++, run, cancelled: false };
    this.events.push(event);
    return () => {
      event.cancelled = true;
    };
  }
  private carry(bytes: Uint8Array, to: Stack, device: NetInterface): void {
    const { link } = this;
    const { loss = 0, duplicate = 0, reorder = 0, stripOptions = false } = link.faults;
    const copies = link.random() < duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      if (link.cut || link.random() < loss) continue;
      const delay = 5e6 + (link.random() < reorder ? link.random() * 20e6 : 0);
      const packet = stripOptions ? strip(bytes) : bytes;
      this.at(this.time + delay, () => to.input(device, packet, 0, packet.length, stripOptions));
    }
  }
  /** Until `done`, or that many virtual seconds. */
  run(done: () => boolean, seconds: number): void {
    const end = this.time + seconds * 1e9;
    while (!done()) {
      this.a.deliver();
      this.b.deliver();
      let first = -1;
      for (let i = 0; i < this.events.length; i++) {
        const event = this.events[i] as Event;
        const best = this.events[first];
        if (best === undefined || event.at < best.at || (event.at === best.at && event.order < best.order)) first = i;
      }
      const next = this.events[first];
      if (next === undefined || next.at > end) {
        this.time = end;
        return;
      }
      this.events.splice(first, 1);
      if (next.cancelled) continue;
      this.time = Math.max(this.time, next.at);
      next.run();
    }
  }
}

/** Overwrites the options behind the first one of a SYN with nothing. */
function strip(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const flags = copy[33] as number;
  if (copy[9] === 6 && (flags & 2) !== 0) copy.fill(1, 44, 20 + ((copy[32] as number) >>> 4) * 4);
  return copy;
}
