/** Who has which port, of one protocol: bind(2)'s rules and the choice of ephemeral ports. */
import { EADDRINUSE, type Errno } from '../abi/errno.ts';
import { type IpAddress, isAny } from './address.ts';
import type { Environment } from './environment.ts';

export interface Binding {
  readonly address: IpAddress;
  readonly port: number;
  /** An IPv6 wildcard that leaves IPv4 to others. */
  readonly onlyV6: boolean;
  reuseAddress: boolean;
  reusePort: boolean;
  readonly uid: number;
  listening: boolean;
  /** Chosen by connect(2): the port may be shared, the four numbers of a connection are its name. */
  readonly shared: boolean;
}

export class PortTable {
  private readonly bindings = new Map<number, Binding[]>();
  private readonly environment: Environment;
  /** TCP: a listener's port is never reused for its address; UDP: it may be. */
  private readonly listenersExclude: boolean;

  /** First and last of those that are given out. */
  private readonly range: () => readonly [number, number];

  constructor(environment: Environment, listenersExclude: boolean, range: () => readonly [number, number]) {
    this.environment = environment;
    this.range = range;
    this.listenersExclude = listenersExclude;
  }

  /** port 0: any. The binding, to give back with `release`. */
  bind(wanted: Binding): Binding | Errno {
    if (wanted.port !== 0) return this.free(wanted) ? this.add(wanted) : EADDRINUSE;
    const port = this.search((candidate) => this.free({ ...wanted, port: candidate, reuseAddress: false, reusePort: false }));
    return port === null ? EADDRINUSE : this.add({ ...wanted, port });
  }
  /** For connect(2): a port for which `usable` says that the four numbers are free. */
  bindShared(wanted: Binding, usable: (port: number) => boolean): Binding | Errno {
    const port = this.search((candidate) => {
      const others = this.bindings.get(candidate);
      return (others === undefined || others.every((other) => other.shared || !overlap(other, wanted))) && usable(candidate);
    });
    return port === null ? EADDRINUSE : this.add({ ...wanted, port, shared: true });
  }
  /** Shares a port without asking: a connection that a listener accepted. */
  add(binding: Binding): Binding {
    const others = this.bindings.get(binding.port);
    if (others === undefined) this.bindings.set(binding.port, [binding]);
    else others.push(binding);
    return binding;
  }
  release(binding: Binding): void {
    const others = this.bindings.get(binding.port);
    const at = others?.indexOf(binding) ?? -1;
    if (others === undefined || at < 0) return;
    const last = others.pop() as Binding;
    if (last !== binding) others[at] = last;
    if (others.length === 0) this.bindings.delete(binding.port);
  }
  /** Can `binding`, which is in the table, begin to listen? */
  mayListen(binding: Binding): boolean {
    for (const other of this.bindings.get(binding.port) ?? []) {
      if (other === binding || !other.listening || !overlap(other, binding)) continue;
      if (!(other.reusePort && binding.reusePort && other.uid === binding.uid)) return false;
    }
    return true;
  }

  private free(wanted: Binding): boolean {
    for (const other of this.bindings.get(wanted.port) ?? []) if (overlap(other, wanted) && !this.compatible(other, wanted)) return false;
    return true;
  }
  private compatible(a: Binding, b: Binding): boolean {
    if (a.reusePort && b.reusePort && a.uid === b.uid) return true;
    return a.reuseAddress && b.reuseAddress && !(this.listenersExclude && (a.listening || b.listening));
  }
  /** A random start, then one after the other (RFC 6056 §3.3.2). */
  private search(usable: (port: number) => boolean): number | null {
    const [first, last] = this.range();
    const count = last - first + 1;
    const start = this.environment.random(count);
    for (let i = 0; i < count; i++) {
      const port = first + ((start + i) % count);
      if (usable(port)) return port;
    }
    return null;
  }
}

function overlap(a: Binding, b: Binding): boolean {
  if (a.address.length === b.address.length) return a.address === b.address || isAny(a.address) || isAny(b.address);
  // One of each family: only a wildcard of IPv6 that takes IPv4, too, meets the other.
  const six = a.address.length === 16 ? a : b;
  return isAny(six.address) && !six.onlyV6;
}
