/**
 * Who has which hardware address on one link (RFC 826, RFC 4861 §7.3): the states that `ip neigh` shows, and packets that wait for an
 * answer. The cache and its queues are bounded: whoever floods the link pushes out what is old, and nothing grows.
 */
import type { IpAddress } from '../address.ts';
import type { MovableTimer } from '../environment.ts';
import type { Packet } from '../packet.ts';
import type { Stack } from '../stack.ts';

// struct ndmsg.ndm_state
export const NUD_INCOMPLETE = 0x01;
export const NUD_REACHABLE = 0x02;
export const NUD_STALE = 0x04;
export const NUD_DELAY = 0x08;
export const NUD_PROBE = 0x10;
export const NUD_FAILED = 0x20;
export const NUD_NOARP = 0x40;
export const NUD_PERMANENT = 0x80;

/** net.ipv4.neigh.default.gc_thresh3. */
const MAX_ENTRIES = 1024;
/** Packets that wait for one address; the oldest goes. */
const MAX_WAITING = 64;
/** Of all addresses together, bytes. */
const MAX_WAITING_BYTES = 4 << 20;
/** mcast_solicit and ucast_solicit, retrans_time, delay_first_probe_time, base_reachable_time; ns. */
const PROBES = 3;
const PROBE_INTERVAL = 1e9;
const FIRST_PROBE_DELAY = 5e9;
const REACHABLE_TIME = 30e9;

export class Neighbour {
  readonly address: IpAddress;
  /** Six bytes; null: not known. */
  hardware: Uint8Array | null = null;
  state = NUD_INCOMPLETE;
  router = false;
  /** ns: when it was last confirmed, and when something changed. */
  confirmed = 0;
  updated = 0;
  probes = 0;
  waiting: Packet[] = [];
  readonly timer: MovableTimer;
  constructor(address: IpAddress, timer: MovableTimer) {
    this.address = address;
    this.timer = timer;
  }
}

export interface NeighbourLink {
  /** Asks who has `address`: its holder alone if `hardware` is known. */
  solicit(address: IpAddress, hardware: Uint8Array | null): void;
  /** The address is known now: what has waited goes out. */
  sendTo(packet: Packet, hardware: Uint8Array): void;
  /** Nobody answers. */
  unreachable(packet: Packet): void;
  /** An entry has changed, for those who watch. */
  changed(entry: Neighbour): void;
}

export class Neighbours {
  private readonly entries = new Map<IpAddress, Neighbour>();
  private readonly stack: Stack;
  private readonly link: NeighbourLink;
  private waitingBytes = 0;

  constructor(stack: Stack, link: NeighbourLink) {
    this.stack = stack;
    this.link = link;
  }
  all(): Iterable<Neighbour> {
    return this.entries.values();
  }
  get(address: IpAddress): Neighbour | undefined {
    return this.entries.get(address);
  }
  /** NUD_REACHABLE lasts for a while. */
  stateOf(entry: Neighbour): number {
    const { state } = entry;
    return state === NUD_REACHABLE && this.stack.environment.now() - entry.confirmed > REACHABLE_TIME ? NUD_STALE : state;
  }

  /** The hardware address for a packet; null: it waits here, or is lost. */
  resolve(address: IpAddress, packet: Packet): Uint8Array | null {
    const entry = this.entries.get(address) ?? this.create(address);
    const { hardware } = entry;
    if (hardware === null || entry.state === NUD_FAILED) {
      if (entry.state === NUD_FAILED) this.begin(entry);
      this.wait(entry, packet);
      return null;
    }
    if (entry.state === NUD_STALE || (entry.state === NUD_REACHABLE && this.stateOf(entry) === NUD_STALE)) {
      entry.state = NUD_DELAY;
      entry.probes = 0;
      entry.timer.set(this.stack.environment.now() + FIRST_PROBE_DELAY);
    }
    return hardware;
  }
  private create(address: IpAddress): Neighbour {
    const entry = this.insert(address);
    this.begin(entry);
    return entry;
  }
  private begin(entry: Neighbour): void {
    entry.state = NUD_INCOMPLETE;
    entry.hardware = null;
    entry.probes = 1;
    entry.timer.set(this.stack.environment.now() + PROBE_INTERVAL);
    this.link.solicit(entry.address, null);
  }
  private insert(address: IpAddress): Neighbour {
    if (this.entries.size >= MAX_ENTRIES) this.evict();
    const entry: Neighbour = new Neighbour(
      address,
      this.stack.timer(() => this.due(entry)),
    );
    this.entries.set(address, entry);
    return entry;
  }
  /** The oldest that nobody needs, else the oldest that was not set by hand. */
  private evict(): void {
    let victim: Neighbour | null = null;
    for (const entry of this.entries.values()) {
      if (entry.state === NUD_PERMANENT) continue;
      victim ??= entry;
      if ((entry.state & (NUD_STALE | NUD_FAILED)) !== 0) {
        victim = entry;
        break;
      }
    }
    if (victim !== null) this.remove(victim);
  }
  private wait(entry: Neighbour, packet: Packet): void {
    while (entry.waiting.length > 0 && (entry.waiting.length >= MAX_WAITING || this.waitingBytes + packet.bytes.length > MAX_WAITING_BYTES))
      this.waitingBytes -= (entry.waiting.shift() as Packet).bytes.length;
    if (this.waitingBytes + packet.bytes.length > MAX_WAITING_BYTES) return;
    entry.waiting.push(packet);
    this.waitingBytes += packet.bytes.length;
  }
  private takeWaiting(entry: Neighbour): Packet[] {
    const { waiting } = entry;
    entry.waiting = [];
    for (const packet of waiting) this.waitingBytes -= packet.bytes.length;
    return waiting;
  }

  private due(entry: Neighbour): void {
    if (this.entries.get(entry.address) !== entry) return;
    if (entry.state === NUD_DELAY) {
      entry.state = NUD_PROBE;
      entry.probes = 0;
    }
    if (entry.state !== NUD_PROBE && entry.state !== NUD_INCOMPLETE) return;
    if (entry.probes < PROBES) {
      entry.probes++;
      entry.timer.set(this.stack.environment.now() + PROBE_INTERVAL);
      this.link.solicit(entry.address, entry.hardware);
      return;
    }
    entry.state = NUD_FAILED;
    entry.hardware = null;
    for (const packet of this.takeWaiting(entry)) this.link.unreachable(packet);
    this.link.changed(entry);
  }

  /**
   * Somebody says that `address` is at `hardware`. solicited: it answers us. override: it may replace what is known.
   * create: an unknown neighbour is worth keeping.
   */
  learn(address: IpAddress, hardware: Uint8Array, how: { solicited: boolean; override: boolean; create: boolean }): Neighbour | null {
    let entry = this.entries.get(address);
    if (entry === undefined) {
      if (!how.create) return null;
      entry = this.insert(address);
    }
    if ((entry.state & (NUD_PERMANENT | NUD_NOARP)) !== 0) return entry;
    const known = entry.hardware;
    const same = known !== null && sameBytes(known, hardware);
    if (known !== null && !same && !how.override) {
      if (entry.state === NUD_REACHABLE) entry.state = NUD_STALE;
      return entry;
    }
    if (!same) {
      entry.hardware = hardware.slice();
      entry.updated = this.stack.environment.now();
    }
    if (how.solicited) this.confirm(entry);
    else if (!same || entry.state === NUD_INCOMPLETE || entry.state === NUD_FAILED) this.settle(entry, NUD_STALE);
    this.flush(entry);
    return entry;
  }
  private confirm(entry: Neighbour): void {
    entry.confirmed = this.stack.environment.now();
    this.settle(entry, NUD_REACHABLE);
  }
  private settle(entry: Neighbour, state: number): void {
    const changed = entry.state !== state;
    entry.state = state;
    entry.timer.clear();
    if (changed) this.link.changed(entry);
  }
  private flush(entry: Neighbour): void {
    if (entry.hardware === null || entry.waiting.length === 0) return;
    for (const packet of this.takeWaiting(entry)) this.link.sendTo(packet, entry.hardware);
  }

  /** An entry that somebody sets by hand, or that the namespace had. */
  set(address: IpAddress, hardware: Uint8Array | null, state: number): void {
    const entry = this.entries.get(address) ?? this.insert(address);
    entry.hardware = hardware === null ? null : hardware.slice();
    entry.updated = this.stack.environment.now();
    if (state === NUD_REACHABLE) entry.confirmed = entry.updated;
    this.settle(entry, hardware === null ? NUD_FAILED : state);
    this.flush(entry);
  }
  /** False: there is none. */
  delete(address: IpAddress): boolean {
    const entry = this.entries.get(address);
    if (entry === undefined) return false;
    this.remove(entry);
    return true;
  }
  private remove(entry: Neighbour): void {
    entry.timer.stop();
    this.takeWaiting(entry);
    this.entries.delete(entry.address);
    this.stack.onChange();
  }
  clear(): void {
    for (const entry of [...this.entries.values()]) this.remove(entry);
  }
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}
