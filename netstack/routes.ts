/** The routing table: the longest prefix wins, then the least metric. */
import { ENETUNREACH, type Errno } from '../abi/errno.ts';
import { BROADCAST4, type IpAddress, isLinkLocal6, isMulticast, samePrefix } from './address.ts';
import type { NetInterface } from './interface.ts';
import { PolicyRules, type Query, TABLE_MAIN } from './policy_rules.ts';

export interface TableEntry {
  readonly destination: IpAddress;
  readonly prefixLength: number;
  /** Null: the destination is on the link. */
  readonly gateway: IpAddress | null;
  /** Preferred source, or null. */
  readonly source: IpAddress | null;
  readonly device: NetInterface;
  readonly metric: number;
  /** Absent: main. */
  readonly table?: number;
  /** RTPROT_*: who made it; absent: by hand. */
  readonly protocol?: number;
}

/** Where a packet goes. */
export interface Route {
  readonly device: NetInterface;
  readonly nextHop: IpAddress;
  readonly source: IpAddress;
  /** A broadcast address of the link. */
  readonly broadcast: boolean;
}

export class RoutingTable {
  /** Of all tables. */
  readonly entries: TableEntry[] = [];
  readonly rules = new PolicyRules();
  /** An entry has come or gone. */
  onChange: () => void = () => {};
  private readonly loopback: NetInterface;
  private readonly devices: readonly NetInterface[];

  constructor(devices: readonly NetInterface[]) {
    this.devices = devices;
    this.loopback = devices[0] as NetInterface;
  }

  /** Sorted as they are tried. */
  add(entry: TableEntry): void {
    const before = (e: TableEntry): boolean =>
      e.prefixLength < entry.prefixLength || (e.prefixLength === entry.prefixLength && e.metric > entry.metric);
    const at = this.entries.findIndex(before);
    this.entries.splice(at < 0 ? this.entries.length : at, 0, entry);
    this.onChange();
  }
  /** False: it was not there. */
  remove(entry: TableEntry): boolean {
    const at = this.entries.indexOf(entry);
    if (at < 0) return false;
    this.entries.splice(at, 1);
    this.onChange();
    return true;
  }

  /** Is it one of ours? All of 127.0.0.0/8 is, once lo has an address. */
  isLocal(address: IpAddress): boolean {
    if (address.length === 4 && address.charCodeAt(0) === 127) return this.loopback.addresses.length > 0;
    for (const device of this.devices) if (device.owns(address)) return true;
    return false;
  }
  /** 255.255.255.255 or the last address of a network we are in. */
  isBroadcast(address: IpAddress): boolean {
    if (address === BROADCAST4) return true;
    return this.devices.some((device) => device.addresses.some((own) => own.broadcast === address));
  }

  /** source: what the socket is bound to, or null. `device`: the only one allowed, or null. mark: the socket's (SO_MARK). */
  find(destination: IpAddress, source: IpAddress | null, device: NetInterface | null, mark = 0): Route | Errno {
    if (this.isLocal(destination)) {
      if (!this.loopback.up) return ENETUNREACH;
      return { device: this.loopback, nextHop: destination, source: source ?? destination, broadcast: false };
    }
    const entry = this.entryFor({ destination, source, mark, input: this.loopback.name, output: device?.name ?? null }, device);
    if (typeof entry !== 'number') return this.along(entry, destination, source);
    if (entry !== ENETUNREACH) return entry;
    if (!isMulticast(destination) && destination !== BROADCAST4) return ENETUNREACH;
    const out = device ?? this.devices.find((d) => !d.loopback) ?? this.loopback;
    const chosen = source ?? sourceOn(out, destination, destination);
    return chosen === null ? ENETUNREACH : { device: out, nextHop: destination, source: chosen, broadcast: destination === BROADCAST4 };
  }
  /** For somebody else's packet: its source is nothing to us. */
  forward(destination: IpAddress, source: IpAddress, arrival: NetInterface): Route | Errno {
    const entry = this.entryFor({ destination, source, mark: 0, input: arrival.name, output: null }, null);
    if (typeof entry === 'number') return entry;
    if (!entry.device.up) return ENETUNREACH;
    return { device: entry.device, nextHop: entry.gateway ?? destination, source: destination, broadcast: false };
  }
  /** As the rules say. device: the only one allowed, or null. */
  private entryFor(query: Query, device: NetInterface | null): TableEntry | Errno {
    const { rules } = this;
    if (rules.plain) return this.inTable(TABLE_MAIN, query.destination, device, -1) ?? ENETUNREACH;
    return rules.find(query, (table, suppressed) => this.inTable(table, query.destination, device, suppressed));
  }
  private inTable(table: number, destination: IpAddress, device: NetInterface | null, suppressed: number): TableEntry | null {
    for (const entry of this.entries) {
      if ((entry.table ?? TABLE_MAIN) !== table || (device !== null && entry.device !== device)) continue;
      if (entry.prefixLength > suppressed && samePrefix(entry.destination, destination, entry.prefixLength)) return entry;
    }
    return null;
  }
  private along(entry: TableEntry, destination: IpAddress, source: IpAddress | null): Route | Errno {
    const chosen = source ?? entry.source ?? sourceOn(entry.device, entry.gateway ?? destination, destination);
    if (chosen === null) return ENETUNREACH;
    return {
      device: entry.device,
      nextHop: entry.gateway ?? destination,
      source: chosen,
      broadcast: destination === BROADCAST4 || entry.device.addresses.some((own) => own.broadcast === destination),
    };
  }
}

/**
 * The address of the network that `target`, the next hop, is in, or the first of the family. For IPv6 one of the destination's scope: a router's
 * address is link-local as a rule, and ours for beyond it must not be (RFC 6724, rule 2).
 */
function sourceOn(device: NetInterface, target: IpAddress, destination: IpAddress): IpAddress | null {
  const family = device.addresses.filter((own) => own.address.length === target.length);
  const scope = family.filter((own) => isLinkLocal6(own.address) === isLinkLocal6(destination));
  const usable = scope.length > 0 ? scope : family;
  const near = usable.find((own) => samePrefix(own.address, target, own.prefixLength));
  return near?.address ?? usable[0]?.address ?? null;
}
