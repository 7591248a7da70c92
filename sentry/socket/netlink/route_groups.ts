/**
 * Notifications of NETLINK_ROUTE (RTNLGRP_*): who has joined a group is told what came, changed and went. The lists are compared with what was
 * told last, so that it does not matter who has changed them, and that nothing costs anything while nobody listens.
 */
import * as L from '../../../abi/netlink.ts';
import { AF_INET } from '../../../abi/socket.ts';
import type { NetlinkMessage } from '../../../lib/netlink_message.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetNamespace } from '../../kernel/namespaces.ts';
import type { NetlinkSocket } from './netlink_socket.ts';
import { addressMessage, linkMessage, neighbourMessage, routeMessage, ruleMessage } from './route_messages.ts';

interface Seen {
  readonly group: number;
  /** Differs where the object is another one now. */
  readonly mark: string;
  /** Of its kind, RTM_NEW*. */
  readonly type: number;
  message(type: number): NetlinkMessage;
}

export class RouteGroups {
  private readonly kernel: Kernel;
  private readonly namespace: NetNamespace;
  private readonly members = new Set<NetlinkSocket>();
  /** By what makes an object the same one as before. */
  private told = new Map<string, Seen>();
  private planned = false;

  constructor(kernel: Kernel, namespace: NetNamespace) {
    this.kernel = kernel;
    this.namespace = namespace;
  }
  join(socket: NetlinkSocket): void {
    if (this.members.size === 0) {
      this.told = this.look();
      this.kernel.routeProvider.watch(this.namespace, () => this.plan());
    }
    this.members.add(socket);
  }
  leave(socket: NetlinkSocket): void {
    if (!this.members.delete(socket) || this.members.size > 0) return;
    this.kernel.routeProvider.watch(this.namespace, () => {});
    this.told.clear();
  }
  /** Many things may change in one turn of the kernel. */
  private plan(): void {
    if (this.planned) return;
    this.planned = true;
    this.kernel.timers.add(this.kernel.now(), () => this.publish());
  }
  /** Tells the differences. */
  publish(): void {
    this.planned = false;
    if (this.members.size === 0) return;
    const now = this.look();
    const before = this.told;
    this.told = now;
    // What hangs on an interface goes before it, and comes after it.
    for (const [key, seen] of [...before].reverse()) if (!now.has(key)) this.tell(seen, seen.type + 1);
    for (const [key, seen] of now) if (before.get(key)?.mark !== seen.mark) this.tell(seen, seen.type);
  }
  private tell(seen: Seen, type: number): void {
    const bytes = seen.message(type).encode(0, 0);
    for (const member of this.members) if (member.belongsTo(seen.group)) member.deliver(bytes, seen.group);
  }

  private look(): Map<string, Seen> {
    const { routeProvider } = this.kernel;
    const seen = new Map<string, Seen>();
    const put = (
      kind: string,
      key: unknown,
      mark: unknown,
      group: number,
      type: number,
      message: (type: number) => NetlinkMessage,
    ): void => {
      seen.set(`${kind} ${JSON.stringify(key)}`, { group, type, mark: JSON.stringify(mark), message });
    };
    for (const device of this.kernel.netDevices(this.namespace)) {
      const { index, name, mtu, flags, address, state, queueLength, info } = device;
      put('link', index, [name, mtu, flags, address, state, queueLength, info], L.RTNLGRP_LINK, L.RTM_NEWLINK, (type) =>
        linkMessage(device, 0, type),
      );
    }
    for (const one of routeProvider.addresses(this.namespace)) {
      const group = one.family === AF_INET ? L.RTNLGRP_IPV4_IFADDR : L.RTNLGRP_IPV6_IFADDR;
      put('address', [one.index, one.address, one.prefixLength], one, group, L.RTM_NEWADDR, (type) => addressMessage(one, 0, type));
    }
    for (const one of routeProvider.routes(this.namespace)) {
      const group = one.family === AF_INET ? L.RTNLGRP_IPV4_ROUTE : L.RTNLGRP_IPV6_ROUTE;
      put('route', one, 0, group, L.RTM_NEWROUTE, (type) => routeMessage(one, 0, type));
    }
    for (const one of routeProvider.rules(this.namespace)) {
      const group = one.family === AF_INET ? L.RTNLGRP_IPV4_RULE : L.RTNLGRP_IPV6_RULE;
      put('rule', one, 0, group, L.RTM_NEWRULE, (type) => ruleMessage(one, 0, type));
    }
    for (const one of routeProvider.neighbours(this.namespace)) {
      const { index, address, state, hardware } = one;
      put('neighbour', [index, address], [state, hardware], L.RTNLGRP_NEIGH, L.RTM_NEWNEIGH, (type) => neighbourMessage(one, 0, type));
    }
    return seen;
  }
}

/** One for each namespace: `kernel.routeNotices`. */
export class RouteNotices {
  private readonly kernel: Kernel;
  private readonly groups = new WeakMap<NetNamespace, RouteGroups>();
  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
  of(namespace: NetNamespace): RouteGroups {
    let groups = this.groups.get(namespace);
    if (groups === undefined) {
      groups = new RouteGroups(this.kernel, namespace);
      this.groups.set(namespace, groups);
    }
    return groups;
  }
}
