/** What the routing socket tells: the owner of the network replaces `kernel.routeProvider`. */

import { ENETUNREACH, type Errno } from '../../../abi/errno.ts';
import { RT_SCOPE_HOST } from '../../../abi/netlink.ts';
import { AF_INET, AF_INET6 } from '../../../abi/socket.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { Task } from '../../kernel/task.ts';

export interface InterfaceAddress {
  readonly family: number;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly broadcast?: Uint8Array;
  /** Of the other end; absent: none. */
  readonly peer?: Uint8Array;
  readonly prefixLength: number;
  /** RT_SCOPE_*. */
  readonly scope: number;
  readonly index: number;
  /** Name of the interface, or an alias. */
  readonly label: string;
}

export interface RouteEntry {
  readonly family: number;
  /** Empty: the default route. */
  readonly destination: Uint8Array;
  readonly prefixLength: number;
  readonly gateway?: Uint8Array;
  readonly source?: Uint8Array;
  /** Outgoing interface. */
  readonly index: number;
  readonly table: number;
  readonly scope: number;
  /** RTN_*. */
  readonly type: number;
  /** RTPROT_*. */
  readonly protocol: number;
  readonly metric?: number;
  /** Its interface has nobody at the other end. */
  readonly linkDown?: boolean;
  /** The way of one packet, not an entry of a table. */
  readonly cloned?: boolean;
  /** The source that was asked for with it. */
  readonly from?: Uint8Array;
}

export interface NeighbourEntry {
  readonly family: number;
  readonly address: Uint8Array;
  /** Six bytes; null: not known. */
  readonly hardware: Uint8Array | null;
  /** NUD_*. */
  readonly state: number;
  readonly router: boolean;
  readonly index: number;
}

/** A rule of policy routing. */
export interface RuleEntry {
  readonly family: number;
  readonly priority: number;
  readonly inverted: boolean;
  readonly source: Uint8Array;
  readonly sourceLength: number;
  readonly destination: Uint8Array;
  readonly destinationLength: number;
  readonly mark: number;
  readonly mask: number;
  readonly input: string | null;
  readonly output: string | null;
  /** FR_ACT_*. */
  readonly action: number;
  readonly table: number;
  /** -1: not. */
  readonly suppressed: number;
  readonly protocol: number;
}

/** What RTM_GETROUTE asks of one packet. index: the interface it has to leave by, or 0. */
export interface RouteQuestion {
  readonly destination: Uint8Array;
  readonly source: Uint8Array | null;
  readonly mark: number;
  readonly index: number;
}

export interface RouteProvider {
  addresses(namespace: NetNamespace): readonly InterfaceAddress[];
  routes(namespace: NetNamespace): readonly RouteEntry[];
  neighbours(namespace: NetNamespace): readonly NeighbourEntry[];
  rules(namespace: NetNamespace): readonly RuleEntry[];
  lookup(namespace: NetNamespace, question: RouteQuestion): RouteEntry | Errno;
  /** `changed` is called whenever one of these lists may be another; one watcher a namespace. */
  watch(namespace: NetNamespace, changed: () => void): void;
  /** A request that changes something (RTM_NEW*, RTM_DEL*, RTM_SET*); null: not known here. `payload` follows the nlmsghdr. */
  change(task: Task, type: number, flags: number, payload: Uint8Array): 0 | Errno | null;
}

/** A network of lo alone. */
export const LOOPBACK_ROUTES: RouteProvider = {
  addresses: () => [
    { family: AF_INET, address: Uint8Array.of(127, 0, 0, 1), prefixLength: 8, scope: RT_SCOPE_HOST, index: 1, label: 'lo' },
    {
      family: AF_INET6,
      address: Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
      prefixLength: 128,
      scope: RT_SCOPE_HOST,
      index: 1,
      label: 'lo',
    },
  ],
  routes: () => [],
  neighbours: () => [],
  rules: () => [],
  lookup: () => ENETUNREACH,
  watch: () => {},
  change: () => null,
};
