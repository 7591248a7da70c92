/** What all AF_UNIX sockets of a kernel share: `kernel.unix`. */
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { FileDescription } from '../../vfs/file.ts';
import type { UnixAddress } from './address.ts';
import { InFlight, type RightsHolder } from './in_flight.ts';
import type { UnixSocket } from './unix_socket.ts';

export class UnixSockets {
  /** Every socket that is open, queued or waits to be accepted. */
  readonly sockets = new Set<UnixSocket>();
  readonly inFlight: InFlight;
  /** Abstract names belong to a network namespace (unix(7)). */
  private readonly abstract = new Map<NetNamespace, Map<UnixAddress, UnixSocket>>();
  private autobindNumber = 0;

  /** holderOf: the unix socket behind an open file, or null. */
  constructor(holderOf: (file: FileDescription) => RightsHolder | null) {
    this.inFlight = new InFlight(holderOf);
  }

  /** False if somebody has the name. */
  claim(net: NetNamespace, address: UnixAddress, socket: UnixSocket): boolean {
    let names = this.abstract.get(net);
    if (names === undefined) {
      names = new Map();
      this.abstract.set(net, names);
    }
    if (names.has(address)) return false;
    names.set(address, socket);
    return true;
  }
  owner(net: NetNamespace, address: UnixAddress): UnixSocket | null {
    return this.abstract.get(net)?.get(address) ?? null;
  }
  yield(net: NetNamespace, address: UnixAddress, socket: UnixSocket): void {
    const names = this.abstract.get(net);
    if (names?.get(address) !== socket) return;
    names.delete(address);
    if (names.size === 0) this.abstract.delete(net);
  }
  /** 0..0xfffff in turn. */
  nextAutobind(): number {
    this.autobindNumber = (this.autobindNumber + 1) & 0xfffff;
    return this.autobindNumber;
  }
}
